/* buf.h - a growing run of bytes, and a borrowed one.
 *
 * A struct buf owns its memory. Running out of it is remembered rather than
 * reported at each step: add what you like, then ask buf_ok() once. Bytes may
 * be anything, NUL included; buf_text() puts a NUL behind them for printing.
 *
 * A struct span borrows bytes that live elsewhere, for as long as they do.
 */
#ifndef POLLUX_BASE_BUF_H
#define POLLUX_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;      /* not NUL-terminated; NULL only when len is 0 */
    size_t len;         /* bytes */
};

struct buf {
    char *data;         /* NULL until something is added */
    size_t len;         /* bytes in use */
    size_t cap;         /* bytes allocated */
    bool failed;        /* an allocation failed; further additions do nothing */
};

#define BUF_EMPTY { NULL, 0, 0, false }
#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })

/* Start with nothing; no memory is taken yet. */
void buf_init(struct buf *b);

/* Give the memory back and start over as after buf_init(). */
void buf_release(struct buf *b);

/* Forget the bytes and a past failure, keep the memory for reuse. */
void buf_clear(struct buf *b);

/* Append LEN bytes at P (borrowed). */
void buf_add(struct buf *b, const void *p, size_t len);
void buf_add_span(struct buf *b, struct span s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t n);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Make room for LEN more bytes and return where they go, or NULL (failed).
 * What is written there counts after buf_used(LEN). */
char *buf_room(struct buf *b, size_t len);
void buf_used(struct buf *b, size_t len);

/* True while every addition since the last clear has succeeded. */
bool buf_ok(const struct buf *b);

/* The bytes, followed by a NUL; "" when empty or failed. Lent until the next addition. */
const char *buf_text(struct buf *b);

/* The bytes as a span, lent until the next addition. */
struct span buf_span(const struct buf *b);

/* The span over a NUL-terminated TEXT (borrowed; NULL gives the empty span). */
struct span span_of(const char *text);
bool span_equals(struct span a, struct span b);
bool span_is(struct span s, const char *text);
bool span_starts(struct span s, const char *prefix);

/* Copy S and a NUL into OUT of CAP bytes. False, OUT empty, when it does not
 * fit or S holds a NUL. */
bool span_copy(struct span s, char *out, size_t cap);

/* Read S as decimal digits alone (no sign, no space). False when it is not,
 * or exceeds INT64_MAX. */
bool span_int(struct span s, int64_t *value);

#endif
