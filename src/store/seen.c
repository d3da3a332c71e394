/* seen.c - marks of requests in two hashes, the young and the old. Once in a while the old go and
 * the young are the old ones: nothing is ever taken out one by one. */
#include "store/seen.h"

#include <stdlib.h>

#include "base/hash.h"

#define CAP_LEAST 64

uint64_t seen_hash_body(uint64_t t, struct span body)
{
    uint64_t hash = hash_on((t ^ body.len) * HASH_PRIME, body);

    return t == 0 ? 0 : hash != 0 ? hash : 1;
}

/* Where M is, or would be. */
static struct mark *find(const struct seen_table *table, struct mark m, uint64_t key)
{
    size_t mask = table->cap - 1;
    uint64_t mixed = m.t * (key | 1);

    mixed = ((mixed ^ mixed >> 29) + m.whose) * (key | 1);
    size_t i = (size_t)(mixed >> 32) & mask;
    while (table->slots[i].t != 0
           && (table->slots[i].t != m.t || table->slots[i].whose != m.whose))
        i = (i + 1) & mask;
    return &table->slots[i];
}

static bool has(const struct seen_table *table, struct mark m, uint64_t key)
{
    return table->count != 0 && find(table, m, key)->t != 0;
}

bool seen_has(const struct seen *s, struct mark m)
{
    return m.t != 0 && (has(&s->young, m, s->key) || has(&s->old, m, s->key));
}

static bool make_room(struct seen_table *table, uint64_t key)
{
    struct seen_table larger = { .count = table->count };

    if (table->count < table->cap / 2)
        return true;
    larger.cap = table->cap != 0 ? table->cap * 2 : CAP_LEAST;
    larger.slots = calloc(larger.cap, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < table->cap; i++)
        if (table->slots[i].t != 0)
            *find(&larger, table->slots[i], key) = table->slots[i];
    free(table->slots);
    *table = larger;
    return true;
}

/* The young grow old. */
static void age(struct seen *s)
{
    free(s->old.slots);
    s->old = s->young;
    s->young = (struct seen_table){ .cap = 0 };
}

bool seen_put(struct seen *s, struct mark m, int64_t now)
{
    if (m.t == 0)
        return true;
    if (s->young.count >= SEEN_MOST
        || (s->young.count != 0 && (now - s->since_ms >= SEEN_MS || now < s->since_ms)))
        age(s);
    if (!make_room(&s->young, s->key))
        return false;
    if (s->young.count++ == 0)
        s->since_ms = now;
    *find(&s->young, m, s->key) = m;
    return true;
}

void seen_clear(struct seen *s)
{
    free(s->young.slots);
    free(s->old.slots);
    *s = (struct seen){ .key = s->key };
}
