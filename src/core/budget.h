/* budget.h - who has used how much of this process's time lately: microseconds, which are forgiven
 * at a steady rate. A fixed number of accounts: where there are more who work, those who did least
 * lately are forgotten, which is to their advantage. Knows no clock. */
#ifndef POLLUX_CORE_BUDGET_H
#define POLLUX_CORE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#define BUDGET_BUCKETS 1024             /* a power of two */

struct budget {
    struct bucket {
        uint64_t whose;                 /* 0: free */
        int64_t used_us;                /* and not forgiven, at AT_MS */
        int64_t at_ms;
    } buckets[BUDGET_BUCKETS];
};

/* What WHOSE (not 0) has used at NOW, PER_MS microseconds being forgiven each millisecond. */
int64_t budget_used(const struct budget *b, uint64_t whose, int64_t now, int64_t per_ms);

/* It has worked for USED_US. */
void budget_spend(struct budget *b, uint64_t whose, int64_t now, int64_t per_ms, int64_t used_us);

#endif
