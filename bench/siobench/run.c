/* run.c - how far the run is; see run.h. */
#include "run.h"

#include <stdarg.h>
#include <stdio.h>

#include "options.h"

struct run g;
struct counts st;

void say(const char *fmt, ...)
{
    va_list ap;
    if (opt.quiet)
        return;
    va_start(ap, fmt);
    fprintf(stderr, "[%7.2f] ", (double)(now_ns() - g.t0) / 1e9);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

bool traffic_on(void) { return g.phase == PH_WARMUP || g.phase == PH_MEASURE; }
