/* loop.h - the turn, over and over. */
#ifndef POLLUX_RUN_LOOP_H
#define POLLUX_RUN_LOOP_H

#include "core/core.h"
#include "host/host.h"

/* Serve until HOST is asked to stop or has nothing more to serve. */
void loop_run(struct host *h, struct core *c);

/* The two halves of one turn, for who runs it by hand. Do what requests ask, what other processes
 * have stored if there is NEWS, and what is due at NOW; polls with something to hear are filled.
 * Nothing lasts yet, and no answer has left. Returns how many requests were taken. */
enum loop_news { LOOP_NO_NEWS, LOOP_NEWS };
size_t loop_take(struct host *h, struct core *c, int64_t now, enum loop_news news);

/* Make it last and send its answers; or answer that nothing came of it. */
void loop_end(struct host *h, struct core *c);

/* The last turns: take what the web server has handed over, and no more; answer that and all that
 * is held, so that clients ask again elsewhere or later. */
void loop_leave(struct host *h, struct core *c);

#endif
