/* The server of verbs.h: one thread that waits for events of connections and for completions. */
#include "verbs.h"

#include "endpoint.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the work request of a slot was for. */
enum phase { RECEIVE, BIND, OBEY, ANSWER };

/* A receive's buffer, from which it is also answered. */
struct slot {
    struct memory *memory;
    size_t offset;
    enum phase phase;
    uint32_t immediate;
    /* The connection that answers; with a shared queue, only while it does. */
    struct connection *connection;
    /* The key that is being bound. */
    uint32_t key;
    struct slot *next;
};

struct connection {
    struct rdma_cm_id *id;
    struct ibv_cq *cq;
    struct hello hello;
    struct memory memory;
    struct slot *slots;
    struct ibv_mw *window;
    /* When the receives are to be posted; 0 once they are. */
    uint64_t due;
    struct connection *next;
};

enum { SHARED_SLOTS = 64, QUEUE = 64 };

static struct rdma_event_channel *events;
static struct ibv_comp_channel *completions;
static struct ibv_pd *pd;
static struct memory region;
static struct ibv_srq *shared;
static struct memory shared_memory;
static struct slot shared_slots[SHARED_SLOTS];
static struct connection *connections;

static uint8_t *bytes(const struct slot *slot)
{
    return slot->memory->bytes + slot->offset;
}

static void post_receive(struct slot *slot, struct ibv_qp *qp)
{
    slot->phase = RECEIVE;
    struct ibv_sge place = part(slot->memory, slot->offset, MESSAGE);
    struct ibv_recv_wr *bad, work = { .wr_id = (uintptr_t)slot, .sg_list = &place, .num_sge = 1 };
    int error;
    if (slot->memory == &shared_memory) {
        slot->connection = NULL;
        error = ibv_post_srq_recv(shared, &work, &bad);
    } else {
        error = ibv_post_recv(qp, &work, &bad);
    }
    if (error)
        fprintf(stderr, "a receive was refused: %s\n", strerror(error));
}

/* A queue pair that has failed refuses work; its end is told by another event. */
static void post(struct slot *slot, enum phase phase, struct ibv_send_wr *work)
{
    struct ibv_send_wr *bad;
    slot->phase = phase;
    work->wr_id = (uintptr_t)slot;
    work->send_flags |= IBV_SEND_SIGNALED;
    int error = ibv_post_send(slot->connection->id->qp, work, &bad);
    if (error)
        fprintf(stderr, "work was refused: %s\n", strerror(error));
}

static void answer(struct slot *slot, struct ibv_sge place, int with_immediate)
{
    struct ibv_send_wr work = {
        .sg_list = &place,
        .num_sge = place.length ? 1 : 0,
        .opcode = with_immediate ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
        .imm_data = slot->immediate,
    };
    post(slot, ANSWER, &work);
}

static void answer_number(struct slot *slot, uint64_t number)
{
    number = htobe64(number);
    memcpy(bytes(slot), &number, sizeof number);
    answer(slot, part(slot->memory, slot->offset, sizeof number), 1);
}

static void show(struct slot *slot)
{
    struct show show;
    memcpy(&show, bytes(slot), sizeof show);
    uint64_t offset = be64toh(show.offset), length = be32toh(show.length);
    if (length > MESSAGE || offset > REGION - length)
        offset = length = 0;
    answer(slot, part(&region, offset, length), 1);
}

/* A fresh key for the region: a memory window of type 2 is bound to it. */
static void open_window(struct slot *slot)
{
    struct connection *connection = slot->connection;
    if (!connection->window && !(connection->window = ibv_alloc_mw(pd, IBV_MW_TYPE_2)))
        fail("ibv_alloc_mw");
    slot->key = ibv_inc_rkey(connection->window->rkey);
    struct ibv_send_wr work = {
        .opcode = IBV_WR_BIND_MW,
        .bind_mw = {
            .mw = connection->window,
            .rkey = slot->key,
            .bind_info = {
                .mr = region.mr,
                .addr = (uintptr_t)region.bytes,
                .length = REGION,
                .mw_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
            },
        },
    };
    post(slot, BIND, &work);
    /* rxe's library leaves this to its user: the next binding is of the key that is bound now. */
    connection->window->rkey = slot->key;
}

