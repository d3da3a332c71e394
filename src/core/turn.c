/* turn.c - the turn: requests in, answers made, committed, sent. What polls and POSTs do stands
 * in poll.c and post.c, and which of them wait in postpone.c. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/turn.h"
#include "wire/eio.h"
#include "base/log.h"

#define SWEEP_MS 1000                   /* sessions opened by other processes may be due */
#define TURN_WORK 400                   /* of a turn: time to answer what it took */
#define SLICE_WORK 100                  /* of one POST in a turn: see postpone.c */
#define RETURN_MS 10000                 /* longer than clients pause before they ask again */
#define SWEEP_MOST 100                  /* sessions ended in one turn */
#define DUE_MOST 200                    /* held polls looked at in one turn */
#define SWEEP_LEAST_MS 20
/* Held polls fall due together: what is said to many at a time comes back at a time, many
 * heartbeats share a transaction, and no message waits for one. No client minds a heartbeat that is
 * so much late. */
#define DUE_STEP_MS 50
#define TIDY_MS 1000
#define TIDY_STEP_MS 50                 /* while there is more to remove */
#define OTHERS (-1)                     /* as a holder: whatever process it concerns but this */
#define UNAVAILABLE "Service unavailable: the store cannot be written; nothing was stored"
/* when there is not even the memory for saying so */
#define NO_MEMORY "Status: 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
/* after a turn that failed: what is due waits, requests are tried */
#define RETRY_MS 250

struct core *core_new(struct store *store, const struct settings *set)
{
    struct core *c = calloc(1, sizeof *c);

    if (c == NULL || (c->park = park_new()) == NULL) {
        free(c);
        return NULL;
    }
    c->store = store;
    c->set = set;
    c->self = getpid();
    c->slice = SLICE_WORK;
    c->counters = &c->own;
    signaling_init(&c->signaling, store, set);
    return c;
}

void core_free(struct core *c)
{
    if (c == NULL)
        return;
    signaling_release(&c->signaling);
    park_free(c->park);
    buf_release(&c->out);
    buf_release(&c->payload);
    free(c->answers);
    free(c->fresh);
    free(c);
}

void core_count_in(struct core *c, struct counters *counters)
{
    c->counters = counters;
}

struct counters *core_counters(struct core *c)
{
    return c->counters;
}

/* ---- answers */

/* Remember that H is to get what stands in c->out from AT on, an answer of STATUS. False without
 * memory: the turn fails, and H is still the caller's. */
static bool add_answer(struct core *c, const struct held *h, bool parked, size_t at, int status)
{
    if (c->answer_count == c->answer_cap) {
        size_t cap = c->answer_cap != 0 ? c->answer_cap * 2 : 64;
        struct answer *answers = realloc(c->answers, cap * sizeof *answers);
        if (answers == NULL) {
            c->no_memory = true;
            return false;
        }
        c->answers = answers;
        c->answer_cap = cap;
    }
    c->answers[c->answer_count++] = (struct answer){ .held = *h, .parked = parked, .at = at,
                                                     .len = c->out.len - at, .status = status };
    return true;
}

/* Tell the browser that pages of ORIGIN, if not empty, may read A. */
static void allow_origin(const struct core *c, struct http_answer *a, struct span origin)
{
    a->origin = origin;
    a->anyone = origin.len != 0 && !http_origin_named(origin, c->set->allowed_origins);
}

/* MESSAGE is ours and needs no escaping. */
static void write_error(struct core *c, int status, enum eio_error code, const char *message,
                        struct span origin)
{
    char body[400];
    int len = snprintf(body, sizeof body, "{\"code\":%d,\"message\":\"%s\"}", (int)code, message);
    struct http_answer a = { .status = status,
                             .type = "application/json",
                             .body = { body,
                                       len < (int)sizeof body ? (size_t)len : sizeof body - 1 },
                             .retry_after_s = status == 503 || status == 429 };

