/* seen.h - which requests of a session came already, by their `t`, which is the same when one comes
 * again. Kept as hashes: 48 bits of each, so that a new one looks like an old one once in 10^13
 * requests. All of a session's are written whenever it asks for something, so they are few bytes. */
#ifndef POLLUX_SEEN_H
#define POLLUX_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* As many as a client that asks eighty times a second asks in 400 ms: a copy that is later than
 * that was not made by a network. */
#define SEEN_MAX 32
#define SEEN_BYTES 6                    /* of each hash */

struct seen {
    size_t count;
    unsigned char marks[SEEN_MAX][SEEN_BYTES];  /* newest first, each with its high byte first */
};

/* What stands for T, 48 bits; 0 for an empty one, and for no other. */
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
