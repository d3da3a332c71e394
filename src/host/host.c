/* host.c - what both kinds of host share: the clock, signals, CGI's variables, and handing calls
 * on. */
#include "host/host.h"

#include <limits.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "host/kind.h"

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

/* As a number; 0 when it is missing or none. */
static size_t content_length(const char *value)
{
    int64_t n;

    return value != NULL && span_int(span_of(value), &n) ? (size_t)n : 0;
}

/* 0 when it is missing or none. */
static uint16_t port_number(const char *value)
{
    int64_t n;

    return value != NULL && span_int(span_of(value), &n) && n <= UINT16_MAX ? (uint16_t)n : 0;
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
 * hence QUERY_STRING, the method, since nothing else tells it. What lighttpd refused itself, such
 * as a body that is too long, comes here as well, and is answered with the status that it had. */
static void ask_again(struct request *rq, const char *status, const char *uri)
{
    const char *query = uri != NULL ? strchr(uri, '?') : NULL;
    int64_t code;

    if (status == NULL || !span_int(span_of(status), &code) || code < 400 || code > 599)
        return;
    rq->again = code == 500 || (code >= 502 && code <= 504);
    rq->refused = rq->again ? 0 : (int)code;
    rq->method = span_is(rq->query, "again=GET")    ? SPAN("GET")
                 : span_is(rq->query, "again=POST") ? SPAN("POST")
                                                    : SPAN("unknown");
    rq->query = span_of(query != NULL ? query + 1 : NULL);
}

enum variable {
    METHOD, URI, SCRIPT, PATH_INFO, ROOT, CONTEXT_ROOT, QUERY, CONTENT_TYPE, CONTENT_LENGTH, ORIGIN,
    HOST, SERVER_PORT, FETCH_SITE,
    HTTPS, ADDRESS, PORT, FORWARDED, SOFTWARE, CORS_HEADERS, STATUS, VARIABLES
};

#define NAME(text) { text, sizeof(text) - 1 }

static const struct span names[VARIABLES] = {
    [METHOD] = NAME("REQUEST_METHOD"),
    [URI] = NAME("REQUEST_URI"),
    [SCRIPT] = NAME("SCRIPT_NAME"),
    [PATH_INFO] = NAME("PATH_INFO"),
    [ROOT] = NAME("DOCUMENT_ROOT"),
    [CONTEXT_ROOT] = NAME("CONTEXT_DOCUMENT_ROOT"),     /* Apache's, where it is another */
    [QUERY] = NAME("QUERY_STRING"),
    [CONTENT_TYPE] = NAME("CONTENT_TYPE"),
    [CONTENT_LENGTH] = NAME("CONTENT_LENGTH"),
    [ORIGIN] = NAME("HTTP_ORIGIN"),
    [HOST] = NAME("HTTP_HOST"),
    [SERVER_PORT] = NAME("SERVER_PORT"),
    [FETCH_SITE] = NAME("HTTP_SEC_FETCH_SITE"),
    [HTTPS] = NAME("HTTPS"),
    [ADDRESS] = NAME("REMOTE_ADDR"),
    [PORT] = NAME("REMOTE_PORT"),
    [SOFTWARE] = NAME("SERVER_SOFTWARE"),
    [FORWARDED] = NAME("HTTP_X_FORWARDED_FOR"),
    [CORS_HEADERS] = NAME("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"),
    [STATUS] = NAME("REDIRECT_STATUS"),
};

/* Which of NAMES the variable `NAME=value` is; VARIABLES: none of them. */
static enum variable which(const char *variable, size_t name_len)
{
    int i = 0;

    while (i < VARIABLES
           && (names[i].len != name_len || memcmp(names[i].p, variable, name_len) != 0))
        i++;
    return (enum variable)i;
}

size_t host_read_variables(struct request *rq, char *const *variables)
{
    const char *get[VARIABLES + 1] = { NULL };

    for (; *variables != NULL; variables++) {
        const char *equals = strchr(*variables, '=');
        if (equals == NULL)
            continue;
        enum variable i = which(*variables, (size_t)(equals - *variables));
        if (get[i] == NULL)
            get[i] = equals + 1;
    }
    rq->method = span_of(get[METHOD]);
    rq->path = request_path(get[URI] != NULL ? get[URI] : get[SCRIPT]);
    rq->script = span_of(get[SCRIPT]);
    rq->path_info = span_of(get[PATH_INFO]);
    rq->root = span_of(get[CONTEXT_ROOT] != NULL ? get[CONTEXT_ROOT] : get[ROOT]);
    rq->query = span_of(get[QUERY]);
    rq->content_type = span_of(get[CONTENT_TYPE]);
    rq->origin = span_of(get[ORIGIN]);
    rq->host = span_of(get[HOST]);
    rq->server_port = port_number(get[SERVER_PORT]);
    rq->fetch_site = span_of(get[FETCH_SITE]);
    rq->https = get[HTTPS] != NULL && strcmp(get[HTTPS], "on") == 0;
    rq->address = span_of(get[ADDRESS]);
    rq->port = port_number(get[PORT]);
    rq->software = span_of(get[SOFTWARE]);
    rq->forwarded = get[FORWARDED] != NULL;
    rq->cors_headers = span_of(get[CORS_HEADERS]);
    ask_again(rq, get[STATUS], get[URI]);
    return content_length(get[CONTENT_LENGTH]);
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

int host_postpone(struct host *h, struct conn c)
{
    return h->engine->postpone(h, c);
}

void host_resume(struct host *h, int ticket, struct request *rq)
{
    h->engine->resume(h, ticket, rq);
}

void host_park(struct host *h, struct conn c, int64_t key)
{
    h->engine->park(h, c, key);
}

bool host_gone(struct host *h, int64_t *key, int *fd)
{
    return h->engine->gone(h, key, fd);
}

bool host_behind(const struct host *h)
{
    return h->engine->behind(h);
}

void host_answer(struct host *h, struct conn c, bool parked, struct span text)
{
    h->engine->answer(h, c, parked, text);
}

bool host_begin(struct host *h, struct conn c, struct span text)
{
    return h->engine->begin(h, c, text);
}

void host_complain(struct host *h, struct conn c, struct span text)
{
    h->engine->complain(h, c, text);
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
