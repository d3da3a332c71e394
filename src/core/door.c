/* door.c - a request comes in: is it for us, may its page ask, which session is it of, and is it
 * done now or later? What polls and POSTs do stands in poll.c and post.c. */
#include "core/turn.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"

/* TEXT of the request, for a sentence. */
static struct span shown(struct span text)
{
    return text.len == 0 ? SPAN("(none)") : http_is_plain(text) ? text : SPAN("(unprintable)");
}

/* Pages that insist on WebSocket, which is not spoken here, only say that they cannot connect. */
static void refuse_transport(struct call *call, const char *transport)
{
    struct span name = shown(span_of(transport));

    if (transport[0] != '\0')
        log_often(P328, core_who(call, NULL),
                  "a request is refused: it asks for the transport %.*s, and only polling is "
                  "spoken here",
                  (int)name.len, name.p);
    core_answer_error(call, 400, EIO_TRANSPORT_UNKNOWN, "Transport unknown");
}

static void refuse_version(struct call *call, const char *version)
{
    struct span number = shown(span_of(version));

    log_often(P327, core_who(call, NULL),
              "a session is refused: its client speaks version %.*s of Engine.IO, and only 4 is "
              "spoken here",
              (int)number.len, number.p);
    core_answer_error(call, 400, EIO_BAD_VERSION, "Unsupported protocol version");
}

/* Errors that need no session: method, transport, version, origin. False: the call was answered. */
static bool well_formed(struct call *call, const char *transport, bool known)
{
    const struct request *rq = call->rq;
    enum http_method method = http_method(rq->method);

    if (strcmp(transport, "polling") != 0)
        refuse_transport(call, transport);
    else if (!known && method != HTTP_GET)
        core_answer_error(call, 400, EIO_BAD_METHOD, "Bad handshake method");
    else if (method == HTTP_OTHER)
        core_answer_error(call, 400, EIO_BAD_REQUEST,
                          "Bad request: a method other than GET, POST and OPTIONS");
    else
        return true;
    return false;
}

/* Without an Origin header it asks as an image or a script of a page would, or as a link that is
 * followed: browsers that say where the page is from are believed. */
static bool from_elsewhere(const struct request *rq)
{
    return span_is(rq->fetch_site, "cross-site") || span_is(rq->fetch_site, "same-site");
}

/* Is the request's page one of this very server's? Some web servers (nginx, as Debian sets it up)
 * leave the port out of the Host header; which it is they say besides. Behind a proxy the header
 * may be another altogether, but browsers say themselves what they see, and no page can make them
 * lie. */
static bool from_here(const struct request *rq)
{
    /* the scheme is taken as given: TLS may end at a proxy before the web server */
    bool https = span_starts(rq->origin, "https:");
    char whole[300];
    int len = snprintf(whole, sizeof whole, "%.*s:%u", (int)(rq->host.len % 256), rq->host.p,
                       (unsigned)rq->server_port);

    return span_is(rq->fetch_site, "same-origin") || http_same_origin(rq->origin, rq->host, https)
           || http_same_origin(rq->origin, (struct span){ whole, (size_t)len }, https);
}

/* May the page that asks talk to us? Pages of the same site may, and programs that are no pages. */
static bool origin_allowed(struct call *call)
{
    const struct request *rq = call->rq;

    if (rq->origin.len == 0)
        return !from_elsewhere(rq)
               || http_origin_allowed(SPAN("*"), call->c->set->allowed_origins);
    if (from_here(rq))
        return true;
    call->cross_origin = http_origin_allowed(rq->origin, call->c->set->allowed_origins);
    return call->cross_origin;
}

static void refuse_origin(struct call *call)
{
    struct span origin = shown(call->rq->origin), host = shown(call->rq->host);
    char why[300];

    snprintf(why, sizeof why,
             "Forbidden: pages of the origin %.*s may not connect to the host %.*s; see "
             "allowed_origins",
             (int)origin.len, origin.p, (int)host.len, host.p);
    log_often(P310, core_who(call, NULL), "%s", why);
    core_answer_error(call, 403, EIO_FORBIDDEN, why);
}

