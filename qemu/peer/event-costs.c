/*
 * What events cost on the Linux peer, in guest instructions: the time stamp counter of a
 * machine under `-icount shift=0` counts them. The three ways a program is told of something,
 * each the best that Linux has for it:
 *
 *   eventfd-epoll    write to an eventfd until epoll_wait returns it, one thread
 *   timerfd-epoll    expiry of a timer until epoll_wait returns it, machine idle
 *   timer-signal     expiry of a timer until a signal handler runs, preempting a busy loop
 *
 * Each is the median of many rounds. An expiry's own time is known by the monotonic clock;
 * the counter's value at that time follows from the two calibrations around the rounds.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 501, WARM_UP = 50 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline uint64_t counter(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static struct timespec at(uint64_t time)
{
    return (struct timespec){ .tv_sec = time / 1000000000, .tv_nsec = time % 1000000000 };
}

/* The clock and the counter, read within the fewest instructions of several tries. */
struct moment {
    uint64_t time, count;
};

static struct moment moment(void)
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

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *rounds)
{
    double *kept = rounds + WARM_UP;
    size_t count = ROUNDS - WARM_UP;
    qsort(kept, count, sizeof *kept, ascending);
    printf("#! figure linux-events %s min=%.0f max=%.0f rounds=%zu value=%.0f unit=instructions\n",
           name, kept[0], kept[count - 1], count, kept[count / 2]);
    fflush(stdout);
}

static int poller_for(int descriptor)
{
    int poller = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN };
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
        fail("epoll");
    return poller;
}

static void eventfd_epoll(void)
{
    static double rounds[ROUNDS];
    int descriptor = eventfd(0, EFD_NONBLOCK);
    if (descriptor < 0)
        fail("eventfd");
    int poller = poller_for(descriptor);
    uint64_t one = 1, got;
    struct epoll_event event;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        if (write(descriptor, &one, sizeof one) != sizeof one)
            fail("write");
        if (epoll_wait(poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        rounds[i] = counter() - before;
        if (read(descriptor, &got, sizeof got) != sizeof got)
            fail("read");
    }
    report("eventfd-epoll", rounds);
}

/* Counter values of arrivals become instructions after the expiry they belong to. */
static void since_expiry(double *rounds, const uint64_t *due, struct moment first, struct moment last)
{
    double rate = (double)(last.count - first.count) / (double)(last.time - first.time);
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] -= first.count + (double)(due[i] - first.time) * rate;
}

static void timerfd_epoll(void)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (descriptor < 0)
        fail("timerfd_create");
    int poller = poller_for(descriptor);
    uint64_t expirations;
    struct epoll_event event;
    struct moment first = moment();
    for (int i = 0; i < ROUNDS; i++) {
        due[i] = nanoseconds() + 2000000;
        struct itimerspec when = { .it_value = at(due[i]) };
        if (timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &when, NULL) < 0)
            fail("timerfd_settime");
        if (epoll_wait(poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        rounds[i] = counter();
        if (read(descriptor, &expirations, sizeof expirations) != sizeof expirations)
            fail("read");
    }
    since_expiry(rounds, due, first, moment());
    report("timerfd-epoll", rounds);
}

static volatile uint64_t arrival;

static void on_signal(int number)
{
    (void)number;
    arrival = counter();
}

static void timer_signal(void)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
    struct sigaction action = { .sa_handler = on_signal };
    if (sigaction(SIGRTMIN, &action, NULL) < 0)
        fail("sigaction");
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        fail("timer_create");
    struct moment first = moment();
    for (int i = 0; i < ROUNDS; i++) {
        arrival = 0;
        due[i] = nanoseconds() + 300000;
        struct itimerspec when = { .it_value = at(due[i]) };
        if (timer_settime(timer, TIMER_ABSTIME, &when, NULL) < 0)
            fail("timer_settime");
        while (arrival == 0)
            ;
        rounds[i] = arrival;
    }
    since_expiry(rounds, due, first, moment());
    report("timer-signal", rounds);
}

int main(void)
{
    prctl(PR_SET_TIMERSLACK, 1);
    eventfd_epoll();
    timerfd_epoll();
    timer_signal();
    return 0;
}
