#include "client.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

const char *server_address;

void fill(uint8_t *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + i / 251);
}

const char *post_receive(struct client *c, uint32_t slot)
{
    struct ibv_sge place = part(&c->receives, (size_t)slot * MESSAGE, MESSAGE);
    struct ibv_recv_wr *bad, work = { .wr_id = slot, .sg_list = &place, .num_sge = 1 };
    int error = c->srq ? ibv_post_srq_recv(c->srq, &work, &bad)
                       : ibv_post_recv(c->id->qp, &work, &bad);
    REQUIRE(!error, "a receive was refused: %s", strerror(error));
    return NULL;
}

const char *make_queue_pair(struct client *c, const struct settings *s)
{
    REQUIRE((c->pd = ibv_alloc_pd(c->id->verbs)), "ibv_alloc_pd");
    c->region = memory_register(c->pd, s->small ? MESSAGE : REGION,
                                IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
                                    IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND);
    c->slots = s->small ? FEW_SLOTS : SLOTS;
    c->receives = memory_register(c->pd, (size_t)c->slots * MESSAGE, 0);
    c->sends = memory_register(c->pd, s->small ? MESSAGE : REGION, 0);
    c->sent = ibv_create_cq(c->id->verbs, 2 * QUEUE, NULL, NULL, 0);
    c->arrived = ibv_create_cq(c->id->verbs, 2 * QUEUE, NULL, NULL, 0);
    REQUIRE(c->sent && c->arrived, "ibv_create_cq");
    if (s->shared) {
        struct ibv_srq_init_attr attributes = { .attr = { .max_wr = SLOTS, .max_sge = 1 } };
        REQUIRE((c->srq = ibv_create_srq(c->pd, &attributes)), "ibv_create_srq");
    }
    struct ibv_qp_init_attr attributes = {
        .send_cq = c->sent,
        .recv_cq = c->arrived,
        .srq = c->srq,
        .qp_type = s->type,
        .cap = { .max_send_wr = QUEUE,
                 .max_recv_wr = SLOTS,
                 .max_send_sge = 4,
                 .max_recv_sge = 1,
                 .max_inline_data = 64 },
    };
    REQUIRE(!rdma_create_qp(c->id, c->pd, &attributes), "rdma_create_qp: %s", strerror(errno));
    for (uint32_t slot = 0; slot < c->slots && !s->bare; slot++)
        TRY(post_receive(c, slot));
    return NULL;
}

const char *open_connection(struct client *c, const struct settings *s)
{
    memset(c, 0, sizeof *c);
    REQUIRE((c->events = rdma_create_event_channel()), "no event channel");
    TRY(identify(&c->id, c->events, server_address, PORT, s->type, 0));
    TRY(make_queue_pair(c, s));
    struct hello hello = s->hello;
    hello.magic = htobe32(MAGIC);
    hello.hold = htobe32(hello.hold);
    hello.key = htobe32(c->region.mr->rkey);
    hello.address = htobe64((uintptr_t)c->region.bytes);
    hello.length = htobe32(c->region.length);
    struct rdma_conn_param parameters = {
        .private_data = &hello,
        .private_data_len = sizeof hello,
        .responder_resources = 4,
        .initiator_depth = 4,
        .retry_count = 7,
        .rnr_retry_count = 7,
    };
    REQUIRE(!rdma_connect(c->id, &parameters), "rdma_connect: %s", strerror(errno));
    struct region told;
    TRY(expect_event(c->events, RDMA_CM_EVENT_ESTABLISHED, &told, sizeof told));
    c->remote = (struct region){
        .address = be64toh(told.address),
        .key = be32toh(told.key),
        .length = be32toh(told.length),
    };
    REQUIRE(c->remote.length == REGION, "the server's memory has %u bytes", c->remote.length);
    return NULL;
}