    allow_origin(c, &a, origin);
    http_write(&c->out, &a);
}

/* Answer at once that nothing was stored, in a turn that fails. */
static void answer_unavailable(struct core *c, struct host *h, const struct held *held, bool parked)
{
    buf_clear(&c->out);
    write_error(c, 503, EIO_FORBIDDEN, UNAVAILABLE, (struct span){ NULL, 0 });
    host_answer(h, held->conn, parked,
                held->begun         ? SPAN("6")       /* too late for another status */
                : buf_ok(&c->out) ? buf_span(&c->out)
                                  : SPAN(NO_MEMORY));
    stats_status(c->counters, 503);
}

void core_answer_unavailable(struct core *c, struct host *h, struct conn conn)
{
    struct held held = { .conn = conn };

    answer_unavailable(c, h, &held, false);
}

static void answer_call(struct call *call, struct http_answer *a)
{
    struct core *c = call->c;
    struct held h = { .conn = call->rq->conn };
    size_t at = c->out.len;

    if (call->cross_origin)
        allow_origin(c, a, call->rq->origin);
    http_write(&c->out, a);
    if (!add_answer(c, &h, false, at, a->status))
        answer_unavailable(c, call->h, &h, false);
}

void core_answer_payload(struct call *call, struct span payload)
{
    struct http_answer a = { .status = 200, .type = "text/plain; charset=UTF-8", .body = payload };

    if (!buf_ok(&call->c->payload))
        call->c->no_memory = true;      /* it would be cut short */
    answer_call(call, &a);
}

void core_answer_ok(struct call *call)
{
    struct http_answer a = { .status = 200, .type = "text/html", .body = SPAN("ok") };

    answer_call(call, &a);
}

void core_answer_plain(struct call *call, int status, const char *type, struct span body)
{
    struct http_answer a = { .status = status, .type = type, .body = body };

    answer_call(call, &a);
}

void core_answer_error(struct call *call, int status, enum eio_error code, const char *message)
{
    struct core *c = call->c;
    struct held h = { .conn = call->rq->conn };
    size_t at = c->out.len;

    write_error(c, status, code, message,
                call->cross_origin ? call->rq->origin : (struct span){ NULL, 0 });
    if (!add_answer(c, &h, false, at, status))
        answer_unavailable(c, call->h, &h, false);
}

void core_answer_held(struct core *c, int64_t session, const char *origin, struct span payload)
{
    struct held h;

    if (!buf_ok(&c->payload))
        c->no_memory = true;            /* it would be cut short */
    while (park_take(c->park, session, &h)) {
        if (h.shared)
            store_touch(c->store, session, OTHERS);
        struct http_answer a = { .status = 200,
                                 .type = "text/plain; charset=UTF-8",
                                 .body = payload };
        size_t at = c->out.len;
        allow_origin(c, &a, span_of(origin));
        if (h.begun)
            buf_add_span(&c->out, payload);
        else
            http_write(&c->out, &a);
        if (!add_answer(c, &h, true, at, a.status)) {
            park_add(c->park, &h);      /* it has just made room */
            return;
        }
    }
}

void core_begin_held(struct core *c, const struct session *session)
{
    struct held h = { .session = session->id };
    struct http_answer a = { .status = 200, .type = "text/plain; charset=UTF-8", .begins = true };
    size_t at = c->out.len;

    allow_origin(c, &a, span_of(session->origin));
    http_write(&c->out, &a);
    if (add_answer(c, &h, false, at, 0))
        c->answers[c->answer_count - 1].begins = true;
}

/* ---- holding */

int64_t core_hold_until(const struct core *c, const struct session *session)
{
    int64_t interval = c->set->ping_interval_ms, now = c->signaling.now;

    if (!session->pinged)
        return session->ping_ms;
    /* The pong may come to another process, and after it another heartbeat is due an interval later. */
    int64_t look_ms = now + interval - (now - session->ping_ms) % interval;
    int64_t lost_ms = session->ping_ms + c->set->ping_timeout_ms;
    return look_ms < lost_ms ? look_ms : lost_ms;
}

