/*
 * perf: latency, rate and bandwidth of one operation of RC queue pairs.
 *
 *   perf server ADDRESS [events]
 *   perf client ADDRESS TEST SIZE COUNT WINDOW [events]     TEST: send, write, read or atomic
 *
 * Completions are polled for, or with `events` slept for. A server serves connection after
 * connection, each by itself, for as long as it runs; it prints `ready` once it listens. The client
 * prints its figures and ends.
 *
 * Both ends may be any system that keeps to what follows. All integers are big-endian.
 *
 * Connections are made by the RDMA connection manager, to port 7473 of the RDMA IP port space. All
 * that the client tells the server stands in the request's private data (after the 36 bytes that
 * the connection manager puts there itself), a `struct ask`. The reply's is a `struct offer`: the
 * server's memory of at least 1 MiB, with all rights, in which the client works from the start on.
 *
 * With TEST send the server has 2 WINDOW receives of SIZE bytes posted before it replies; it posts
 * each again as soon as its message has arrived. It answers each of the first WARM + COUNT messages
 * by a message of SIZE bytes: the latency. Of the next COUNT messages, which come as a stream, it
 * answers each WINDOW-th, by an empty message: the client is never more than 2 WINDOW messages
 * ahead of the answers to those, so there always is a receive. With the other tests the server
 * does nothing. The client disconnects.
 *
 * The client measures, on one connection:
 *
 *   - one operation at a time, WARM of them and then COUNT that count. Of a send: half the time
 *     from posting it to the completion of the answer's receive. Of the others: the time from
 *     posting it to its completion. p50 and p99 of the COUNT.
 *   - then COUNT operations, WINDOW of them outstanding (of reads and atomic operations, only as
 *     many at a time are on their way as the connection has resources for: 16 are asked for): from
 *     posting the first to the completion of the last.
 *
 * Every operation is signalled. An atomic operation is fetch-and-add, of 8 bytes whatever SIZE.
 */
#include "endpoint.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT "7473"
#define MAGIC 0x52465850u

enum { REGION = 1 << 20, WARM = 16, LARGEST_WINDOW = 1024, RESOURCES = 16, SHORT = 64 };

enum test { SEND = 1, WRITE = 2, READ = 3, ATOMIC = 4 };

static const char *const names[] = { [SEND] = "send", [WRITE] = "write", [READ] = "read",
                                     [ATOMIC] = "atomic" };

struct ask {
    uint32_t magic;
    /* An `enum test`. */
    uint32_t test;
    uint32_t size;
    uint32_t count;
    uint32_t window;
};

struct offer {
    uint64_t address;
    uint32_t key;
    uint32_t length;
} __attribute__((packed));

/* One end of a connection. */
struct end {
    struct rdma_event_channel *events;
    struct rdma_cm_id *id;
    struct ibv_pd *pd;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    /* All rights; where messages come from; where they go. */
    struct memory region, sends, receives;
    /* What was asked for, as integers of this machine. */
    struct ask ask;
};

static int sleeping;

static const char *prepare(struct end *e)
{
    struct ibv_context *device = e->id->verbs;
    REQUIRE((e->pd = ibv_alloc_pd(device)), "ibv_alloc_pd");
    REQUIRE(!sleeping || (e->channel = ibv_create_comp_channel(device)), "ibv_create_comp_channel");
    e->cq = ibv_create_cq(device, 4 * e->ask.window + 2, NULL, e->channel, 0);
    REQUIRE(e->cq && (!sleeping || !ibv_req_notify_cq(e->cq, 0)), "ibv_create_cq");
    e->region = memory_register(e->pd, REGION,
                                IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
                                    IBV_ACCESS_REMOTE_ATOMIC);
    e->sends = memory_register(e->pd, REGION, 0);
    e->receives = memory_register(e->pd, REGION, 0);
    struct ibv_qp_init_attr attributes = {
        .send_cq = e->cq,
        .recv_cq = e->cq,
        .qp_type = IBV_QPT_RC,
        .cap = { .max_send_wr = e->ask.window + 1,
                 .max_recv_wr = 2 * e->ask.window + 1,
                 .max_send_sge = 1,
                 .max_recv_sge = 1,
                 .max_inline_data = SHORT },
    };
    REQUIRE(!rdma_create_qp(e->id, e->pd, &attributes), "rdma_create_qp: %s", strerror(errno));
    return NULL;
}