const char *close_connection(struct client *c)
{
    const char *why_not = NULL;
    if (c->id && c->remote.length) {
        rdma_disconnect(c->id);
        why_not = expect_event(c->events, RDMA_CM_EVENT_DISCONNECTED, NULL, 0);
    }
    if (c->id && c->id->qp)
        rdma_destroy_qp(c->id);
    if (c->window)
        ibv_dealloc_mw(c->window);
    if (c->srq)
        ibv_destroy_srq(c->srq);
    if (c->sent)
        ibv_destroy_cq(c->sent);
    if (c->arrived)
        ibv_destroy_cq(c->arrived);
    memory_release(&c->region);
    memory_release(&c->receives);
    memory_release(&c->sends);
    if (c->pd)
        ibv_dealloc_pd(c->pd);
    if (c->id)
        rdma_destroy_id(c->id);
    if (c->events)
        rdma_destroy_event_channel(c->events);
    return why_not;
}

const char *poll_for(struct ibv_cq *cq, struct ibv_wc *completion, const char *what)
{
    uint64_t deadline = nanoseconds() + PATIENCE * 1000000ull;
    int found;
    while (!(found = ibv_poll_cq(cq, 1, completion))) {
        REQUIRE(nanoseconds() < deadline, "no completion of %s", what);
        usleep(200);
    }
    REQUIRE(found > 0, "ibv_poll_cq");
    return NULL;
}

const char *expect_sent(struct client *c, enum ibv_wc_status status)
{
    struct ibv_wc completion = { 0 };
    TRY(poll_for(c->sent, &completion, "a work request"));
    REQUIRE(completion.status == status, "%s instead of %s", ibv_wc_status_str(completion.status),
            ibv_wc_status_str(status));
    return NULL;
}

const char *expect_arrival(struct client *c, struct message *m)
{
    struct ibv_wc completion = { 0 };
    TRY(poll_for(c->arrived, &completion, "a receive"));
    REQUIRE(completion.status == IBV_WC_SUCCESS, "a receive ended with %s",
            ibv_wc_status_str(completion.status));
    *m = (struct message){
        .bytes = c->receives.bytes + completion.wr_id * MESSAGE,
        .length = completion.byte_len,
        .has_immediate = (completion.wc_flags & IBV_WC_WITH_IMM) != 0,
        .immediate = be32toh(completion.imm_data),
        .slot = completion.wr_id,
        .opcode = completion.opcode,
    };
    return NULL;
}

const char *expect_message(struct client *c, const void *bytes, uint32_t length,
                           const uint32_t *immediate)
{
    struct message m;
    TRY(expect_arrival(c, &m));
    REQUIRE(m.length == length, "%u bytes arrived instead of %u", m.length, length);
    REQUIRE(!memcmp(m.bytes, bytes, length), "other bytes arrived");
    REQUIRE(m.has_immediate == !!immediate, "%s immediate", immediate ? "no" : "an");
    REQUIRE(!immediate || m.immediate == *immediate, "the immediate %08x", m.immediate);
    return post_receive(c, m.slot);
}

const char *submit(struct client *c, struct ibv_send_wr *work)
{
    struct ibv_send_wr *bad;
    int error = ibv_post_send(c->id->qp, work, &bad);
    REQUIRE(!error, "work was refused: %s", strerror(error));
    return NULL;
}

struct ibv_send_wr work(struct client *c, enum ibv_wr_opcode opcode, struct ibv_sge *place,
                        uint32_t length)
{
    *place = part(&c->sends, 0, length);
    return (struct ibv_send_wr){
        .opcode = opcode,
        .sg_list = place,
        .num_sge = length ? 1 : 0,
        .send_flags = IBV_SEND_SIGNALED,
    };
}

const char *send_bytes(struct client *c, uint32_t length, const uint32_t *immediate,
                       unsigned flags)
{
    struct ibv_sge place;
    struct ibv_send_wr w = work(c, immediate ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND, &place, length);
    w.send_flags |= flags;
    w.imm_data = immediate ? htobe32(*immediate) : 0;
    TRY(submit(c, &w));
    return expect_sent(c, IBV_WC_SUCCESS);
}

