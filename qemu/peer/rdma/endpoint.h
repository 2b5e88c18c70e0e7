/*
 * What both ends of our RDMA programs are made of: registered memory, addresses, and the events of
 * the connection manager.
 *
 * Functions that can fail for what a peer does return NULL, or the reason; the others end the
 * program.
 */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <rdma/rdma_cma.h>
#include <stddef.h>
#include <stdint.h>

/* No answer, completion or event takes longer than this many milliseconds. */
enum { PATIENCE = 30000 };

/* Registered memory. */
struct memory {
    uint8_t *bytes;
    size_t length;
    struct ibv_mr *mr;
};

_Noreturn void fail(const char *what);

/* Reasons: a text that lasts until the next one. */
const char *reason(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Leaves the function with the reason if there is one. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const char *why_not = (call);                                                              \
        if (why_not)                                                                               \
            return why_not;                                                                        \
    } while (0)

/* Leaves the function with a reason unless the condition holds. */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return reason(__VA_ARGS__);                                                            \
    } while (0)

uint64_t nanoseconds(void);

/* Zeroed memory of whole pages, registered with these rights besides local writing. */
struct memory memory_register(struct ibv_pd *pd, size_t length, int access);
void memory_release(struct memory *memory);

/* What an entry of a work request says of a part of the memory. */
struct ibv_sge part(const struct memory *memory, size_t offset, size_t length);

/*
 * An identifier on this channel: resolved up to its route if active, bound if passive. The type of
 * queue pair is RC or UC. RC belongs to the port space RDMA_PS_TCP; the connection manager knows
 * UC only in RDMA_PS_IB, whose service identifiers are 0x013f0000 + port.
 */
const char *identify(struct rdma_cm_id **id, struct rdma_event_channel *channel,
                     const char *address, const char *port, enum ibv_qp_type type, int passive);

/* Waits for this event; *data is filled with up to `length` bytes of its private data. */
const char *expect_event(struct rdma_event_channel *channel, enum rdma_cm_event_type type,
                         void *data, size_t length);

#endif
