/* seen.h - which requests came already. A client gives each its own `t`, which is the same when a
 * browser, a proxy or the web server sends one again. Kept as hashes, for a while. */
#ifndef POLLUX_STORE_SEEN_H
#define POLLUX_STORE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* For so long at least, and twice that at most, unless so many others came meanwhile: then it is
 * the latest SEEN_MOST at least that are known. */
#define SEEN_MS 30000
#define SEEN_MOST 32768

struct mark {
    uint64_t whose;                     /* a number for what has its own sequence of t */
    uint64_t t;                         /* its hash */
};

/* Marks in an open hash; a slot whose t is 0 is free. */
struct seen_table {
    struct mark *slots;
    size_t count, cap;                  /* cap: 0 or a power of 2 */
};

/* All else zero: none. */
struct seen {
    uint64_t key;                       /* random, so that nobody can make marks that crowd */
    struct seen_table young, old;       /* what goes, goes with all of its age */
    int64_t since_ms;                   /* when the first of the young came */
};

/* What stands for a request whose t has the hash T, by base/hash.h, and its BODY; 0 if T is. */
uint64_t seen_hash_body(uint64_t t, struct span body);

bool seen_has(const struct seen *s, struct mark m);

/* M came at NOW, and had not been put in. Without a t it is not remembered. False: no memory. */
bool seen_put(struct seen *s, struct mark m, int64_t now);

/* None is known any more. */
void seen_clear(struct seen *s);

#endif
