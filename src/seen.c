/* seen.c - the last few requests' marks, newest first. */
#include "seen.h"

#include <string.h>

uint64_t seen_hash(struct span t)
{
    uint64_t hash = 0xcbf29ce484222325;         /* FNV-1a, its ends folded together */

    if (t.len == 0)
        return 0;
    for (size_t i = 0; i < t.len; i++)
        hash = (hash ^ (unsigned char)t.p[i]) * 0x100000001b3;
    hash = (hash ^ hash >> 48) & 0xffffffffffff;
    return hash != 0 ? hash : 1;
}

static void to_bytes(uint64_t hash, unsigned char bytes[SEEN_BYTES])
{
    for (size_t i = SEEN_BYTES; i-- > 0; hash >>= 8)
        bytes[i] = (unsigned char)hash;
}

bool seen_has(const struct seen *s, uint64_t hash)
{
    unsigned char mark[SEEN_BYTES];

    to_bytes(hash, mark);
    for (size_t i = 0; hash != 0 && i < s->count; i++)
        if (memcmp(s->marks[i], mark, sizeof mark) == 0)
            return true;
    return false;
}

bool seen_last(const struct seen *s, uint64_t hash)
{
    unsigned char mark[SEEN_BYTES];

    to_bytes(hash, mark);
    return hash != 0 && s->count != 0 && memcmp(s->marks[0], mark, sizeof mark) == 0;
}

void seen_put(struct seen *s, uint64_t hash)
{
    if (s->count < SEEN_MAX)
        s->count++;
    memmove(s->marks[1], s->marks[0], (s->count - 1) * SEEN_BYTES);
    to_bytes(hash, s->marks[0]);
}

struct span seen_bytes(const struct seen *s)
{
    return (struct span){ (const char *)s->marks, s->count * SEEN_BYTES };
}

void seen_read(struct seen *s, struct span bytes)
{
    bool whole = bytes.len % SEEN_BYTES == 0 && bytes.len <= sizeof s->marks;

    s->count = whole ? bytes.len / SEEN_BYTES : 0;
    if (s->count != 0)
        memcpy(s->marks, bytes.p, bytes.len);
}
