/* What is tried again, and what is refused for good. */
#include "cases.h"

#include "client.h"

#include <string.h>
#include <unistd.h>

/* The server posts its receives late: sends are tried again until then. */
const char *receives_come_late(struct client *c)
{
    TRY(echo(c, 100, NULL, 0));
    return echo(c, LONG, NULL, 0);
}

/* It never does, and one more try is allowed. */
const char *receives_never_come(struct client *c)
{
    struct ibv_sge place;
    struct ibv_send_wr w = work(c, IBV_WR_SEND, &place, 100);
    TRY(submit(c, &w));
    return expect_sent(c, IBV_WC_RNR_RETRY_EXC_ERR);
}

/* This end has none at first, so the server's answers have to be tried again. */
const char *receives_of_the_client_come_late(struct client *c)
{
    for (int i = 0; i < 3; i++) {
        fill(c->sends.bytes, 200, 1);
        TRY(send_bytes(c, 200, NULL, 0));
        /* The answer is refused meanwhile. */
        usleep(50000);
        TRY(post_receive(c, 0));
        struct message m;
        TRY(expect_arrival(c, &m));
        REQUIRE(m.length == 200 && !memcmp(m.bytes, c->sends.bytes, 200), "other bytes");
    }
    return NULL;
}

const char *bad_key_write(struct client *c)
{
    c->remote.key ^= 0x5a00;
    return access_remote(c, IBV_WR_RDMA_WRITE, 0, LONG, IBV_WC_REM_ACCESS_ERR);
}

const char *bad_key_read(struct client *c)
{
    c->remote.key ^= 0x5a00;
    return access_remote(c, IBV_WR_RDMA_READ, 0, LONG, IBV_WC_REM_ACCESS_ERR);
}

const char *bad_key_atomic(struct client *c)
{
    c->remote.key ^= 0x5a00;
    return atomic(c, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 1, 0, IBV_WC_REM_ACCESS_ERR);
}

const char *out_of_bounds_write(struct client *c)
{
    return access_remote(c, IBV_WR_RDMA_WRITE, REGION - 100, 101, IBV_WC_REM_ACCESS_ERR);
}

const char *out_of_bounds_read(struct client *c)
{
    return access_remote(c, IBV_WR_RDMA_READ, REGION - 16, LONG, IBV_WC_REM_ACCESS_ERR);
}

const char *below_bounds_write(struct client *c)
{
    return access_remote(c, IBV_WR_RDMA_WRITE, -1ull, 10, IBV_WC_REM_ACCESS_ERR);
}

/* rxe answers with a remote operational error (syndrome 0x63). */
const char *send_too_long(struct client *c)
{
    struct ibv_sge place;
    struct ibv_send_wr w = work(c, IBV_WR_SEND, &place, MESSAGE + 1);
    TRY(submit(c, &w));
    return expect_sent(c, IBV_WC_REM_OP_ERR);
}

/* After an error everything completes, in order, as flushed: what was posted before and after. */
const char *flushed_after_an_error(struct client *c)
{
    c->remote.key ^= 0x5a00;
    for (int i = 0; i < 5; i++) {
        struct ibv_sge place;
        struct ibv_send_wr w = remote(c, IBV_WR_RDMA_WRITE, &place, 0, 8);
        w.wr_id = i;
        TRY(submit(c, &w));
    }
    for (int i = 0; i < 5; i++) {
        struct ibv_wc completion;
        TRY(poll_for(c->sent, &completion, "a write"));
        enum ibv_wc_status expected = i ? IBV_WC_WR_FLUSH_ERR : IBV_WC_REM_ACCESS_ERR;
        REQUIRE(completion.status == expected && (int)completion.wr_id == i, "number %d: %s",
                (int)completion.wr_id, ibv_wc_status_str(completion.status));
    }
    for (int i = 0; i < SLOTS; i++) {
        struct ibv_wc completion;
        TRY(poll_for(c->arrived, &completion, "a receive"));
        REQUIRE(completion.status == IBV_WC_WR_FLUSH_ERR && (int)completion.wr_id == i,
                "receive %d: %s", (int)completion.wr_id, ibv_wc_status_str(completion.status));
    }
    TRY(submit(c, &(struct ibv_send_wr){ .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED }));
    return expect_sent(c, IBV_WC_WR_FLUSH_ERR);
}
