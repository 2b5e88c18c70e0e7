/* The cases, by what they are about. Each returns why it failed. */
#ifndef CASES_H
#define CASES_H

struct client;

/* messages.c */
const char *send_short(struct client *c);
const char *send_empty(struct client *c);
const char *send_long(struct client *c);
const char *send_with_immediate(struct client *c);
const char *send_inline(struct client *c);
const char *send_solicited(struct client *c);
const char *send_gathered(struct client *c);
const char *send_many(struct client *c);

/* remote.c */
const char *write_lengths(struct client *c);
const char *write_empty(struct client *c);
const char *write_with_immediate(struct client *c);
const char *read_lengths(struct client *c);
const char *read_empty(struct client *c);
const char *read_scattered(struct client *c);
const char *read_fenced(struct client *c);
const char *read_many(struct client *c);
const char *compare_and_swap(struct client *c);
const char *fetch_and_add(struct client *c);
const char *send_with_invalidate(struct client *c);
const char *write_after_invalidate(struct client *c);

/* orders.c */
const char *ordered_send(struct client *c);
const char *ordered_send_with_invalidate(struct client *c);
const char *ordered_write(struct client *c);
const char *ordered_read(struct client *c);
const char *ordered_atomics(struct client *c);

/* refusals.c */
const char *receives_come_late(struct client *c);
const char *receives_never_come(struct client *c);
const char *receives_of_the_client_come_late(struct client *c);
const char *bad_key_write(struct client *c);
const char *bad_key_read(struct client *c);
const char *bad_key_atomic(struct client *c);
const char *out_of_bounds_write(struct client *c);
const char *out_of_bounds_read(struct client *c);
const char *below_bounds_write(struct client *c);
const char *send_too_long(struct client *c);
const char *flushed_after_an_error(struct client *c);

/* connections.c */
const char *connected(struct client *c);
const char *rejected_where_nobody_listens(void);
const char *rejected_without_a_hello(void);
const char *many(int shared);
const char *sixty_four_queue_pairs(void);
const char *sixty_four_share_a_receive_queue(void);

#endif