static void obey(struct slot *slot)
{
    static const enum ibv_wr_opcode opcodes[] = {
        [ORDER_SEND] = IBV_WR_SEND,
        [ORDER_SEND_IMMEDIATE] = IBV_WR_SEND_WITH_IMM,
        [ORDER_SEND_INVALIDATE] = IBV_WR_SEND_WITH_INV,
        [ORDER_WRITE] = IBV_WR_RDMA_WRITE,
        [ORDER_WRITE_IMMEDIATE] = IBV_WR_RDMA_WRITE_WITH_IMM,
        [ORDER_READ] = IBV_WR_RDMA_READ,
        [ORDER_COMPARE_SWAP] = IBV_WR_ATOMIC_CMP_AND_SWP,
        [ORDER_FETCH_ADD] = IBV_WR_ATOMIC_FETCH_AND_ADD,
    };
    struct order order;
    memcpy(&order, bytes(slot), sizeof order);
    uint32_t operation = be32toh(order.operation);
    uint64_t offset = be64toh(order.offset), length = be32toh(order.length);
    if (operation < ORDER_SEND || operation > ORDER_FETCH_ADD || length > REGION ||
        offset > REGION - length) {
        fprintf(stderr, "an order that makes no sense\n");
        rdma_disconnect(slot->connection->id);
        return;
    }
    int atomic = operation >= ORDER_COMPARE_SWAP;
    memset(bytes(slot), 0, 8);
    struct ibv_sge place =
        atomic ? part(slot->memory, slot->offset, 8) : part(&region, offset, length);
    struct ibv_send_wr work = {
        .opcode = opcodes[operation],
        .sg_list = &place,
        .num_sge = place.length ? 1 : 0,
        .imm_data = order.immediate,
    };
    if (operation == ORDER_SEND_INVALIDATE) {
        work.invalidate_rkey = be32toh(order.key);
    } else if (atomic) {
        work.wr.atomic.remote_addr = be64toh(order.address);
        work.wr.atomic.rkey = be32toh(order.key);
        work.wr.atomic.compare_add = be64toh(order.compare);
        work.wr.atomic.swap = be64toh(order.swap);
    } else {
        work.wr.rdma.remote_addr = be64toh(order.address);
        work.wr.rdma.rkey = be32toh(order.key);
    }
    post(slot, OBEY, &work);
}

static void received(struct slot *slot, const struct ibv_wc *completion)
{
    int with_immediate = (completion->wc_flags & IBV_WC_WITH_IMM) != 0;
    int is_write = completion->opcode == IBV_WC_RECV_RDMA_WITH_IMM;
    slot->immediate = with_immediate ? completion->imm_data : 0;
    switch (with_immediate && !is_write ? be32toh(slot->immediate) : 0) {
    case SHOW:
        show(slot);
        break;
    case WINDOW:
        open_window(slot);
        break;
    case ORDER:
        obey(slot);
        break;
    default:
        answer(slot, part(slot->memory, slot->offset, is_write ? 0 : completion->byte_len),
               with_immediate);
    }
}

static void completed(struct connection *connection, const struct ibv_wc *completion)
{
    struct slot *slot = (struct slot *)(uintptr_t)completion->wr_id;
    /* What a queue pair that has failed still held is released with its connection. */
    if (completion->status != IBV_WC_SUCCESS) {
        if (completion->status != IBV_WC_WR_FLUSH_ERR)
            fprintf(stderr, "completion: %s\n", ibv_wc_status_str(completion->status));
        return;
    }
    uint64_t original;
    switch (slot->phase) {
    case RECEIVE:
        slot->connection = connection;
        received(slot, completion);
        break;
    case BIND: {
        uint32_t key = htobe32(slot->key);
        memcpy(bytes(slot), &key, sizeof key);
        answer(slot, part(slot->memory, slot->offset, sizeof key), 1);
        break;
    }
    case OBEY:
        memcpy(&original, bytes(slot), sizeof original);
        answer_number(slot, original);
        break;
    case ANSWER:
        post_receive(slot, connection->id->qp);
    }
}

/* Slots in registered memory of their own. */
static void prepare(struct slot *slots, int count, struct memory *memory)
{
    *memory = memory_register(pd, (size_t)count * MESSAGE + 1, 0);
    for (int i = 0; i < count; i++)
        slots[i] = (struct slot){ .memory = memory, .offset = (size_t)i * MESSAGE };
}

/* What is made once the first connection has told the device. */
static void start(struct ibv_context *device)
{
    if (!(pd = ibv_alloc_pd(device)) || !(completions = ibv_create_comp_channel(device)))
        fail("a protection domain, a completion channel");
    fcntl(completions->fd, F_SETFL, O_NONBLOCK);
    region = memory_register(pd, REGION,
                             IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
                                 IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND);
    struct ibv_srq_init_attr attributes = { .attr = { .max_wr = SHARED_SLOTS, .max_sge = 1 } };
    if (!(shared = ibv_create_srq(pd, &attributes)))
        fail("ibv_create_srq");
    prepare(shared_slots, SHARED_SLOTS, &shared_memory);
    for (int i = 0; i < SHARED_SLOTS; i++)
        post_receive(&shared_slots[i], NULL);
}

static void post_all(struct connection *connection)
{
    connection->due = 0;
    for (int i = 0; i < connection->hello.receives; i++)
        post_receive(&connection->slots[i], connection->id->qp);
}

