/* fcgi.c - FastCGI, in one thread that never waits for one client.
 *
 * A request whose records are all there is read with one recv(), into memory that every such
 * request uses. If a part is missing, what has come moves into a struct half, and the connection
 * is watched for the rest; nobody waits for it. A half that is late, or one too many, is answered
 * so, or dropped with its connection if not even its variables have come.
 *
 * While a poll waits only the connection and the request's id are kept; the answer is two or three
 * records, written here with one send().
 *
 * Where the web server wants to keep a connection (nginx with fastcgi_keep_conn), it is watched for
 * its next request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/half.h"
#include "host/kind.h"
#include "base/log.h"

/* requests a turn: enough for one commit to serve many, few enough to answer soon */
#define BATCH 64
#define EVENTS 64
#define INPUT 65536             /* bytes of a recv(): nearly every request is shorter */
#define INPUT_TURN (4 * INPUT)  /* of one connection in a turn */
#define FRESH_MS 1
#define FULL_MS 100             /* before a connection is tried again for which there was no room */
#define LATE_STEP_MS 250        /* how late it may be noticed that a request is late */

/* What an epoll event is about: these, or a connection, by its descriptor. */
enum { TAG_LISTEN, TAG_BELL, TAG_SIGNAL, TAG_OUTPUT };
#define TAG_HALF (UINT64_C(1) << 61)    /* of a request that is half here, by its slot */
#define TAG_PARKED (UINT64_C(1) << 62)  /* of a parked request, and of nothing else */
#define TAG_KEPT (UINT64_C(1) << 63)

/* An answer that the socket would not take whole. */
struct output {
    struct conn conn;
    struct buf rest;
    size_t at;
    struct output *next;
};

/* A whole request that goes on later. */
struct postponed {
    struct records in;
    struct conn conn;
};

struct fcgi {
    struct host host;
    int listen, epoll, signals;
    const char *web_servers;    /* addresses that may connect through TCP; NULL: any */
    struct records in;          /* the request that was handed on last, or a part of the next */
    struct postponed *postponed[HOST_POSTPONED_MAX];    /* by their tickets; NULL: free */
    struct halves halves;
    struct buf records;
    size_t max_body;
    unsigned taken;             /* new connections since the last wait */
    int fresh[BATCH];           /* those of them on which nothing has come */
    size_t fresh_count;
    bool drained;               /* there is no other new one in this turn */
    bool handed_on;             /* there was a request in this turn */
    int64_t full_ms;            /* until then no new one is looked for, for want of room; or 0 */
    int64_t look_ms;            /* when to look for late halves */
    bool stopped;
    struct output *outputs;
    struct { int64_t key; int fd; } gone[EVENTS];
    size_t gone_count;
    bool behind;                /* more events are there than were taken */
    /* kept connections, or -1 - slot of a half, with something to read */
    int asking[EVENTS];
    size_t asking_count;
    /* by descriptor: the key of the request that is parked there; of a kept connection what else
     * goes on there */
    int64_t *kept;
    size_t kept_cap;
    char input[INPUT];
};

/* Instead of the key of a parked request. */
enum { KEPT_BUSY = 0, KEPT_IDLE = -1, KEPT_GONE = -2 };

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

/* Watch the connection FD for its next request: so far it is watched for something else, or not. */
enum watching { WATCHED_NOT, WATCHED_ELSE };

