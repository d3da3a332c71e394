/* memory.h - memory that is refused: the Nth allocation of our own code and all behind it, until
 * memory_mend(). For a program that is linked with --wrap for each of these functions; included
 * once in it. Libraries' own allocations are theirs.
 */
#ifndef POLLUX_TEST_MEMORY_H
#define POLLUX_TEST_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static struct {
    int64_t nth;                        /* 0: none is refused */
    int64_t length;                     /* and so many from there on */
    int64_t calls, refused;             /* since memory_fail() */
} memory;

static inline void memory_fail(int64_t nth, int64_t length)
{
    memory.nth = nth;
    memory.length = length;
    memory.calls = memory.refused = 0;
}

/* How many were refused. */
static inline int64_t memory_mend(void)
{
    memory.nth = 0;
    return memory.refused;
}

static bool memory_refuses(void)
{
    if (memory.nth == 0 || ++memory.calls < memory.nth
        || memory.calls - memory.nth >= memory.length)
        return false;
    memory.refused++;
    errno = ENOMEM;
    return true;
}

#define MEMORY_WRAP(type, name, parameters, arguments)                                             \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return memory_refuses() ? NULL : __real_##name arguments;                                  \
    }

MEMORY_WRAP(void *, malloc, (size_t size), (size))
MEMORY_WRAP(void *, calloc, (size_t count, size_t size), (count, size))
MEMORY_WRAP(void *, realloc, (void *p, size_t size), (p, size))
MEMORY_WRAP(char *, strdup, (const char *text), (text))
MEMORY_WRAP(char *, strndup, (const char *text, size_t len), (text, len))

/* Call BODY(ARG) with the first allocation refused, then with the second, and so on until none is,
 * each once by itself and once with all behind it. Returns how many allocations there are. */
static inline int64_t memory_each(void (*body)(void *arg), void *arg)
{
    for (int64_t nth = 1;; nth++) {
        memory_fail(nth, 1);
        body(arg);
        if (memory_mend() == 0)
            return nth - 1;
        memory_fail(nth, INT64_MAX);
        body(arg);
        memory_mend();
    }
}

#endif
