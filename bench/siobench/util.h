/* util.h - the clock, memory, text that grows, and numbers by chance. Whatever fails here ends the
 * program.
 */
#ifndef SIOBENCH_UTIL_H
#define SIOBENCH_UTIL_H

#include <stddef.h>
#include <stdint.h>

#define VERSION "1.0"
#define NS      1000000000ull           /* of a second */
#define MS      1000000ull              /* of them, a millisecond */

/* The time since some moment, in nanoseconds. */
uint64_t now_ns(void);

/* End with exit status CODE and a sentence: 1 a broken run, 2 usage. */
__attribute__((noreturn, format(printf, 2, 3)))
void die(int code, const char *fmt, ...);

void *xrealloc(void *p, size_t n);
void *xcalloc(size_t n, size_t size);   /* zeroed */

/* Bytes that grow. All zero: none yet. P changes with each addition. */
struct buf { char *p; size_t len, cap; };

void buf_room(struct buf *b, size_t extra);     /* for so many more */
void buf_add(struct buf *b, const void *data, size_t n);
__attribute__((format(printf, 2, 3)))
void buf_fmt(struct buf *b, const char *fmt, ...);

/* Decimal digits of V, or TEXT, at OUT, without a NUL; returns how many bytes. (printf is too slow
 * for the hot path.) */
size_t put_uint(char *out, uint64_t v);
size_t put_text(char *out, const char *text);

/* A number that has nothing to do with X, as far as one can see, and is the same each time. */
uint64_t mix64(uint64_t x);

#endif
