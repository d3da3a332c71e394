/* loop.h - the turn, over and over. */
#ifndef POLLUX_RUN_LOOP_H
#define POLLUX_RUN_LOOP_H

#include "core/core.h"
#include "host/host.h"

/* Serve until HOST is asked to stop or has nothing more to serve. */
void loop_run(struct host *h, struct core *c);

/* The last turns: take what the web server has handed over, and no more; answer that and all that
 * is held, so that clients ask again elsewhere or later. */
void loop_leave(struct host *h, struct core *c);

#endif