static void release(struct end *e)
{
    if (e->id && e->id->qp)
        rdma_destroy_qp(e->id);
    if (e->cq)
        ibv_destroy_cq(e->cq);
    if (e->channel)
        ibv_destroy_comp_channel(e->channel);
    memory_release(&e->region);
    memory_release(&e->sends);
    memory_release(&e->receives);
    if (e->pd)
        ibv_dealloc_pd(e->pd);
    if (e->id)
        rdma_destroy_id(e->id);
}

/* Messages overwrite one another: nobody looks at them. */
static const char *post_receive(struct end *e)
{
    struct ibv_sge place = part(&e->receives, 0, e->ask.size);
    struct ibv_recv_wr *bad, work = { .sg_list = &place, .num_sge = 1 };
    int error = ibv_post_recv(e->id->qp, &work, &bad);
    REQUIRE(!error, "a receive was refused: %s", strerror(error));
    return NULL;
}

static const char *post_receives(struct end *e, uint32_t count)
{
    while (count--)
        TRY(post_receive(e));
    return NULL;
}

static const char *post(struct end *e, struct ibv_send_wr *work)
{
    struct ibv_send_wr *bad;
    int error = ibv_post_send(e->id->qp, work, &bad);
    REQUIRE(!error, "work was refused: %s", strerror(error));
    return NULL;
}

static const char *post_send(struct end *e, uint32_t size)
{
    struct ibv_sge place = part(&e->sends, 0, size);
    struct ibv_send_wr work = {
        .opcode = IBV_WR_SEND,
        .sg_list = &place,
        .num_sge = size ? 1 : 0,
        .send_flags = IBV_SEND_SIGNALED | (size <= SHORT ? IBV_SEND_INLINE : 0),
    };
    return post(e, &work);
}

static const char *completed(struct end *e, enum ibv_wc_opcode *opcode)
{
    struct ibv_wc completion;
    uint64_t deadline = nanoseconds() + PATIENCE * 1000000ull;
    uint32_t rounds = 0;
    int found;
    while (!(found = ibv_poll_cq(e->cq, 1, &completion))) {
        if (sleeping) {
            struct pollfd ready = { .fd = e->channel->fd, .events = POLLIN };
            REQUIRE(poll(&ready, 1, PATIENCE) == 1, "no completion");
            struct ibv_cq *cq;
            void *context;
            REQUIRE(!ibv_get_cq_event(e->channel, &cq, &context), "ibv_get_cq_event");
            ibv_ack_cq_events(cq, 1);
            REQUIRE(!ibv_req_notify_cq(cq, 0), "ibv_req_notify_cq");
        } else {
            REQUIRE(++rounds % 4096 || nanoseconds() < deadline, "no completion");
        }
    }
    REQUIRE(found > 0, "ibv_poll_cq");
    REQUIRE(completion.status == IBV_WC_SUCCESS, "%s", ibv_wc_status_str(completion.status));
    *opcode = completion.opcode;
    return NULL;
}

/* ---- the server ---- */

/* Both phases of the test of sends. */
static const char *take_messages(struct end *e)
{
    uint32_t pings = WARM + e->ask.count, received = 0, streamed = 0;
    while (received + streamed < pings + e->ask.count) {
        enum ibv_wc_opcode opcode;
        TRY(completed(e, &opcode));
        if (!(opcode & IBV_WC_RECV))
            continue;
        TRY(post_receive(e));
        if (received < pings) {
            received++;
            TRY(post_send(e, e->ask.size));
        } else if (++streamed % e->ask.window == 0) {
            TRY(post_send(e, 0));
        }
    }
    return NULL;
}

static const char *read_ask(const struct rdma_conn_param *told, struct ask *ask)
{
    REQUIRE(told->private_data_len >= sizeof *ask, "nothing is asked for");
    memcpy(ask, told->private_data, sizeof *ask);
    uint32_t *words = (uint32_t *)ask;
    for (size_t i = 0; i < sizeof *ask / sizeof *words; i++)
        words[i] = be32toh(words[i]);
    REQUIRE(ask->magic == MAGIC && ask->test >= SEND && ask->test <= ATOMIC, "asked for nonsense");
    REQUIRE(ask->size && ask->size <= REGION && ask->count && ask->window &&
                ask->window <= LARGEST_WINDOW,
            "asked for too much");
    return NULL;
}