static void refuse_host(struct call *call)
{
    struct span host = shown(call->rq->host);
    char why[200];

    snprintf(why, sizeof why, "Forbidden: the host %.*s is not served here; see served_hosts",
             (int)host.len, host.p);
    log_often(P311, core_who(call, NULL), "%s", why);
    core_answer_error(call, 403, EIO_FORBIDDEN, why);
}

/* The web server has refused the request and asks for the words. */
static void pass_refusal(struct call *call)
{
    char why[120];

    origin_allowed(call);               /* so that the page may read it */
    snprintf(why, sizeof why, "%s: the web server refused this request (%d)%s",
             http_reason(call->rq->refused), call->rq->refused,
             call->rq->refused == 413 ? "; see maxPayload of the handshake" : "");
    log_often(P323, core_who(call, NULL), "%s", why);
    core_answer_error(call, call->rq->refused, EIO_BAD_REQUEST, why);
}

/* At most so many requests a second, counted from the first of each second. */
static bool within_rate(struct call *call, struct session *session)
{
    if (call->now - session->rate_ms >= 1000 || call->now < session->rate_ms) {
        session->rate_ms = call->now;
        session->rate = 0;
    }
    session->rate++;
    session->changed = true;
    return session->rate <= call->c->set->max_requests_per_second;
}

static void answer_open(struct call *call, const struct session *session)
{
    const struct settings *set = call->c->set;
    struct eio_open open = { .sid = session->sid,
                             .ping_interval_ms = set->ping_interval_ms,
                             .ping_timeout_ms = set->ping_timeout_ms,
                             .max_payload = set->max_payload_bytes,
                             .wait = session->shim };
    struct eio_writer w;

    eio_begin(&w, &call->c->payload);
    eio_add_open(&w, &open);
    core_answer_payload(call, eio_end(&w));
}

static void open_session(struct call *call)
{
    struct core *c = call->c;
    const struct settings *set = c->set;
    char address[ADDRESS_MAX];

    core_visitor(call->rq->address, address);
    if (store_session_count(c->store, "") >= set->max_sessions) {
        log_often(P312, core_who(call, NULL),
                  "a session is refused: there are %lld, as many as max_sessions allows",
                  (long long)set->max_sessions);
        core_answer_error(call, 403, EIO_FORBIDDEN,
                          "Forbidden: this server has as many sessions as it may have");
        return;
    }
    if (store_session_count(c->store, address) >= set->max_sessions_per_address) {
        log_often(P313, core_who(call, NULL),
                  "a session is refused: this address has %lld, as many as "
                  "max_sessions_per_address allows",
                  (long long)set->max_sessions_per_address);
        core_answer_error(call, 403, EIO_FORBIDDEN,
                          "Forbidden: too many sessions from this address");
        return;
    }
    int64_t lost_ms = set->ping_interval_ms + set->ping_timeout_ms;
    struct session new = {
        .shim = call->shim,
        .ports = call->rq->port,
        .opened_t = call->t,
        .ping_ms = call->now + set->ping_interval_ms,
        .due_ms =
            call->now + (lost_ms < set->connect_timeout_ms ? lost_ms : set->connect_timeout_ms)
    };
    memcpy(new.address, address, sizeof address);
    if (call->cross_origin && !span_copy(call->rq->origin, new.origin, sizeof new.origin)) {
        core_answer_error(call, 403, EIO_FORBIDDEN, "Forbidden: an origin that is too long");
        return;
    }
    struct session *session = store_session_open(c->store, &new, call->now);
    if (session == NULL) {              /* the turn fails */
        core_answer_error(call, 503, EIO_FORBIDDEN, CORE_UNAVAILABLE);
        return;
    }
    if (session->due_ms < c->sweep_ms)
        c->sweep_ms = session->due_ms;
    answer_open(call, session);
}

