/*
 * netio: the project's messaging protocol (docs/netio.md) over RC queue pairs, by plain verbs.
 *
 *   netio publish ADDRESS SIZE COUNT SUBSCRIBERS buffered|unbuffered
 *   netio subscribe ADDRESS LINKS COUNT
 *
 * A publisher listens on port 7000 and prints `ready`. When so many have subscribed, to whatever
 * tag, it sends each of them COUNT messages of SIZE bytes with the tag 1: put together in pages of
 * 4096 bytes, or each by itself, from one registered copy with the header beside it. A message
 * begins with its number, little-endian, and its other bytes are the number's last.
 *
 * A subscriber makes LINKS connections, asks each for the tag 1, takes COUNT messages of each,
 * checks them, prints how fast they came, and ends.
 *
 * Completions are polled for. The other end may be any that keeps to the protocol. Of a link there
 * are as many pages as an endpoint of the project's has unless said otherwise.
 */
#include "endpoint.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT "7000"

enum { PAGE = 4096, PAGES = 8, HEADER = 16, MOST = 64, LONGEST = 65536, TAG = 1 };
enum kind { MESSAGE = 0, HELLO = 1, WELCOME = 2, SUBSCRIBE = 4, SUBSCRIBED = 6, BEAT = 9 };

static const char magic[8] = "rfxnetio";

struct header {
    uint32_t length;
    uint8_t kind;
    uint8_t reserved[3];
    uint64_t tag;
} __attribute__((packed));

struct greeting {
    uint16_t version;
    uint8_t service;
    uint8_t reserved;
    uint32_t page;
    uint32_t beat;
    uint32_t also_reserved;
} __attribute__((packed));

struct link {
    struct rdma_cm_id *id;
    /* Pages to send and to receive in, of `page` bytes each. */
    struct memory sends, receives;
    size_t page;
    /* The page that is being filled, how far, and how many are under way. */
    uint32_t filling, used, under_way;
    uint64_t received, last;
    int subscribed, welcome;
};

static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct link links[MOST];
static uint32_t present;
static struct memory message;

static const char *prepare(struct link *link, struct rdma_cm_id *id, size_t page)
{
    link->id = id;
    link->page = page;
    if (!pd) {
        REQUIRE((pd = ibv_alloc_pd(id->verbs)), "ibv_alloc_pd");
        REQUIRE((cq = ibv_create_cq(id->verbs, 2 * PAGES * MOST, NULL, NULL, 0)), "ibv_create_cq");
    }
    link->sends = memory_register(pd, PAGES * PAGE, 0);
    link->receives = memory_register(pd, PAGES * page, 0);
    struct ibv_qp_init_attr attributes = {
        .send_cq = cq,
        .recv_cq = cq,
        .qp_type = IBV_QPT_RC,
        .cap = { .max_send_wr = PAGES, .max_recv_wr = PAGES, .max_send_sge = 2, .max_recv_sge = 1 },
    };
    REQUIRE(!rdma_create_qp(id, pd, &attributes), "rdma_create_qp: %s", strerror(errno));
    return NULL;
}

static const char *post_receive(struct link *link, uint32_t at)
{
    struct ibv_sge place = part(&link->receives, at * link->page, link->page);
    struct ibv_recv_wr *bad, work = { .wr_id = (link - links) << 16 | at << 1 | 1, .sg_list = &place, .num_sge = 1 };
    int error = ibv_post_recv(link->id->qp, &work, &bad);
    REQUIRE(!error, "a receive was refused: %s", strerror(error));
    return NULL;
}

static const char *post_receives(struct link *link)
{
    for (uint32_t at = 0; at < PAGES; at++)
        TRY(post_receive(link, at));
    return NULL;
}

static const char *post(struct link *link, struct ibv_sge *places, int count)
{
    struct ibv_send_wr *bad, work = {
        .wr_id = (link - links) << 16,
        .opcode = IBV_WR_SEND,
        .sg_list = places,
        .num_sge = count,
        .send_flags = IBV_SEND_SIGNALED,
    };
    int error = ibv_post_send(link->id->qp, &work, &bad);
    REQUIRE(!error, "a page was refused: %s", strerror(error));
    link->under_way++;
    link->filling = (link->filling + 1) % PAGES;
    link->used = 0;
    return NULL;
}

/* Sends the page that is being filled. */
static const char *flush(struct link *link)
{
    if (!link->used)
        return NULL;
    struct ibv_sge place = part(&link->sends, link->filling * PAGE, link->used);
    return post(link, &place, 1);
}

