/*
 * Signals, by a handler and by signalfd through epoll.
 *
 *   kill-signal            kill until the handler runs, in the same thread
 *   kill-signal-and-back   until kill has returned
 *   kill-signalfd-epoll    kill until epoll_wait returns the signalfd
 *   timer-signal           expiry of a timer until a handler runs, preempting a busy loop
 *   timer-signalfd-epoll   expiry of a timer until epoll_wait returns, machine idle
 */
#include "measure.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile uint64_t arrival;

static void on_signal(int number)
{
    (void)number;
    arrival = counter();
}

/* To this thread, by the shortest way there is. */
static void send_signal(pid_t process, pid_t thread, int number)
{
    if (syscall(SYS_tgkill, process, thread, number) < 0)
        fail("tgkill");
}

static void kill_signal(int number)
{
    static double there[ROUNDS], back[ROUNDS];
    struct sigaction action = { .sa_handler = on_signal };
    if (sigaction(number, &action, NULL) < 0)
        fail("sigaction");
    pid_t process = getpid(), thread = gettid();
    for (int i = 0; i < ROUNDS; i++) {
        arrival = 0;
        uint64_t before = counter();
        send_signal(process, thread, number);
        uint64_t after = counter();
        if (arrival == 0)
            fail("the signal was not delivered at once");
        there[i] = arrival - before;
        back[i] = after - before;
    }
    report_interval("kill-signal", there);
    report_interval("kill-signal-and-back", back);
}

/* Blocks the signal and makes it readable. */
static int signal_descriptor(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    int descriptor = signalfd(-1, &set, SFD_NONBLOCK);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || descriptor < 0)
        fail("signalfd");
    return descriptor;
}

static void take_signal(int descriptor)
{
    struct signalfd_siginfo information;
    if (read(descriptor, &information, sizeof information) != sizeof information)
        fail("read of a signalfd");
}

static void kill_signalfd_epoll(int number)
{
    static double rounds[ROUNDS];
    int descriptor = signal_descriptor(number);
    int poller = poller_for(descriptor, EPOLLIN);
    struct epoll_event event;
    pid_t process = getpid(), thread = gettid();
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        send_signal(process, thread, number);
        if (epoll_wait(poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        rounds[i] = counter() - before;
        take_signal(descriptor);
    }
    report_interval("kill-signalfd-epoll", rounds);
    close(poller), close(descriptor);
}

static timer_t timer_with(int number)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        fail("timer_create");
    return timer;
}

static uint64_t arm(timer_t timer, uint64_t after)
{
    uint64_t due = nanoseconds() + after;
    struct itimerspec when = { .it_value = at(due) };
    if (timer_settime(timer, TIMER_ABSTIME, &when, NULL) < 0)
        fail("timer_settime");
    return due;
}

static void timer_signal(int number)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
    struct sigaction action = { .sa_handler = on_signal };
    if (sigaction(number, &action, NULL) < 0)
        fail("sigaction");
    timer_t timer = timer_with(number);
    struct moment first = moment();
    for (int i = 0; i < ROUNDS; i++) {
        arrival = 0;
        due[i] = arm(timer, 300000);
        while (arrival == 0)
            ;
        rounds[i] = arrival;
    }
    since_due(rounds, due, ROUNDS, first, moment());
    report("timer-signal", rounds);
    timer_delete(timer);
}

static void timer_signalfd_epoll(int number)
{
    static double rounds[ROUNDS];
    static uint64_t due[ROUNDS];
    int descriptor = signal_descriptor(number);
    int poller = poller_for(descriptor, EPOLLIN);
    timer_t timer = timer_with(number);
    struct epoll_event event;
    struct moment first = moment();
    for (int i = 0; i < ROUNDS; i++) {
        due[i] = arm(timer, 2000000);
        if (epoll_wait(poller, &event, 1, -1) != 1)
            fail("epoll_wait");
        rounds[i] = counter();
        take_signal(descriptor);
    }
    since_due(rounds, due, ROUNDS, first, moment());
    report("timer-signalfd-epoll", rounds);
    timer_delete(timer);
    close(poller), close(descriptor);
}

void signals(void)
{
    kill_signal(SIGUSR1);
    kill_signalfd_epoll(SIGUSR2);
    timer_signal(SIGRTMIN);
    timer_signalfd_epoll(SIGRTMIN + 1);
}
