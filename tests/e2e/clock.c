/* clock.c - a machine's clock that a test can set: preloaded, it adds to CLOCK_REALTIME the seconds
 * that stand in the file E2E_CLOCK names, as they are at each call. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t)
{
    const char *path = getenv("E2E_CLOCK");
    FILE *file;
    long seconds = 0;
    int code = (int)syscall(SYS_clock_gettime, clock, t);

    if (clock != CLOCK_REALTIME || path == NULL || (file = fopen(path, "r")) == NULL)
        return code;
    if (fscanf(file, "%ld", &seconds) == 1)
        t->tv_sec += seconds;
    fclose(file);
    return code;
}
