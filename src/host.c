/* host.c - what both kinds of host share: the clock, signals, CGI's variables, and handing calls
 * on. */
#include "host.h"

#include <limits.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "host_engine.h"

/* Wall-clock time as it was when the process began, plus what has passed since: a clock that is
 * set while the program runs neither ends all sessions nor makes time stand still. */
static int64_t clock_offset_ms;

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t host_clock(void)
{
    if (clock_offset_ms == 0)
        clock_offset_ms = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME);
    return clock_offset_ms;
}

void host_set_clock(int64_t offset_ms)
{
    clock_offset_ms = offset_ms;
}

int64_t host_now(void)
{
    return read_clock(CLOCK_BOOTTIME) + host_clock();
}

int host_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

void host_take_signal(int signals)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof info) == sizeof info)
        ;
}

size_t host_content_length(const char *value)
{
    int64_t n;

    return value != NULL && span_int(span_of(value), &n) ? (size_t)n : 0;
}

/* REQUEST_URI is what the browser asked for, however the web server mapped it to this program. */
static struct span request_path(const char *uri)
{
    struct span path = span_of(uri);
    const char *query = path.len != 0 ? memchr(path.p, '?', path.len) : NULL;

    if (query != NULL)
        path.len = (size_t)(query - path.p);
    return path;
}

/* lighttpd's error-handler: when a process dies, what it had not answered is asked again, as a GET
 * without body. REDIRECT_STATUS has the error, REQUEST_URI the query, and the handler's address,
 * hence QUERY_STRING, the method, since nothing else tells it. */
static void ask_again(struct request *rq, const char *status, const char *uri)
{
    const char *query = uri != NULL ? strchr(uri, '?') : NULL;
    int64_t code;

    if (status == NULL || !span_int(span_of(status), &code) || code < 400)
        return;
    rq->again = true;
    rq->method = span_is(rq->query, "again=GET")    ? SPAN("GET")
                 : span_is(rq->query, "again=POST") ? SPAN("POST")
                                                    : SPAN("unknown");
    rq->query = span_of(query != NULL ? query + 1 : NULL);
}

void host_read_variables(struct request *rq, const char *(*get)(void *arg, const char *name),
                         void *arg)
{
    const char *https = get(arg, "HTTPS"), *uri = get(arg, "REQUEST_URI");

    rq->method = span_of(get(arg, "REQUEST_METHOD"));
    rq->path = request_path(uri != NULL ? uri : get(arg, "SCRIPT_NAME"));
    rq->query = span_of(get(arg, "QUERY_STRING"));
    rq->content_type = span_of(get(arg, "CONTENT_TYPE"));
    rq->origin = span_of(get(arg, "HTTP_ORIGIN"));
    rq->host = span_of(get(arg, "HTTP_HOST"));
    rq->fetch_site = span_of(get(arg, "HTTP_SEC_FETCH_SITE"));
    rq->https = https != NULL && strcmp(https, "on") == 0;
    rq->address = span_of(get(arg, "REMOTE_ADDR"));
    rq->forwarded = get(arg, "HTTP_X_FORWARDED_FOR") != NULL;
    if (span_is(rq->method, "OPTIONS"))     /* what is not there takes longest to find */
        rq->cors_headers = span_of(get(arg, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS"));
    ask_again(rq, get(arg, "REDIRECT_STATUS"), uri);
}

/* ---- handing on */

void host_close(struct host *h)
{
    if (h != NULL)
        h->engine->close(h);
}

int host_watch(struct host *h, int fd)
{
    return h->engine->watch(h, fd);
}

int64_t host_wait(struct host *h, int64_t deadline_ms, struct host_events *events)
{
    int64_t left = deadline_ms - host_now();
    int timeout = left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;

    *events = (struct host_events){ false, false };
    h->engine->wait(h, timeout, events);
    return host_now();
}

bool host_next(struct host *h, struct request *rq)
{
    return h->engine->next(h, rq);
}

void host_park(struct host *h, struct conn c, int64_t key)
{
    h->engine->park(h, c, key);
}

bool host_gone(struct host *h, int64_t *key)
{
    return h->engine->gone(h, key);
}

void host_answer(struct host *h, struct conn c, bool parked, struct span text)
{
    h->engine->answer(h, c, parked, text);
}

void host_stop(struct host *h)
{
    h->engine->stop(h);
}

bool host_idle(const struct host *h)
{
    return h->engine->idle(h);
}

bool host_finished(const struct host *h)
{
    return h->engine->finished(h);
}
