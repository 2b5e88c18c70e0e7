/*
 * Prints the busy time of the Linux peer's processor once a second: the time since boot less
 * what the kernel counts as idle. Under `-icount shift=0` a nanosecond is an instruction.
 * The kernel's figures are in steps of 10 ms, so differences want a few seconds.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    for (;;) {
        double up, idle;
        FILE *file = fopen("/proc/uptime", "r");
        if (!file || fscanf(file, "%lf %lf", &up, &idle) != 2)
            return 1;
        fclose(file);
        printf("#! figure busy total value=%.0f unit=ns\n", (up - idle) * 1e9);
        fflush(stdout);
        sleep(1);
    }
}
