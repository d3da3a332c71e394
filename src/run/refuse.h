/* refuse.h - a program that cannot serve says so to everybody who asks, until it could begin. */
#ifndef POLLUX_RUN_REFUSE_H
#define POLLUX_RUN_REFUSE_H

#include "base/log.h"
#include "host/host.h"

/* Can it begin by now? It may take some milliseconds. */
typedef bool refuse_again(void *arg);

/* Answer each request on H with 503 and what CODE means for visitors, and send WHY to the web
 * server's error log now and then. Returns when AGAIN(ARG), asked every few seconds for as long as
 * there are requests, is true; or, then false, when the process is to end, be it because WEB_SERVER
 * (-1: none) is readable, or since H has nothing more to answer. */
bool refuse(struct host *h, enum log_code code, struct span why, int web_server,
            refuse_again *again, void *arg);

#endif