static bool keep(struct fcgi *f, int fd, enum watching watching)
{
    return watch(f, fd, watching == WATCHED_ELSE, EPOLLIN | EPOLLRDHUP, TAG_KEPT | (unsigned)fd);
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

/* C's request is over. */
static void end_request(struct fcgi *f, struct conn c, enum watching watching)
{
    bool gone = c.kept && f->kept[c.fd] == KEPT_GONE;
    bool idle = c.keep && !gone && !f->stopped && make_room(f, c.fd)
                && ((c.kept && watching == WATCHED_NOT) || keep(f, c.fd, watching));

    if ((size_t)c.fd < f->kept_cap)
        f->kept[c.fd] = KEPT_BUSY;
    if (idle) {
        f->kept[c.fd] = KEPT_IDLE;
    } else {
        close(c.fd);
        f->full_ms = f->full_ms != 0 ? 1 : 0;   /* there is room for another */
    }
}

static void tell_gone(struct fcgi *f, int fd, int64_t key)
{
    f->gone[f->gone_count].key = key;
    f->gone[f->gone_count++].fd = fd;
}

/* True: there were any. */
static bool close_idle(struct fcgi *f)
{
    bool any = false;

    for (size_t fd = 0; fd < f->kept_cap; fd++)
        if (f->kept[fd] == KEPT_IDLE) {
            f->kept[fd] = KEPT_BUSY;
            close((int)fd);
            any = true;
        }
    f->asking_count = 0;
    return any;
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

/* ---- requests in: new connections, kept ones, and halves */

/* A web server may be told that its request is given up; it is not waited for. */
static bool send_replies(struct records *in, int fd)
{
    size_t len = in->replies.len;
    bool sent = len == 0
                || (buf_ok(&in->replies)
                    && send(fd, in->replies.data, len,
                            MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);

    buf_clear(&in->replies);
    return sent;
}

enum arrival { ARRIVAL_MORE, ARRIVAL_WHOLE, ARRIVAL_BROKEN };

/* What came, LEN bytes of f->input, belongs to IN. What lies behind a whole request cannot be
 * asked in time: the web server is to ask it on another connection. */
static enum arrival take_input(struct fcgi *f, struct records *in, int fd, size_t len)
{
    struct span bytes = { f->input, len };
    enum record_state state = records_take(in, &bytes);

    in->keep = in->keep && bytes.len == 0;
    if (!send_replies(in, fd) || state == RECORDS_OVER) {
        in->head_whole = false;                 /* nothing that is worth an answer */
        return ARRIVAL_BROKEN;
    }
    return state == RECORDS_WHOLE ? ARRIVAL_WHOLE : ARRIVAL_MORE;
}

/* Read what there is on FD into IN. */
static enum arrival receive(struct fcgi *f, struct records *in, int fd)
{
    enum arrival arrival = ARRIVAL_MORE;

    for (size_t all = 0; arrival == ARRIVAL_MORE && all < (size_t)INPUT_TURN; all += INPUT) {
        ssize_t got = recv(fd, f->input, INPUT, MSG_DONTWAIT);
        if (got == -1 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0)
            return ARRIVAL_BROKEN;
        arrival = take_input(f, in, fd, (size_t)got);
        if (got < INPUT)
            break;
    }
    return arrival;
}

/* Hand on the request that is in f->in, read from FD; WHY: or what there is of it. */
static bool hand_on(struct fcgi *f, int fd, bool kept, enum cut why, struct request *rq)
{
    const struct records *in = &f->in;

    if (!in->head_whole) {
        close(fd);
        return false;
    }
    *rq = (struct request){ .conn = { fd, in->id, in->keep && why == CUT_NOT, kept } };
    size_t want = host_read_variables(rq, records_variables(in));
    f->handed_on = true;
    if (in->head_too_long || !buf_ok(&in->head) || !buf_ok(&in->variables))
        rq->cut = in->head_too_long ? CUT_HEAD : CUT_OFF;
    else if (want > f->max_body)
        rq->body_too_long = true;
    else if (why == CUT_NOT && (!buf_ok(&in->body) || in->body.len < want))
        rq->cut = CUT_OFF;
    else
        rq->cut = why;
    if (!rq->body_too_long && rq->cut == CUT_NOT)
        rq->body = (struct span){ in->body.data, want };
    return true;
}

/* A stranger can make this happen as often as it likes. */
static void say_given_up(enum cut why)
{
    if (why == CUT_LATE)
        log_often(P202, NULL, "gave up a request that came too slowly; see request_timeout_ms");
    else if (why == CUT_CROWDED)
        log_often(P203, NULL,
                  "gave up a request for which there was no room beside those that are half here");
}

/* The half in SLOT is no more; its request is in f->in. A connection that is kept is watched for
 * what the web server asks next, or for its end. */
static bool end_half(struct fcgi *f, int slot, enum cut why, struct request *rq)
{
    int fd = f->halves.slot[slot]->fd;
    bool kept = f->halves.slot[slot]->kept;

    halves_take(&f->halves, slot, &f->in);
    say_given_up(why);
    if (kept)
        keep(f, fd, WATCHED_ELSE);
    else
        epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
    return hand_on(f, fd, kept, why, rq);
}

/* Something has come of the half in SLOT: is there room for it? */
static bool has_room(struct fcgi *f, int slot)
{
    const struct half *half = f->halves.slot[slot];
    struct request rq = { .conn = { -1, 0 } };

    if (half->in.head_whole && !half->admitted)
        host_read_variables(&rq, records_variables(&half->in));
    return halves_grown(&f->halves, slot, rq.address);
}

/* What has come on FD is not whole: wait for the rest, if there is room. True: it is to be answered
 * that there is none. */
static bool hold_half(struct fcgi *f, int fd, bool kept, struct request *rq)
{
    int slot = halves_add(&f->halves, &f->in, fd, kept, host_now());

    if (slot == -1) {
        say_given_up(CUT_CROWDED);
        return hand_on(f, fd, kept, CUT_CROWDED, rq);
    }
    if (watch(f, fd, kept, EPOLLIN | EPOLLRDHUP, TAG_HALF | (unsigned)slot) && has_room(f, slot))
        return false;
    return end_half(f, slot, CUT_CROWDED, rq);
}

/* Hear the first part of a request on FD, which nearly always is all of it. True: it is to be
 * answered. FIRST_FRESH: FD has just been taken, and its web server may be about to write. */
enum first { FIRST, FIRST_FRESH, FIRST_KEPT };

static bool hear_first(struct fcgi *f, int fd, enum first first, struct request *rq)
{
    bool kept = first == FIRST_KEPT;
    records_clear(&f->in);
    enum arrival arrival = receive(f, &f->in, fd);
    bool nothing = arrival == ARRIVAL_MORE && records_at_rest(&f->in);

    if (kept && nothing)
        f->kept[fd] = KEPT_IDLE;
    else if (first == FIRST_FRESH && nothing)
        f->fresh[f->fresh_count++] = fd;
    else if (arrival == ARRIVAL_MORE)
        return hold_half(f, fd, kept, rq);
    else
        return hand_on(f, fd, kept, arrival == ARRIVAL_WHOLE ? CUT_NOT : CUT_OFF, rq);
    return false;
}

/* Of the half in SLOT nothing had come; now it begins, and nearly always is whole at once. */
static bool hear_begin(struct fcgi *f, int slot, struct request *rq)
{
    int fd = f->halves.slot[slot]->fd;

    halves_drop(&f->halves, slot);
    epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
    return hear_first(f, fd, FIRST, rq);
}

static bool hear_half(struct fcgi *f, int slot, struct request *rq)
{
    struct half *half = f->halves.slot[slot];

    if (half == NULL)
        return false;
    if (records_at_rest(&half->in))
        return hear_begin(f, slot, rq);
    switch (receive(f, &half->in, half->fd)) {
    case ARRIVAL_WHOLE:
        return end_half(f, slot, CUT_NOT, rq);
    case ARRIVAL_BROKEN:
        return end_half(f, slot, CUT_OFF, rq);
    default:
        return !has_room(f, slot) && end_half(f, slot, CUT_CROWDED, rq);
    }
}

static bool hear_asking(struct fcgi *f, int asking, struct request *rq)
{
    if (asking < 0)
        return hear_half(f, -1 - asking, rq);
    f->kept[asking] = KEPT_BUSY;
    return hear_first(f, asking, FIRST_KEPT, rq);
}

/* The next of those whose time is over. */
static bool next_late(struct fcgi *f, struct request *rq)
{
    int64_t now = f->halves.count != 0 ? host_now() : 0;
    int slot;

    while (now >= f->look_ms && (slot = halves_late(&f->halves, now)) != -1)
        if (end_half(f, slot, CUT_LATE, rq))
            return true;
    if (now >= f->look_ms)
        f->look_ms = now + LATE_STEP_MS;
    return false;
}

/* May the web server with this address connect? FCGI_WEB_SERVER_ADDRS lists those that may. */
static bool may_connect(const struct fcgi *f, const struct sockaddr_storage *from)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;
    char text[INET6_ADDRSTRLEN] = "";
    size_t len;

    if (f->web_servers == NULL || (from->ss_family != AF_INET && from->ss_family != AF_INET6))
        return true;
    if (from->ss_family == AF_INET)
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
    else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, text, sizeof text);
    else
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
    for (const char *p = f->web_servers; *p != '\0'; p += len + strspn(p + len, ", "))
        if ((len = strcspn(p, ", ")) == strlen(text) && memcmp(p, text, len) == 0)
            return true;
    return false;
}

static int watch_listen(struct fcgi *f)
{
    return epoll_put(f, EPOLL_CTL_ADD, f->listen, EPOLLIN | EPOLLEXCLUSIVE, TAG_LISTEN);
}

/* There was no room for a new connection. The socket goes on saying that there is one, so where
 * nothing could be closed for it, it is not watched until a request has ended, or for a moment. */
static void make_way(struct fcgi *f, int error)
{
    log_often(P201, NULL, "cannot take a request: %s; it will be tried again", strerror(error));
    if (!close_idle(f) && epoll_ctl(f->epoll, EPOLL_CTL_DEL, f->listen, NULL) == 0)
        f->full_ms = host_now() + FULL_MS;
}

/* Look for new connections once more, when it is time to. How much of TIMEOUT_MS may be waited. */
static int look_again(struct fcgi *f, int timeout_ms)
{
    int64_t left = f->full_ms - host_now();

    if (f->full_ms == 0 || f->stopped)
        return timeout_ms;
    if (left > 0)
        return left < timeout_ms ? (int)left : timeout_ms;
    f->full_ms = watch_listen(f) == 0 ? 0 : host_now() + FULL_MS;
    return f->full_ms == 0 ? timeout_ms : 0;
}

/* A new connection, or -1. */
static int take_connection(struct fcgi *f)
{
    struct sockaddr_storage from = { 0 };
    socklen_t len = sizeof from;
    int fd;

    while ((fd = accept4(f->listen, (struct sockaddr *)&from, &len, SOCK_CLOEXEC)) != -1) {
        if (may_connect(f, &from))
            return fd;
        close(fd);
        len = sizeof from;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
        make_way(f, errno);
    return -1;
}

/* A web server connects when it has a request, and writes it a few microseconds later. While there
 * is nothing else to do it is cheaper to wait for that than to begin another turn. Visitors cannot
 * make this happen: what they send slowly, a web server begins with the variables. */
static void wait_for_fresh(struct fcgi *f)
{
    if (f->fresh_count != 0 && !f->handed_on) {
        struct pollfd last = { f->fresh[f->fresh_count - 1], POLLIN, 0 };
        poll(&last, 1, FRESH_MS);
        f->handed_on = true;            /* once a turn */
    }
}

static bool fcgi_next(struct host *h, struct request *rq)
{
    struct fcgi *f = (struct fcgi *)h;
    int fd;

    if (f->stopped)
        return false;
    while (f->asking_count != 0)
        if (hear_asking(f, f->asking[--f->asking_count], rq))
            return true;
    if (next_late(f, rq))
        return true;
    while (!f->drained && f->taken < BATCH && f->fresh_count < BATCH) {
        if ((f->drained = (fd = take_connection(f)) == -1))
            break;
        f->taken++;
        if (hear_first(f, fd, FIRST_FRESH, rq))
            return true;
    }
    wait_for_fresh(f);
    while (f->fresh_count != 0)
        if (hear_first(f, f->fresh[--f->fresh_count], FIRST, rq))
            return true;
    return false;
}

/* ---- requests that go on later */

static int fcgi_postpone(struct host *h, struct conn c)
{
    struct fcgi *f = (struct fcgi *)h;
    int ticket = 0;

    while (ticket < HOST_POSTPONED_MAX && f->postponed[ticket] != NULL)
        ticket++;
    struct postponed *p = ticket < HOST_POSTPONED_MAX ? malloc(sizeof *p) : NULL;
    if (p == NULL)
        return -1;
    *p = (struct postponed){ .in = f->in, .conn = c };
    records_shrink(&p->in);
    records_init(&f->in, f->max_body);
    f->postponed[ticket] = p;
    return ticket;
}

static void fcgi_resume(struct host *h, int ticket, struct request *rq)
{
    struct fcgi *f = (struct fcgi *)h;
    struct postponed *p = f->postponed[ticket];

    records_release(&f->in);
    f->in = p->in;
    f->postponed[ticket] = NULL;
    hand_on(f, p->conn.fd, p->conn.kept, CUT_NOT, rq);
    free(p);
}

static void drop_postponed(struct fcgi *f)
{
    for (int i = 0; i < HOST_POSTPONED_MAX; i++) {
        struct postponed *p = f->postponed[i];
        if (p == NULL)
            continue;
        close(p->conn.fd);
        records_release(&p->in);
        free(p);
    }
}

/* ---- answers out */

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
    record_add_part(out, c.id, text);
    if (!buf_ok(out))
        return false;
    ssize_t sent = send(c.fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0 && (size_t)sent < out->len)
        shutdown(c.fd, SHUT_RDWR);      /* in the middle of a record: it is of no use any more */
    return sent > 0;
}

/* A hint: if it cannot be sent at once it is not sent. */
static void fcgi_complain(struct host *h, struct conn c, struct span text)
{
    struct buf *out = &((struct fcgi *)h)->records;

    buf_clear(out);
    record_add_complaint(out, c.id, text);
    if (!buf_ok(out))
        return;
    ssize_t sent = send(c.fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0 && (size_t)sent < out->len)
        shutdown(c.fd, SHUT_RDWR);      /* in the middle of a record: it is of no use any more */
}

static void fcgi_answer(struct host *h, struct conn c, bool parked, struct span text)
{
    struct fcgi *f = (struct fcgi *)h;
    struct buf *out = &f->records;

    buf_clear(out);
    record_add_part(out, c.id, text);
    record_add_end(out, c.id);
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
        end_request(f, c, parked && !c.kept ? WATCHED_ELSE : WATCHED_NOT);
    else if (!keep_output(f, c, parked, rest))
        end_request(f, (struct conn){ c.fd, c.id, false, c.kept }, WATCHED_NOT);
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
            end_request(f, o->conn, WATCHED_ELSE);
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

    if (f->fresh_count != 0)            /* the turn was full */
        timeout_ms = 0;
    else if (f->halves.count != 0 && timeout_ms > LATE_STEP_MS)
        timeout_ms = LATE_STEP_MS;
    timeout_ms = look_again(f, timeout_ms);
    int count = epoll_wait(f->epoll, ready, EVENTS, timeout_ms);

    f->taken = 0;
    f->drained = f->full_ms != 0;
    f->handed_on = false;
    f->gone_count = f->asking_count = 0;
    f->behind = count == EVENTS;
    for (int i = 0; i < count; i++)
        switch (ready[i].data.u64) {
        case TAG_LISTEN:
            if (ready[i].events & (EPOLLERR | EPOLLHUP))
                events->stop = true;
            break;
        case TAG_BELL:
            events->watched = true;
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
            else if (ready[i].data.u64 & TAG_HALF)
                f->asking[f->asking_count++] = -1 - (int)(ready[i].data.u64 & INT_MAX);
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

static void close_halves(struct fcgi *f)
{
    while (f->fresh_count != 0)
        close(f->fresh[--f->fresh_count]);
    for (int i = 0; i < HALF_MAX; i++)
        if (f->halves.slot[i] != NULL)
            close(f->halves.slot[i]->fd);
    halves_release(&f->halves);
}

static void fcgi_stop(struct host *h)
{
    struct fcgi *f = (struct fcgi *)h;

    if (f->stopped)
        return;
    f->stopped = true;
    close_idle(f);
    close_halves(f);
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
    close_halves(f);
    drop_postponed(f);
    records_release(&f->in);
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
    .postpone = fcgi_postpone,
    .resume = fcgi_resume,
    .park = fcgi_park,
    .gone = fcgi_gone,
    .behind = fcgi_behind,
    .answer = fcgi_answer,
    .begin = fcgi_begin,
    .complain = fcgi_complain,
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

    /* Some process managers ask for an end by USR1 first; the TERM that follows is heard. */
    if ((f->signals = host_signals()) == -1 || signal(SIGUSR1, SIG_IGN) == SIG_ERR)
        return explain(why, "watch for signals");
    if (flags == -1 || fcntl(f->listen, F_SETFL, flags | O_NONBLOCK) == -1)
        return explain(why, "make the listening socket non-blocking");
    if ((f->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
        return explain(why, "create an event queue");
    if (watch_listen(f) == -1 || epoll_put(f, EPOLL_CTL_ADD, f->signals, EPOLLIN, TAG_SIGNAL) == -1)
        return explain(why, "watch the listening socket");
    return 0;
}

int host_open_fcgi(struct host **out, int fd, size_t max_body, int64_t whole_ms, struct buf *why)
{
    const char *web_servers = getenv("FCGI_WEB_SERVER_ADDRS");
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
    f->web_servers = web_servers != NULL && *web_servers != '\0' ? web_servers : NULL;
    records_init(&f->in, max_body);
    halves_init(&f->halves, max_body, whole_ms);
    if (set_up(f, why) == -1) {
        fcgi_close(&f->host);
        return -1;
    }
    *out = &f->host;
    return 0;
}
