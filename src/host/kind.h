/* kind.h - what the kinds of host (fcgi.c, cgi.c, script.c) fill in for host.c, and nobody else
 * sees. */
#ifndef POLLUX_HOST_KIND_H
#define POLLUX_HOST_KIND_H

#include "host/host.h"

struct host {
    const struct host_engine *engine;   /* first member of each kind */
};

/* As the functions of the same names in host.h. */
struct host_engine {
    void (*close)(struct host *h);
    int (*watch)(struct host *h, int fd);
    void (*wait)(struct host *h, int timeout_ms, struct host_events *events);
    bool (*next)(struct host *h, struct request *rq);
    int (*postpone)(struct host *h, struct conn c);
    void (*resume)(struct host *h, int ticket, struct request *rq);
    void (*park)(struct host *h, struct conn c, int64_t key);
    bool (*gone)(struct host *h, int64_t *key, int *fd);
    bool (*behind)(const struct host *h);
    void (*answer)(struct host *h, struct conn c, bool parked, struct span text);
    bool (*begin)(struct host *h, struct conn c, struct span text);
    void (*complain)(struct host *h, struct conn c, struct span text);
    void (*stop)(struct host *h);
    bool (*idle)(const struct host *h);
    bool (*finished)(const struct host *h);
};

/* A descriptor that is readable when TERM or INT was sent; they interrupt nothing any more. -1
 * with errno. */
int host_signals(void);

/* Take one signal from it, so that it is no longer readable. */
void host_take_signal(int signals);

/* Fill RQ from CGI's VARIABLES, `NAME=value` each, the last NULL. Leaves conn and body alone.
 * Returns the body's length in bytes; 0 when none is given. */
size_t host_read_variables(struct request *rq, char *const *variables);

#endif
