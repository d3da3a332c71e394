/* buf.c - growing and borrowed runs of bytes. Knows nothing of what they mean. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b)
{
    *b = (struct buf)BUF_EMPTY;
}

void buf_release(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

char *buf_room(struct buf *b, size_t len)
{
    if (b->failed)
        return NULL;
    if (b->data != NULL && b->cap - b->len > len)
        return b->data + b->len;        /* one byte is always kept for buf_text()'s NUL */

    size_t cap = b->cap != 0 ? b->cap : 64;
    while (cap - b->len <= len) {
        if (cap > SIZE_MAX / 2) {
            b->failed = true;
            return NULL;
        }
        cap *= 2;
    }
    char *data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

void buf_used(struct buf *b, size_t len)
{
    b->len += len;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
    char *room = buf_room(b, len);
    if (room == NULL || len == 0)
        return;
    memcpy(room, p, len);
    b->len += len;
}

void buf_add_span(struct buf *b, struct span s)
{
    buf_add(b, s.p, s.len);
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_int(struct buf *b, int64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

    do
        digits[--at] = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    if (n < 0)
        digits[--at] = '-';
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int need = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *room = need < 0 ? NULL : buf_room(b, (size_t)need);
    if (room == NULL) {
        b->failed = true;
        return;
    }
    va_start(ap, format);
    vsnprintf(room, (size_t)need + 1, format, ap);
    va_end(ap);
    b->len += (size_t)need;
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

const char *buf_text(struct buf *b)
{
    if (b->failed || b->data == NULL)
        return "";
    b->data[b->len] = '\0';
    return b->data;
}

struct span buf_span(const struct buf *b)
{
    return (struct span){ b->data, b->len };
}

struct span span_of(const char *text)
{
    return (struct span){ text, text != NULL ? strlen(text) : 0 };
}

bool span_equals(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool span_is(struct span s, const char *text)
{
    return span_equals(s, span_of(text));
}

bool span_starts(struct span s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && memcmp(s.p, prefix, len) == 0;
}

bool span_copy(struct span s, char *out, size_t cap)
{
    if (s.len >= cap || (s.len != 0 && memchr(s.p, '\0', s.len) != NULL)) {
        if (cap != 0)
            out[0] = '\0';
        return false;
    }
    if (s.len != 0)
        memcpy(out, s.p, s.len);
    out[s.len] = '\0';
    return true;
}

bool span_int(struct span s, int64_t *value)
{
    int64_t n = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int digit = s.p[i] - '0';
        if (digit < 0 || digit > 9 || n > (INT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *value = n;
    return true;
}