const char *echo(struct client *c, uint32_t length, const uint32_t *immediate, unsigned flags)
{
    fill(c->sends.bytes, length, length + 3);
    TRY(send_bytes(c, length, immediate, flags));
    return expect_message(c, c->sends.bytes, length, immediate);
}

struct ibv_send_wr remote(struct client *c, enum ibv_wr_opcode opcode, struct ibv_sge *place,
                          uint64_t offset, uint32_t length)
{
    struct ibv_send_wr w = work(c, opcode, place, length);
    w.wr.rdma.remote_addr = c->remote.address + offset;
    w.wr.rdma.rkey = c->remote.key;
    return w;
}

const char *access_remote(struct client *c, enum ibv_wr_opcode opcode, uint64_t offset,
                          uint32_t length, enum ibv_wc_status status)
{
    struct ibv_sge place;
    struct ibv_send_wr w = remote(c, opcode, &place, offset, length);
    TRY(submit(c, &w));
    return expect_sent(c, status);
}

const char *atomic(struct client *c, enum ibv_wr_opcode opcode, uint64_t offset,
                   uint64_t compare, uint64_t swap, enum ibv_wc_status status)
{
    struct ibv_sge place;
    struct ibv_send_wr w = work(c, opcode, &place, 8);
    w.wr.atomic.remote_addr = c->remote.address + offset;
    w.wr.atomic.rkey = c->remote.key;
    w.wr.atomic.compare_add = compare;
    w.wr.atomic.swap = swap;
    TRY(submit(c, &w));
    return expect_sent(c, status);
}

const char *request(struct client *c, uint32_t which, const void *parameters, uint32_t length)
{
    memcpy(c->sends.bytes, parameters, length);
    return send_bytes(c, length, &which, 0);
}

const char *answer(struct client *c, uint32_t which, void *bytes, uint32_t length)
{
    struct message m;
    TRY(expect_arrival(c, &m));
    REQUIRE(m.has_immediate && m.immediate == which && m.length == length,
            "an answer of %u bytes with immediate %08x", m.length, m.immediate);
    memcpy(bytes, m.bytes, length);
    return post_receive(c, m.slot);
}

const char *shows(struct client *c, uint64_t offset, const uint8_t *bytes, uint32_t length)
{
    static uint8_t shown[MESSAGE];
    for (uint32_t at = 0; at < length; at += sizeof shown) {
        uint32_t now = length - at < sizeof shown ? length - at : sizeof shown;
        struct show show = { .offset = htobe64(offset + at), .length = htobe32(now) };
        TRY(request(c, SHOW, &show, sizeof show));
        TRY(answer(c, SHOW, shown, now));
        REQUIRE(!memcmp(shown, bytes + at, now), "the server's memory differs");
    }
    return NULL;
}

const char *give_order(struct client *c, enum operation operation, uint64_t offset,
                       uint32_t length, uint32_t immediate, uint64_t compare, uint64_t swap)
{
    struct order order = {
        .operation = htobe32(operation),
        .key = htobe32(c->window ? c->window->rkey : c->region.mr->rkey),
        .address = htobe64((uintptr_t)c->region.bytes + offset),
        .offset = htobe64(offset),
        .length = htobe32(length),
        .immediate = htobe32(immediate),
        .compare = htobe64(compare),
        .swap = htobe64(swap),
    };
    return request(c, ORDER, &order, sizeof order);
}

const char *expect_obeyed(struct client *c, uint64_t original)
{
    uint64_t value = 0;
    TRY(answer(c, ORDER, &value, sizeof value));
    REQUIRE(be64toh(value) == original, "the original value %016llx",
            (unsigned long long)be64toh(value));
    return NULL;
}

