/* The server's own operations, on the client's memory. */
#include "cases.h"

#include "client.h"

#include <string.h>

const char *ordered_send(struct client *c)
{
    fill(c->sends.bytes, LONG, 21);
    TRY(access_remote(c, IBV_WR_RDMA_WRITE, 0, LONG, IBV_WC_SUCCESS));
    uint8_t expected[LONG];
    memcpy(expected, c->sends.bytes, LONG);
    TRY(give_order(c, ORDER_SEND, 0, LONG, 0, 0, 0));
    TRY(expect_message(c, expected, LONG, NULL));
    TRY(expect_obeyed(c, 0));
    const uint32_t immediate = 0x7fffffff;
    TRY(give_order(c, ORDER_SEND_IMMEDIATE, 0, 700, immediate, 0, 0));
    TRY(expect_message(c, expected, 700, &immediate));
    return expect_obeyed(c, 0);
}

const char *ordered_send_with_invalidate(struct client *c)
{
    REQUIRE((c->window = ibv_alloc_mw(c->pd, IBV_MW_TYPE_2)), "ibv_alloc_mw");
    uint32_t key = ibv_inc_rkey(c->window->rkey);
    struct ibv_send_wr bind = {
        .opcode = IBV_WR_BIND_MW,
        .send_flags = IBV_SEND_SIGNALED,
        .bind_mw = { .mw = c->window,
                     .rkey = key,
                     .bind_info = { .mr = c->region.mr,
                                    .addr = (uintptr_t)c->region.bytes,
                                    .length = REGION,
                                    .mw_access_flags = IBV_ACCESS_REMOTE_WRITE } },
    };
    TRY(submit(c, &bind));
    TRY(expect_sent(c, IBV_WC_SUCCESS));
    c->window->rkey = key;
    /* Another of its bytes, to see that the key works. */
    TRY(give_order(c, ORDER_WRITE, 0, 10, 0, 0, 0));
    TRY(expect_obeyed(c, 0));
    TRY(give_order(c, ORDER_SEND_INVALIDATE, 0, 10, 0, 0, 0));
    struct ibv_wc completion;
    TRY(poll_for(c->arrived, &completion, "a receive"));
    /* rxe gives the flags as the kernel numbers them: there, 4 is what IBV_WC_WITH_INV is here. */
    REQUIRE(completion.status == IBV_WC_SUCCESS && completion.wc_flags & (IBV_WC_WITH_INV | 4) &&
                completion.invalidated_rkey == key,
            "%s, flags %x", ibv_wc_status_str(completion.status), completion.wc_flags);
    TRY(post_receive(c, completion.wr_id));
    return expect_obeyed(c, 0);
}

const char *ordered_write(struct client *c)
{
    const uint32_t lengths[] = { 1, 1025, 300001 }, immediate = 42;
    for (int i = 0; i < 3; i++) {
        fill(c->sends.bytes, lengths[i], 31 + i);
        TRY(access_remote(c, IBV_WR_RDMA_WRITE, 5, lengths[i], IBV_WC_SUCCESS));
        uint8_t first = c->sends.bytes[0];
        TRY(give_order(c, ORDER_WRITE, 5, lengths[i], 0, 0, 0));
        TRY(expect_obeyed(c, 0));
        fill(c->sends.bytes, lengths[i], 31 + i);
        REQUIRE(first == c->region.bytes[5] &&
                    !memcmp(c->region.bytes + 5, c->sends.bytes, lengths[i]),
                "%u bytes were written wrong", lengths[i]);
    }
    memset(c->region.bytes, 0, REGION);
    TRY(give_order(c, ORDER_WRITE_IMMEDIATE, 5, LONG, immediate, 0, 0));
    struct message m;
    TRY(expect_arrival(c, &m));
    REQUIRE(m.opcode == IBV_WC_RECV_RDMA_WITH_IMM && m.immediate == immediate && m.length == LONG,
            "opcode %d, immediate %08x, %u bytes", m.opcode, m.immediate, m.length);
    fill(c->sends.bytes, 300001, 33);
    REQUIRE(!memcmp(c->region.bytes + 5, c->sends.bytes, LONG), "bytes were written wrong");
    TRY(post_receive(c, m.slot));
    return expect_obeyed(c, 0);
}

const char *ordered_read(struct client *c)
{
    const uint32_t lengths[] = { 1, 1025, LONG, 300001 };
    for (int i = 0; i < 4; i++) {
        fill(c->region.bytes + 3, lengths[i], 41 + i);
        TRY(give_order(c, ORDER_READ, 3, lengths[i], 0, 0, 0));
        TRY(expect_obeyed(c, 0));
        uint32_t shown = lengths[i] < MESSAGE ? lengths[i] : MESSAGE;
        TRY(shows(c, 3, c->region.bytes + 3, shown));
        TRY(shows(c, 3 + lengths[i] - shown, c->region.bytes + 3 + lengths[i] - shown, shown));
    }
    return NULL;
}

const char *ordered_atomics(struct client *c)
{
    volatile uint64_t *word = (volatile uint64_t *)(c->region.bytes + 64);
    *word = 7;
    TRY(give_order(c, ORDER_FETCH_ADD, 64, 0, 0, 1ull << 40, 0));
    TRY(expect_obeyed(c, 7));
    REQUIRE(*word == (1ull << 40) + 7, "not added");
    TRY(give_order(c, ORDER_COMPARE_SWAP, 64, 0, 0, 7, 8));
    TRY(expect_obeyed(c, (1ull << 40) + 7));
    REQUIRE(*word == (1ull << 40) + 7, "swapped, though not equal");
    TRY(give_order(c, ORDER_COMPARE_SWAP, 64, 0, 0, (1ull << 40) + 7, 8));
    TRY(expect_obeyed(c, (1ull << 40) + 7));
    REQUIRE(*word == 8, "not swapped");
    return NULL;
}
