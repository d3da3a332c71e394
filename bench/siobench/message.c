/* message.c - the bench's own messages: made, and checked; see message.h. */
#include "message.h"

#include <string.h>

#include "options.h"

#define PAD_MASK 0xffffu

static char *pad_text;          /* that paddings are cut from */

static uint32_t pad_offset(uint64_t p, uint64_t d, uint64_t s, uint64_t t)
{
    return (uint32_t)mix64(mix64(opt.seed ^ p << 1 ^ d) ^ mix64(s) ^ t) & PAD_MASK;
}

static size_t message_head(char *out, uint64_t p, uint64_t d, uint64_t s, uint64_t t)
{
    size_t n = put_text(out, "{\"p\":");
    n += put_uint(out + n, p);
    n += put_text(out + n, ",\"d\":");
    n += put_uint(out + n, d);
    n += put_text(out + n, ",\"s\":");
    n += put_uint(out + n, s);
    n += put_text(out + n, ",\"t\":");
    n += put_uint(out + n, t);
    return n + put_text(out + n, ",\"pad\":\"");
}

void message_init(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 "
                                   ".:;=/";
    uint64_t x = opt.seed;
    size_t n = PAD_MASK + 1 + (size_t)opt.size;
    pad_text = xcalloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        x = mix64(x);
        pad_text[i] = alphabet[x % (sizeof alphabet - 1)];
    }
}

void message_add(struct packet *pk, uint64_t p, uint64_t d, uint64_t s, uint64_t t)
{
    size_t n = message_head(pk->data + pk->len, p, d, s, t);
    pk->len += n;
    packet_add(pk, pad_text + pad_offset(p, d, s, t), (size_t)opt.size - n - 2);
    packet_add(pk, "\"}", 2);
}

bool message_parse(struct slice m, struct message *out)
{
    struct js_walk w = { m.p, m.end, false };
    struct slice k, v, pad = { NULL, NULL };
    char head[160];
    int rc, have = 0;
    while ((rc = js_member(&w, &k, &v)) == 1) {
        if (slice_is(k, "p") && js_uint(v, &out->p))
            have |= 1;
        else if (slice_is(k, "d") && js_uint(v, &out->d))
            have |= 2;
        else if (slice_is(k, "s") && js_uint(v, &out->s))
            have |= 4;
        else if (slice_is(k, "t") && js_uint(v, &out->t))
            have |= 8;
        else if (slice_is(k, "pad") && *v.p == '"' && v.end - v.p >= 2)
            pad = (struct slice){ v.p + 1, v.end - 1 };
        else
            return false;
    }
    if (rc != 0 || js_space(w.p, w.end) != w.end || have != 15 || !pad.p)
        return false;
    long want = opt.size - 2 - (long)message_head(head, out->p, out->d, out->s, out->t);
    return pad.end - pad.p == want &&
           memcmp(pad.p, pad_text + pad_offset(out->p, out->d, out->s, out->t), (size_t)want) == 0;
}
