/*
 * verbs: every operation of RC and UC queue pairs, and what happens when they go wrong.
 *
 *   verbs server ADDRESS               serves for as long as it runs; prints `ready`
 *   verbs client ADDRESS [PREFIX]      runs the cases whose names begin so; prints `ok NAME` or
 *                                      `FAIL NAME REASON` for each; status 0 if none failed
 *
 * The client knows what has to happen; the server is simple, so that any system can have one. What
 * both have to know of each other follows. All integers are big-endian.
 *
 * Connections are made by the RDMA connection manager, to port 7471: queue pairs of type RC in the
 * port space RDMA_PS_TCP, of type UC in RDMA_PS_IB (whose requests carry the service identifier
 * 0x013f0000 + 7471 and transport type 1). A server without UC does not listen there.
 *
 * The request's private data (after the 36 bytes that the connection manager puts there itself) is
 * a `struct hello`; the reply's a `struct region`: the server's memory of 1 MiB, in which the
 * client has all rights. It is the same for all connections. Its contents at first are anything.
 *
 * The server posts the number of receives that the hello asks for, each of MESSAGE bytes, `hold`
 * milliseconds after the connection is established, but at once if `hold` is 0. With `shared` they
 * go to one shared receive queue that all such connections have. It tells the connection manager
 * `rnr_retry`: how often the client's sends are to be retried when no receive is there.
 *
 * Every message that is received is answered by a send, and then its receive is posted again:
 *
 *   - a send, with the same bytes, and with the same immediate if it had one; the answer to a
 *     send with invalidate has none;
 *   - a write with immediate, with an empty message with the same immediate;
 *   - a send with one of the immediates below is a request. Its answer has the same immediate:
 *
 *     SHOW    a `struct show`         those bytes of the server's memory, at most MESSAGE
 *     WINDOW  nothing                 a key (4 bytes) of the whole of the server's memory, for
 *                                     reading and writing, that a send with invalidate revokes
 *     ORDER   a `struct order`        the server does this operation on the client's memory, and
 *                                     when it has completed answers with 8 bytes: the original
 *                                     value after an atomic operation, else 0
 */
#ifndef VERBS_H
#define VERBS_H

#include <stdint.h>

#define PORT "7471"
#define MAGIC 0x52465856u

enum {
    MESSAGE = 16384,
    REGION = 1 << 20,
};

enum request {
    SHOW = 0x52460001,
    WINDOW = 0x52460002,
    ORDER = 0x52460003,
};

struct hello {
    uint32_t magic;
    uint8_t receives;
    uint8_t rnr_retry;
    uint8_t shared;
    uint8_t zero;
    uint32_t hold;
    /* The client's memory, for orders. */
    uint32_t key;
    uint64_t address;
    uint32_t length;
} __attribute__((packed));

struct region {
    uint64_t address;
    uint32_t key;
    uint32_t length;
} __attribute__((packed));

struct show {
    uint64_t offset;
    uint32_t length;
} __attribute__((packed));

enum operation {
    ORDER_SEND = 1,
    ORDER_SEND_IMMEDIATE = 2,
    ORDER_SEND_INVALIDATE = 3,
    ORDER_WRITE = 4,
    ORDER_WRITE_IMMEDIATE = 5,
    ORDER_READ = 6,
    ORDER_COMPARE_SWAP = 7,
    ORDER_FETCH_ADD = 8,
};

struct order {
    /* An `enum operation`. */
    uint32_t operation;
    /* Of the client's memory; what a send invalidates. */
    uint32_t key;
    uint64_t address;
    /* Where in the server's memory the bytes come from or go to. */
    uint64_t offset;
    uint32_t length;
    uint32_t immediate;
    /* Compared, or added. */
    uint64_t compare;
    uint64_t swap;
} __attribute__((packed));

int serve(const char *address);
int run_cases(const char *address, const char *prefix);

#endif
