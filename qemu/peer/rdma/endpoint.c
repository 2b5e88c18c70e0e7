#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

const char *reason(const char *format, ...)
{
    static char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

struct memory memory_register(struct ibv_pd *pd, size_t length, int access)
{
    long page = sysconf(_SC_PAGESIZE);
    struct memory memory = { .length = (length + page - 1) / page * page };
    if (posix_memalign((void **)&memory.bytes, page, memory.length))
        fail("memory");
    memset(memory.bytes, 0, memory.length);
    memory.mr = ibv_reg_mr(pd, memory.bytes, memory.length, IBV_ACCESS_LOCAL_WRITE | access);
    if (!memory.mr)
        fail("ibv_reg_mr");
    return memory;
}

void memory_release(struct memory *memory)
{
    if (memory->mr && ibv_dereg_mr(memory->mr))
        fail("ibv_dereg_mr");
    free(memory->bytes);
    *memory = (struct memory){ 0 };
}

struct ibv_sge part(const struct memory *memory, size_t offset, size_t length)
{
    return (struct ibv_sge){
        .addr = (uintptr_t)memory->bytes + offset,
        .length = length,
        .lkey = memory->mr->lkey,
    };
}

/* An address as text, of either family. */
static const char *parse(const char *address, const char *port, struct sockaddr_storage *storage,
                         socklen_t *length)
{
    struct sockaddr_in *v4 = (void *)storage;
    struct sockaddr_in6 *v6 = (void *)storage;
    memset(storage, 0, sizeof *storage);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(atoi(port));
        *length = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(atoi(port));
        *length = sizeof *v6;
    } else {
        return reason("%s is no address", address);
    }
    return NULL;
}

const char *identify(struct rdma_cm_id **id, struct rdma_event_channel *channel,
                     const char *address, const char *port, enum ibv_qp_type type, int passive)
{
    struct sockaddr_storage storage;
    socklen_t length = 0;
    TRY(parse(address, port, &storage, &length));
    struct rdma_addrinfo where = {
        .ai_flags = passive ? RAI_PASSIVE : 0,
        .ai_family = storage.ss_family,
        .ai_qp_type = type,
        .ai_port_space = type == IBV_QPT_UC ? RDMA_PS_IB : RDMA_PS_TCP,
    };
    if (passive) {
        where.ai_src_addr = (struct sockaddr *)&storage;
        where.ai_src_len = length;
    } else {
        where.ai_dst_addr = (struct sockaddr *)&storage;
        where.ai_dst_len = length;
    }
    REQUIRE(!rdma_create_ep(id, &where, NULL, NULL), "%s port %s: %s", address, port,
            strerror(errno));
    REQUIRE(!rdma_migrate_id(*id, channel), "rdma_migrate_id: %s", strerror(errno));
    return NULL;
}

const char *expect_event(struct rdma_event_channel *channel, enum rdma_cm_event_type type,
                         void *data, size_t length)
{
    struct pollfd ready = { .fd = channel->fd, .events = POLLIN };
    REQUIRE(poll(&ready, 1, PATIENCE) == 1, "no %s", rdma_event_str(type));
    struct rdma_cm_event *event;
    REQUIRE(!rdma_get_cm_event(channel, &event), "rdma_get_cm_event: %s", strerror(errno));
    enum rdma_cm_event_type got = event->event;
    int status = event->status;
    size_t given = event->param.conn.private_data_len;
    if (data && got == type && given >= length)
        memcpy(data, event->param.conn.private_data, length);
    rdma_ack_cm_event(event);
    REQUIRE(got == type, "%s (%d) instead of %s", rdma_event_str(got), status,
            rdma_event_str(type));
    REQUIRE(!data || given >= length, "only %zu bytes of private data", given);
    return NULL;
}
