/* hist.h - how long things took: a log-linear histogram (HDR style), 1024 steps an octave, which is
 * an error under 0.1 %; the maximum, the count and the sum are exact.
 */
#ifndef SIOBENCH_HIST_H
#define SIOBENCH_HIST_H

#include <stdint.h>

#define HIST_BITS  10
#define HIST_CELLS (36u << HIST_BITS)           /* up to 2^45 ns, about 9.7 hours */

/* Large: never on the stack. All zero: empty. */
struct hist { uint64_t n, max; double sum; uint64_t cell[HIST_CELLS]; };

void hist_add(struct hist *h, uint64_t ns);

/* In milliseconds; 0 when it is empty. */
double hist_ms(const struct hist *h, double percentile);
double hist_mean_ms(const struct hist *h);

#endif
