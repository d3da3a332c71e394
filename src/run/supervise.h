/* supervise.h - workers on one listening socket, and a process that sees to it that there are as
 * many as there should be. */
#ifndef POLLUX_RUN_SUPERVISE_H
#define POLLUX_RUN_SUPERVISE_H

#include <stdbool.h>

#include "run/takeover.h"

/* Fork COUNT workers, each running WORK(ARG) and ending with what it returns, and one process that
 * runs KEEP(ARG) and may be ended at any time. One that dies is replaced at once: what is asked
 * meanwhile waits in the socket's queue. TERM or INT, or the end of the web server that started
 * PROGRAM: end them in order. HUP: start the program anew, in this process, and end the old workers
 * in order; if it would not start, say so and go on. Returns the exit status: 0 after an orderly
 * end. */
int supervise(struct program *program, int count, int (*work)(void *arg), int (*keep)(void *arg),
              void *arg);

/* In a worker that was told to end: if that is because the supervisor died, see to it that there is
 * another one. */
void supervise_succeed(const struct program *program);

#endif
