/* budget.c - buckets in sets of a few, by a hash of whose they are. */
#include "core/budget.h"

#define WAYS 8                          /* places that one may be in */

static struct bucket *set_of(const struct budget *b, uint64_t whose)
{
    uint64_t mixed = whose * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    return (struct bucket *)&b->buckets[mixed % (BUDGET_BUCKETS / WAYS) * WAYS];
}

/* What is not forgiven at NOW. */
static int64_t used_at(const struct bucket *k, int64_t now, int64_t per_ms)
{
    int64_t passed_ms = now > k->at_ms ? now - k->at_ms : 0;

    if (passed_ms > k->used_us)         /* long ago; and no product overflows */
        return 0;
    return k->used_us > passed_ms * per_ms ? k->used_us - passed_ms * per_ms : 0;
}

int64_t budget_used(const struct budget *b, uint64_t whose, int64_t now, int64_t per_ms)
{
    const struct bucket *set = set_of(b, whose);

    for (int i = 0; i < WAYS; i++)
        if (set[i].whose == whose)
            return used_at(&set[i], now, per_ms);
    return 0;
}

/* The bucket of WHOSE, or the one of its set that has used least. */
static struct bucket *take(struct budget *b, uint64_t whose, int64_t now, int64_t per_ms)
{
    struct bucket *set = set_of(b, whose), *least = &set[0];

    for (int i = 0; i < WAYS; i++) {
        if (set[i].whose == whose)
            return &set[i];
        if (used_at(&set[i], now, per_ms) < used_at(least, now, per_ms))
            least = &set[i];
    }
    *least = (struct bucket){ .whose = whose, .at_ms = now };
    return least;
}

void budget_spend(struct budget *b, uint64_t whose, int64_t now, int64_t per_ms, int64_t used_us)
{
    struct bucket *k = take(b, whose, now, per_ms);

    k->used_us = used_at(k, now, per_ms) + used_us;
    k->at_ms = now;
}
