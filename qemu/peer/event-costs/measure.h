/*
 * What all measurements share: the instruction counter, the clock, threads of stated priority,
 * and the lines for the host.
 */
#ifndef MEASURE_H
#define MEASURE_H

#define _GNU_SOURCE
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Rounds of each figure; the first ones fill caches of Linux's and do not count. */
enum { ROUNDS = 501, WARM_UP = 50 };

/* SCHED_FIFO priorities: who measures, and the threads that preempt it. */
enum { ORDINARY = 0, LOW = 10, HIGH = 50 };

_Noreturn void fail(const char *what);

/* The time stamp counter, which under `-icount shift=0` counts instructions. */
static inline uint64_t counter(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uint64_t nanoseconds(void);
struct timespec at(uint64_t time);

/* The clock and the counter at one time. */
struct moment {
    uint64_t time, count;
};

struct moment moment(void);

/* Counter values of arrivals become instructions after the time each was due. */
void since_due(double *arrivals, const uint64_t *due, size_t count, struct moment first,
               struct moment last);

/* Tells the median of ROUNDS values, of which each is `share` operations. */
void report_shared(const char *name, double *rounds, double share);
void report(const char *name, double *rounds);

/* The same for differences of two counter readings, whose own cost is taken off. */
void report_interval(const char *name, double *rounds);
void report_interval_shared(const char *name, double *rounds, double share);

/* Tells one figure. */
void tell(const char *name, double value, const char *unit);

void sort(double *values, size_t count);

/* Gives the calling thread a priority: SCHED_FIFO's, or none with ORDINARY. */
void become(int priority);

pthread_t start_thread(int priority, void *(*body)(void *), void *argument);
void join_thread(pthread_t thread);

/* An epoll set with these events of one descriptor. */
int poller_for(int descriptor, uint32_t events);

/* Exactly eight bytes, as eventfd and timerfd have it. */
void write_count(int descriptor, uint64_t count);
uint64_t read_count(int descriptor);

/* A futex of this process, without a library in between. */
void futex_wait(volatile uint32_t *word, uint32_t value);
void futex_wake(volatile uint32_t *word);

/* The parts, each a file. */
void descriptors(void);
void signals(void);
void ring(void);
void fan_out(void);
void control(void);
void hand_over(void);
void clones(void);
void memory(void);
void flood(void);

#endif
