/* Operations on the server's memory, and keys that end. */
#include "cases.h"

#include "client.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

const char *write_lengths(struct client *c)
{
    const uint32_t lengths[] = { 1, 3, 4, 1024, 1025, LONG, 300001 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        fill(c->sends.bytes, lengths[i], i);
        /* The last bytes of the memory, which no length may run over. */
        uint64_t offset = REGION - lengths[i];
        TRY(access_remote(c, IBV_WR_RDMA_WRITE, offset, lengths[i], IBV_WC_SUCCESS));
        uint32_t shown = lengths[i] < 3 * MESSAGE ? lengths[i] : 3 * MESSAGE;
        uint8_t *expected = malloc(lengths[i]);
        memcpy(expected, c->sends.bytes, lengths[i]);
        const char *why_not = shows(c, offset, expected, shown);
        if (!why_not)
            why_not = shows(c, REGION - 1, expected + lengths[i] - 1, 1);
        free(expected);
        TRY(why_not);
    }
    return NULL;
}

const char *write_empty(struct client *c)
{
    return access_remote(c, IBV_WR_RDMA_WRITE, 0, 0, IBV_WC_SUCCESS);
}

const char *write_with_immediate(struct client *c)
{
    const uint32_t immediate = 0xfeedf00d, lengths[] = { 0, 3, LONG };
    for (size_t i = 0; i < 3; i++) {
        uint8_t expected[LONG];
        fill(expected, lengths[i], i);
        memcpy(c->sends.bytes, expected, lengths[i]);
        struct ibv_sge place;
        struct ibv_send_wr w =
            remote(c, IBV_WR_RDMA_WRITE_WITH_IMM, &place, 4096, lengths[i]);
        w.imm_data = htobe32(immediate);
        TRY(submit(c, &w));
        TRY(expect_sent(c, IBV_WC_SUCCESS));
        TRY(expect_message(c, "", 0, &immediate));
        TRY(shows(c, 4096, expected, lengths[i]));
    }
    return NULL;
}

const char *read_lengths(struct client *c)
{
    const uint32_t lengths[] = { 1, 5, 1024, LONG, 300001 };
    fill(c->sends.bytes, 300001, 5);
    TRY(access_remote(c, IBV_WR_RDMA_WRITE, 77, 300001, IBV_WC_SUCCESS));
    uint8_t *expected = malloc(300001);
    memcpy(expected, c->sends.bytes, 300001);
    const char *why_not = NULL;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && !why_not; i++) {
        memset(c->sends.bytes, 0xaa, 300001 + 1);
        why_not = access_remote(c, IBV_WR_RDMA_READ, 77, lengths[i], IBV_WC_SUCCESS);
        if (!why_not && memcmp(c->sends.bytes, expected, lengths[i]))
            why_not = reason("%u bytes were read wrong", lengths[i]);
        if (!why_not && c->sends.bytes[lengths[i]] != 0xaa)
            why_not = reason("more than %u bytes were read", lengths[i]);
    }
    free(expected);
    return why_not;
}

const char *read_empty(struct client *c)
{
    return access_remote(c, IBV_WR_RDMA_READ, 0, 0, IBV_WC_SUCCESS);
}

const char *read_scattered(struct client *c)
{
    fill(c->sends.bytes, 3000, 8);
    TRY(access_remote(c, IBV_WR_RDMA_WRITE, 512, 3000, IBV_WC_SUCCESS));
    struct ibv_sge places[] = { part(&c->sends, 10000, 1), part(&c->sends, 20000, 1999),
                                part(&c->sends, 30000, 1000) };
    struct ibv_send_wr w = {
        .opcode = IBV_WR_RDMA_READ,
        .sg_list = places,
        .num_sge = 3,
        .send_flags = IBV_SEND_SIGNALED,
        .wr.rdma = { .remote_addr = c->remote.address + 512, .rkey = c->remote.key },
    };
    TRY(submit(c, &w));
    TRY(expect_sent(c, IBV_WC_SUCCESS));
    const uint8_t *bytes = c->sends.bytes;
    REQUIRE(!memcmp(bytes + 10000, bytes, 1) && !memcmp(bytes + 20000, bytes + 1, 1999) &&
                !memcmp(bytes + 30000, bytes + 2000, 1000),
            "the pieces were read wrong");
    return NULL;
}

/* Writes that are not waited for, then a read behind a fence. */
const char *read_fenced(struct client *c)
{
    fill(c->sends.bytes, 2 * LONG, 77);
    for (int i = 0; i < 4; i++) {
        struct ibv_sge place;
        struct ibv_send_wr w = remote(c, IBV_WR_RDMA_WRITE, &place, 0, LONG);
        place = part(&c->sends, i == 3 ? LONG : 0, LONG);
        w.send_flags = 0;
        TRY(submit(c, &w));
    }
    struct ibv_sge place;
    struct ibv_send_wr w = remote(c, IBV_WR_RDMA_READ, &place, 0, LONG);
    place = part(&c->sends, 3 * LONG, LONG);
    w.send_flags |= IBV_SEND_FENCE;
    TRY(submit(c, &w));
    TRY(expect_sent(c, IBV_WC_SUCCESS));
    REQUIRE(!memcmp(c->sends.bytes + 3 * LONG, c->sends.bytes + LONG, LONG), "read before written");
    return NULL;
}

