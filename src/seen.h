/* seen.h - which requests of a session came already, by their `t`, which is the same when one comes
 * again. Kept as hashes: 64 bits of each, so that two different ones look alike once in 10^17. */
#ifndef POLLUX_SEEN_H
#define POLLUX_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* As many as a client whose answers take 6 ms asks in 400 ms: a copy that is later than that was
 * not made by a network. */
#define SEEN_MAX 64

struct seen {
    size_t count;
    uint64_t hash[SEEN_MAX];            /* newest first */
};

/* What stands for T; 0 for an empty one, and for no other. */
uint64_t seen_hash(struct span t);

/* Was HASH put in before, and not more than SEEN_MAX others since? 0 never was. */
bool seen_has(const struct seen *s, uint64_t hash);

/* Is it the newest? */
bool seen_last(const struct seen *s, uint64_t hash);

/* Put HASH in front; the oldest goes. */
void seen_put(struct seen *s, uint64_t hash);

/* As bytes, and back; what are not the bytes of such hashes count as none. */
struct span seen_bytes(const struct seen *s);
void seen_read(struct seen *s, struct span bytes);

#endif
