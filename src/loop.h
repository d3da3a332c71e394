/* loop.h - the turn, over and over. */
#ifndef POLLUX_LOOP_H
#define POLLUX_LOOP_H

#include "bell.h"
#include "core.h"
#include "host.h"

/* Serve until HOST is asked to stop or has nothing more to serve; then answer what is held. */
void loop_run(struct host *h, struct core *c, struct bell *b);

#endif
