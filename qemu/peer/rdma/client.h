/* The client of verbs.h: a connection, work on it, and what has to come of it. */
#ifndef CLIENT_H
#define CLIENT_H

#include "endpoint.h"
#include "verbs.h"

enum {
    SLOTS = 16,
    FEW_SLOTS = 4,
    QUEUE = 64,
    /* Spans several packets whatever the path MTU, and is no multiple of one. */
    LONG = 11001,
    MANY = 64,
};

/* What a case asks for; the hello's integers are this machine's. */
struct settings {
    enum ibv_qp_type type;
    struct hello hello;
    /* Whether this end's receives come from a shared queue, whether there are none at first, and
       whether it needs only little memory. */
    int shared, bare, small;
};

struct client {
    struct rdma_event_channel *events;
    struct rdma_cm_id *id;
    struct ibv_pd *pd;
    struct ibv_cq *sent, *arrived;
    struct ibv_srq *srq;
    /* What the server may read and write, and the buffers of receives and of sends. */
    struct memory region, receives, sends;
    uint32_t slots;
    struct ibv_mw *window;
    struct region remote;
};

/* A message that has arrived. */
struct message {
    const uint8_t *bytes;
    uint32_t length;
    int has_immediate;
    uint32_t immediate;
    uint32_t slot;
    enum ibv_wc_opcode opcode;
};

extern const char *server_address;

void fill(uint8_t *bytes, size_t length, unsigned seed);

const char *post_receive(struct client *c, uint32_t slot);

const char *make_queue_pair(struct client *c, const struct settings *s);

const char *open_connection(struct client *c, const struct settings *s);

/* Whatever has been made of it so far. */
const char *close_connection(struct client *c);

const char *poll_for(struct ibv_cq *cq, struct ibv_wc *completion, const char *what);

/* The next completion of work of this end, with this status. */
const char *expect_sent(struct client *c, enum ibv_wc_status status);

const char *expect_arrival(struct client *c, struct message *m);

/* A message that has to be exactly this; its receive is posted again. */
const char *expect_message(struct client *c, const void *bytes, uint32_t length,
                           const uint32_t *immediate);

const char *submit(struct client *c, struct ibv_send_wr *work);

/* A work request over `length` bytes of the send buffers. */
struct ibv_send_wr work(struct client *c, enum ibv_wr_opcode opcode, struct ibv_sge *place,
                        uint32_t length);

const char *send_bytes(struct client *c, uint32_t length, const uint32_t *immediate,
                       unsigned flags);

/* Sends bytes, which have to come back. */
const char *echo(struct client *c, uint32_t length, const uint32_t *immediate, unsigned flags);

/* An operation on the server's memory, from or to the start of the send buffers. */
struct ibv_send_wr remote(struct client *c, enum ibv_wr_opcode opcode, struct ibv_sge *place,
                          uint64_t offset, uint32_t length);

const char *access_remote(struct client *c, enum ibv_wr_opcode opcode, uint64_t offset,
                          uint32_t length, enum ibv_wc_status status);

/* An atomic operation; the original value lands at the start of the send buffers. */
const char *atomic(struct client *c, enum ibv_wr_opcode opcode, uint64_t offset,
                   uint64_t compare, uint64_t swap, enum ibv_wc_status status);

const char *request(struct client *c, uint32_t which, const void *parameters, uint32_t length);

/* Its answer: `length` bytes, copied to `bytes`. */
const char *answer(struct client *c, uint32_t which, void *bytes, uint32_t length);

/* What the server has there, compared with what it should have. */
const char *shows(struct client *c, uint64_t offset, const uint8_t *bytes, uint32_t length);

const char *give_order(struct client *c, enum operation operation, uint64_t offset,
                       uint32_t length, uint32_t immediate, uint64_t compare, uint64_t swap);

const char *expect_obeyed(struct client *c, uint64_t original);

#endif