static void requested(struct rdma_cm_event *event)
{
    struct rdma_cm_id *id = event->id;
    struct hello hello;
    if (event->param.conn.private_data_len < sizeof hello) {
        rdma_reject(id, "no hello", 8);
        return;
    }
    memcpy(&hello, event->param.conn.private_data, sizeof hello);
    if (be32toh(hello.magic) != MAGIC) {
        rdma_reject(id, "no hello", 8);
        return;
    }
    if (!pd)
        start(id->verbs);
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        fail("calloc");
    *connection = (struct connection){ .id = id, .hello = hello, .next = connections };
    connections = connection;
    id->context = connection;
    if (hello.shared) {
        connection->hello.receives = 0;
    } else {
        connection->slots = calloc(hello.receives + 1, sizeof *connection->slots);
        if (!connection->slots)
            fail("calloc");
        prepare(connection->slots, hello.receives, &connection->memory);
        for (int i = 0; i < hello.receives; i++)
            connection->slots[i].connection = connection;
    }
    if (!(connection->cq = ibv_create_cq(id->verbs, 4 * QUEUE, connection, completions, 0)) ||
        ibv_req_notify_cq(connection->cq, 0))
        fail("ibv_create_cq");
    struct ibv_qp_init_attr attributes = {
        .send_cq = connection->cq,
        .recv_cq = connection->cq,
        .srq = hello.shared ? shared : NULL,
        .qp_type = id->qp_type,
        .cap = { .max_send_wr = QUEUE,
                 .max_recv_wr = hello.receives + 1,
                 .max_send_sge = 1,
                 .max_recv_sge = 1 },
    };
    if (rdma_create_qp(id, pd, &attributes))
        fail("rdma_create_qp");
    if (!hello.hold)
        post_all(connection);
    struct region told = {
        .address = htobe64((uintptr_t)region.bytes),
        .key = htobe32(region.mr->rkey),
        .length = htobe32(REGION),
    };
    struct rdma_conn_param parameters = {
        .private_data = &told,
        .private_data_len = sizeof told,
        .responder_resources = event->param.conn.responder_resources,
        .initiator_depth = event->param.conn.initiator_depth,
        .rnr_retry_count = hello.rnr_retry,
    };
    if (rdma_accept(id, &parameters))
        perror("rdma_accept");
}

static void release(struct connection *connection)
{
    struct connection **link = &connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    rdma_destroy_qp(connection->id);
    if (connection->window)
        ibv_dealloc_mw(connection->window);
    for (int i = 0; i < SHARED_SLOTS; i++)
        if (shared_slots[i].connection == connection)
            post_receive(&shared_slots[i], NULL);
    if (ibv_destroy_cq(connection->cq))
        fail("ibv_destroy_cq");
    rdma_destroy_id(connection->id);
    memory_release(&connection->memory);
    free(connection->slots);
    free(connection);
}

static void happened(void)
{
    struct rdma_cm_event *event;
    if (rdma_get_cm_event(events, &event))
        fail("rdma_get_cm_event");
    struct connection *gone = NULL;
    struct connection *connection = event->id->context;
    switch (event->event) {
    case RDMA_CM_EVENT_CONNECT_REQUEST:
        requested(event);
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        if (connection->hello.hold)
            connection->due = nanoseconds() + be32toh(connection->hello.hold) * 1000000ull;
        break;
    case RDMA_CM_EVENT_DISCONNECTED:
        rdma_disconnect(event->id);
        gone = connection;
        break;
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
        gone = connection;
        break;
    default:
        break;
    }
    rdma_ack_cm_event(event);
    if (gone)
        release(gone);
}

static void drain(void)
{
    struct ibv_cq *cq;
    void *context;
    while (!ibv_get_cq_event(completions, &cq, &context)) {
        struct ibv_wc completion;
        ibv_ack_cq_events(cq, 1);
        if (ibv_req_notify_cq(cq, 0))
            fail("ibv_req_notify_cq");
        while (ibv_poll_cq(cq, 1, &completion) > 0)
            completed(context, &completion);
    }
}

/* Posts what is due; returns for how many milliseconds nothing will be. */
static int post_due(void)
{
    int left = -1;
    for (struct connection *c = connections; c; c = c->next) {
        if (!c->due)
            continue;
        int64_t wait = c->due - nanoseconds();
        if (wait <= 0)
            post_all(c);
        else if (left < 0 || wait / 1000000 < left)
            left = wait / 1000000 + 1;
    }
    return left;
}

static void listen_for(const char *address, enum ibv_qp_type type)
{
    struct rdma_cm_id *id;
    const char *why_not = identify(&id, events, address, PORT, type, 1);
    if (why_not) {
        fprintf(stderr, "%s\n", why_not);
        exit(1);
    }
    if (rdma_listen(id, 128))
        fail("rdma_listen");
}

int serve(const char *address)
{
    if (!(events = rdma_create_event_channel()))
        fail("rdma_create_event_channel");
    listen_for(address, IBV_QPT_RC);
    listen_for(address, IBV_QPT_UC);
    printf("ready\n");
    for (;;) {
        struct pollfd ready[2] = {
            { .fd = events->fd, .events = POLLIN },
            { .fd = completions ? completions->fd : -1, .events = POLLIN },
        };
        if (poll(ready, 2, post_due()) < 0 && errno != EINTR)
            fail("poll");
        if (ready[1].revents)
            drain();
        if (ready[0].revents)
            happened();
    }
}
