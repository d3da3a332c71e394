/* response.c - one HTTP response; see response.h. */
#include "response.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "json.h"

#define MAX_HEAD 65536
#define MAX_BODY (64u << 20)

void resp_reset(struct response *r)
{
    struct buf raw = r->raw;
    *r = (struct response){ .st = RS_HEAD, .raw = raw };
    r->raw.len = 0;
}

const char *resp_body(const struct response *r) { return r->raw.p + r->head_len; }

static bool slice_has_word(struct slice s, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = s.p; (size_t)(s.end - p) >= n && p < s.end; p++)
        if (strncasecmp(p, word, n) == 0)
            return true;
    return false;
}

/* Note one header line; false where it makes no sense. */
static bool resp_field(struct response *r, struct slice name, struct slice v)
{
    switch (name.end - name.p) {
    case 10:
        if (strncasecmp(name.p, "Connection", 10) == 0)
            r->keep_alive = slice_has_word(v, "close") ? false
                          : r->keep_alive || slice_has_word(v, "keep-alive");
        break;
    case 14:
        if (strncasecmp(name.p, "Content-Length", 14) != 0)
            break;
        r->has_length = true;
        return js_uint(v, &r->want) && r->want <= MAX_BODY;
    case 17:
        if (strncasecmp(name.p, "Transfer-Encoding", 17) != 0)
            break;
        r->chunked = slice_has_word(v, "chunked");
        return r->chunked;
    }
    return true;
}

static bool resp_fields(struct response *r)
{
    const char *p = memchr(r->raw.p, '\n', r->head_len), *end = r->raw.p + r->head_len - 2;
    while (p && ++p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *colon = memchr(p, ':', (size_t)((eol ? eol : end) - p));
        if (!eol || !colon)
            return false;
        struct slice name = { p, colon }, v = { js_space(colon + 1, eol), eol };
        while (v.end > v.p && isspace((unsigned char)v.end[-1]))
            v.end--;
        if (!resp_field(r, name, v))
            return false;
        p = eol;
    }
    return true;
}

/* How the body is framed.  0, or -1 where the head makes no sense. */
static int resp_framing(struct response *r)
{
    r->keep_alive = r->raw.p[7] != '0';
    if (!resp_fields(r))
        return -1;
    if (r->status == 204 || r->status == 304) {
        r->st = RS_DONE;
    } else if (r->chunked) {
        r->st = RS_CHUNK_SIZE;
    } else if (r->has_length) {
        r->st = r->want ? RS_LENGTH : RS_DONE;
    } else {
        r->st = RS_TO_EOF;
        r->keep_alive = false;
    }
    return 0;
}

static int resp_head(struct response *r)        /* 1 parsed, 0 not all here, -1 bad */
{
    char *h = r->raw.p;
    char *end = r->raw.len ? memmem(h, r->raw.len, "\r\n\r\n", 4) : NULL;
    if (!end)
        return r->raw.len > MAX_HEAD ? -1 : 0;
    r->head_len = r->pos = (size_t)(end + 4 - h);
    if (r->head_len < 16 || memcmp(h, "HTTP/1.", 7) != 0 || h[8] != ' ' ||
        !isdigit((unsigned char)h[9]) || !isdigit((unsigned char)h[10]) ||
        !isdigit((unsigned char)h[11]))
        return -1;
    r->status = (h[9] - '0') * 100 + (h[10] - '0') * 10 + (h[11] - '0');
    if (r->status >= 100 && r->status < 200) {          /* interim: drop it */
        r->raw.len -= r->head_len;
        memmove(h, h + r->head_len, r->raw.len);
        r->head_len = r->pos = 0;
        return resp_head(r);
    }
    return resp_framing(r) == 0 ? 1 : -1;
}

static int resp_line(struct response *r, struct slice *line)    /* as resp_head */
{
    char *p = r->raw.p + r->pos, *end = r->raw.p + r->raw.len;
    char *eol = end > p ? memmem(p, (size_t)(end - p), "\r\n", 2) : NULL;
    if (!eol)
        return end - p > 4096 ? -1 : 0;
    *line = (struct slice){ p, eol };
    r->pos = (size_t)(eol + 2 - r->raw.p);
    return 1;
}

static bool chunk_size(struct slice line, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = line.p;
    for (; p < line.end && isxdigit((unsigned char)*p); p++) {
        n = n * 16 + (uint64_t)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 32) - 'a' + 10);
        if (n > MAX_BODY)
            return false;
    }
    if (p == line.p || (p < line.end && *p != ';' && *p != ' ' && *p != '\t'))
        return false;
    *out = n;
    return true;
}

/* Move what has come of the body (or chunk) to the end of the compacted body. */
static void resp_take(struct response *r)
{
    size_t n = r->raw.len - r->pos;
    char *to = r->raw.p + r->head_len + r->body_len;
    if (r->st != RS_TO_EOF && n > r->want)
        n = (size_t)r->want;
    if (to != r->raw.p + r->pos)
        memmove(to, r->raw.p + r->pos, n);
    r->pos += n;
    r->body_len += n;
    if (r->st != RS_TO_EOF)
        r->want -= n;
}

int resp_feed(struct response *r, const char *data, size_t n)
{
    struct slice line;
    int rc;
    r->any = true;
    buf_add(&r->raw, data, n);
    for (;;) {
        switch (r->st) {
        case RS_HEAD:
            if ((rc = resp_head(r)) != 1)
                return rc;
            break;
        case RS_LENGTH:
        case RS_CHUNK_DATA:
            resp_take(r);
            if (r->want > 0)
                return 0;
            r->st = r->st == RS_LENGTH ? RS_DONE : RS_CHUNK_END;
            break;
        case RS_TO_EOF:
            resp_take(r);
            return r->body_len > MAX_BODY ? -1 : 0;
        case RS_CHUNK_SIZE:
            if ((rc = resp_line(r, &line)) != 1)
                return rc;
            if (!chunk_size(line, &r->want) || r->body_len + r->want > MAX_BODY)
                return -1;
            r->st = r->want ? RS_CHUNK_DATA : RS_TRAILER;
            break;
        case RS_CHUNK_END:
            if ((rc = resp_line(r, &line)) != 1)
                return rc;
            if (line.p != line.end)
                return -1;
            r->st = RS_CHUNK_SIZE;
            break;
        case RS_TRAILER:
            if ((rc = resp_line(r, &line)) != 1)
                return rc;
            if (line.p == line.end)
                r->st = RS_DONE;
            break;
        case RS_DONE:
            return r->pos == r->raw.len ? 1 : -1;       /* -1: bytes nobody asked for */
        }
    }
}
