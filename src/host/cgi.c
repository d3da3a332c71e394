/* cgi.c - plain CGI: the environment and standard input are the one request, standard
 * output takes the answer. A waiting poll waits here, in its process. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/kind.h"

struct cgi {
    struct host host;
    struct buf body;
    size_t max_body;
    int64_t whole_ms;
    int signals, watched;
    bool taken, answered;
    struct request rq;          /* the one that there is */
    bool parked, gone_told;
    bool gone;                  /* to be told */
    int64_t key;
};

/* Read up to CAP bytes into OUT, by UNTIL_MS (of host_now()) at the latest. 0: no more comes. */
static size_t get(char *out, size_t cap, int64_t until_ms)
{
    struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
    int64_t left_ms = until_ms - host_now();
    ssize_t got = -1;

    if (out != NULL && left_ms > 0 && poll(&in, 1, (int)left_ms) > 0)
        while ((got = read(STDIN_FILENO, out, cap)) == -1 && errno == EINTR)
            ;
    return got > 0 ? (size_t)got : 0;
}

/* Take a body of WANT bytes, none of which is kept: a web server that finds nobody to read it may
 * break the connection instead of passing the answer on. */
static void skip_body(size_t want, int64_t until_ms)
{
    char rest[65536];
    size_t got;

    while (want != 0
           && (got = get(rest, want < sizeof rest ? want : sizeof rest, until_ms)) != 0)
        want -= got;
}

/* Read the body of WANT bytes. */
static void read_body(struct cgi *c, struct request *rq, size_t want)
{
    int64_t until_ms = host_now() + c->whole_ms;
    size_t got;

    if (want > c->max_body) {
        skip_body(want, until_ms);
        rq->body_too_long = true;
        return;
    }
    while (c->body.len < want
           && (got = get(buf_room(&c->body, want - c->body.len), want - c->body.len,
                         until_ms)) != 0)
        buf_used(&c->body, got);
    rq->body = buf_span(&c->body);
    if (c->body.len != want)
        rq->cut = host_now() >= until_ms ? CUT_LATE : CUT_OFF;
}

static bool cgi_next(struct host *h, struct request *rq)
{
    struct cgi *c = (struct cgi *)h;

    if (c->taken)
        return false;
    c->taken = true;
    *rq = (struct request){ .conn = { STDOUT_FILENO, 0 } };
    read_body(c, rq, host_read_variables(rq, environ));
    c->rq = *rq;
    return true;
}

static int cgi_postpone(struct host *h, struct conn conn)
{
    (void)h, (void)conn;
    return 0;
}

static void cgi_resume(struct host *h, int ticket, struct request *rq)
{
    (void)ticket;
    *rq = ((struct cgi *)h)->rq;
}

/* Web servers that close the pipe when the client goes show it as an error on standard output. */
static void cgi_wait(struct host *h, int timeout_ms, struct host_events *events)
{
    struct cgi *c = (struct cgi *)h;
    struct pollfd fds[] = { { c->signals, POLLIN, 0 }, { c->watched, POLLIN, 0 },
                            { c->parked && !c->gone_told ? STDOUT_FILENO : -1, 0, 0 } };

    if (poll(fds, 3, c->taken ? timeout_ms : 0) <= 0)
        return;
    events->stop = fds[0].revents != 0;
    events->watched = fds[1].revents != 0;
    if (fds[2].revents & (POLLERR | POLLHUP)) {
        c->gone = c->gone_told = true;
        events->stop = true;
    }
}

/* Write what there is of TEXT. Returns how much the web server took. */
static size_t put(int fd, struct span text)
{
    size_t at = 0;

    while (at < text.len) {
        ssize_t sent = write(fd, text.p + at, text.len - at);
        if (sent == -1 && errno == EINTR)
            continue;
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    return at;
}

static bool cgi_begin(struct host *h, struct conn conn, struct span text)
{
    (void)h;
    return put(conn.fd, text) != 0;
}

/* Standard error is where a CGI program complains. */
static void cgi_complain(struct host *h, struct conn conn, struct span text)
{
    (void)h, (void)conn;
    put(STDERR_FILENO, text);
}

static void cgi_answer(struct host *h, struct conn conn, bool parked, struct span text)
{
    struct cgi *c = (struct cgi *)h;

    (void)parked;
    put(conn.fd, text);
    c->answered = true;
}

static int cgi_watch(struct host *h, int fd)
{
    ((struct cgi *)h)->watched = fd;
    return 0;
}

static void cgi_park(struct host *h, struct conn conn, int64_t key)
{
    struct cgi *c = (struct cgi *)h;

    (void)conn;
    c->parked = true;
    c->key = key;
}

static bool cgi_gone(struct host *h, int64_t *key, int *fd)
{
    struct cgi *c = (struct cgi *)h;
    bool gone = c->gone;

    *key = c->key;
    *fd = STDOUT_FILENO;
    c->gone = false;
    return gone;
}

static bool cgi_behind(const struct host *h)
{
    (void)h;
    return false;
}

static void cgi_stop(struct host *h)
{
    ((struct cgi *)h)->taken = true;
}

static bool cgi_idle(const struct host *h)
{
    (void)h;
    return true;
}

static bool cgi_finished(const struct host *h)
{
    return ((const struct cgi *)h)->answered;
}

static void cgi_close(struct host *h)
{
    struct cgi *c = (struct cgi *)h;

    if (c->signals != -1)
        close(c->signals);
    buf_release(&c->body);
    free(c);
}

static const struct host_engine engine = {
    .close = cgi_close,
    .watch = cgi_watch,
    .wait = cgi_wait,
    .next = cgi_next,
    .postpone = cgi_postpone,
    .resume = cgi_resume,
    .park = cgi_park,
    .gone = cgi_gone,
    .behind = cgi_behind,
    .answer = cgi_answer,
    .begin = cgi_begin,
    .complain = cgi_complain,
    .stop = cgi_stop,
    .idle = cgi_idle,
    .finished = cgi_finished,
};

int host_open_cgi(struct host **out, size_t max_body, int64_t whole_ms, struct buf *why)
{
    struct cgi *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL || (c->signals = host_signals()) == -1) {
        buf_addf(why, "cannot serve a CGI request: %s", strerror(errno));
        free(c);
        return -1;
    }
    c->host.engine = &engine;
    c->watched = -1;
    c->max_body = max_body;
    c->whole_ms = whole_ms;
    *out = &c->host;
    return 0;
}
