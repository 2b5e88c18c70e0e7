/* Messages: sends of all kinds. */
#include "cases.h"

#include "client.h"

#include <string.h>

const char *send_short(struct client *c)
{
    TRY(echo(c, 1, NULL, 0));
    TRY(echo(c, 8, NULL, 0));
    return echo(c, 63, NULL, 0);
}

const char *send_empty(struct client *c)
{
    return echo(c, 0, NULL, 0);
}

const char *send_long(struct client *c)
{
    TRY(echo(c, LONG, NULL, 0));
    TRY(echo(c, 4096, NULL, 0));
    return echo(c, MESSAGE, NULL, 0);
}

const char *send_with_immediate(struct client *c)
{
    const uint32_t immediate = 0x01020304;
    TRY(echo(c, 0, &immediate, 0));
    TRY(echo(c, 5, &immediate, 0));
    return echo(c, LONG, &immediate, 0);
}

const char *send_inline(struct client *c)
{
    fill(c->sends.bytes, 48, 9);
    uint8_t kept[48];
    memcpy(kept, c->sends.bytes, sizeof kept);
    struct ibv_sge place;
    struct ibv_send_wr w = work(c, IBV_WR_SEND, &place, sizeof kept);
    w.send_flags |= IBV_SEND_INLINE;
    TRY(submit(c, &w));
    memset(c->sends.bytes, 0, sizeof kept);
    TRY(expect_sent(c, IBV_WC_SUCCESS));
    return expect_message(c, kept, sizeof kept, NULL);
}

const char *send_solicited(struct client *c)
{
    return echo(c, LONG, NULL, IBV_SEND_SOLICITED);
}

const char *send_gathered(struct client *c)
{
    fill(c->sends.bytes, 4000, 1);
    struct ibv_sge places[] = { part(&c->sends, 0, 1), part(&c->sends, 1, 2500),
                                part(&c->sends, 2501, 3), part(&c->sends, 2504, 1496) };
    struct ibv_send_wr w = {
        .opcode = IBV_WR_SEND, .sg_list = places, .num_sge = 4, .send_flags = IBV_SEND_SIGNALED
    };
    TRY(submit(c, &w));
    TRY(expect_sent(c, IBV_WC_SUCCESS));
    return expect_message(c, c->sends.bytes, 4000, NULL);
}

/* As many as the server has receives, none signalled but the last. */
const char *send_many(struct client *c)
{
    for (uint32_t round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < SLOTS; i++) {
            uint32_t length = 100 * i + round;
            fill(c->sends.bytes + i * MESSAGE, length, i + round);
            struct ibv_sge place = part(&c->sends, i * MESSAGE, length);
            struct ibv_send_wr w = {
                .opcode = IBV_WR_SEND,
                .sg_list = &place,
                .num_sge = length ? 1 : 0,
                .send_flags = i == SLOTS - 1 ? IBV_SEND_SIGNALED : 0,
            };
            TRY(submit(c, &w));
        }
        TRY(expect_sent(c, IBV_WC_SUCCESS));
        for (uint32_t i = 0; i < SLOTS; i++)
            TRY(expect_message(c, c->sends.bytes + i * MESSAGE, 100 * i + round, NULL));
    }
    return NULL;
}
