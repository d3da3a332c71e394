/* poll.c - polls: which are held, which are retries, and the packets that each is answered.
 *
 * What an answer carried counts as sent; it arrived when the session's next poll comes. A poll
 * that comes again with the same t has its answer made again from what was noted, on whichever
 * process. */
#include "core/turn.h"

#include <stdio.h>

#include "store/attached.h"

/* In one answer: Debian's python-socketio drops the connection at more. It is the one that gives
 * its POSTs no t. */
#define PACKETS_MAX 16
/* For others, so that what one says at a time keeps nobody busy for minutes. And for all that
 * recover: they are told what they missed before they are greeted. */
#define PACKETS_MANY 1000
/* two polls with the same t, the client's clock's milliseconds, of which the second waited for the
 * first one's answer, come no further apart than this: a turn, and twice a short way */
#define CLOCK_MS 20

/* ---- making an answer */

/* What is being packed for one answer. */
struct packing {
    struct core *c;
    struct session *session;
    struct eio_writer *w;
    int64_t last;                       /* the last delivery in it; 0: none */
    struct { const struct socket *socket; int64_t last; } marked[SOCKETS_MOST];
    bool again;                         /* what was in an answer goes into it */
    size_t marked_count;                /* recoverable sockets with events in it */
};

static bool is_event(const struct owed *o)
{
    return o->type == SIO_EVENT || o->type == SIO_BINARY_EVENT;
}

/* The place of O's socket among those that get a marker; marked_count when it is not there. */
static size_t mark_of(const struct packing *p, const struct owed *o)
{
    size_t i = 0;

    while (i < p->marked_count && p->marked[i].socket->id != o->socket->id)
        i++;
    return i;
}

/* Is DELIVERY, of socket K, ahead of its greeting? A client keeps such events, and its offset as it
 * was, over the end of a session: were it to come back then, it would hear them twice. So the
 * greeting goes into the same answer, whatever else is owed before it. */
static bool is_missed(const struct socket *k, int64_t delivery)
{
    return delivery < k->greeting;
}

/* Does SESSION's client take more than PACKETS_MAX at a time? */
static bool bears_many(const struct session *session)
{
    return session->shim || session->last_post != 0;
}

/* Does O fit, with the markers and greetings that the answer then needs? The first always does. */
static bool fits(const struct packing *p, const struct owed *o)
{
    size_t need = p->w->packets + p->marked_count + 1 + o->attachments;
    bool missed = is_missed(o->socket, o->id)
                  || (o->type == SIO_CONNECT && mark_of(p, o) != p->marked_count);

    for (size_t i = 0; i < p->marked_count; i++)
        need += is_missed(p->marked[i].socket, o->id);
    if (is_event(o) && o->socket->private[0] != '\0' && mark_of(p, o) == p->marked_count)
        need += 1 + is_missed(o->socket, o->id);
    return p->last == 0 || p->again
           || (need <= (missed || bears_many(p->session) ? PACKETS_MANY : PACKETS_MAX)
               && p->w->out->len + o->body.len + o->attached.len
                      <= (size_t)p->c->set->max_payload_bytes);
}

static void begin_packet(struct eio_writer *w, const struct owed *o)
{
    eio_begin_packet(w, EIO_MESSAGE);
    sio_begin(w->out, o->type, o->attachments, span_of(o->socket->nsp), o->ack_id);
}

/* The reply to CONNECT is made up here: it holds a secret that the log need not hold. */
static void add_greeting(struct buf *payload, const struct session *session, const struct socket *k)
{
    buf_addf(payload, "{\"sid\":\"%s\"", k->public);
    if (k->private[0] != '\0')
        buf_addf(payload, ",\"pid\":\"%s\"", k->private);
    if (session->shim)
        buf_addf(payload, ",\"n\":%lld", (long long)k->heard);
    buf_add_char(payload, '}');
}

static void add_attachments(struct eio_writer *w, struct span attached)
{
    for (struct span base64; attached_next(&attached, &base64);)
        eio_add(w, EIO_BINARY, base64);
}

static void add_owed(struct packing *p, const struct owed *o)
{
    begin_packet(p->w, o);
    if (o->type == SIO_CONNECT)
        add_greeting(p->w->out, p->session, o->socket);
    else
        buf_add_span(p->w->out, o->body);
    add_attachments(p->w, o->attached);
    p->last = o->id;
    if (!is_event(o) || o->socket->private[0] == '\0')
        return;
    size_t i = mark_of(p, o);
    if (i == p->marked_count)
        p->marked[p->marked_count++].socket = o->socket;
    p->marked[i].last = o->id;
}

