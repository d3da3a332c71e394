/* hash.h - FNV-1a of 64 bits: for places in tables, and for what is compared and not kept.
 * Strangers can make texts of the same hash: a table that they fill needs a key besides. */
#ifndef POLLUX_BASE_HASH_H
#define POLLUX_BASE_HASH_H

#include <stdint.h>

#include "base/buf.h"

#define HASH_BASIS UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* HASH, which begins as HASH_BASIS, and TEXT behind what it is of. */
static inline uint64_t hash_on(uint64_t hash, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * HASH_PRIME;
    return hash;
}

/* What stands for TEXT; 0 for an empty one, and for no other. */
static inline uint64_t hash_of(struct span text)
{
    uint64_t hash = hash_on(HASH_BASIS, text);

    return text.len == 0 ? 0 : hash != 0 ? hash : 1;
}

#endif
