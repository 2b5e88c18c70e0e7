/*
 * What events cost on the Linux peer, in guest instructions: the time stamp counter of a
 * machine under `-icount shift=0` counts them. Each part is a file, and each way of being told
 * of something is used as well as Linux allows. Figures are medians of many rounds.
 *
 *   event-costs          everything that needs no network
 *   event-costs flood    latency while the host floods a UDP port (flood.c)
 */
#include "measure.h"

#include <string.h>
#include <sys/prctl.h>

int main(int count, char **arguments)
{
    prctl(PR_SET_TIMERSLACK, 1);
    if (count > 1 && strcmp(arguments[1], "flood") == 0) {
        flood();
        return 0;
    }
    /* First, while there is little that a fork must copy. */
    clones();
    descriptors();
    signals();
    ring();
    fan_out();
    control();
    hand_over();
    memory();
    return 0;
}