/* Do what the call asks, of SESSION (NULL: to open one), now or later. */
static void work(struct call *call, struct session *session)
{
    static const struct progress nothing = { .mark = 0 };
    struct core *c = call->c;
    struct worker w = core_worker(call, session);

    if (!call->resumed
        && (core_is_heavy(c, &w, call->now)
            || (session != NULL && core_has_postponed(c, w.session)))) {
        core_postpone(call, session, &nothing);
        return;
    }
    uint64_t from = stats_clock();
    if (session != NULL)
        core_post(call, session);
    else
        open_session(call);
    core_charge(c, &w, call->now, (int64_t)((stats_clock() - from) / 1000));
}

/* The process that had the request died. A poll is looked at as any that comes again, by its t;
 * it does not wait, since the web server would not ask for it a third time. Of a POST the body is
 * lost: was it applied? Only our client's t tells. False: the call was answered. */
static bool known_again(struct call *call, struct session *session)
{
    bool post = http_method(call->rq->method) == HTTP_POST;

    if (call->t == 0
        || (post && !session->shim)
        || (post
            && !store_has_request(call->c->store, session, REQUEST_POST, call->t, call->now))) {
        core_answer_error(call, 503, EIO_FORBIDDEN,
                          "Service unavailable: the process that had this request died");
        return false;
    }
    session->nudge = session->nudge || !post || call->wait;
    return true;
}

/* A t that is made of the time or by chance, so that it comes once, has so many characters. */
#define T_OWN 6

/* A t of so many digits, and nothing else, is the client's clock: what it asks within a
 * millisecond has the same. */
#define T_CLOCK 10

static bool is_clock(const char *t)
{
    size_t len = strlen(t);

    return len >= T_CLOCK && strspn(t, "0123456789") == len;
}

/* What a request's query says. */
struct query {
    char transport[16], version[8], sid[ID_LEN + 1], t[T_MAX + 1];
    char shim[4], wait[8], after[T_MAX + 1];    /* of this project's client file alone */
    bool known;                         /* it names a session */
};

static void read_query(struct span text, struct query *q)
{
    struct http_field fields[] = {
        { "sid", q->sid, sizeof q->sid, 0 },
        { "transport", q->transport, sizeof q->transport, 0 },
        { "EIO", q->version, sizeof q->version, 0 },
        { "t", q->t, sizeof q->t, 0 },
        { "pollux", q->shim, sizeof q->shim, 0 },
        { "wait", q->wait, sizeof q->wait, 0 },
        { "after", q->after, sizeof q->after, 0 },
    };

    http_query(text, fields, sizeof fields / sizeof fields[0]);
    q->known = fields[0].len != -1;
}

#define PORTS 4                         /* of a session, remembered: 16 bits each */

/* Has SESSION asked through this connection before? Remember that it has. */
static bool knows_port(struct session *session, uint16_t port)
{
    for (int i = 0; i < PORTS; i++)
        if (port != 0 && (uint16_t)(session->ports >> 16 * i) == port)
            return true;
    session->ports = session->ports << 16 | port;
    session->changed = true;
    return false;
}

/* Should the call's connection end while it waits, will the web server say so? nginx always does.
 * lighttpd does from a connection's second request on: before, it need not look at it. */
static bool is_watched(const struct call *call, struct session *session)
{
    bool known = knows_port(session, call->rq->port);

    return span_starts(call->rq->software, "nginx/")
           || (known && span_starts(call->rq->software, "lighttpd/"));
}

static void refuse_rate(struct call *call, const struct session *session)
{
    log_often(P314, core_who(call, session),
              "requests are refused: a session sends more than max_requests_per_second (%lld)",
              (long long)call->c->set->max_requests_per_second);
    core_answer_error(call, 429, EIO_FORBIDDEN, "Too many requests: slow down");
}

static void take_session(struct call *call, const struct query *q)
{
    struct session *session = store_session(call->c->store, span_of(q->sid));

    if (session != NULL) {
        call->watched = is_watched(call, session);
        if (call->t == session->opened_t)
            call->t = 0;                /* always the same: it tells nothing from anything */
    }
    if (session != NULL && session->shim) {     /* what it was offered in the handshake */
        call->wait = strcmp(q->wait, "true") == 0;
        call->after = hash_of(span_of(q->after));
    }
    if (session == NULL)
        core_answer_error(call, 400, EIO_SID_UNKNOWN, "Session ID unknown");
    else if (!call->resumed && !within_rate(call, session))
        refuse_rate(call, session);
    else if (call->rq->again && !known_again(call, session))
        return;
    else if (http_method(call->rq->method) == HTTP_GET)
        core_poll(call, session);
    else
        work(call, session);
}