/* More reads than either end has resources for. */
const char *read_many(struct client *c)
{
    fill(c->sends.bytes, 4096, 3);
    TRY(access_remote(c, IBV_WR_RDMA_WRITE, 0, 4096, IBV_WC_SUCCESS));
    for (int i = 0; i < 32; i++) {
        struct ibv_sge place;
        struct ibv_send_wr w = remote(c, IBV_WR_RDMA_READ, &place, 64 * i, 2000);
        place = part(&c->sends, 8192 + 2000 * i, 2000);
        TRY(submit(c, &w));
    }
    for (int i = 0; i < 32; i++)
        TRY(expect_sent(c, IBV_WC_SUCCESS));
    for (int i = 0; i < 32; i++)
        REQUIRE(!memcmp(c->sends.bytes + 8192 + 2000 * i, c->sends.bytes + 64 * i, 2000),
                "read %d differs", i);
    return NULL;
}

static const char *original_was(struct client *c, uint64_t expected)
{
    uint64_t original;
    memcpy(&original, c->sends.bytes, sizeof original);
    REQUIRE(original == expected, "the original value %016llx", (unsigned long long)original);
    return NULL;
}

static const char *set_word(struct client *c, uint64_t value)
{
    memcpy(c->sends.bytes, &value, sizeof value);
    return access_remote(c, IBV_WR_RDMA_WRITE, 1024, sizeof value, IBV_WC_SUCCESS);
}

static const char *word_is(struct client *c, uint64_t value)
{
    return shows(c, 1024, (uint8_t *)&value, sizeof value);
}

const char *compare_and_swap(struct client *c)
{
    const uint64_t first = 0x1122334455667788, second = 0x99aabbccddeeff00;
    TRY(set_word(c, first));
    TRY(atomic(c, IBV_WR_ATOMIC_CMP_AND_SWP, 1024, first, second, IBV_WC_SUCCESS));
    TRY(original_was(c, first));
    TRY(word_is(c, second));
    TRY(atomic(c, IBV_WR_ATOMIC_CMP_AND_SWP, 1024, first, 1, IBV_WC_SUCCESS));
    TRY(original_was(c, second));
    return word_is(c, second);
}

const char *fetch_and_add(struct client *c)
{
    TRY(set_word(c, UINT64_MAX - 1));
    TRY(atomic(c, IBV_WR_ATOMIC_FETCH_AND_ADD, 1024, 5, 0, IBV_WC_SUCCESS));
    TRY(original_was(c, UINT64_MAX - 1));
    TRY(word_is(c, 3));
    for (uint64_t i = 0; i < 20; i++) {
        TRY(atomic(c, IBV_WR_ATOMIC_FETCH_AND_ADD, 1024, 1, 0, IBV_WC_SUCCESS));
        TRY(original_was(c, 3 + i));
    }
    return word_is(c, 23);
}

static const char *window_of_server(struct client *c, uint32_t *key)
{
    TRY(request(c, WINDOW, "", 0));
    TRY(answer(c, WINDOW, key, sizeof *key));
    *key = be32toh(*key);
    return NULL;
}

static const char *send_invalidating(struct client *c, uint32_t key, uint32_t length)
{
    fill(c->sends.bytes, length, key);
    struct ibv_sge place;
    struct ibv_send_wr w = work(c, IBV_WR_SEND_WITH_INV, &place, length);
    w.invalidate_rkey = key;
    TRY(submit(c, &w));
    TRY(expect_sent(c, IBV_WC_SUCCESS));
    return expect_message(c, c->sends.bytes, length, NULL);
}

const char *send_with_invalidate(struct client *c)
{
    const uint32_t lengths[] = { 16, LONG };
    for (int i = 0; i < 2; i++) {
        uint32_t key, own = c->remote.key;
        TRY(window_of_server(c, &key));
        c->remote.key = key;
        fill(c->sends.bytes, 100, 50 + i);
        TRY(access_remote(c, IBV_WR_RDMA_WRITE, 9000, 100, IBV_WC_SUCCESS));
        c->remote.key = own;
        TRY(send_invalidating(c, key, lengths[i]));
    }
    return NULL;
}

const char *write_after_invalidate(struct client *c)
{
    uint32_t key;
    TRY(window_of_server(c, &key));
    TRY(send_invalidating(c, key, 4));
    c->remote.key = key;
    return access_remote(c, IBV_WR_RDMA_WRITE, 0, 4, IBV_WC_REM_ACCESS_ERR);
}
