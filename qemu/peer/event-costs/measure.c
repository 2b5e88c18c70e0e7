#include "measure.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Enough for a thread that only makes system calls. */
enum { STACK = 64 << 10 };

_Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

struct timespec at(uint64_t time)
{
    return (struct timespec){ .tv_sec = time / 1000000000, .tv_nsec = time % 1000000000 };
}

/* Read within the fewest instructions of several tries. */
struct moment moment(void)
{
    struct moment best = { 0, 0 };
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t before = counter();
        uint64_t time = nanoseconds();
        uint64_t after = counter();
        if (after - before < shortest) {
            shortest = after - before;
            best = (struct moment){ time, before + (after - before) / 2 };
        }
    }
    return best;
}

void since_due(double *arrivals, const uint64_t *due, size_t count, struct moment first,
               struct moment last)
{
    double rate = (double)(last.count - first.count) / (double)(last.time - first.time);
    for (size_t i = 0; i < count; i++)
        arrivals[i] -= first.count + (double)(due[i] - first.time) * rate;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
}

void tell(const char *name, double value, const char *unit)
{
    printf("#! figure linux-events %s value=%.0f unit=%s\n", name, value, unit);
    fflush(stdout);
}

void report_shared(const char *name, double *rounds, double share)
{
    double *kept = rounds + WARM_UP;
    size_t count = ROUNDS - WARM_UP;
    sort(kept, count);
    printf("#! figure linux-events %s min=%.0f max=%.0f rounds=%zu value=%.0f unit=instructions\n",
           name, kept[0] / share, kept[count - 1] / share, count, kept[count / 2] / share);
    fflush(stdout);
}

void report(const char *name, double *rounds)
{
    report_shared(name, rounds, 1);
}

void report_interval_shared(const char *name, double *rounds, double share)
{
    uint64_t reading = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t before = counter();
        uint64_t difference = counter() - before;
        reading = difference < reading ? difference : reading;
    }
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] -= reading;
    report_shared(name, rounds, share);
}

void report_interval(const char *name, double *rounds)
{
    report_interval_shared(name, rounds, 1);
}

void become(int priority)
{
    struct sched_param parameters = { .sched_priority = priority };
    if (sched_setscheduler(0, priority ? SCHED_FIFO : SCHED_OTHER, &parameters) < 0)
        fail("sched_setscheduler");
}

pthread_t start_thread(int priority, void *(*body)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    struct sched_param parameters = { .sched_priority = priority };
    if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, STACK)
        || pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED)
        || pthread_attr_setschedpolicy(&attributes, priority ? SCHED_FIFO : SCHED_OTHER)
        || pthread_attr_setschedparam(&attributes, &parameters)
        || pthread_create(&thread, &attributes, body, argument))
        fail("a thread");
    pthread_attr_destroy(&attributes);
    return thread;
}

void join_thread(pthread_t thread)
{
    if (pthread_join(thread, NULL))
        fail("pthread_join");
}

int poller_for(int descriptor, uint32_t events)
{
    int poller = epoll_create1(0);
    struct epoll_event event = { .events = events };
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
        fail("epoll");
    return poller;
}

void write_count(int descriptor, uint64_t count)
{
    if (write(descriptor, &count, sizeof count) != sizeof count)
        fail("write");
}

uint64_t read_count(int descriptor)
{
    uint64_t count;
    if (read(descriptor, &count, sizeof count) != sizeof count)
        fail("read");
    return count;
}

void futex_wait(volatile uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void futex_wake(volatile uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
