/* Connections that are made, refused, and many. */
#include "cases.h"

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *connected(struct client *c)
{
    return NULL;
}

/* A port where nobody listens: reason 8, as the kernel tells it. */
const char *rejected_where_nobody_listens(void)
{
    struct client c = { 0 };
    REQUIRE((c.events = rdma_create_event_channel()), "no event channel");
    TRY(identify(&c.id, c.events, server_address, "7472", IBV_QPT_RC, 0));
    TRY(make_queue_pair(&c, &(struct settings){ .type = IBV_QPT_RC }));
    struct rdma_conn_param parameters = { .retry_count = 7 };
    REQUIRE(!rdma_connect(c.id, &parameters), "rdma_connect: %s", strerror(errno));
    const char *why_not = expect_event(c.events, RDMA_CM_EVENT_REJECTED, NULL, 0);
    close_connection(&c);
    return why_not;
}

/* A hello that the server does not understand. */
const char *rejected_without_a_hello(void)
{
    struct client c = { 0 };
    REQUIRE((c.events = rdma_create_event_channel()), "no event channel");
    TRY(identify(&c.id, c.events, server_address, PORT, IBV_QPT_RC, 0));
    TRY(make_queue_pair(&c, &(struct settings){ .type = IBV_QPT_RC }));
    struct rdma_conn_param parameters = {
        .private_data = "who?", .private_data_len = 4, .retry_count = 7
    };
    REQUIRE(!rdma_connect(c.id, &parameters), "rdma_connect: %s", strerror(errno));
    char told[8];
    const char *why_not = expect_event(c.events, RDMA_CM_EVENT_REJECTED, told, sizeof told);
    if (!why_not && memcmp(told, "no hello", sizeof told))
        why_not = "the rejection has other private data";
    close_connection(&c);
    return why_not;
}

/* Each of many writes its own piece of the server's memory, reads it, and sends, all at once. */
static const char *all_at_once(struct client *clients)
{
    enum { PIECE = REGION / MANY, OWN = 3001 };
    for (int i = 0; i < MANY; i++) {
        struct client *c = &clients[i];
        fill(c->sends.bytes, OWN, i);
        for (int step = 0; step < 3; step++) {
            static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
                                                          IBV_WR_SEND };
            struct ibv_sge place;
            struct ibv_send_wr w = remote(c, opcodes[step], &place, (uint64_t)i * PIECE, OWN);
            if (step == 1)
                place = part(&c->sends, 2 * OWN, OWN);
            TRY(submit(c, &w));
        }
    }
    for (int i = 0; i < MANY; i++) {
        struct client *c = &clients[i];
        for (int step = 0; step < 3; step++)
            TRY(expect_sent(c, IBV_WC_SUCCESS));
        REQUIRE(!memcmp(c->sends.bytes, c->sends.bytes + 2 * OWN, OWN), "%d read other bytes", i);
        TRY(expect_message(c, c->sends.bytes, OWN, NULL));
    }
    return NULL;
}

const char *many(int shared)
{
    struct settings settings = {
        .type = IBV_QPT_RC,
        .small = 1,
        .hello = { .receives = FEW_SLOTS, .rnr_retry = 7, .shared = shared },
    };
    struct client *clients = calloc(MANY, sizeof *clients);
    const char *why_not = NULL;
    int count = 0;
    while (count < MANY && !why_not)
        why_not = open_connection(&clients[count++], &settings);
    for (int round = 0; round < 3 && !why_not; round++)
        why_not = all_at_once(clients);
    char kept[256];
    if (why_not)
        snprintf(kept, sizeof kept, "%s", why_not);
    const char *closing = NULL;
    for (int i = 0; i < count; i++) {
        const char *failed = close_connection(&clients[i]);
        closing = closing ? closing : failed;
    }
    free(clients);
    return why_not ? reason("%s", kept) : closing;
}

const char *sixty_four_queue_pairs(void)
{
    return many(0);
}

const char *sixty_four_share_a_receive_queue(void)
{
    return many(1);
}
