/* failure.h - why a turn fails: the first reason stays, whatever fails after it because of it. */
#ifndef POLLUX_STORE_FAILURE_H
#define POLLUX_STORE_FAILURE_H

#include <stdbool.h>

#define FAILURE_WHY_MAX 512

struct failure {
    bool failed;
    char why[FAILURE_WHY_MAX];          /* operation, object, cause, what to do; until the next */
};

/* It fails for this reason, unless it has failed already. */
void failure_note(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Another turn may begin. The reason can still be read. */
void failure_over(struct failure *f);

#endif
