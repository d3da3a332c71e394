/* host_fcgi.c - FastCGI through libfcgi, in one thread that never waits for one client. The only
 * file that sees fcgiapp.h.
 *
 * libfcgi reads a request, on a connection that was taken here; one through TCP it takes itself
 * from the non-blocking listening socket, since it knows who may connect (FCGI_WEB_SERVER_ADDRS).
 * Then, instead of keeping its 19 KB of streams and parameters while a poll waits, the request is
 * let go and only the connection and the request's id are kept; the answer is two or three records,
 * written here with one send(). That also spares FCGX_Finish_r()'s wait for the web server.
 *
 * Where the web server wants to keep a connection (nginx with fastcgi_keep_conn), it is watched for
 * its next request.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fastcgi.h>
#include <fcgiapp.h>

#include "host_engine.h"
#include "log.h"

/* requests a turn: enough for one commit to serve many, few enough to answer soon */
#define BATCH 64
#define EVENTS 64
#define RECORD_MAX 65528        /* content bytes of a record: 16 bits, a multiple of 8 */

/* What an epoll event is about: these, or a connection, by its descriptor. */
enum { TAG_LISTEN, TAG_BELL, TAG_SIGNAL, TAG_OUTPUT };
#define TAG_PARKED (UINT64_C(1) << 62)  /* of a parked request, and of nothing else */
#define TAG_KEPT (UINT64_C(1) << 63)

/* An answer that the socket would not take whole. */
struct output {
    struct conn conn;
    struct buf rest;
    size_t at;
    struct output *next;
};

struct fcgi {
    struct host host;
    int listen, epoll, signals;
    bool local;                 /* the listening socket is one in the file system */
    FCGX_Request request;       /* never moved while live: its streams point back at it */
    struct buf body, records;
    size_t max_body;
    unsigned taken;             /* requests since the last wait */
    bool stopped;
    struct output *outputs;
    struct { int64_t key; int fd; } gone[EVENTS];
    size_t gone_count;
    bool behind;                /* more events are there than were taken */
    int asking[EVENTS];         /* kept connections with a request */
    size_t asking_count;
    /* by descriptor: the key of the request that is parked there; of a kept connection what else
     * goes on there */
    int64_t *kept;
    size_t kept_cap;
};

/* How long a request of which a part has come may keep all others waiting for the next: web servers
 * send one in one go. */
#define HALF_S 2

/* Instead of the key of a parked request. */
enum { KEPT_BUSY = 0, KEPT_IDLE = -1, KEPT_GONE = -2 };

/* Connections inherit the limit of a listening socket for TCP, not of one in the file system. */
static bool limit_waiting(int fd)
{
    struct timeval limit = { HALF_S, 0 };

    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0;
}

static int epoll_put(struct fcgi *f, int op, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event e = { .events = events, .data = { .u64 = tag } };

    return epoll_ctl(f->epoll, op, fd, &e);
}

/* ---- kept connections: watched once, for whatever comes next */

/* Watch FD, which may be watched for something else (WATCHED tells whether that is likely). */
static bool watch(struct fcgi *f, int fd, bool watched, uint32_t events, uint64_t tag)
{
    return epoll_put(f, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, events, tag) == 0
           || epoll_put(f, watched ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, events, tag) == 0;
}

/* Watch the connection FD for its next request. */
static bool keep(struct fcgi *f, int fd, bool watched)
{
    return watch(f, fd, watched, EPOLLIN | EPOLLRDHUP, TAG_KEPT | (unsigned)fd);
}

static bool make_room(struct fcgi *f, int fd)
{
    size_t cap = f->kept_cap != 0 ? f->kept_cap : 64;

    if ((size_t)fd < f->kept_cap)
        return true;
    while (cap <= (size_t)fd)
        cap *= 2;
    int64_t *kept = realloc(f->kept, cap * sizeof *kept);
    if (kept == NULL)
        return false;
    memset(kept + f->kept_cap, 0, (cap - f->kept_cap) * sizeof *kept);
    f->kept = kept;
    f->kept_cap = cap;
    return true;
}