/* Writes a record to the page, which has room for it, and says where its payload goes. */
static uint8_t *append(struct link *link, enum kind kind, uint64_t tag, uint32_t length)
{
    uint8_t *to = link->sends.bytes + link->filling * PAGE + link->used;
    struct header header = { .length = htole32(length), .kind = kind, .tag = htole64(tag) };
    memcpy(to, &header, HEADER);
    link->used += HEADER + length;
    return to + HEADER;
}

static const char *greet(struct link *link, enum kind kind)
{
    uint64_t tag;
    memcpy(&tag, magic, sizeof tag);
    struct greeting greeting = { htole16(1), 1, 0, htole32(link->page), 0, 0 };
    memcpy(append(link, kind, le64toh(tag), sizeof greeting), &greeting, sizeof greeting);
    return flush(link);
}

/* What is said about subscriptions. */
static const char *about(struct link *link, enum kind kind, uint64_t tag, const uint8_t *mask)
{
    memcpy(append(link, kind, tag, 8), mask, 8);
    return flush(link);
}

static const char *take_message(struct link *link, const uint8_t *payload, uint32_t length)
{
    uint64_t number;
    REQUIRE(length >= sizeof number, "a message is too short");
    memcpy(&number, payload, sizeof number);
    number = le64toh(number);
    REQUIRE(!link->received || number == link->last + 1, "%lu after %lu", number, link->last);
    REQUIRE(length == 8 || (payload[8] == (uint8_t)number && payload[length - 1] == (uint8_t)number),
            "message %lu is damaged", number);
    link->received++;
    link->last = number;
    return NULL;
}

static const char *take(struct link *link, const uint8_t *bytes, size_t length)
{
    while (length) {
        struct header header;
        REQUIRE(length >= HEADER, "a record ends in its header");
        memcpy(&header, bytes, HEADER);
        uint32_t payload = le32toh(header.length);
        REQUIRE(payload <= length - HEADER, "a record ends in the middle");
        bytes += HEADER;
        switch (header.kind) {
        case MESSAGE:
            TRY(take_message(link, bytes, payload));
            break;
        case HELLO:
            TRY(greet(link, WELCOME));
            break;
        case WELCOME:
            link->welcome = 1;
            break;
        case SUBSCRIBE:
            REQUIRE(payload == 8, "a request without a mask");
            link->subscribed = 1;
            TRY(about(link, SUBSCRIBED, le64toh(header.tag), bytes));
            break;
        case SUBSCRIBED:
            link->subscribed = 1;
            break;
        case BEAT:
            break;
        default:
            return reason("a record of kind %u", header.kind);
        }
        bytes += payload;
        length -= HEADER + payload;
    }
    return NULL;
}

/* Deals with a completion, if there is one. */
static const char *progress(void)
{
    struct ibv_wc done;
    int found = ibv_poll_cq(cq, 1, &done);
    REQUIRE(found >= 0, "ibv_poll_cq");
    if (!found)
        return NULL;
    REQUIRE(done.status == IBV_WC_SUCCESS, "%s", ibv_wc_status_str(done.status));
    struct link *link = &links[done.wr_id >> 16];
    if (!(done.wr_id & 1)) {
        link->under_way--;
        return NULL;
    }
    uint32_t at = (done.wr_id & 0xffff) >> 1;
    TRY(take(link, link->receives.bytes + at * link->page, done.byte_len));
    return post_receive(link, at);
}

/* Waits until something holds, and goes on with everything else meanwhile. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t deadline = nanoseconds() + 4 * PATIENCE * 1000000ull;                             \
        for (uint32_t round = 1; !(condition); round++) {                                          \
            TRY(progress());                                                                       \
            REQUIRE(round % 4096 || nanoseconds() < deadline, "nothing happens");                  \
        }                                                                                          \
    } while (0)

/* ---- the publisher ---- */

static const char *accept_all(const char *address, uint32_t subscribers)
{
    struct rdma_event_channel *events = rdma_create_event_channel();
    REQUIRE(events, "rdma_create_event_channel");
    struct rdma_cm_id *listener;
    TRY(identify(&listener, events, address, PORT, IBV_QPT_RC, 1));
    REQUIRE(!rdma_listen(listener, MOST), "rdma_listen: %s", strerror(errno));
    printf("ready\n");
    for (uint32_t established = 0; established < subscribers;) {
        struct rdma_cm_event *event;
        REQUIRE(!rdma_get_cm_event(events, &event), "rdma_get_cm_event: %s", strerror(errno));
        if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST && present < subscribers) {
            struct link *link = &links[present++];
            TRY(prepare(link, event->id, PAGE));
            TRY(post_receives(link));
            struct rdma_conn_param parameters = { .rnr_retry_count = 7 };
            REQUIRE(!rdma_accept(event->id, &parameters), "rdma_accept: %s", strerror(errno));
        }
        established += event->event == RDMA_CM_EVENT_ESTABLISHED;
        rdma_ack_cm_event(event);
    }
    for (uint32_t i = 0; i < present; i++)
        UNTIL(links[i].subscribed);
    return NULL;
}

