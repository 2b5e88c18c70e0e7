/*
 * Registration and control.
 *
 *   eventfd-register      make an eventfd and add it to an epoll set
 *   eventfd-unregister    close it, which removes it
 *   epoll-add, epoll-delete, epoll-modify
 *                         epoll_ctl alone, of a descriptor that is there
 *   epoll-disable-enable  two modifications: to no events, and back
 *   timerfd-register      make a timer and add it to an epoll set
 *   timerfd-arm           set a timer that is set already, to an hour from now
 *   timerfd-disarm        clear it
 *   thread-priority       change the priority of a thread that waits
 */
#include "measure.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void modify(int poller, int operation, int descriptor, uint32_t events)
{
    struct epoll_event event = { .events = events };
    if (epoll_ctl(poller, operation, descriptor, &event) < 0)
        fail("epoll_ctl");
}

static void registration(int poller)
{
    static double made[ROUNDS], timers[ROUNDS], closed[ROUNDS];
    static int descriptors[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        descriptors[i] = eventfd(0, EFD_NONBLOCK);
        modify(poller, EPOLL_CTL_ADD, descriptors[i], EPOLLIN);
        made[i] = counter() - before;
    }
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        close(descriptors[i]);
        closed[i] = counter() - before;
    }
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        descriptors[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        modify(poller, EPOLL_CTL_ADD, descriptors[i], EPOLLIN);
        timers[i] = counter() - before;
    }
    for (int i = 0; i < ROUNDS; i++)
        close(descriptors[i]);
    report_interval("eventfd-register", made);
    report_interval("eventfd-unregister", closed);
    report_interval("timerfd-register", timers);
}

static void modification(int poller)
{
    static double added[ROUNDS], modified[ROUNDS], toggled[ROUNDS], removed[ROUNDS];
    int descriptor = eventfd(0, EFD_NONBLOCK);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = counter();
        modify(poller, EPOLL_CTL_ADD, descriptor, EPOLLIN);
        added[i] = counter() - start;
        start = counter();
        modify(poller, EPOLL_CTL_MOD, descriptor, EPOLLIN | EPOLLET);
        modified[i] = counter() - start;
        start = counter();
        modify(poller, EPOLL_CTL_MOD, descriptor, 0);
        modify(poller, EPOLL_CTL_MOD, descriptor, EPOLLIN);
        toggled[i] = counter() - start;
        start = counter();
        modify(poller, EPOLL_CTL_DEL, descriptor, 0);
        removed[i] = counter() - start;
    }
    report_interval("epoll-add", added);
    report_interval("epoll-modify", modified);
    report_interval("epoll-disable-enable", toggled);
    report_interval("epoll-delete", removed);
    close(descriptor);
}

static void arming(void)
{
    static double armed[ROUNDS], disarmed[ROUNDS];
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec never = { 0 };
    struct itimerspec far = { .it_value = at(nanoseconds() + 3600000000000ull) };
    for (int i = 0; i < ROUNDS; i++) {
        timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &far, NULL);
        uint64_t before = counter();
        if (timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &far, NULL) < 0)
            fail("timerfd_settime");
        armed[i] = counter() - before;
        before = counter();
        if (timerfd_settime(descriptor, 0, &never, NULL) < 0)
            fail("timerfd_settime");
        disarmed[i] = counter() - before;
    }
    report_interval("timerfd-arm", armed);
    report_interval("timerfd-disarm", disarmed);
    close(descriptor);
}

static volatile uint32_t over;
static volatile pid_t waiting;

static void *wait_for_the_end(void *argument)
{
    waiting = gettid();
    while (!over)
        futex_wait(&over, 0);
    return argument;
}

static void thread_priority(void)
{
    static double rounds[ROUNDS];
    pthread_t thread = start_thread(HIGH, wait_for_the_end, NULL);
    while (!waiting)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        struct sched_param parameters = { .sched_priority = HIGH + i % 2 };
        uint64_t before = counter();
        if (sched_setparam(waiting, &parameters) < 0)
            fail("sched_setparam");
        rounds[i] = counter() - before;
    }
    report_interval("thread-priority", rounds);
    over = 1;
    futex_wake(&over);
    join_thread(thread);
}

void control(void)
{
    int poller = epoll_create1(0);
    registration(poller);
    modification(poller);
    close(poller);
    arming();
    thread_priority();
}
