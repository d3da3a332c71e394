/* seen.c - the last few requests' marks, newest first. */
#include "seen.h"

#include <string.h>

uint64_t seen_hash(struct span t)
{
    uint64_t hash = 0xcbf29ce484222325;         /* FNV-1a */

    if (t.len == 0)
        return 0;
    for (size_t i = 0; i < t.len; i++)
        hash = (hash ^ (unsigned char)t.p[i]) * 0x100000001b3;
    return hash != 0 ? hash : 1;
}

bool seen_has(const struct seen *s, uint64_t hash)
{
    for (size_t i = 0; hash != 0 && i < s->count; i++)
        if (s->hash[i] == hash)
            return true;
    return false;
}

bool seen_last(const struct seen *s, uint64_t hash)
{
    return hash != 0 && s->count != 0 && s->hash[0] == hash;
}

void seen_put(struct seen *s, uint64_t hash)
{
    if (s->count < SEEN_MAX)
        s->count++;
    memmove(s->hash + 1, s->hash, (s->count - 1) * sizeof s->hash[0]);
    s->hash[0] = hash;
}

struct span seen_bytes(const struct seen *s)
{
    return (struct span){ (const char *)s->hash, s->count * sizeof s->hash[0] };
}

void seen_read(struct seen *s, struct span bytes)
{
    s->count = bytes.len % sizeof s->hash[0] == 0 && bytes.len <= sizeof s->hash
                   ? bytes.len / sizeof s->hash[0]
                   : 0;
    if (s->count != 0)
        memcpy(s->hash, bytes.p, s->count * sizeof s->hash[0]);
}
