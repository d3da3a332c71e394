/* phases.h - the walk of a run: sessions come up (the ramp), traffic warms up, is measured, drains,
 * and all leave. One thread, one loop.
 */
#ifndef SIOBENCH_PHASES_H
#define SIOBENCH_PHASES_H

#include <signal.h>

/* How often the user has asked to stop. */
extern volatile sig_atomic_t stop_signals;

/* Walk from the first phase to PH_DONE, with the sessions that are in g. */
void phases_run(void);

#endif
