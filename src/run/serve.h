/* serve.h - the program at work: the store, the host and the core opened, and the loop run, in as
 * many processes as there are to be. */
#ifndef POLLUX_RUN_SERVE_H
#define POLLUX_RUN_SERVE_H

#include "base/log.h"
#include "base/settings.h"
#include "run/takeover.h"

struct server {
    struct settings set;
    struct program program;
};

/* Serve until told to end. Where that cannot be, do as serve_refusal() does; but where it was
 * started BY_HAND, return at once with a sentence in WHY, for whoever did. Returns the exit
 * status. */
int serve(struct server *server, bool by_hand, struct buf *why);

/* Answer all that is asked for with 503 for the reason CODE, which WHY explains to the operator; it
 * is empty afterwards. As soon as the program would start, it is started anew. Returns the exit
 * status: after a CGI request, and when it is to end. */
int serve_refusal(struct server *server, enum log_code code, struct buf *why);

#endif