static const char *serve_one(struct end *e, struct rdma_conn_param told)
{
    TRY(read_ask(&told, &e->ask));
    TRY(prepare(e));
    if (e->ask.test == SEND)
        TRY(post_receives(e, 2 * e->ask.window));
    struct offer offer = {
        .address = htobe64((uintptr_t)e->region.bytes),
        .key = htobe32(e->region.mr->rkey),
        .length = htobe32(REGION),
    };
    struct rdma_conn_param parameters = {
        .private_data = &offer,
        .private_data_len = sizeof offer,
        .responder_resources = told.responder_resources,
        .initiator_depth = told.initiator_depth,
        .rnr_retry_count = 7,
    };
    REQUIRE(!rdma_accept(e->id, &parameters), "rdma_accept: %s", strerror(errno));
    TRY(expect_event(e->events, RDMA_CM_EVENT_ESTABLISHED, NULL, 0));
    if (e->ask.test == SEND)
        TRY(take_messages(e));
    return NULL;
}

static const char *serve(const char *address)
{
    struct end e = { .events = rdma_create_event_channel() };
    REQUIRE(e.events, "rdma_create_event_channel");
    struct rdma_cm_id *listener;
    TRY(identify(&listener, e.events, address, PORT, IBV_QPT_RC, 1));
    REQUIRE(!rdma_listen(listener, 8), "rdma_listen: %s", strerror(errno));
    printf("ready\n");
    for (;;) {
        struct rdma_cm_event *event;
        REQUIRE(!rdma_get_cm_event(e.events, &event), "rdma_get_cm_event: %s", strerror(errno));
        int request = event->event == RDMA_CM_EVENT_CONNECT_REQUEST;
        int over = event->event == RDMA_CM_EVENT_DISCONNECTED && event->id == e.id;
        if (request && e.id) {
            /* One at a time. */
            rdma_reject(event->id, NULL, 0);
        } else if (request) {
            e.id = event->id;
            const char *why_not = serve_one(&e, event->param.conn);
            if (why_not)
                fprintf(stderr, "%s\n", why_not);
            over = why_not != NULL;
        }
        rdma_ack_cm_event(event);
        if (over) {
            rdma_disconnect(e.id);
            release(&e);
            e = (struct end){ .events = e.events };
        }
    }
}

/* ---- the client ---- */

static const char *connect_to(struct end *e, const char *address, struct offer *offer)
{
    REQUIRE((e->events = rdma_create_event_channel()), "rdma_create_event_channel");
    TRY(identify(&e->id, e->events, address, PORT, IBV_QPT_RC, 0));
    TRY(prepare(e));
    /* Answers to pings, and to the stream. */
    if (e->ask.test == SEND)
        TRY(post_receives(e, 4));
    struct ask ask = {
        .magic = htobe32(MAGIC),
        .test = htobe32(e->ask.test),
        .size = htobe32(e->ask.size),
        .count = htobe32(e->ask.count),
        .window = htobe32(e->ask.window),
    };
    struct rdma_conn_param parameters = {
        .private_data = &ask,
        .private_data_len = sizeof ask,
        .responder_resources = RESOURCES,
        .initiator_depth = RESOURCES,
        .retry_count = 7,
        .rnr_retry_count = 7,
    };
    REQUIRE(!rdma_connect(e->id, &parameters), "rdma_connect: %s", strerror(errno));
    TRY(expect_event(e->events, RDMA_CM_EVENT_ESTABLISHED, offer, sizeof *offer));
    offer->address = be64toh(offer->address);
    offer->key = be32toh(offer->key);
    return NULL;
}

static const char *post_operation(struct end *e, const struct offer *offer)
{
    struct ibv_sge place = part(&e->sends, 0, e->ask.size);
    struct ibv_send_wr work = {
        .sg_list = &place,
        .num_sge = 1,
        .send_flags = IBV_SEND_SIGNALED,
        .wr.rdma = { .remote_addr = offer->address, .rkey = offer->key },
    };
    switch (e->ask.test) {
    case SEND:
        return post_send(e, e->ask.size);
    case WRITE:
        work.opcode = IBV_WR_RDMA_WRITE;
        work.send_flags |= e->ask.size <= SHORT ? IBV_SEND_INLINE : 0;
        break;
    case READ:
        work.opcode = IBV_WR_RDMA_READ;
        break;
    default:
        work.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
        place.length = 8;
        work.wr.atomic.remote_addr = offer->address;
        work.wr.atomic.rkey = offer->key;
        work.wr.atomic.compare_add = 1;
    }
    return post(e, &work);
}

