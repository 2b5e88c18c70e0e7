/*
 * Memory of the kernel for each registered event, over 100,000 of them: what /proc/meminfo has
 * less of, so that tables, slabs and pages count alike.
 *
 *   bytes-eventfd        an eventfd in an epoll set
 *   bytes-timerfd        a timer in an epoll set, armed
 *   bytes-registration   one more registration of an eventfd that is there
 */
#include "measure.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 100000 };

static double free_bytes(void)
{
    long kilobytes;
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file || fscanf(file, "MemTotal: %*d kB MemFree: %ld kB", &kilobytes) != 1)
        fail("/proc/meminfo");
    fclose(file);
    return kilobytes * 1024.0;
}

static int shared;

static int event(void)
{
    return eventfd(0, EFD_NONBLOCK);
}

static int timer(void)
{
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec far = { .it_value = { .tv_sec = 3600 } };
    return descriptor < 0 || timerfd_settime(descriptor, 0, &far, NULL) < 0 ? -1 : descriptor;
}

static int duplicate(void)
{
    return dup(shared);
}

static void measure(const char *name, int (*make)(void))
{
    static int descriptors[EVENTS];
    int poller = epoll_create1(0);
    struct epoll_event interest = { .events = EPOLLIN };
    /* The list of descriptors is the program's own. */
    for (int i = 0; i < EVENTS; i++)
        descriptors[i] = -1;
    double before = free_bytes();
    for (int i = 0; i < EVENTS; i++) {
        descriptors[i] = make();
        if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptors[i], &interest) < 0)
            fail("registering many events");
    }
    if (name)
        tell(name, (before - free_bytes()) / EVENTS, "bytes");
}

/* In a process of its own, so that its table of descriptors counts too. */
static void measure_apart(const char *name, int (*make)(void))
{
    int status;
    /* What was given back before is free after a grace period. */
    sleep(2);
    pid_t process = fork();
    if (process < 0)
        fail("fork");
    if (process == 0) {
        measure(name, make);
        _exit(0);
    }
    if (waitpid(process, &status, 0) < 0 || status != 0)
        fail("a measuring process");
}

void memory(void)
{
    struct rlimit limit = { EVENTS + 1000, EVENTS + 1000 };
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("setrlimit");
    shared = event();
    /* Once for nothing: pages that the processor's own lists hold do not count as free. */
    measure_apart(NULL, event);
    measure_apart("bytes-eventfd", event);
    measure_apart("bytes-timerfd", timer);
    measure_apart("bytes-registration", duplicate);
}
