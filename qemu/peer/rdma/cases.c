/* All cases by name, and running them. */
#include "cases.h"

#include "client.h"

#include <stdio.h>
#include <string.h>

#define USUAL { .receives = SLOTS, .rnr_retry = 7 }
#define RC(name, function) { name, function, NULL, { .type = IBV_QPT_RC, .hello = USUAL } }
#define UC(name, function) { name, function, NULL, { .type = IBV_QPT_UC, .hello = USUAL } }

static const struct {
    const char *name;
    const char *(*run)(struct client *);
    /* One that makes its own connections. */
    const char *(*alone)(void);
    struct settings settings;
} cases[] = {
    RC("rc-connect-and-disconnect", connected),
    { "rc-rejected-where-nobody-listens", NULL, rejected_where_nobody_listens, { 0 } },
    { "rc-rejected-without-a-hello", NULL, rejected_without_a_hello, { 0 } },
    RC("rc-send", send_short),
    RC("rc-send-empty", send_empty),
    RC("rc-send-long", send_long),
    RC("rc-send-with-immediate", send_with_immediate),
    RC("rc-send-with-invalidate", send_with_invalidate),
    RC("rc-send-inline", send_inline),
    RC("rc-send-solicited", send_solicited),
    RC("rc-send-gathered", send_gathered),
    RC("rc-send-many", send_many),
    RC("rc-write", write_lengths),
    RC("rc-write-empty", write_empty),
    RC("rc-write-with-immediate", write_with_immediate),
    RC("rc-read", read_lengths),
    RC("rc-read-empty", read_empty),
    RC("rc-read-scattered", read_scattered),
    RC("rc-read-fenced", read_fenced),
    RC("rc-read-many", read_many),
    RC("rc-compare-and-swap", compare_and_swap),
    RC("rc-fetch-and-add", fetch_and_add),
    RC("rc-ordered-send", ordered_send),
    RC("rc-ordered-send-with-invalidate", ordered_send_with_invalidate),
    RC("rc-ordered-write", ordered_write),
    RC("rc-ordered-read", ordered_read),
    RC("rc-ordered-atomics", ordered_atomics),
    { "rc-shared-receive-queue",
      send_many,
      NULL,
      { .type = IBV_QPT_RC, .shared = 1, .hello = { .shared = 1, .rnr_retry = 7 } } },
    { "rc-receives-come-late",
      receives_come_late,
      NULL,
      { .type = IBV_QPT_RC, .hello = { .receives = 4, .rnr_retry = 7, .hold = 300 } } },
    { "rc-receives-never-come",
      receives_never_come,
      NULL,
      { .type = IBV_QPT_RC, .hello = { .receives = 0, .rnr_retry = 1 } } },
    { "rc-receives-of-the-client-come-late",
      receives_of_the_client_come_late,
      NULL,
      { .type = IBV_QPT_RC, .bare = 1, .hello = USUAL } },
    RC("rc-bad-key-write", bad_key_write),
    RC("rc-bad-key-read", bad_key_read),
    RC("rc-bad-key-atomic", bad_key_atomic),
    RC("rc-out-of-bounds-write", out_of_bounds_write),
    RC("rc-out-of-bounds-read", out_of_bounds_read),
    RC("rc-below-bounds-write", below_bounds_write),
    RC("rc-write-after-invalidate", write_after_invalidate),
    RC("rc-send-too-long", send_too_long),
    RC("rc-flushed-after-an-error", flushed_after_an_error),
    { "rc-sixty-four-queue-pairs", NULL, sixty_four_queue_pairs, { 0 } },
    { "rc-sixty-four-share-a-receive-queue", NULL, sixty_four_share_a_receive_queue, { 0 } },
    UC("uc-connect-and-disconnect", connected),
    UC("uc-send", send_short),
    UC("uc-send-empty", send_empty),
    UC("uc-send-long", send_long),
    UC("uc-send-with-immediate", send_with_immediate),
    UC("uc-send-gathered", send_gathered),
    UC("uc-write", write_lengths),
    UC("uc-write-empty", write_empty),
    UC("uc-write-with-immediate", write_with_immediate),
};

static const char *run_case(int number)
{
    if (cases[number].alone)
        return cases[number].alone();
    struct client client;
    char kept[256] = "";
    const char *why_not = open_connection(&client, &cases[number].settings);
    if (!why_not)
        why_not = cases[number].run(&client);
    if (why_not)
        snprintf(kept, sizeof kept, "%s", why_not);
    const char *closing = close_connection(&client);
    return why_not ? reason("%s", kept) : closing;
}

int run_cases(const char *address, const char *prefix)
{
    server_address = address;
    int run = 0, failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strncmp(cases[i].name, prefix, strlen(prefix)))
            continue;
        const char *why_not = run_case(i);
        run++;
        failed += !!why_not;
        if (why_not)
            printf("FAIL %s %s\n", cases[i].name, why_not);
        else
            printf("ok %s\n", cases[i].name);
    }
    if (!run)
        printf("FAIL %s there is no such case\n", prefix);
    return failed || !run;
}
