/*
 * Latency of a timer's thread of high priority while a thread of low priority receives what the
 * host sends to a UDP port as fast as it can.
 *
 *   flood-latency-idle      median without the flood
 *   flood-latency-p99       what 99 of 100 expiries did not exceed, under the flood
 *   flood-latency-maximum   the longest of all
 *   flood-datagrams         how many datagrams were received while those were taken
 *
 * A third thread is always busy, at the lowest priority: the machine never halts, so that the
 * counter counts nothing but instructions. The port is announced, and the host's flood begins,
 * when the first figure is there.
 */
#include "measure.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { PORT = 9, SAMPLES = 2000, BEFORE = 1000, DATAGRAM = 2048 };

static volatile uint64_t received;

static void *spin(void *argument)
{
    struct sched_param none = { 0 };
    if (sched_setscheduler(0, SCHED_IDLE, &none) < 0)
        fail("sched_setscheduler");
    /* Without `pause`, for which the emulator leaves its loop. */
    for (;;)
        __asm__ volatile("" : : "r"(argument) : "memory");
}

static void *receive(void *argument)
{
    static char datagram[DATAGRAM];
    int descriptor = *(int *)argument;
    for (;;) {
        if (recv(descriptor, datagram, sizeof datagram, 0) < 0)
            fail("recv");
        received++;
    }
}

/* Ascending latencies of SAMPLES expiries, from 0.7 to 1.3 ms apart. */
static void sample(double *latencies)
{
    static uint64_t due[SAMPLES];
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int poller = poller_for(timer, EPOLLIN);
    struct epoll_event event;
    struct moment first = moment();
    uint32_t random = 1;
    for (int i = 0; i < SAMPLES; i++) {
        random = random * 1664525 + 1013904223;
        due[i] = nanoseconds() + 700000 + random % 600000;
        struct itimerspec when = { .it_value = at(due[i]) };
        if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
            fail("timerfd_settime");
        if (epoll_wait(poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        latencies[i] = counter();
        read_count(timer);
    }
    since_due(latencies, due, SAMPLES, first, moment());
    sort(latencies, SAMPLES);
    close(timer), close(poller);
}

void flood(void)
{
    static double latencies[SAMPLES];
    start_thread(ORDINARY, spin, NULL);
    become(HIGH);
    sample(latencies);
    tell("flood-latency-idle", latencies[SAMPLES / 2], "instructions");

    int receiver = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    if (receiver < 0 || bind(receiver, (struct sockaddr *)&address, sizeof address) < 0)
        fail("the port of the flood");
    start_thread(ORDINARY, receive, &receiver);
    printf("#! listen udp %d\n", PORT);
    fflush(stdout);
    while (received < BEFORE)
        usleep(1000);
    uint64_t start = received;
    sample(latencies);
    tell("flood-datagrams", received - start, "datagrams");
    tell("flood-latency-p99", latencies[SAMPLES * 99 / 100 - 1], "instructions");
    tell("flood-latency-maximum", latencies[SAMPLES - 1], "instructions");
}