/* The browser asked for PATH, or for what the web server rewrote to it; an empty PATH is any. */
static bool is_mapped(const struct request *rq, const char *path)
{
    size_t split = rq->script.len, len = strlen(path);

    return len == 0 || span_is(rq->path, path)
           || (split + rq->path_info.len == len
               && span_equals(rq->script, (struct span){ path, split })
               && span_is(rq->path_info, path + split));
}

/* A request of which only a part is here. */
static void answer_cut(struct call *call)
{
    static const struct {
        enum log_code log;
        int status;
        enum eio_error code;
        const char *why;
    } answers[] = {
        [CUT_OFF] = { P324, 503, EIO_FORBIDDEN,
                      "Service unavailable: the request did not arrive whole" },
        [CUT_LATE] = { P319, 408, EIO_FORBIDDEN,
                       "Request timeout: the request did not arrive whole in time" },
        [CUT_CROWDED] = { P325, 503, EIO_FORBIDDEN,
                          "Service unavailable: too many requests are coming slowly" },
        [CUT_HEAD] = { P326, 431, EIO_BAD_REQUEST, "Bad request: the headers are too long" },
    };
    enum cut cut = call->rq->cut;

    log_often(answers[cut].log, core_who(call, NULL), "a request is answered %d: %s",
              answers[cut].status, answers[cut].why);
    origin_allowed(call);               /* so that the page may read it */
    core_answer_error(call, answers[cut].status, answers[cut].code, answers[cut].why);
}

static void take_call(struct call *call)
{
    struct core *c = call->c;
    const struct request *rq = call->rq;
    struct query q;

    c->signaling.now = call->now;
    if (core_is_exposed(call)) {
        core_answer_refusal(call, P004);
        return;
    }
    if (rq->cut != CUT_NOT && !rq->again) {
        answer_cut(call);
        return;
    }
    if (core_stats(call))
        return;
    if (!is_mapped(rq, c->set->path)) {
        core_answer_plain(call, 404, "text/plain; charset=UTF-8", SPAN("Not found\n"));
        return;
    }
    if (rq->refused != 0) {
        pass_refusal(call);
        return;
    }
    if (rq->host.len != 0 && !http_host_served(rq->host, c->set->served_hosts)) {
        refuse_host(call);
        return;
    }
    bool allowed = origin_allowed(call);
    if (http_method(rq->method) == HTTP_OPTIONS && allowed) {
        core_answer_preflight(call);
        return;
    }
    read_query(rq->query, &q);
    call->shim = strcmp(q.shim, "1") == 0;
    call->t = hash_of(span_of(q.t));
    call->own_t = rq->again || call->shim || strlen(q.t) >= T_OWN;
    call->clock_t = !rq->again && !call->shim && is_clock(q.t);
    if (q.transport[0] == '\0' && allowed && core_doctor(call))
        return;
    if (!well_formed(call, q.transport, q.known))
        return;
    if (!allowed)
        refuse_origin(call);
    else if (q.known)
        take_session(call, &q);
    else if (!eio_speaks(q.version))
        refuse_version(call, q.version);
    else
        work(call, NULL);
}

void core_take(struct core *c, struct host *h, const struct request *rq, int64_t now)
{
    struct call call = { .c = c, .h = h, .rq = rq, .now = now };

    c->counters->requests++;
    core_slots_taken(c);
    take_call(&call);
}

void core_take_again(struct core *c, struct host *h, const struct request *rq, int64_t now,
                     const struct progress *done, size_t place)
{
    struct call call = { .c = c, .h = h, .rq = rq, .now = now,
                         .resumed = true, .place = place, .done = *done };

    take_call(&call);
}
