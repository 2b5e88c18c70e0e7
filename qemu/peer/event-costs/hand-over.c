/*
 * The processor from one thread to another, both SCHED_FIFO, on one processor.
 *
 *   futex-preempt     wake until the woken thread, of higher priority, is back from its wait
 *   futex-resume      that thread's next wait until the preempted one is back from its wake
 *   inherit-boost     a thread asks for a mutex with priority inheritance until the holder, now
 *                     of the asker's priority, goes on
 *   inherit-hand-over the holder's unlock until the asker has the mutex
 */
#include "measure.h"

static volatile uint32_t round_number;
static volatile uint64_t entered, leaving;

/* Waits until it is round `i`. */
static void await_round(uint32_t i)
{
    while (round_number < i)
        futex_wait(&round_number, i - 1);
}

static void start_round(uint32_t i)
{
    round_number = i;
    futex_wake(&round_number);
}

static void *woken(void *argument)
{
    /* One round more: after the last that counts it must wait too. */
    for (uint32_t i = 1; i <= ROUNDS + 1; i++) {
        leaving = counter();
        await_round(i);
        entered = counter();
    }
    return argument;
}

static void preemption(void)
{
    static double there[ROUNDS], back[ROUNDS];
    round_number = 0;
    pthread_t thread = start_thread(HIGH, woken, NULL);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        uint64_t before = counter();
        start_round(i);
        uint64_t after = counter();
        if (entered < before || leaving < entered)
            fail("the woken thread did not preempt");
        there[i - 1] = entered - before;
        back[i - 1] = after - leaving;
    }
    start_round(ROUNDS + 1);
    join_thread(thread);
    report_interval("futex-preempt", there);
    report_interval("futex-resume", back);
}

static pthread_mutex_t mutex;
static volatile uint64_t asking, got;

static void *asker(void *argument)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        await_round(i);
        asking = counter();
        pthread_mutex_lock(&mutex);
        got = counter();
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void inheritance(void)
{
    static double boosts[ROUNDS], hand_overs[ROUNDS];
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes)
        || pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT)
        || pthread_mutex_init(&mutex, &attributes))
        fail("a mutex");
    round_number = 0;
    pthread_t thread = start_thread(HIGH, asker, NULL);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        start_round(i);
        uint64_t boosted = counter();
        uint64_t releasing = counter();
        pthread_mutex_unlock(&mutex);
        if (asking > boosted || got < releasing)
            fail("the mutex was not handed over");
        boosts[i - 1] = boosted - asking;
        hand_overs[i - 1] = got - releasing;
    }
    join_thread(thread);
    report_interval("inherit-boost", boosts);
    report_interval("inherit-hand-over", hand_overs);
}

void hand_over(void)
{
    become(LOW);
    preemption();
    inheritance();
    become(ORDINARY);
}
