/*
 * A new thread or process for each event, on a stack that is there already.
 *
 *   thread-to-child, thread-whole     a thread, by clone, with the caller suspended meanwhile:
 *                                     the call until the child's first instruction, and until
 *                                     the caller goes on after its end
 *   process-to-child, process-whole   the same with a process of its own that shares the memory
 *                                     (vfork's way), and is waited for
 *   fork-to-child, fork-whole         with a process that has a copy of the memory
 */
#include "measure.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 << 10 };

static volatile uint64_t *entered;

static int child(void *argument)
{
    (void)argument;
    *entered = counter();
    return 0;
}

static void wait_for_child(void)
{
    if (wait(NULL) < 0)
        fail("wait");
}

static void sharing(const char *to_child, const char *whole, char *stack, int flags)
{
    static double there[ROUNDS], back[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        if (clone(child, stack + STACK, flags, NULL) < 0)
            fail("clone");
        if (flags & SIGCHLD)
            wait_for_child();
        back[i] = counter() - before;
        there[i] = *entered - before;
    }
    report_interval(to_child, there);
    report_interval(whole, back);
}

static void forking(void)
{
    static double there[ROUNDS], back[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = counter();
        pid_t process = fork();
        if (process < 0)
            fail("fork");
        if (process == 0) {
            *entered = counter();
            _exit(0);
        }
        wait_for_child();
        back[i] = counter() - before;
        there[i] = *entered - before;
    }
    report_interval("fork-to-child", there);
    report_interval("fork-whole", back);
}

void clones(void)
{
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    /* Seen by both, also when the child's memory is a copy. */
    entered = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || entered == MAP_FAILED)
        fail("mmap");
    int thread = CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM;
    sharing("thread-to-child", "thread-whole", stack, CLONE_VM | CLONE_VFORK | thread);
    sharing("process-to-child", "process-whole", stack, CLONE_VM | CLONE_VFORK | SIGCHLD);
    forking();
}
