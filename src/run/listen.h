/* listen.h - how the program was started, which tells where its requests come from. */
#ifndef POLLUX_RUN_LISTEN_H
#define POLLUX_RUN_LISTEN_H

#include "base/buf.h"
#include "run/takeover.h"

/* Fill in how P serves and on what: the unix socket at the path SOCKET, which is opened, or, with
 * NULL, what a web server gave it. 0; -1 with a sentence in WHY. */
int listen_find(struct program *p, const char *socket, struct buf *why);

#endif
