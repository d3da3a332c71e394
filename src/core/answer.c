/* answer.c - answers that leave after the turn's commit, and polls that wait for theirs. Knows
 * their form, not what they are about. */
#include "core/turn.h"

#include <stdlib.h>

#include "core/refusal.h"

/* when there is not even the memory for saying so */
#define NO_MEMORY "Status: 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

const char *core_who(const struct call *call, const struct session *session)
{
    static char address[ADDRESS_MAX];

    if (session != NULL && session->socket_count != 0)
        return session->sockets[0].public;
    return call->c->set->keep_addresses && span_copy(call->rq->address, address, sizeof address)
               ? address
               : NULL;
}

/* ---- making them */

/* Was the request held? */
enum waited { WAITED_NOT, WAITED };

/* Remember that H is to get what stands in c->out from AT on, an answer of STATUS. False without
 * memory: the turn fails, and H is still the caller's. */
static bool add_answer(struct core *c, const struct held *h, enum waited waited, size_t at,
                       int status)
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
    c->answers[c->answer_count++] = (struct answer){ .held = *h, .parked = waited == WAITED,
                                                     .at = at,
                                                     .len = c->out.len - at,
                                                     .status = status };
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
    char body[EIO_ERROR_MAX];
    struct http_answer a = { .status = status,
                             .type = "application/json",
                             .body = eio_error_body(body, code, message),
                             .retry_after_s = status == 503 || status == 429 };

    allow_origin(c, &a, origin);
    http_write(&c->out, &a);
}

/* Answer at once that nothing was stored, in a turn that fails. */
static void answer_unavailable(struct core *c, struct host *h, const struct held *held,
                               enum waited waited)
{
    buf_clear(&c->out);
    write_error(c, 503, EIO_FORBIDDEN, CORE_UNAVAILABLE, (struct span){ NULL, 0 });
    host_answer(h, held->conn, waited == WAITED,
                held->begun       ? eio_noop()        /* too late for another status */
                : buf_ok(&c->out) ? buf_span(&c->out)
                                  : SPAN(NO_MEMORY));
    stats_status(c->counters, 503);
}

void core_answer_unavailable(struct core *c, struct host *h, struct conn conn)
{
    struct held held = { .conn = conn };

    answer_unavailable(c, h, &held, WAITED_NOT);
}

static void answer_call(struct call *call, struct http_answer *a)
{
    struct core *c = call->c;
    struct held h = { .conn = call->rq->conn };
    size_t at = c->out.len;

    if (call->cross_origin)
        allow_origin(c, a, call->rq->origin);
    http_write(&c->out, a);
    if (!add_answer(c, &h, WAITED_NOT, at, a->status))
        answer_unavailable(c, call->h, &h, WAITED_NOT);
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
    if (!add_answer(c, &h, WAITED_NOT, at, status))
        answer_unavailable(c, call->h, &h, WAITED_NOT);
}

void core_answer_refusal(struct call *call, enum log_code code)
{
    struct core *c = call->c;
    struct held h = { .conn = call->rq->conn };
    size_t at = c->out.len;

    refusal_write(&c->out, code);
    if (!add_answer(c, &h, WAITED_NOT, at, 503))
        answer_unavailable(c, call->h, &h, WAITED_NOT);
}

void core_answer_preflight(struct call *call)
{
    struct http_answer a = { .status = 204,
                             .preflight = true,
                             .request_headers = call->rq->cors_headers };

    answer_call(call, &a);
}

void core_answer_held(struct core *c, int64_t session, const char *origin, struct span payload)
{
    struct held h;

    if (!buf_ok(&c->payload))
        c->no_memory = true;            /* it would be cut short */
    while (park_take(c->park, session, &h)) {
        if (h.shared)
            store_wake_others(c->store, session);
        struct http_answer a = { .status = 200,
                                 .type = "text/plain; charset=UTF-8",
                                 .body = payload };
        size_t at = c->out.len;
        allow_origin(c, &a, span_of(origin));
        if (h.begun)
            buf_add_span(&c->out, payload);
        else
            http_write(&c->out, &a);
        if (!add_answer(c, &h, WAITED, at, a.status)) {
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
    if (add_answer(c, &h, WAITED_NOT, at, 0))
        c->answers[c->answer_count - 1].begins = true;
}

/* ---- holding */

int64_t core_hold_until(const struct core *c, const struct session *session)
{
    int64_t interval = c->set->ping_interval_ms, now = c->signaling.now;

    if (!session->pinged)
        return session->ping_ms;
    /* The pong may come to another process, and after it another heartbeat is due an interval
     * later. */
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

/* Put H into the host's care. False without memory: it is answered, and the turn fails. */
static bool hold(struct call *call, const struct held *h)
{
    struct core *c = call->c;

    if (!remember_fresh(c, h)) {
        c->no_memory = true;
        answer_unavailable(c, call->h, h, WAITED_NOT);
        return false;
    }
    if (!park_add(c->park, h)) {
        c->fresh_count--;
        c->no_memory = true;
        answer_unavailable(c, call->h, h, WAITED_NOT);
        return false;
    }
    host_park(call->h, h->conn, h->session);
    return true;
}

void core_hold(struct call *call, const struct session *session, enum held_where where)
{
    struct core *c = call->c;
    struct held h = { .session = session->id,
                      .due_ms = core_hold_until(c, session),
                      .conn = call->rq->conn,
                      .poll = (int32_t)session->poll,
                      .shared = where == HELD_TWICE };

    if (!hold(call, &h))
        return;
    core_slots_begin(c, session);
    store_wake(c->store, session->id);  /* there may be something to hear already */
}

bool core_hold_blindly(struct call *call, int64_t id, int64_t due_ms)
{
    struct held h = { .session = id, .due_ms = due_ms, .conn = call->rq->conn };

    return hold(call, &h);
}

bool core_drop_held(struct core *c, int64_t session, int fd)
{
    struct held h;
    size_t at = c->out.len;

    if (!park_take_fd(c->park, session, fd, &h))
        return false;
    if (h.shared)
        store_wake_others(c->store, session);
    if (add_answer(c, &h, WAITED, at, 0))         /* nothing: it ends the connection */
        return true;
    park_add(c->park, &h);                      /* it has just made room */
    return false;
}

/* ---- sending them */

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

void core_send_answers(struct core *c, struct host *h)
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
}

void core_take_back(struct core *c, struct host *h)
{
    struct held held;

    for (size_t i = 0; i < c->answer_count; i++) {
        const struct answer *a = &c->answers[i];
        if (!a->begins && !(a->parked && park_add(c->park, &a->held)))
            answer_unavailable(c, h, &a->held, a->parked ? WAITED : WAITED_NOT);
    }
    for (size_t i = 0; i < c->fresh_count; i++)
        while (park_take(c->park, c->fresh[i].session, &held))
            answer_unavailable(c, h, &held, WAITED);
}