/* Greetings that come before their turn. */
static void add_early_greetings(struct packing *p, int64_t now)
{
    for (size_t i = 0; i < p->marked_count && !p->again; i++) {
        const struct socket *k = p->marked[i].socket;
        if (!is_missed(k, p->last))
            continue;
        struct owed greeting = { .type = SIO_CONNECT, .socket = k };
        begin_packet(p->w, &greeting);
        add_greeting(p->w->out, p->session, k);
        store_greeted(p->c->store, p->session, (size_t)(k - p->session->sockets), now);
    }
}

static void add_markers(struct packing *p)
{
    for (size_t i = 0; i < p->marked_count; i++) {
        struct owed marker = { .type = SIO_EVENT, .socket = p->marked[i].socket };
        begin_packet(p->w, &marker);
        buf_addf(p->w->out, "[\"" SIGNALING_MARKER "\",\"%lld\"]", (long long)p->marked[i].last);
    }
}

/* How much of what SESSION is owed may go into one answer. */
static size_t packets_most(const struct session *session)
{
    for (size_t i = 0; i < session->socket_count; i++)
        if (session->sockets[i].greeting != 0)
            return PACKETS_MANY;
    return bears_many(session) ? PACKETS_MANY : PACKETS_MAX;
}

/* Append what SESSION is owed to W, or AGAIN what its last answer held. Returns the last delivery;
 * 0: none. */
static int64_t pack_owed(struct core *c, struct session *session, struct eio_writer *w,
                         enum owed_which which, int64_t now)
{
    struct packing p = { .c = c, .session = session, .w = w, .again = which == OWED_AGAIN };
    struct owed o;

    store_owed(c->store, session, which, packets_most(session));
    while (store_owed_next(c->store, &o) && fits(&p, &o))
        add_owed(&p, &o);
    store_owed_done(c->store);
    add_early_greetings(&p, now);
    add_markers(&p);
    return p.last;
}

/* Our client may be told to ask again only after a pause: `6825`. Others would not understand. */
static void add_noop(const struct core *c, const struct session *session, struct eio_writer *w)
{
    char pause[24] = "";

    if (session->shim && c->slots.pause_ms != 0)
        snprintf(pause, sizeof pause, "%lld", (long long)c->slots.pause_ms);
    eio_add(w, EIO_NOOP, span_of(pause));
}

/* Put the answer to SESSION's poll into c->payload. False: it has nothing to hear. */
static bool compose(struct core *c, struct session *session, int64_t now)
{
    struct eio_writer w;

    eio_begin(&w, &c->payload);
    session->answer = 0;
    if (session->closing) {
        eio_add(&w, EIO_CLOSE, (struct span){ NULL, 0 });
        eio_end(&w);
        session->answer = ANSWER_CLOSE;
        return true;
    }
    if (!session->pinged && session->ping_ms <= now) {
        eio_add(&w, EIO_PING, (struct span){ NULL, 0 });
        session->pinged = true;
        session->answer |= ANSWER_PING;
    }
    int64_t last = pack_owed(c, session, &w, OWED_UNSENT, now);
    if (last != 0) {
        store_sent(c->store, session, last, now);
        session->answer |= ANSWER_EVENTS;
    }
    if (session->answer == 0 && (session->nudge || c->leaving)) {
        add_noop(c, session, &w);
        session->answer = ANSWER_NOOP;
    }
    eio_end(&w);
    return session->answer != 0;
}

/* Make the last answer again. */
static void compose_again(struct core *c, struct session *session)
{
    struct eio_writer w;

    eio_begin(&w, &c->payload);
    if (session->answer & ANSWER_CLOSE)
        eio_add(&w, EIO_CLOSE, (struct span){ NULL, 0 });
    if (session->answer & ANSWER_PING)
        eio_add(&w, EIO_PING, (struct span){ NULL, 0 });
    if (session->answer & ANSWER_EVENTS)
        pack_owed(c, session, &w, OWED_AGAIN, 0);
    if (w.packets == 0)
        eio_add(&w, EIO_NOOP, (struct span){ NULL, 0 });
    eio_end(&w);
}

/* ---- held polls */

/* Does a living process hold SESSION's poll? What it was to hold here may have been lost for lack
 * of memory. */
static bool is_held(const struct core *c, const struct session *session)
{
    enum hold hold = store_hold(c->store, session);

    return hold == HOLD_ELSEWHERE || (hold == HOLD_HERE && park_has(c->park, session->id));
}

static bool is_answered(const struct core *c, const struct session *session)
{
    return store_hold(c->store, session) == HOLD_NOBODY;
}

/* The poll came again in another process. What that answers is answered here too, since nobody
 * knows which of the two the client waits for. False: it is to be answered here after all. */
