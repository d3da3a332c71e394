/* script.h - a host without a web server: its requests are given to it, and its answers are told
 * to whoever gave them. For tests, and for doing again what was recorded. The third kind besides
 * FastCGI and CGI, with the same promises: a request's pieces are lent until the next, and each is
 * answered once.
 */
#ifndef POLLUX_HOST_SCRIPT_H
#define POLLUX_HOST_SCRIPT_H

#include "host/host.h"

#define SCRIPT_GIVEN_MAX 16             /* requests in one turn */

/* Who hears what becomes of requests. N is the request's conn.fd; TEXT as in host_answer() and
 * host_begin(), empty where the request is dropped. */
struct script_listener {
    void (*answered)(void *arg, int n, struct span text);
    void (*begun)(void *arg, int n, struct span text);
    void *arg;
};

/* A scripted host; NULL: no memory. host_close() frees it, with all that it has not handed on. */
struct host *script_open(const struct script_listener *listener);

/* Let RQ come next, behind those that were given before. Its method, query and body are copied,
 * what else it points to is borrowed until it is answered or the turn ends. False: too many, or no
 * memory. */
bool script_give(struct host *h, const struct request *rq);

/* How many wait to be taken. */
size_t script_waiting(const struct host *h);

/* More requests wait at the web server than there are here, or no longer. */
void script_set_behind(struct host *h, bool behind);

#endif
