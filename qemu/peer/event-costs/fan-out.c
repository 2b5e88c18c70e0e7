/*
 * One occurrence, many takers: from one write to an eventfd until the last of N has it.
 *
 *   fan-out-N           N registrations of it in one epoll set, taken by one epoll_wait
 *   fan-out-threads-N   N threads of higher priority, each in an epoll_wait of its own
 */
#include "measure.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MOST = 100 };

static void registrations(int takers)
{
    static double rounds[ROUNDS];
    int descriptor = eventfd(0, EFD_NONBLOCK), poller = epoll_create1(0);
    /* A set takes a descriptor once, but each of its duplicates too. */
    int duplicates[MOST];
    struct epoll_event event = { .events = EPOLLIN | EPOLLET }, events[MOST];
    for (int i = 0; i < takers; i++) {
        duplicates[i] = dup(descriptor);
        if (epoll_ctl(poller, EPOLL_CTL_ADD, duplicates[i], &event) < 0)
            fail("epoll_ctl");
    }
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        write_count(descriptor, 1);
        if (epoll_wait(poller, events, MOST, -1) != takers)
            fail("not all registrations were told");
        rounds[i] = counter() - before;
    }
    char name[32];
    snprintf(name, sizeof name, "fan-out-%d", takers);
    report_interval(name, rounds);
    for (int i = 0; i < takers; i++)
        close(duplicates[i]);
    close(poller), close(descriptor);
}

struct taker {
    pthread_t thread;
    int poller;
    volatile uint64_t returned;
};

static void *take(void *argument)
{
    struct taker *taker = argument;
    struct epoll_event event;
    for (int i = 0; i < ROUNDS; i++) {
        if (epoll_wait(taker->poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        taker->returned = counter();
    }
    return NULL;
}

static void threads(int count)
{
    static double rounds[ROUNDS];
    static struct taker takers[MOST];
    int descriptor = eventfd(0, EFD_NONBLOCK);
    for (int i = 0; i < count; i++) {
        takers[i].poller = poller_for(descriptor, EPOLLIN | EPOLLET);
        takers[i].thread = start_thread(HIGH, take, &takers[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter(), last = before;
        write_count(descriptor, 1);
        for (int n = 0; n < count; n++) {
            if (takers[n].returned < before)
                fail("a thread was not told");
            last = takers[n].returned > last ? takers[n].returned : last;
        }
        rounds[i] = last - before;
    }
    char name[32];
    snprintf(name, sizeof name, "fan-out-threads-%d", count);
    report_interval(name, rounds);
    for (int i = 0; i < count; i++) {
        join_thread(takers[i].thread);
        close(takers[i].poller);
    }
    close(descriptor);
}

void fan_out(void)
{
    for (int count = 1; count <= MOST; count *= 10)
        registrations(count);
    become(LOW);
    for (int count = 1; count <= MOST; count *= 10)
        threads(count);
    become(ORDINARY);
}
