/* fuzz.h - what the fuzz targets share. Each is one function that takes any bytes at all and says
 * what must hold of them beyond not crashing. libFuzzer calls it, or replay.c with any compiler.
 * tests/fuzz/run builds and runs them.
 */
#ifndef POLLUX_FUZZ_H
#define POLLUX_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), here in every build. */
#define must(claim) ((claim) ? (void)0 : broken(__FILE__, __LINE__, #claim))

static inline __attribute__((noreturn)) void broken(const char *file, int line, const char *claim)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
    abort();
}

static inline bool lies_in(struct span piece, struct span whole)
{
    return piece.p >= whole.p && piece.p + piece.len <= whole.p + whole.len;
}

/* The input as a span; of no bytes it is one that may be read all the same. */
static inline struct span span_of_input(const uint8_t *data, size_t size)
{
    return (struct span){ size != 0 ? (const char *)data : "", size };
}

/* Take off *REST what is in front of the first SEPARATOR, and that. False when *REST is empty. */
static inline bool take_piece(struct span *rest, char separator, struct span *piece)
{
    const char *end = rest->len != 0 ? memchr(rest->p, separator, rest->len) : NULL;

    if (rest->len == 0)
        return false;
    *piece = (struct span){ rest->p, end != NULL ? (size_t)(end - rest->p) : rest->len };
    rest->p += piece->len + (end != NULL);
    rest->len -= piece->len + (end != NULL);
    return true;
}

/* A copy with a NUL behind it, to be freed. */
static inline char *text_of(struct span s)
{
    char *text = malloc(s.len + 1);

    must(text != NULL);
    if (s.len != 0)
        memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    return text;
}

#endif
