/*
 * eventfd and timerfd, waited for through epoll.
 *
 *   eventfd-epoll                   write until epoll_wait returns it, in one thread
 *   eventfd-epoll-thread            write until epoll_wait returns it in a thread of higher
 *                                   priority, which preempts the writer
 *   eventfd-epoll-thread-and-back   until that thread waits again and the write has returned
 *   timerfd-epoll                   expiry until epoll_wait returns it, machine idle
 *   timerfd-epoll-preempting        the same while a thread of lower priority is busy
 *
 * An expiry's own time is known by the monotonic clock; the counter's value at that time follows
 * from the two calibrations around the rounds.
 */
#include "measure.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* A thread that waits for its descriptor ROUNDS times. */
struct waiter {
    int descriptor, poller;
    volatile uint64_t returned;
};

static void *wait_rounds(void *argument)
{
    struct waiter *waiter = argument;
    struct epoll_event event;
    for (int i = 0; i < ROUNDS; i++) {
        if (epoll_wait(waiter->poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        waiter->returned = counter();
        read_count(waiter->descriptor);
    }
    return NULL;
}

static void eventfd_epoll(int descriptor, int poller)
{
    static double rounds[ROUNDS];
    struct epoll_event event;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        write_count(descriptor, 1);
        if (epoll_wait(poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        rounds[i] = counter() - before;
        read_count(descriptor);
    }
    report_interval("eventfd-epoll", rounds);
}

static void eventfd_epoll_thread(int descriptor, int poller)
{
    static double there[ROUNDS], back[ROUNDS];
    struct waiter waiter = { .descriptor = descriptor, .poller = poller };
    pthread_t thread = start_thread(HIGH, wait_rounds, &waiter);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        write_count(descriptor, 1);
        uint64_t after = counter();
        if (waiter.returned < before || waiter.returned > after)
            fail("the waiting thread did not preempt the writer");
        there[i] = waiter.returned - before;
        back[i] = after - before;
    }
    join_thread(thread);
    report_interval("eventfd-epoll-thread", there);
    report_interval("eventfd-epoll-thread-and-back", back);
}

static void timerfd_epoll(int descriptor, int poller)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
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
        read_count(descriptor);
    }
    since_due(rounds, due, ROUNDS, first, moment());
    report("timerfd-epoll", rounds);
}

static void timerfd_epoll_preempting(int descriptor, int poller)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
    struct waiter waiter = { .descriptor = descriptor, .poller = poller };
    pthread_t thread = start_thread(HIGH, wait_rounds, &waiter);
    struct moment first = moment();
    for (int i = 0; i < ROUNDS; i++) {
        waiter.returned = 0;
        due[i] = nanoseconds() + 300000;
        struct itimerspec when = { .it_value = at(due[i]) };
        if (timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &when, NULL) < 0)
            fail("timerfd_settime");
        while (waiter.returned == 0)
            ;
        rounds[i] = waiter.returned;
    }
    since_due(rounds, due, ROUNDS, first, moment());
    join_thread(thread);
    report("timerfd-epoll-preempting", rounds);
}

void descriptors(void)
{
    int event = eventfd(0, EFD_NONBLOCK);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (event < 0 || timer < 0)
        fail("eventfd or timerfd");
    int event_poller = poller_for(event, EPOLLIN), timer_poller = poller_for(timer, EPOLLIN);
    eventfd_epoll(event, event_poller);
    timerfd_epoll(timer, timer_poller);
    become(LOW);
    eventfd_epoll_thread(event, event_poller);
    timerfd_epoll_preempting(timer, timer_poller);
    become(ORDINARY);
    close(event), close(timer), close(event_poller), close(timer_poller);
}