static bool answered_elsewhere(struct core *c, struct session *session)
{
    struct held h = { .poll = 0 };

    park_peek(c->park, session->id, &h);
    if (h.poll != (int32_t)session->poll) {     /* the client has polled since */
        core_answer_held(c, session->id, session->origin, eio_noop());
        return true;
    }
    if (is_answered(c, session)) {
        compose_again(c, session);
        core_answer_held(c, session->id, session->origin, buf_span(&c->payload));
        return true;
    }
    if (is_held(c, session) && !c->leaving)
        return true;
    store_wake(c->store, session->id);
    store_hold_here(c->store, session);
    return false;
}

void core_fill(struct core *c, struct session *session, int64_t now)
{
    int64_t answer = session->answer;

    if (!park_has(c->park, session->id) || store_failed(c->store))
        return;
    if (store_hold(c->store, session) != HOLD_HERE && answered_elsewhere(c, session))
        return;
    if (!compose(c, session, now)) {
        session->answer = answer;
        if (session->probe) {
            core_begin_held(c, session);
            session->probe = false;
            session->changed = true;
        }
        return;
    }
    store_hold_over(session);
    session->nudge = session->probe = false;
    core_answer_held(c, session->id, session->origin, buf_span(&c->payload));
}

/* The same poll once more: the same answer, or it waits beside, or instead of, the first. */
static void poll_again(struct call *call, struct session *session)
{
    struct core *c = call->c;

    if (is_answered(c, session)) {
        compose_again(c, session);
        core_answer_payload(call, buf_span(&c->payload));
        return;
    }
    bool shared = store_hold(c->store, session) == HOLD_ELSEWHERE;
    store_hold_here(c->store, session);
    session->ended_ms = 0;
    session->watched = call->watched;
    core_hold(call, session, shared ? HELD_TWICE : HELD_HERE);
}

/* Which poll is one that came before? Clients give each request a `t`, but not all of them one of
 * its own: some the time in milliseconds, of which several fall together, some take turns with a
 * few, some always say the same (that one is no t here, see take_session()).
 *
 *     t is                     the client still waits for it, and is answered
 *     the last poll's          what that was answered, or waits beside it: the answer was lost or a
 *                              proxy asked twice
 *     the last poll's, and     as a new one, if the last was answered: whoever hears within a
 *       its clock's, within a    millisecond asks again in the same one. Were it a proxy's, nobody
 *       moment                   would hear what it takes: it makes room for the next, core_poll()
 *     one from before          `6`: late, nobody waits. It takes no place and proves nothing
 *     the last poll's, after   as a new one, if it is a short one: whoever takes turns with x and y
 *       one from before        goes on so from `6`. A long one is a retry still
 *     any other, or none       as a new one; what the last was answered has arrived
 */
static bool is_new_with_old_t(const struct call *call, const struct session *session)
{
    if (call->clock_t)
        return is_answered(call->c, session) && call->now - session->polled_ms < CLOCK_MS;
    return session->overtaken && !session->shim && !call->own_t;
}

static bool came_before(struct call *call, struct session *session)
{
    struct core *c = call->c;

    if (call->t == 0)
        return false;
    if (call->t == session->last_poll) {
        if (is_new_with_old_t(call, session))
            return false;
        poll_again(call, session);
        return true;
    }
    if (!store_has_request(c->store, session, REQUEST_POLL, call->t, call->now))
        return false;
    session->overtaken = true;
    session->changed = true;
    core_answer_payload(call, eio_noop());
    return true;
}

void core_poll(struct call *call, struct session *session)
{
    struct core *c = call->c;

    if (came_before(call, session))
        return;
    if (session->answer & ANSWER_CLOSE) {
        core_answer_error(call, 400, EIO_SID_UNKNOWN, "Session ID unknown");
        return;
    }
    if (!session->closing && is_held(c, session) && session->overtaken) {
        core_answer_held(c, session->id, session->origin, eio_noop());
        store_wake(c->store, session->id);
    } else if (!session->closing && is_held(c, session)) {
        signaling_lost(&c->signaling, session);
        signaling_close(&c->signaling, session);
        core_answer_error(call, 400, EIO_BAD_REQUEST,
                          "Bad request: another poll of this session is waiting");
        return;
    }
    if (session->answer & ANSWER_EVENTS)
        store_arrived(c->store, session, call->now);
    /* it may be a proxy's: the next is not to be refused for it */
    session->overtaken = call->clock_t && call->t == session->last_poll;
    store_add_request(c->store, session, REQUEST_POLL, call->t, call->now);
    session->poll++;
    session->polled_ms = call->now;
    session->ended_ms = 0;
    session->watched = call->watched;
    session->probe = false;
    session->answer = 0;
    store_hold_here(c->store, session);
    core_hold(call, session, HELD_HERE);
}
