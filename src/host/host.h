/* host.h - where requests come from and answers go: a web server, by FastCGI or CGI; or a script.
 *
 * The host reads each request whole before it hands it on, then keeps nothing of it but the
 * connection, a handful of bytes. It knows no Socket.IO and no store.
 */
#ifndef POLLUX_HOST_HOST_H
#define POLLUX_HOST_HOST_H

#include "base/buf.h"

/* An unanswered request. Copy it freely; answer it once. */
struct conn {
    int fd;                     /* -1: none */
    uint16_t id;                /* FastCGI's request id */
    bool keep;                  /* the web server has more to ask there */
    bool kept;                  /* it had asked there before */
};

/* Why a request did not arrive whole. */
enum cut {
    CUT_NOT,                    /* it did */
    CUT_OFF,                    /* the web server broke off, or there was no memory for it */
    CUT_LATE,                   /* it took too long */
    CUT_CROWDED,                /* too many, or too large ones, were half here */
    CUT_HEAD                    /* its headers are too long */
};

/* A request's pieces are lent until the next host_next(). */
struct request {
    struct conn conn;
    struct span method;
    /* as the browser asked for it, without the query, percent-encoding undone by the server */
    struct span path;
    /* SCRIPT_NAME and PATH_INFO: together the path that the web server */
    struct span script;
    struct span path_info;      /* made of that one, where it rewrites addresses */
    struct span root;           /* the folder that is served: the document root; empty: not said */
    struct span query;
    struct span body;
    bool body_too_long;         /* longer than the host was told to read; BODY is empty */
    /* if it did not arrive whole, what there is of it counts for nothing */
    enum cut cut;
    struct span content_type;
    struct span origin;         /* the Origin header; empty: none */
    struct span host;           /* the Host header; some web servers leave out its port */
    uint16_t server_port;       /* which this is then; 0: not known */
    struct span fetch_site;     /* Sec-Fetch-Site: what the browser says of the page that asks */
    bool https;
    struct span address;        /* the client's network address */
    bool forwarded;             /* X-Forwarded-For is there: that may be a proxy's address */
    uint16_t port;              /* the client's, which tells its connections apart; 0: not known */
    struct span software;       /* the web server's name and version */
    struct span cors_headers;   /* Access-Control-Request-Headers */
    /* The web server asks once more: the process that had the request died without an answer. Of
     * what is asked again the body is lost. */
    bool again;
    /* The web server refused it with this status and asks what to say; 0: it did not. */
    int refused;
};

struct host;

/* What is to be known of a host's events besides requests. */
struct host_events {
    bool stop;                  /* asked to end: TERM, INT, or the listening socket is gone */
    bool watched;               /* the descriptor given to host_watch() is readable */
};

/* Serve FastCGI on the listening descriptor FD (made non-blocking). Longer bodies than MAX_BODY are
 * not kept. A request may take WHOLE_MS to come; no other one waits for it meanwhile. */
int host_open_fcgi(struct host **h, int fd, size_t max_body, int64_t whole_ms, struct buf *why);

/* Serve the one request that the environment and standard input describe. */
int host_open_cgi(struct host **h, size_t max_body, int64_t whole_ms, struct buf *why);
void host_close(struct host *h);

/* Wake for FD as well. */
int host_watch(struct host *h, int fd);

/* Sleep until there is something to do, at the latest until DEADLINE_MS; the only place that
 * sleeps. Sets *EVENTS and returns the time. */
int64_t host_wait(struct host *h, int64_t deadline_ms, struct host_events *events);

/* The next request that is there; false: none at present. */
bool host_next(struct host *h, struct request *rq);

/* The request that came last, on C, goes on later, and is kept whole until then. Returns a ticket,
 * or -1 without room or memory. */
#define HOST_POSTPONED_MAX 256
int host_postpone(struct host *h, struct conn c);

/* Fill RQ with the request of TICKET once more, as host_next() does; the ticket is used up. */
void host_resume(struct host *h, int ticket, struct request *rq);

/* A waiting request will be answered later: tell through host_gone() if its client goes. KEY
 * is whose it is. */
void host_park(struct host *h, struct conn c, int64_t key);

/* The parked requests whose connection has ended, each once: the key, and the descriptor, which
 * tells it from others of that key. Such a request is still to be answered or dropped. A hint:
 * some web servers never tell. */
bool host_gone(struct host *h, int64_t *key, int *fd);

/* May requests be waiting that were not read yet, though host_next() has no further one for this
 * turn? */
bool host_behind(const struct host *h);

/* Answer C with TEXT (headers and body as CGI has them; borrowed) and end it. PARKED: it went
 * through host_park(). Never waits for the web server to read. */
void host_answer(struct host *h, struct conn c, bool parked, struct span text);

/* Send TEXT, the first part of an answer to C, which is parked; host_answer() sends the rest. So
 * the web server, where it passes on what it has, tells of a client that has gone without its
 * being told. False: nothing was sent. */
bool host_begin(struct host *h, struct conn c, struct span text);

/* Tell the web server what is wrong, for its error log, before C is answered. Not for visitors. */
void host_complain(struct host *h, struct conn c, struct span text);

/* Take no further requests. */
void host_stop(struct host *h);

/* Have all answers left? And for CGI: has the one request been answered? */
bool host_idle(const struct host *h);
bool host_finished(const struct host *h);

/* The time in milliseconds since 1970. It never goes back nor leaps, not even when the machine's
 * clock is set, in this process and all that it forks once it was asked. */
int64_t host_now(void);

/* What host_now() adds to the time since boot; and a process that takes another's place sets it. */
int64_t host_clock(void);
void host_set_clock(int64_t offset_ms);

#endif