static bool remember_fresh(struct core *c, const struct held *h)
{
    if (c->fresh_count == c->fresh_cap) {
        size_t cap = c->fresh_cap != 0 ? c->fresh_cap * 2 : 64;
        struct held *fresh = realloc(c->fresh, cap * sizeof *fresh);
        if (fresh == NULL)
            return false;
        c->fresh = fresh;
        c->fresh_cap = cap;
    }
    c->fresh[c->fresh_count++] = *h;
    return true;
}

void core_hold(struct call *call, const struct session *session, bool shared)
{
    struct core *c = call->c;
    struct held h = { .session = session->id,
                      .due_ms = core_hold_until(c, session),
                      .conn = call->rq->conn,
                      .poll = (int32_t)session->poll,
                      .shared = shared };

    if (!remember_fresh(c, &h)) {
        c->no_memory = true;
        answer_unavailable(c, call->h, &h, false);
        return;
    }
    if (!park_add(c->park, &h)) {
        c->fresh_count--;
        c->no_memory = true;
        answer_unavailable(c, call->h, &h, false);
        return;
    }
    host_park(call->h, h.conn, h.session);
    store_touch(c->store, session->id, c->self);        /* there may be something to hear already */
}

/* ---- requests */

/* Errors that need no session: method, transport, version, origin. False: the call was answered. */
static bool well_formed(struct call *call, const char *transport, bool known)
{
    const struct request *rq = call->rq;
    enum http_method method = http_method(rq->method);

    if (strcmp(transport, "polling") != 0)
        core_answer_error(call, 400, EIO_TRANSPORT_UNKNOWN, "Transport unknown");
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
 * leave the port out of the Host header; which it is they say besides. Behind a proxy the header may
 * be another altogether, but browsers say themselves what they see, and no page can make them lie. */
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

const char *core_who(const struct call *call, const struct session *session)
{
    static char address[ADDRESS_MAX];

    if (session != NULL && session->socket_count != 0)
        return session->sockets[0].public;
    return call->c->set->keep_addresses && span_copy(call->rq->address, address, sizeof address)
               ? address
               : NULL;
}

/* TEXT of the request, for a sentence. */
static struct span shown(struct span text)
{
    return text.len == 0 ? SPAN("(none)") : http_is_plain(text) ? text : SPAN("(unprintable)");
}

static void refuse_origin(struct call *call)
{
    struct span origin = shown(call->rq->origin), host = shown(call->rq->host);
    char why[300];

    snprintf(why, sizeof why,
             "Forbidden: pages of the origin %.*s may not connect to the host %.*s; see "
             "allowed_origins",
             (int)origin.len, origin.p, (int)host.len, host.p);
    log_often(LOG_INFO, "P310", "core", core_who(call, NULL), "%s", why);
    core_answer_error(call, 403, EIO_FORBIDDEN, why);
}

static void refuse_host(struct call *call)
{
    struct span host = shown(call->rq->host);
    char why[200];

    snprintf(why, sizeof why, "Forbidden: the host %.*s is not served here; see served_hosts",
             (int)host.len, host.p);
    log_often(LOG_INFO, "P311", "core", core_who(call, NULL), "%s", why);
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
    log_often(LOG_INFO, "P317", "core", core_who(call, NULL), "%s", why);
    core_answer_error(call, call->rq->refused, EIO_BAD_REQUEST, why);
}

static void preflight(struct call *call)
{
    struct http_answer a = { .status = 204,
                             .preflight = true,
                             .request_headers = call->rq->cors_headers };

    answer_call(call, &a);
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
    struct buf *payload = &call->c->payload;

    buf_clear(payload);
    buf_addf(payload,
             "0{\"sid\":\"%s\",\"upgrades\":[],\"pingInterval\":%lld,\"pingTimeout\":%lld,"
             "\"maxPayload\":%lld%s}",
             session->sid, (long long)set->ping_interval_ms, (long long)set->ping_timeout_ms,
             (long long)set->max_payload_bytes, session->shim ? ",\"wait\":true" : "");
    core_answer_payload(call, buf_span(payload));
}

/* Whom the limits of an address are for: of IPv6 the network of 56 bits that a customer may have, since
 * the rest is for whoever has it to choose. */
void core_visitor(struct span address, char out[ADDRESS_MAX])
{
    struct in6_addr six;

    if (!span_copy(address, out, ADDRESS_MAX) || out[0] == '\0')
        memcpy(out, "unknown", sizeof "unknown");
    if (inet_pton(AF_INET6, out, &six) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        inet_ntop(AF_INET, &six.s6_addr[12], out, ADDRESS_MAX);
        return;
    }
    memset(&six.s6_addr[7], 0, 9);
    inet_ntop(AF_INET6, &six, out, ADDRESS_MAX - sizeof "/56");
    memcpy(out + strlen(out), "/56", sizeof "/56");
}

void core_open(struct call *call)
{
    struct core *c = call->c;
    const struct settings *set = c->set;
    char address[ADDRESS_MAX];

    core_visitor(call->rq->address, address);
    if (store_session_count(c->store, "") >= set->max_sessions) {
        log_often(LOG_WARNING, "P312", "core", core_who(call, NULL),
                  "a session is refused: there are %lld, as many as max_sessions allows",
                  (long long)set->max_sessions);
        core_answer_error(call, 403, EIO_FORBIDDEN,
                          "Forbidden: this server has as many sessions as it may have");
        return;
    }
    if (store_session_count(c->store, address) >= set->max_sessions_per_address) {
        log_often(LOG_WARNING, "P313", "core", core_who(call, NULL),
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
        core_answer_error(call, 503, EIO_FORBIDDEN, UNAVAILABLE);
        return;
    }
    if (session->due_ms < c->sweep_ms)
        c->sweep_ms = session->due_ms;
    answer_open(call, session);
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

/* A t of so many digits, and nothing else, is the client's clock: what it asks within a millisecond has
 * the same. */
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
    log_often(LOG_WARNING, "P314", "core", core_who(call, session),
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
        call->after = seen_hash(span_of(q->after));
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
        core_work(call, session);
}

/* The browser asked for PATH, or for what the web server rewrote to it. */
static bool is_mapped(const struct request *rq, const char *path)
{
    size_t split = rq->script.len, len = strlen(path);

    return span_is(rq->path, path)
           || (split + rq->path_info.len == len
               && span_equals(rq->script, (struct span){ path, split })
               && span_is(rq->path_info, path + split));
}

/* A request of which only a part is here. */
static void answer_cut(struct call *call)
{
    static const struct {
        int status, code;
        const char *why;
    } answers[] = {
        [CUT_OFF] = { 503, EIO_FORBIDDEN, "Service unavailable: the request did not arrive whole" },
        [CUT_LATE] = { 408, EIO_FORBIDDEN,
                       "Request timeout: the request did not arrive whole in time" },
        [CUT_CROWDED] = { 503, EIO_FORBIDDEN,
                          "Service unavailable: too many requests are coming slowly" },
        [CUT_HEAD] = { 431, EIO_BAD_REQUEST, "Bad request: the headers are too long" },
    };
    const struct request *rq = call->rq;

    log_often(LOG_INFO, "P319", "core", core_who(call, NULL),
              "a request is answered %d: %s; see request_timeout_ms (%lld)",
              answers[rq->cut].status, answers[rq->cut].why,
              (long long)call->c->set->request_timeout_ms);
    origin_allowed(call);               /* so that the page may read it */
    core_answer_error(call, answers[rq->cut].status, answers[rq->cut].code, answers[rq->cut].why);
}

static void take_call(struct call *call)
{
    struct core *c = call->c;
    const struct request *rq = call->rq;
    struct query q;

    c->signaling.now = call->now;
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
        preflight(call);
        return;
    }
    read_query(rq->query, &q);
    call->shim = strcmp(q.shim, "1") == 0;
    call->t = seen_hash(span_of(q.t));
    call->own_t = rq->again || call->shim || strlen(q.t) >= T_OWN;
    call->clock_t = !rq->again && !call->shim && is_clock(q.t);
    if (!well_formed(call, q.transport, q.known))
        return;
    if (!allowed)
        refuse_origin(call);
    else if (q.known)
        take_session(call, &q);
    else if (strcmp(q.version, "4") != 0)
        core_answer_error(call, 400, EIO_BAD_VERSION, "Unsupported protocol version");
    else
        core_work(call, NULL);
}

void core_take(struct core *c, struct host *h, const struct request *rq, int64_t now)
{
    struct call call = { .c = c, .h = h, .rq = rq, .now = now };

    c->counters->requests++;
    take_call(&call);
}

void core_take_again(struct core *c, struct host *h, const struct request *rq, int64_t now,
                     const struct progress *done, size_t place)
{
    struct call call = { .c = c, .h = h, .rq = rq, .now = now,
                         .resumed = true, .place = place, .done = *done };

    take_call(&call);
}

/* ---- the turn's other steps */

int64_t core_worked(const struct core *c)
{
    return store_written(c->store) + (int64_t)c->signaling.work;
}

bool core_busy(struct core *c)
{
    return core_worked(c) - c->worked >= TURN_WORK;
}

/* When held polls are to be looked at. */
static int64_t due_ms(const struct core *c)
{
    int64_t deadline = park_deadline(c->park);

    if (deadline < INT64_MAX - DUE_STEP_MS)
        deadline += DUE_STEP_MS - 1 - (deadline + DUE_STEP_MS - 1) % DUE_STEP_MS;
    return deadline;
}

int64_t core_deadline(const struct core *c)
{
    int64_t deadline = due_ms(c);

    if (c->signaling.due_ms < deadline)
        deadline = c->signaling.due_ms;
    if (c->sweep_ms < deadline)
        deadline = c->sweep_ms;
    if (c->tidying && c->tidy_ms < deadline)
        deadline = c->tidy_ms;
    if (c->postponed_count != 0 && c->resume_ms < deadline)
        deadline = c->resume_ms;
    return deadline < c->retry_ms ? c->retry_ms : deadline;
}

/* SESSION is to be looked at no later than DUE_MS. */
static void be_due(struct core *c, struct session *session, int64_t due_ms)
{
    if (due_ms < session->due_ms)
        session->due_ms = due_ms;
    if (due_ms < c->sweep_ms)
        c->sweep_ms = due_ms;
}

void core_gone(struct core *c, int64_t id, int fd, int64_t now)
{
    struct held h;
    size_t at = c->out.len;

    if (!park_take_fd(c->park, id, fd, &h))
        return;
    if (h.shared)
        store_touch(c->store, id, OTHERS);
    if (!add_answer(c, &h, true, at, 0)) {      /* nothing: it ends the connection */
        park_add(c->park, &h);
        return;
    }
    struct session *session = store_session_by_id(c->store, id);
    if (session == NULL || session->holder != c->self || park_has(c->park, id))
        return;
    session->holder = 0;
    session->answer = ANSWER_NOOP;      /* should that poll come again */
    session->ended_ms = now;
    session->changed = true;
    be_due(c, session, now + c->set->leave_after_ms);
    if (now + c->set->roll_call_ms < c->signaling.due_ms)
        c->signaling.due_ms = now + c->set->roll_call_ms;
}

void core_news(struct core *c)
{
    if (store_news(c->store) == -1)
        log_line(LOG_WARNING, "P302", "core", NULL,
                 "cannot look for other processes' messages; it will be tried again");
}

/* When SESSION, whose poll's connection has ended, has left for the others. If that was before this
 * process began, there may have been nobody to poll: clients ask again after up to five seconds. */
static int64_t leave_ms(const struct core *c, const struct session *session)
{
    int64_t left_ms = session->ended_ms + c->set->leave_after_ms;

    if (session->ended_ms == 0)
        return INT64_MAX;
    return session->ended_ms < c->began_ms && left_ms < c->began_ms + RETURN_MS
               ? c->began_ms + RETURN_MS
               : left_ms;
}

/* A session whose time has come: over, never joined, or lost. Or it is alive, and looked at
 * later. */
static void end_if_over(struct core *c, struct session *session, int64_t now)
{
    int64_t lost_ms = session->ping_ms + c->set->ping_timeout_ms, left_ms = leave_ms(c, session);
    int64_t join_ms =
        session->socket_count == 0 ? session->opened_ms + c->set->connect_timeout_ms : INT64_MAX;

    if (join_ms < lost_ms)
        lost_ms = join_ms;
    if (left_ms < lost_ms)
        lost_ms = left_ms;
    if (session->closing) {
        store_session_end(c->store, session);
    } else if (now >= lost_ms && core_has_postponed(c, session->id)) {
        session->due_ms = now + SWEEP_MS;       /* its pong may be in what waits */
    } else if (now >= lost_ms) {
        signaling_lost(&c->signaling, session);
        signaling_close(&c->signaling, session);
    } else {
        session->due_ms = lost_ms;
    }
}

static void sweep_sessions(struct core *c, int64_t now)
{
    struct session *session;
    int64_t next_ms = INT64_MAX, begun = store_written(c->store);
    int count = 0;

    while (count++ < SWEEP_MOST && store_written(c->store) - begun <= SIGNALING_SLICE
           && (session = store_session_due(c->store, now, &next_ms)) != NULL) {
        end_if_over(c, session, now);
        store_session_due_done(c->store, session);
    }
    c->sweep_ms = next_ms < now + SWEEP_MS ? next_ms : now + SWEEP_MS;
    if (c->sweep_ms < now + SWEEP_LEAST_MS)
        c->sweep_ms = now + SWEEP_LEAST_MS;
}

/* Held polls that are due are looked at: most get a ping. What has nothing to hear yet is held
 * on. Where very many are due at a time, the others are so in the next turn. */
static void touch_due(struct core *c, int64_t now)
{
    int64_t id;

    for (int count = 0; count < DUE_MOST && park_due(c->park, now, &id); count++) {
        struct session *session = store_session_by_id(c->store, id);
        if (session != NULL)
            core_fill(c, session, now);
        if (store_failed(c->store) || c->no_memory)
            return;
        if (session == NULL) {
            core_answer_held(c, id, "", SPAN("6"));
        } else if (park_has(c->park, id)) {
            int64_t until = core_hold_until(c, session);
            park_put_off(c->park, id, until > now ? until : now + SWEEP_MS);
        }
    }
}

void core_time(struct core *c, int64_t now, bool behind)
{
    c->signaling.now = now;
    if (c->began_ms == 0)
        c->began_ms = now;
    if (now >= c->sweep_ms && !behind) {
        sweep_sessions(c, now);
        log_catch_up();
    }
    if (now >= c->signaling.due_ms && !behind)
        signaling_time(&c->signaling);
    if (now >= due_ms(c))
        touch_due(c, now);
}

void core_wake(struct core *c, int64_t now)
{
    int64_t id;

    while (store_touched(c->store, &id)) {
        if (!park_has(c->park, id))
            continue;
        struct session *session = store_session_by_id(c->store, id);
        if (session != NULL)
            core_fill(c, session, now);
        else if (!store_failed(c->store))
            core_answer_held(c, id, "", SPAN("6"));
    }
}

static void forget_turn(struct core *c)
{
    buf_clear(&c->out);
    buf_clear(&c->payload);
    c->answer_count = c->fresh_count = 0;
    c->worked = core_worked(c);
    c->signaling.relayed = 0;
    c->no_memory = false;
}

/* Commit; what it took and what it relayed counts if there was anything. */
static int commit(struct core *c)
{
    bool begun = store_begun(c->store);
    uint64_t from = begun ? stats_clock() : 0;

    if (store_commit(c->store) == -1)
        return -1;
    if (begun)
        stats_time(&c->counters->commit, stats_clock() - from);
    c->counters->hops += c->signaling.relayed;
    return 0;
}

int core_commit(struct core *c)
{
    if (c->no_memory || !buf_ok(&c->out) || commit(c) == -1)
        return -1;
    if (c->failing)
        log_line(LOG_INFO, "P304", "store", NULL, "it works again");
    c->failing = false;
    c->retry_ms = 0;
    return 0;
}

void core_fail_turn(struct core *c, struct host *h)
{
    struct held held;

    if (!c->failing)
        log_line(LOG_ERROR, "P303", "store", NULL, "%s",
                 store_failed(c->store)
                     ? store_why(c->store)
                     : "cannot make an answer: out of memory; give the machine more");
    c->failing = true;
    c->retry_ms = c->signaling.now + RETRY_MS;
    store_rollback(c->store);
    for (size_t i = 0; i < c->answer_count; i++) {
        const struct answer *a = &c->answers[i];
        if (!a->begins && !(a->parked && park_add(c->park, &a->held)))
            answer_unavailable(c, h, &a->held, a->parked);
    }
    for (size_t i = 0; i < c->fresh_count; i++)
        while (park_take(c->park, c->fresh[i].session, &held))
            answer_unavailable(c, h, &held, true);
    core_give_up(c, h);                 /* how far they had come may be undone */
    forget_turn(c);
}

/* What was answered meanwhile is not held any more. */
static void send_beginning(struct core *c, struct host *h, const struct answer *a)
{
    struct held held;

    while (park_unbegun(c->park, a->held.session, &held)) {
        if (!host_begin(h, held.conn, (struct span){ c->out.data + a->at, a->len }))
            return;
        park_begun(c->park, held.session, held.conn.fd);
    }
}

void core_send(struct core *c, struct host *h)
{
    for (size_t i = 0; i < c->answer_count; i++) {
        const struct answer *a = &c->answers[i];
        if (a->begins)
            continue;
        host_answer(h, a->held.conn, a->parked, (struct span){ c->out.data + a->at, a->len });
        if (a->status != 0)
            stats_status(c->counters, a->status);
    }
    for (size_t i = 0; i < c->answer_count; i++)
        if (c->answers[i].begins)
            send_beginning(c, h, &c->answers[i]);
    c->counters->held = park_count(c->park);
    forget_turn(c);
}

bool core_rings(struct core *c)
{
    return store_rings(c->store);
}

void core_tidy(struct core *c, int64_t now)
{
    if (now < c->tidy_ms)
        return;
    c->tidying = store_tidy(c->store, now);
    c->tidy_ms = now + (c->tidying ? TIDY_STEP_MS : TIDY_MS);
    c->worked = core_worked(c);
}

void core_leave(struct core *c, int64_t now)
{
    int64_t id;

    c->leaving = true;
    c->resume_ms = 0;
    while (park_any(c->park, &id) && !store_failed(c->store) && !c->no_memory) {
        struct session *session = store_session_by_id(c->store, id);
        if (session != NULL)
            core_fill(c, session, now);
        else if (!store_failed(c->store))
            core_answer_held(c, id, "", SPAN("6"));
    }
}