/* C's request is over. WATCHED: it is watched, but not for the next request. */
static void end_request(struct fcgi *f, struct conn c, bool watched)
{
    bool gone = c.kept && f->kept[c.fd] == KEPT_GONE;
    bool idle = c.keep && !gone && !f->stopped && make_room(f, c.fd)
                && ((c.kept && !watched) || keep(f, c.fd, watched));

    if ((size_t)c.fd < f->kept_cap)
        f->kept[c.fd] = KEPT_BUSY;
    if (idle)
        f->kept[c.fd] = KEPT_IDLE;
    else
        close(c.fd);
}

static void tell_gone(struct fcgi *f, int fd, int64_t key)
{
    f->gone[f->gone_count].key = key;
    f->gone[f->gone_count++].fd = fd;
}

static void close_idle(struct fcgi *f)
{
    for (size_t fd = 0; fd < f->kept_cap; fd++)
        if (f->kept[fd] == KEPT_IDLE) {
            f->kept[fd] = KEPT_BUSY;
            close((int)fd);
        }
    f->asking_count = 0;
}

/* On the kept connection FD the web server asks something, or has closed it. */
static void hear_kept(struct fcgi *f, int fd, uint32_t events)
{
    bool gone = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    int64_t key = f->kept[fd];

    if (key == KEPT_IDLE && !gone) {
        f->asking[f->asking_count++] = fd;
    } else if (key == KEPT_IDLE) {
        f->kept[fd] = KEPT_BUSY;
        close(fd);
    } else {                            /* told once: it is about to be answered or dropped */
        epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
        f->kept[fd] = KEPT_GONE;
        if (key > 0)
            tell_gone(f, fd, key);
    }
}

/* ---- requests in */

/* Read the request's body of WANT bytes to its end, keeping up to max_body bytes of it. */
static void read_body(struct fcgi *f, struct request *rq, size_t want)
{
    char rest[4096];

    buf_clear(&f->body);
    if (want > 0 && want <= f->max_body) {
        char *room = buf_room(&f->body, want);
        int got = room != NULL ? FCGX_GetStr(room, (int)want, f->request.in) : 0;
        if (got > 0)
            buf_used(&f->body, (size_t)got);
        rq->cut = f->body.len != want;
    } else if (want > f->max_body) {
        rq->body_too_long = true;
    }
    while (FCGX_GetStr(rest, sizeof rest, f->request.in) > 0)
        ;
}

/* Copy what the request lends from libfcgi's parameters, behind the body: they go when the request
 * is let go. */
static void keep_request(struct fcgi *f, struct request *rq)
{
    struct span *const spans[] = { &rq->method,   &rq->path,         &rq->query,
                                   &rq->origin,   &rq->host,         &rq->fetch_site,
                                   &rq->address,  &rq->content_type, &rq->cors_headers,
                                   &rq->software, &rq->script,       &rq->path_info };
    size_t count = sizeof spans / sizeof spans[0], body_len = f->body.len, len = 0;

    for (size_t i = 0; i < count; i++)
        len += spans[i]->len;
    if (buf_room(&f->body, len) == NULL) {
        *rq = (struct request){ .conn = rq->conn, .cut = true };
        return;
    }
    rq->body = (struct span){ f->body.data, body_len };         /* which moves no more */
    for (size_t i = 0; i < count; i++) {
        const char *copy = f->body.data + f->body.len;
        buf_add_span(&f->body, *spans[i]);
        spans[i]->p = copy;
    }
}

/* Let libfcgi forget the request, but keep its connection open. */
static void let_go(struct fcgi *f)
{
    FCGX_Free(&f->request, 0);
    f->request.ipcFd = -1;
}

/* Let libfcgi read a request from the connection FD. False: there was none, and it closed it. */
static bool read_from(struct fcgi *f, int fd)
{
    f->request.ipcFd = fd;
    f->request.keepConnection = 1;      /* else it begins by closing it */
    f->request.listen_sock = -1;        /* else it would go on to accept another */
    int code = FCGX_Accept_r(&f->request);
    f->request.listen_sock = f->listen;
    return code >= 0;
}

