/* hist.c - a histogram of times; see hist.h. */
#include "hist.h"

#include <math.h>

#define HIST_OCTAVE (1u << HIST_BITS)

static unsigned hist_index(uint64_t v)
{
    if (v < HIST_OCTAVE)
        return (unsigned)v;
    unsigned e = 63u - (unsigned)__builtin_clzll(v) - HIST_BITS;
    unsigned i = ((e + 1) << HIST_BITS) + (unsigned)((v >> e) - HIST_OCTAVE);
    return i < HIST_CELLS ? i : HIST_CELLS - 1;
}

static uint64_t hist_value(unsigned i)          /* middle of cell i */
{
    if (i < HIST_OCTAVE)
        return i;
    unsigned e = (i >> HIST_BITS) - 1;
    uint64_t low = (uint64_t)((i & (HIST_OCTAVE - 1)) + HIST_OCTAVE) << e;
    return low + (((uint64_t)1 << e) >> 1);
}

void hist_add(struct hist *h, uint64_t v)
{
    h->n++;
    h->sum += (double)v;
    if (v > h->max)
        h->max = v;
    h->cell[hist_index(v)]++;
}

double hist_ms(const struct hist *h, double percentile)
{
    uint64_t rank = (uint64_t)ceil(percentile / 100.0 * (double)h->n), seen = 0;
    if (h->n == 0)
        return 0;
    if (rank < 1)
        rank = 1;
    for (unsigned i = 0; i < HIST_CELLS; i++) {
        seen += h->cell[i];
        if (seen >= rank) {
            uint64_t v = hist_value(i);
            return (double)(v < h->max ? v : h->max) / 1e6;
        }
    }
    return (double)h->max / 1e6;
}

double hist_mean_ms(const struct hist *h)
{
    return h->n ? h->sum / (double)h->n / 1e6 : 0;
}
