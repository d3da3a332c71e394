/* failure.c - why a turn fails. */
#include "store/failure.h"

#include <stdarg.h>
#include <stdio.h>

void failure_note(struct failure *f, const char *format, ...)
{
    va_list args;

    if (f->failed)
        return;
    f->failed = true;
    va_start(args, format);
    vsnprintf(f->why, sizeof f->why, format, args);
    va_end(args);
}

void failure_over(struct failure *f)
{
    f->failed = false;
}