static bool read_kept(struct fcgi *f, int fd)
{
    f->kept[fd] = KEPT_BUSY;
    return read_from(f, fd);
}

/* Connections through a Unix socket are taken here, with a limit of time each. Returns 0 with a
 * request, or what stands in the way of one, as FCGX_Accept_r() does. */
static int take_local(struct fcgi *f)
{
    int fd;

    while ((fd = accept4(f->listen, NULL, NULL, SOCK_CLOEXEC)) != -1)
        if (!limit_waiting(fd))
            close(fd);
        else if (read_from(f, fd))
            return 0;
    return -errno;
}

static bool read_new(struct fcgi *f)
{
    int code = f->local ? take_local(f) : FCGX_Accept_r(&f->request);

    if (code >= 0)
        return true;
    if (code == -EMFILE || code == -ENFILE)
        close_idle(f);
    if (code != -EAGAIN && code != -EWOULDBLOCK && code != -EINTR && code != -ECONNABORTED)
        log_line(LOG_WARNING, "P201", "host", NULL,
                 "cannot take a request: %s; it will be tried again", strerror(-code));
    return false;
}

static bool fcgi_next(struct host *h, struct request *rq)
{
    struct fcgi *f = (struct fcgi *)h;
    bool kept = false;

    if (f->stopped || f->taken == BATCH)
        return false;
    while (!kept && f->asking_count != 0)
        kept = read_kept(f, f->asking[--f->asking_count]);
    if (!kept && !read_new(f))
        return false;
    f->taken++;
    *rq = (struct request){ .conn = { f->request.ipcFd, (uint16_t)f->request.requestId,
                                      f->request.keepConnection != 0, kept } };
    read_body(f, rq, host_read_variables(rq, f->request.envp));
    keep_request(f, rq);
    let_go(f);
    return true;
}

/* ---- answers out */

static void add_record(struct buf *out, unsigned type, uint16_t id, const char *content, size_t len)
{
    FCGI_Header header = { FCGI_VERSION_1,
                           (unsigned char)type,
                           (unsigned char)(id >> 8),
                           (unsigned char)id,
                           (unsigned char)(len >> 8),
                           (unsigned char)len,
                           0,
                           0 };

    buf_add(out, &header, sizeof header);
    buf_add(out, content, len);
}

static void write_part(struct buf *out, uint16_t id, struct span text)
{
    for (size_t at = 0; at < text.len; at += RECORD_MAX)
        add_record(out, FCGI_STDOUT, id, text.p + at,
                   text.len - at < RECORD_MAX ? text.len - at : RECORD_MAX);
}

static void write_records(struct buf *out, uint16_t id, struct span text)
{
    static const FCGI_EndRequestBody end = { 0, 0, 0, 0, FCGI_REQUEST_COMPLETE, { 0 } };

    write_part(out, id, text);
    add_record(out, FCGI_STDOUT, id, NULL, 0);
    add_record(out, FCGI_END_REQUEST, id, (const char *)&end, sizeof end);
}

/* Remember what the socket did not take, and wake when it will. False without memory. */
static bool keep_output(struct fcgi *f, struct conn c, bool parked, struct span rest)
{
    struct output *o = calloc(1, sizeof *o);

    if (o == NULL)
        return false;
    buf_add_span(&o->rest, rest);
    o->conn = c;
    if (!buf_ok(&o->rest) ||
        !watch(f, c.fd, parked || c.kept, EPOLLOUT, TAG_OUTPUT)) {
        buf_release(&o->rest);
        free(o);
        return false;
    }
    o->next = f->outputs;
    f->outputs = o;
    return true;
}

/* The first part is short: what does not fit into the socket at once never will. */
static bool fcgi_begin(struct host *h, struct conn c, struct span text)
{
    struct buf *out = &((struct fcgi *)h)->records;

    buf_clear(out);
    write_part(out, c.id, text);
    if (!buf_ok(out))
        return false;
    ssize_t sent = send(c.fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0 && (size_t)sent < out->len)
        shutdown(c.fd, SHUT_RDWR);      /* in the middle of a record: it is of no use any more */
    return sent > 0;
}

