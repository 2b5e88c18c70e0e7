/*
 * io_uring, by its system calls, with all that spares it work: one issuer, task work deferred to
 * the one call, the ring's descriptor registered.
 *
 *   ring-nop            submit one operation that does nothing, wait for it, take its completion
 *   ring-nop-batch      the same for 32 with one call, each
 *   ring-reap           take a completion that is there
 *   ring-reap-batch     take 32 with one update of the ring, each
 *   ring-read-eventfd   write to an eventfd that an operation reads, until the call returns
 *   ring-poll-eventfd   write to an eventfd that an operation polls, until the call returns
 *   ring-timeout        expiry of a time-out operation until the call returns, machine idle
 */
#include "measure.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of Linux 5.18 and 6.1, in case the headers are older. */
#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#define IORING_REGISTER_RING_FDS 20
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

enum { ENTRIES = 64, BATCH = 32 };

static struct {
    int registered;
    unsigned tail_local, mask, completed_mask;
    unsigned *tail, *completed_head, *completed_tail;
    struct io_uring_sqe *submissions;
    struct io_uring_cqe *completions;
} queue;

static void set_up(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    int descriptor = syscall(SYS_io_uring_setup, ENTRIES, &parameters);
    if (descriptor < 0)
        fail("io_uring_setup");
    size_t length = parameters.cq_off.cqes
                    + parameters.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       descriptor, IORING_OFF_SQ_RING);
    queue.submissions = mmap(NULL, ENTRIES * sizeof *queue.submissions, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_POPULATE, descriptor, IORING_OFF_SQES);
    if (rings == MAP_FAILED || queue.submissions == MAP_FAILED)
        fail("mapping the rings");
    queue.tail = (unsigned *)(rings + parameters.sq_off.tail);
    queue.mask = *(unsigned *)(rings + parameters.sq_off.ring_mask);
    queue.completed_head = (unsigned *)(rings + parameters.cq_off.head);
    queue.completed_tail = (unsigned *)(rings + parameters.cq_off.tail);
    queue.completed_mask = *(unsigned *)(rings + parameters.cq_off.ring_mask);
    queue.completions = (struct io_uring_cqe *)(rings + parameters.cq_off.cqes);
    /* Entry i of the submission ring is always submission i. */
    unsigned *indices = (unsigned *)(rings + parameters.sq_off.array);
    for (unsigned i = 0; i < parameters.sq_entries; i++)
        indices[i] = i;
    struct io_uring_rsrc_update update = { .offset = -1U, .data = descriptor };
    if (syscall(SYS_io_uring_register, descriptor, IORING_REGISTER_RING_FDS, &update, 1) != 1)
        fail("registering the ring");
    queue.registered = update.offset;
}

/* The next submission; it goes with the next `enter`. */
static struct io_uring_sqe *prepare(int operation, int descriptor)
{
    struct io_uring_sqe *submission = &queue.submissions[queue.tail_local++ & queue.mask];
    memset(submission, 0, sizeof *submission);
    submission->opcode = operation;
    submission->fd = descriptor;
    return submission;
}

static void enter(unsigned submit, unsigned wait)
{
    __atomic_store_n(queue.tail, queue.tail_local, __ATOMIC_RELEASE);
    unsigned flags = IORING_ENTER_REGISTERED_RING | (wait ? IORING_ENTER_GETEVENTS : 0);
    if (syscall(SYS_io_uring_enter, queue.registered, submit, wait, flags, NULL, 0)
        != (long)submit)
        fail("io_uring_enter");
}

/* Takes `count` completions, which must be there; each must have this result. */
static inline void reap(unsigned count, int result)
{
    unsigned head = *queue.completed_head;
    if (__atomic_load_n(queue.completed_tail, __ATOMIC_ACQUIRE) - head < count)
        fail("no completion");
    for (unsigned i = 0; i < count; i++)
        if (queue.completions[head++ & queue.completed_mask].res != result)
            fail("an operation of the ring");
    __atomic_store_n(queue.completed_head, head, __ATOMIC_RELEASE);
}

static void nops(const char *name, unsigned count)
{
    static double rounds[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        for (unsigned n = 0; n < count; n++)
            prepare(IORING_OP_NOP, -1);
        enter(count, count);
        reap(count, 0);
        rounds[i] = counter() - before;
    }
    report_interval_shared(name, rounds, count);
}

static void reaping(void)
{
    static double single[ROUNDS], batch[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n <= BATCH; n++)
            prepare(IORING_OP_NOP, -1);
        enter(BATCH + 1, BATCH + 1);
        uint64_t before = counter();
        reap(1, 0);
        single[i] = counter() - before;
        before = counter();
        reap(BATCH, 0);
        batch[i] = counter() - before;
    }
    report_interval("ring-reap", single);
    report_interval_shared("ring-reap-batch", batch, BATCH);
}

static void eventfd_through_ring(void)
{
    static double reads[ROUNDS], polls[ROUNDS];
    int descriptor = eventfd(0, 0);
    uint64_t got;
    for (int i = 0; i < ROUNDS; i++) {
        struct io_uring_sqe *submission = prepare(IORING_OP_READ, descriptor);
        submission->addr = (uintptr_t)&got;
        submission->len = sizeof got;
        enter(1, 0);
        uint64_t before = counter();
        write_count(descriptor, 1);
        enter(0, 1);
        reap(1, sizeof got);
        reads[i] = counter() - before;

        prepare(IORING_OP_POLL_ADD, descriptor)->poll32_events = POLLIN;
        enter(1, 0);
        before = counter();
        write_count(descriptor, 1);
        enter(0, 1);
        reap(1, POLLIN);
        polls[i] = counter() - before;
        read_count(descriptor);
    }
    report_interval("ring-read-eventfd", reads);
    report_interval("ring-poll-eventfd", polls);
    close(descriptor);
}

static void timeouts(void)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
    struct moment first = moment();
    for (int i = 0; i < ROUNDS; i++) {
        due[i] = nanoseconds() + 2000000;
        struct timespec time = at(due[i]);
        struct __kernel_timespec when = { .tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec };
        struct io_uring_sqe *submission = prepare(IORING_OP_TIMEOUT, -1);
        submission->addr = (uintptr_t)&when;
        submission->len = 1;
        submission->timeout_flags = IORING_TIMEOUT_ABS;
        enter(1, 1);
        rounds[i] = counter();
        reap(1, -ETIME);
    }
    since_due(rounds, due, ROUNDS, first, moment());
    report("ring-timeout", rounds);
}

void ring(void)
{
    set_up();
    nops("ring-nop", 1);
    nops("ring-nop-batch", BATCH);
    reaping();
    eventfd_through_ring();
    timeouts();
}
