/* budget.h - who has used how much of this process's time lately. Each has a bucket of microseconds that
 * fills at a steady rate and never beyond its brim; work is taken out of it, and who has nothing
 * left waits. A fixed number of buckets: where there are more who work, those who did least lately
 * are forgotten, which is to their advantage. Knows no clock. */
#ifndef POLLUX_BUDGET_H
#define POLLUX_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_BUCKETS 1024             /* a power of two */

struct budget {
    struct bucket {
        uint64_t whose;                 /* 0: free */
        int64_t used_us;                /* of the brim, at AT_MS */
        int64_t at_ms;
    } buckets[BUDGET_BUCKETS];
};

/* Has WHOSE (not 0) anything left at NOW, of a bucket that fills by PER_MS microseconds each
 * millisecond up to BRIM_US? */
bool budget_has(const struct budget *b, uint64_t whose, int64_t now, int64_t per_ms,
                int64_t brim_us);

/* It has worked for USED_US. */
void budget_spend(struct budget *b, uint64_t whose, int64_t now, int64_t per_ms, int64_t used_us);

#endif