static void fcgi_answer(struct host *h, struct conn c, bool parked, struct span text)
{
    struct fcgi *f = (struct fcgi *)h;
    struct buf *out = &f->records;

    buf_clear(out);
    write_records(out, c.id, text);
    ssize_t sent = buf_ok(out) ? send(c.fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (sent == -1 && errno != EAGAIN) {        /* the web server has gone: so has its client */
        c.keep = false;
        sent = (ssize_t)out->len;
    }
    if (sent == -1)
        sent = 0;
    struct span rest = { out->data + sent, buf_ok(out) ? out->len - (size_t)sent : 0 };
    c.keep = c.keep && buf_ok(out);
    if (rest.len == 0)
        end_request(f, c, parked && !c.kept);
    else if (!keep_output(f, c, parked, rest))
        end_request(f, (struct conn){ c.fd, c.id, false, c.kept }, false);
}

/* Write on where a socket has room again. True when the answer is out, or cannot ever be: then its
 * connection is not kept. */
static bool continue_output(struct output *o)
{
    ssize_t sent =
        send(o->conn.fd, o->rest.data + o->at, o->rest.len - o->at, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent == -1 && errno == EAGAIN)
        return false;
    if (sent == -1) {
        o->conn.keep = false;
        return true;
    }
    o->at += (size_t)sent;
    return o->at == o->rest.len;
}

static void continue_outputs(struct fcgi *f)
{
    struct output **link = &f->outputs;

    while (*link != NULL) {
        struct output *o = *link;
        if (continue_output(o)) {
            *link = o->next;
            end_request(f, o->conn, true);
            buf_release(&o->rest);
            free(o);
        } else {
            link = &o->next;
        }
    }
}

/* ---- waiting */

/* Watched once, so this is the only time. */
static void hear_parked(struct fcgi *f, int fd)
{
    tell_gone(f, fd, f->kept[fd]);
}

static void fcgi_wait(struct host *h, int timeout_ms, struct host_events *events)
{
    struct fcgi *f = (struct fcgi *)h;
    struct epoll_event ready[EVENTS];
    int count = epoll_wait(f->epoll, ready, EVENTS, timeout_ms);

    f->taken = 0;
    f->gone_count = f->asking_count = 0;
    f->behind = count == EVENTS;
    for (int i = 0; i < count; i++)
        switch (ready[i].data.u64) {
        case TAG_LISTEN:
            if (ready[i].events & (EPOLLERR | EPOLLHUP))
                events->stop = true;
            break;
        case TAG_BELL:
            events->bell = true;
            break;
        case TAG_SIGNAL:
            events->stop = true;
            host_take_signal(f->signals);
            break;
        case TAG_OUTPUT:
            continue_outputs(f);
            break;
        default:
            if (ready[i].data.u64 & TAG_KEPT)
                hear_kept(f, (int)(ready[i].data.u64 & INT_MAX), ready[i].events);
            else
                hear_parked(f, (int)(ready[i].data.u64 & INT_MAX));
        }
}

static int fcgi_watch(struct host *h, int fd)
{
    struct fcgi *f = (struct fcgi *)h;

    return epoll_put(f, EPOLL_CTL_ADD, fd, EPOLLIN, TAG_BELL);
}

static void fcgi_park(struct host *h, struct conn c, int64_t key)
{
    struct fcgi *f = (struct fcgi *)h;

    /* Without it the poll is held just the same; it has a deadline. Told once: it is about to be
     * answered or dropped. */
    if (!make_room(f, c.fd))
        return;
    f->kept[c.fd] = key;
    if (!c.kept)
        epoll_put(f, EPOLL_CTL_ADD, c.fd, EPOLLRDHUP | EPOLLONESHOT, TAG_PARKED | (unsigned)c.fd);
}

static bool fcgi_gone(struct host *h, int64_t *key, int *fd)
{
    struct fcgi *f = (struct fcgi *)h;

    if (f->gone_count == 0)
        return false;
    f->gone_count--;
    *key = f->gone[f->gone_count].key;
    *fd = f->gone[f->gone_count].fd;
    return true;
}

static bool fcgi_behind(const struct host *h)
{
    const struct fcgi *f = (const struct fcgi *)h;

    return !f->stopped && (f->behind || f->taken == BATCH);
}

static void fcgi_stop(struct host *h)
{
    struct fcgi *f = (struct fcgi *)h;

    if (f->stopped)
        return;
    f->stopped = true;
    close_idle(f);
    epoll_ctl(f->epoll, EPOLL_CTL_DEL, f->listen, NULL);
    close(f->listen);                   /* else what comes would wait for nobody */
}

static bool fcgi_idle(const struct host *h)
{
    return ((const struct fcgi *)h)->outputs == NULL;
}

static bool fcgi_finished(const struct host *h)
{
    const struct fcgi *f = (const struct fcgi *)h;

    return f->stopped && f->outputs == NULL;
}

static void fcgi_close(struct host *h)
{
    struct fcgi *f = (struct fcgi *)h;

    while (f->outputs != NULL) {
        struct output *o = f->outputs;
        f->outputs = o->next;
        close(o->conn.fd);
        buf_release(&o->rest);
        free(o);
    }
    if (f->signals != -1)
        close(f->signals);
    if (f->epoll != -1)
        close(f->epoll);
    buf_release(&f->body);
    buf_release(&f->records);
    close_idle(f);
    free(f->kept);
    free(f);
}

/* ---- opening */

static const struct host_engine engine = {
    .close = fcgi_close,
    .watch = fcgi_watch,
    .wait = fcgi_wait,
    .next = fcgi_next,
    .park = fcgi_park,
    .gone = fcgi_gone,
    .behind = fcgi_behind,
    .answer = fcgi_answer,
    .begin = fcgi_begin,
    .stop = fcgi_stop,
    .idle = fcgi_idle,
    .finished = fcgi_finished,
};

static int explain(struct buf *why, const char *operation)
{
    buf_addf(why, "cannot %s: %s", operation, strerror(errno));
    return -1;
}

static int set_up(struct fcgi *f, struct buf *why)
{
    int flags = fcntl(f->listen, F_GETFL);
    struct sockaddr address = { 0 };
    socklen_t len = sizeof address;

    /* Before FCGX_Init(), which puts handlers of its own where there are none. */
    if ((f->signals = host_signals()) == -1)
        return explain(why, "watch for signals");
    if (FCGX_Init() != 0
        || FCGX_InitRequest(&f->request, f->listen, FCGI_FAIL_ACCEPT_ON_INTR) != 0) {
        buf_add_text(why, "cannot start the FastCGI library");
        return -1;
    }
    f->request.ipcFd = -1;
    if (flags == -1 || fcntl(f->listen, F_SETFL, flags | O_NONBLOCK) == -1)
        return explain(why, "make the listening socket non-blocking");
    if (getsockname(f->listen, &address, &len) == -1 || !limit_waiting(f->listen))
        return explain(why, "set up the listening socket");
    f->local = address.sa_family == AF_UNIX;
    if ((f->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
        return explain(why, "create an event queue");
    if (epoll_put(f, EPOLL_CTL_ADD, f->listen, EPOLLIN | EPOLLEXCLUSIVE, TAG_LISTEN) == -1 ||
        epoll_put(f, EPOLL_CTL_ADD, f->signals, EPOLLIN, TAG_SIGNAL) == -1)
        return explain(why, "watch the listening socket");
    return 0;
}

int host_open_fcgi(struct host **out, int fd, size_t max_body, struct buf *why)
{
    struct fcgi *f = calloc(1, sizeof *f);

    *out = NULL;
    if (f == NULL) {
        buf_add_text(why, "cannot serve FastCGI: out of memory");
        return -1;
    }
    f->host.engine = &engine;
    f->listen = fd;
    f->epoll = f->signals = -1;
    f->max_body = max_body;
    if (set_up(f, why) == -1) {
        fcgi_close(&f->host);
        return -1;
    }
    *out = &f->host;
    return 0;
}