static const char *send_buffered(struct link *link, uint64_t number, uint32_t size)
{
    if (link->used + HEADER + size > PAGE)
        TRY(flush(link));
    if (!link->used)
        UNTIL(link->under_way < PAGES);
    uint8_t *payload = append(link, MESSAGE, TAG, size);
    memset(payload, (uint8_t)number, size);
    number = htole64(number);
    memcpy(payload, &number, sizeof number);
    return NULL;
}

static const char *send_unbuffered(struct link *link, uint32_t at, uint32_t size)
{
    UNTIL(link->under_way < PAGES);
    uint32_t page = link->filling;
    append(link, MESSAGE, TAG, size);
    struct ibv_sge places[] = { part(&link->sends, page * PAGE, HEADER),
                                part(&message, at * size, size) };
    return post(link, places, 2);
}

static const char *publish(const char *address, uint32_t size, uint64_t count, uint32_t subscribers,
                           int buffered)
{
    TRY(accept_all(address, subscribers));
    message = memory_register(pd, PAGES * size, 0);
    for (uint64_t number = 0; number < count; number++) {
        uint32_t at = number % PAGES;
        if (!buffered) {
            /* Nobody is sending from that place any more. */
            for (uint32_t i = 0; i < present; i++)
                UNTIL(links[i].under_way < PAGES);
            memset(message.bytes + at * size, (uint8_t)number, size);
            uint64_t little = htole64(number);
            memcpy(message.bytes + at * size, &little, sizeof little);
        }
        for (uint32_t i = 0; i < present; i++)
            TRY(buffered ? send_buffered(&links[i], number, size)
                         : send_unbuffered(&links[i], at, size));
    }
    for (uint32_t i = 0; i < present; i++)
        TRY(flush(&links[i]));
    for (uint32_t i = 0; i < present; i++)
        UNTIL(!links[i].under_way);
    /* All of it has arrived. */
    return NULL;
}

/* ---- the subscriber ---- */

static const char *connect_one(const char *address)
{
    struct link *link = &links[present++];
    struct rdma_event_channel *events = rdma_create_event_channel();
    REQUIRE(events, "rdma_create_event_channel");
    struct rdma_cm_id *id;
    TRY(identify(&id, events, address, PORT, IBV_QPT_RC, 0));
    TRY(prepare(link, id, LONGEST));
    TRY(post_receives(link));
    struct rdma_conn_param parameters = { .retry_count = 7, .rnr_retry_count = 7 };
    REQUIRE(!rdma_connect(id, &parameters), "rdma_connect: %s", strerror(errno));
    TRY(expect_event(events, RDMA_CM_EVENT_ESTABLISHED, NULL, 0));
    TRY(greet(link, HELLO));
    return NULL;
}

static int all_have(uint64_t count)
{
    for (uint32_t i = 0; i < present; i++)
        if (links[i].received < count)
            return 0;
    return 1;
}

static const char *subscribe(const char *address, uint32_t wanted, uint64_t count)
{
    static const uint8_t whole[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    while (present < wanted)
        TRY(connect_one(address));
    for (uint32_t i = 0; i < present; i++) {
        UNTIL(links[i].welcome);
        TRY(about(&links[i], SUBSCRIBE, TAG, whole));
    }
    UNTIL(links[0].received);
    uint64_t start = nanoseconds();
    UNTIL(all_have(count));
    double seconds = (nanoseconds() - start) / 1e9;
    printf("#! figure netio received size=0 count=%lu links=%u missed=0 value=%.0f unit=messages/s\n",
           count * present, present, count * present / seconds);
    return NULL;
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *why_not = "usage: netio publish ADDRESS SIZE COUNT SUBSCRIBERS buffered|unbuffered "
                          "| netio subscribe ADDRESS LINKS COUNT";
    if (count == 7 && !strcmp(words[1], "publish") && atoi(words[3]) >= 8 &&
        atoi(words[3]) <= PAGE - HEADER && atoi(words[5]) <= MOST)
        why_not = publish(words[2], atoi(words[3]), atoll(words[4]), atoi(words[5]),
                          !strcmp(words[6], "buffered"));
    else if (count == 5 && !strcmp(words[1], "subscribe") && atoi(words[3]) <= MOST)
        why_not = subscribe(words[2], atoi(words[3]), atoll(words[4]));
    if (why_not)
        fprintf(stderr, "netio: %s\n", why_not);
    return why_not != NULL;
}