/* One operation at a time; the times of those that count. */
static const char *measure_latency(struct end *e, const struct offer *offer, uint64_t *times)
{
    for (uint32_t i = 0; i < WARM + e->ask.count; i++) {
        uint64_t start = nanoseconds();
        TRY(post_operation(e, offer));
        /* A send's own completion, and that of the answer's receive, in either order. */
        int open = e->ask.test == SEND ? 2 : 1, answered = 0;
        uint64_t end = 0;
        while (open--) {
            enum ibv_wc_opcode opcode;
            TRY(completed(e, &opcode));
            if (e->ask.test != SEND || opcode & IBV_WC_RECV)
                end = nanoseconds();
            answered |= opcode & IBV_WC_RECV;
        }
        if (answered)
            TRY(post_receive(e));
        if (i >= WARM)
            times[i - WARM] = (end - start) / (e->ask.test == SEND ? 2 : 1);
    }
    return NULL;
}

static const char *measure_stream(struct end *e, const struct offer *offer, uint64_t *time)
{
    uint32_t posted = 0, done = 0, credits = 0, window = e->ask.window;
    uint64_t start = nanoseconds();
    while (done < e->ask.count) {
        uint32_t allowed = e->ask.test == SEND ? (credits + 2) * window : UINT32_MAX;
        while (posted < e->ask.count && posted - done < window && posted < allowed) {
            TRY(post_operation(e, offer));
            posted++;
        }
        enum ibv_wc_opcode opcode;
        TRY(completed(e, &opcode));
        if (opcode & IBV_WC_RECV) {
            credits++;
            TRY(post_receive(e));
        } else {
            done++;
        }
    }
    *time = nanoseconds() - start;
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print(const struct end *e, const char *what, double value, const char *unit)
{
    struct ibv_qp_attr attributes;
    struct ibv_qp_init_attr initial;
    int mtu = ibv_query_qp(e->id->qp, &attributes, IBV_QP_PATH_MTU, &initial)
                  ? 0
                  : 128 << attributes.path_mtu;
    printf("#! figure rdma %s-%s size=%u count=%u window=%u mtu=%d wait=%s value=%.3f unit=%s\n",
           names[e->ask.test], what, e->ask.test == ATOMIC ? 8 : e->ask.size, e->ask.count,
           e->ask.window, mtu, sleeping ? "events" : "polling", value, unit);
}

static const char *measure(struct end *e, const char *address)
{
    struct offer offer;
    TRY(connect_to(e, address, &offer));
    uint64_t *times = calloc(e->ask.count, sizeof *times), stream;
    REQUIRE(times, "no memory");
    TRY(measure_latency(e, &offer, times));
    TRY(measure_stream(e, &offer, &stream));
    uint32_t count = e->ask.count;
    qsort(times, count, sizeof *times, ascending);
    print(e, "latency-p50", times[count / 2] / 1e3, "us");
    print(e, "latency-p99", times[(uint64_t)count * 99 / 100] / 1e3, "us");
    print(e, "rate", count * 1e9 / stream, "messages/s");
    print(e, "bandwidth", (double)count * e->ask.size * 1e3 / stream, "MB/s");
    free(times);
    rdma_disconnect(e->id);
    return expect_event(e->events, RDMA_CM_EVENT_DISCONNECTED, NULL, 0);
}

static enum test named(const char *name)
{
    for (enum test test = SEND; test <= ATOMIC; test++)
        if (!strcmp(names[test], name))
            return test;
    return 0;
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *why_not = "usage: perf server ADDRESS [events] | "
                          "perf client ADDRESS send|write|read|atomic SIZE COUNT WINDOW [events]";
    sleeping = !strcmp(words[count - 1], "events");
    count -= sleeping;
    if (count == 3 && !strcmp(words[1], "server")) {
        why_not = serve(words[2]);
    } else if (count == 7 && !strcmp(words[1], "client") && named(words[3])) {
        struct end e = { .ask = { .magic = MAGIC,
                                  .test = named(words[3]),
                                  .size = atoi(words[4]),
                                  .count = atoi(words[5]),
                                  .window = atoi(words[6]) } };
        why_not = measure(&e, words[2]);
        if (!why_not)
            release(&e);
    }
    if (why_not)
        fprintf(stderr, "perf: %s\n", why_not);
    return why_not != NULL;
}
