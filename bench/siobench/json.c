/* json.c - reading JSON where it stands; see json.h. */
#include "json.h"

#include <ctype.h>
#include <string.h>

const char *js_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* p is at the opening quote; returns the place after the closing one, or NULL. */
static const char *js_string_end(const char *p, const char *end)
{
    const char *q = p + 1;
    while (q < end && (q = memchr(q, '"', (size_t)(end - q))) != NULL) {
        const char *b = q;
        while (b > p + 1 && b[-1] == '\\')
            b--;
        if (((q - b) & 1) == 0)
            return q + 1;
        q++;
    }
    return NULL;
}

static const char *js_nested_end(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = js_string_end(p, end);
            if (!p)
                return NULL;
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

/* The place after the value that starts at p, or NULL. */
static const char *js_value_end(const char *p, const char *end)
{
    if (p >= end)
        return NULL;
    if (*p == '"')
        return js_string_end(p, end);
    if (*p == '{' || *p == '[')
        return js_nested_end(p, end);
    const char *q = p;
    while (q < end && (isalnum((unsigned char)*q) || *q == '-' || *q == '+' || *q == '.'))
        q++;
    return q > p ? q : NULL;
}

int js_member(struct js_walk *w, struct slice *key, struct slice *val)
{
    const char *p = js_space(w->p, w->end), *end = w->end;
    if (p < end && *p == (w->inside ? ',' : '{'))
        p = js_space(p + 1, end);
    else if (!w->inside || p >= end || *p != '}')
        return -1;
    if (p < end && *p == '}') {
        bool empty_or_last = !w->inside || p[-1] != ',';
        w->p = p + 1;
        return empty_or_last ? 0 : -1;
    }
    if (p >= end || *p != '"' || !(key->end = js_string_end(p, end)))
        return -1;
    key->p = p + 1;
    p = js_space(key->end--, end);
    if (p >= end || *p != ':')
        return -1;
    val->p = js_space(p + 1, end);
    val->end = js_value_end(val->p, end);
    if (!val->end)
        return -1;
    w->p = val->end;
    w->inside = true;
    return 1;
}

bool slice_is(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(s.end - s.p) == n && memcmp(s.p, text, n) == 0;
}

bool js_uint(struct slice v, uint64_t *out)
{
    uint64_t n = 0;
    if (v.p == v.end || v.end - v.p > 18)
        return false;
    for (const char *p = v.p; p < v.end; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    return true;
}

bool parse_event(const char *p, const char *end, struct event *ev)
{
    *ev = (struct event){ .has_arg = false };
    while (p < end && isdigit((unsigned char)*p))       /* acknowledgement id */
        p++;
    if (p >= end || *p != '[')
        return false;
    p = js_space(p + 1, end);
    if (p >= end || *p != '"')
        return false;
    ev->name.p = p + 1;
    p = js_string_end(p, end);
    if (!p)
        return false;
    ev->name.end = p - 1;
    for (int i = 0; ; i++) {
        p = js_space(p, end);
        if (p < end && *p == ']')
            return js_space(p + 1, end) == end;
        if (p >= end || *p != ',')
            return false;
        p = js_space(p + 1, end);
        const char *v = p;
        p = js_value_end(p, end);
        if (!p)
            return false;
        if (i == 0) {
            ev->arg = (struct slice){ v, p };
            ev->has_arg = true;
        }
    }
}
