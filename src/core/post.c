/* post.c - POSTs: what each packet in them does, in order, to the last. What is much work
 * is applied over several turns (see postpone.c); how far it has come is stored with it. */
#include "core/turn.h"
#include "base/log.h"
#include "store/attached.h"
#include "wire/json.h"

/* A POST on its way through. */
struct post {
    struct call *call;
    struct session *session;
    const char *wrong;          /* what the client did wrong: the session is closed */
    bool over;                  /* the client closed the session */
    size_t connects;            /* CONNECTs so far */
};

/* For a line of the log; NULL: it has no socket. */
static const char *public_of(const struct session *session)
{
    return session->socket_count != 0 ? session->sockets[0].public : NULL;
}

/* ---- connecting */

/* Owe SOCKET a packet of TYPE with BODY. The delivery. */
static int64_t owe(struct post *p, const struct socket *socket, enum sio_type type,
                   struct span body)
{
    struct core *c = p->call->c;
    struct member to = member_of(p->session, socket);
    struct message m = { .type = type, .body = body, .recipients = 1 };

    return store_deliver(c->store, store_message(c->store, &m, p->call->now), body.len, &to);
}

/* Tell the client that its CONNECT to NSP is refused, through a socket that has gone before it
 * came. */
static void refuse_connect(struct post *p, struct span nsp, const char *message)
{
    struct store *store = p->call->c->store;
    struct buf body = BUF_EMPTY;
    struct socket *k = store_socket_open(store, p->session, nsp, p->call->rq->address,
                                         RECOVERY_NONE, p->call->now);

    if (k == NULL)
        return;
    buf_add_text(&body, "{\"message\":");
    json_string_encode(&body, span_of(message));
    buf_add_char(&body, '}');
    if (!buf_ok(&body))
        store_no_memory(store, "refuse a namespace");
    store_socket_gone(store, k->id, GONE_OWED, p->call->now);
    owe(p, k, SIO_CONNECT_ERROR, buf_span(&body));
    buf_release(&body);
}

/* Is NSP "/" or among the configured ones, a list separated by spaces or commas? */
static bool namespace_exists(const struct settings *set, struct span nsp)
{
    if (span_is(nsp, "/"))
        return true;
    for (const char *at = set->namespaces; *at != '\0';) {
        size_t len = strcspn(at, " ,\t\n");
        if (span_equals(nsp, (struct span){ at, len }))
            return true;
        at += len;
        at += strspn(at, " ,\t\n");
    }
    return false;
}

/* FROM is about to leave its old session, which the client has given up. */
static void leave_old_session(struct post *p, const struct socket *from)
{
    struct core *c = p->call->c;
    struct session *old = from->session != 0 ? store_session_by_id(c->store, from->session) : NULL;
    size_t live = 0;

    for (size_t i = 0; old != NULL && i < old->socket_count; i++)
        live += old->sockets[i].gone_ms == 0 && old->sockets[i].id != from->id;
    if (old != NULL && live == 0)
        signaling_close(&c->signaling, old);
}

/* The socket that the client's pid and offset recover; NULL: none, it gets a fresh one. */
static struct socket *recover(struct post *p, const struct sio_packet *packet)
{
    struct core *c = p->call->c;
    struct span value;
    struct socket from;
    char pid[ID_LEN + 1], text[24];
    int64_t offset = 0;

    if (c->set->recovery_window_ms == 0 || packet->data.len == 0
        || !json_member(packet->data, "pid", &value)
        || json_string_decode(value, pid, sizeof pid) != ID_LEN
        || !store_socket_by_private(c->store, span_of(pid), &from)
        || !span_is(packet->nsp, from.nsp))
        return NULL;
    if (!json_member(packet->data, "offset", &value)
        || json_string_decode(value, text, sizeof text) < 0 || !span_int(span_of(text), &offset))
        offset = 0; /* not ours: go by what is known to have arrived */
    leave_old_session(p, &from);
    return store_socket_recover(c->store, p->session, &from, offset, p->call->now);
}

static void connect_packet(struct post *p, const struct sio_packet *packet)
{
    struct core *c = p->call->c;

    if (store_socket(p->session, packet->nsp) != NULL) {
        p->wrong = "a second CONNECT to the same namespace";
        return;
    }
    if (++p->connects > SOCKETS_MOST || p->session->socket_count >= SOCKETS_MOST) {
        p->wrong = "too many CONNECTs at a time";
        return;
    }
    if (!namespace_exists(c->set, packet->nsp)) {
        struct span nsp = http_is_plain(packet->nsp) ? packet->nsp : SPAN("(unprintable)");
        log_often(P329, core_who(p->call, p->session),
                  "a CONNECT is refused: there is no namespace %.*s; see namespaces",
                  (int)nsp.len, nsp.p);
        refuse_connect(p, packet->nsp, "Invalid namespace");
        return;
    }
    struct socket *k = recover(p, packet);
    bool back = k != NULL;
    if (k == NULL)
        k = store_socket_open(c->store, p->session, packet->nsp, p->call->rq->address,
                              c->set->recovery_window_ms != 0 ? RECOVERY_BY_ID : RECOVERY_NONE,
                              p->call->now);
    if (k != NULL) {
        k->greeting = owe(p, k, SIO_CONNECT, (struct span){ NULL, 0 });
        k->changed = true;
        if (back)
            signaling_back(&c->signaling, k);
    }
}

/* ---- events */

/* Has the server disconnected a socket in NSP that the client may not know of yet? */
static bool was_disconnected(const struct session *session, struct span nsp)
{
    for (size_t i = 0; i < session->socket_count; i++)
        if (session->sockets[i].gone_ms != 0 && span_is(nsp, session->sockets[i].nsp))
            return true;
    return false;
}

/* An event is complete, its attachments included. */
static void event_packet(struct post *p, const struct sio_packet *packet, struct span attached)
{
    struct core *c = p->call->c;
    struct socket *k = store_socket(p->session, packet->nsp);

    if (k == NULL) {
        if (!was_disconnected(p->session, packet->nsp))
            p->wrong = "an event before CONNECT";
        return;
    }
    if (packet->type == SIO_ACK || packet->type == SIO_BINARY_ACK)
        return;                         /* the server asks for none, so it answers nothing */
    if (p->session->shim) {
        k->heard++;
        k->changed = true;
    }
    signaling_event(&c->signaling, p->session, k, packet, attached);
}

static void disconnect_packet(struct post *p, const struct sio_packet *packet)
{
    struct socket *k = store_socket(p->session, packet->nsp);

    if (k != NULL)
        signaling_left(&p->call->c->signaling, k);
    else if (!was_disconnected(p->session, packet->nsp))
        p->wrong = "a DISCONNECT before CONNECT";
}

/* A whole Socket.IO packet, but for attachments that have yet to come. */
static void message_packet(struct post *p, struct span text)
{
    struct sio_packet packet;
    enum sio_status status =
        p->session->partial.len != 0 ? SIO_BAD_ATTACHMENTS : sio_parse(text, &packet);

    if (status != SIO_OK) {
        p->wrong = p->session->partial.len != 0
                       ? "text before all attachments of a binary event have come"
                       : sio_strerror(status);
        return;
    }
    if (packet.attachments != 0) {
        buf_add_span(&p->session->partial, text);
        if (!buf_ok(&p->session->partial))
            p->call->c->no_memory = true;
        return;
    }
    if (packet.type == SIO_CONNECT)
        connect_packet(p, &packet);
    else if (packet.type == SIO_DISCONNECT)
        disconnect_packet(p, &packet);
    else
        event_packet(p, &packet, (struct span){ NULL, 0 });
}

/* An attachment: kept behind the event's text and those before it; the last completes the event. */
static void binary_packet(struct post *p, const struct eio_packet *binary)
{
    struct buf *partial = &p->session->partial;
    struct sio_packet packet;

    if (partial->len == 0) {
        p->wrong = "an attachment that no binary event announced";
        return;
    }
    attached_begin(partial);
    eio_add_base64(partial, binary);
    if (!buf_ok(partial)) {
        p->call->c->no_memory = true;
        return;
    }
    if (partial->len > 2 * (size_t)p->call->c->set->max_payload_bytes) {
        p->wrong = "a binary event larger than max_payload_bytes";
        return;
    }
    struct span text, attached = attached_behind(buf_span(partial), &text);
    if (sio_parse(text, &packet) != SIO_OK || attached_count(attached) < packet.attachments)
        /* it has been parsed before, so it is that there are more to come */
        return;
    /* the session may be read again meanwhile: its own copy goes first */
    struct buf event = *partial;
    buf_init(partial);
    p->session->partial_over = true;
    event_packet(p, &packet, attached);
    buf_release(&event);
}

/* ---- Engine.IO packets */

/* An answer to a ping that was put into a poll's answer. One that nobody asked for shows nothing:
 * who never polls would live on it for ever, and what waits for it with it. */
static void pong_packet(struct post *p)
{
    if (!p->session->pinged)
        return;
    p->session->ping_ms = p->call->now + p->call->c->set->ping_interval_ms;
    p->session->pinged = false;
    p->session->changed = true;
}

/* The client closes the session: orderly if its sockets left before, else it may come back. */
static void close_packet(struct post *p)
{
    struct core *c = p->call->c;

    core_answer_held(c, p->session->id, p->session->origin, eio_noop());
    store_wake(c->store, p->session->id);
    signaling_lost(&c->signaling, p->session);
    store_session_end(c->store, p->session);
    p->over = true;
}

static void apply(struct post *p, const struct eio_packet *packet)
{
    switch (packet->type) {
    case EIO_MESSAGE:
        message_packet(p, packet->data);
        break;
    case EIO_BINARY:
        binary_packet(p, packet);
        break;
    case EIO_PONG:
        pong_packet(p);
        break;
    case EIO_CLOSE:
        close_packet(p);
        break;
    case EIO_PING:
        p->wrong = "a ping from a client";
        break;
    case EIO_OPEN:
    case EIO_UPGRADE:
    case EIO_NOOP:
        break;                          /* nothing to do on this transport */
    }
}

/* Close the session over what the client did wrong, and say what it was. */
static void reject(struct post *p)
{
    struct core *c = p->call->c;
    char message[160] = "Bad request: ";

    strncat(message, p->wrong, sizeof message - strlen(message) - 1);
    log_often(P301, public_of(p->session), "a client broke the protocol: %s; its session is closed",
              p->wrong);
    if (!p->over) {
        signaling_lost(&c->signaling, p->session);
        signaling_close(&c->signaling, p->session);
    }
    core_answer_error(p->call, 400, EIO_BAD_REQUEST, message);
}

/* ---- the POST itself */

static void tell_too_much(const struct call *call, const struct session *session)
{
    const struct settings *set = call->c->set;

    if (store_is_full(call->c->store))
        log_often(P321, public_of(session),
                  "a POST is refused: the database is twice as large as log_max_bytes (%lld) "
                  "allows, and much waits for its sender",
                  (long long)set->log_max_bytes);
    else
        log_often(P316, public_of(session),
                  "a POST is refused: more waits for its sender than max_queued_messages (%lld) "
                  "or max_queued_bytes (%lld) allow",
                  (long long)set->max_queued_messages, (long long)set->max_queued_bytes);
}

enum bounds { BOUNDS_ONCE, BOUNDS_TWICE };

/* Acknowledgements, echoes and complaints are owed to the client like anything else, so it may not
 * ask for more while too much waits for it. A POST that is a poll as well makes room itself: of
 * one whose peers have filled its queue it is taken, until its own answers are as much again
 * (TWICE); so is the rest of one that has begun. False: the call was answered. */
static bool may_owe(struct call *call, struct session *session, enum bounds bounds)
{
    struct store *store = call->c->store;
    bool room = true;

    for (size_t i = 0; i < session->socket_count && room; i++) {
        struct member client = member_of(session, &session->sockets[i]);
        room = bounds == BOUNDS_TWICE ? !store_overflows(store, &client)
            : store_has_room(store, &client, 0);
    }
    if (room)
        return true;
    tell_too_much(call, session);
    core_answer_error(call, 429, EIO_FORBIDDEN, "Too much is waiting for this client: poll first");
    return false;
}

/* Refusals that leave the session as it is. False: the call was answered. */
static bool admissible(struct call *call, struct session *session)
{
    const struct settings *set = call->c->set;

    if (call->rq->body_too_long || call->rq->body.len > (size_t)set->max_payload_bytes) {
        log_often(P317, public_of(session),
                  "a POST is refused: it is longer than max_payload_bytes (%lld)",
                  (long long)set->max_payload_bytes);
        core_answer_error(call, 413, EIO_BAD_REQUEST,
                          "Payload too large: see maxPayload of the handshake");
        return false;
    }
    if (eio_count(call->rq->body) > (size_t)set->max_packets_per_payload) {
        log_often(P322, public_of(session),
                  "a POST is refused: it has more packets than max_packets_per_payload (%lld)",
                  (long long)set->max_packets_per_payload);
        core_answer_error(call, 413, EIO_BAD_REQUEST, "Too many packets in one payload");
        return false;
    }
    return may_owe(call, session, call->wait ? BOUNDS_TWICE : BOUNDS_ONCE);
}

/* How many bytes of the POST are applied. The session knows, whichever process did them: it may
 * have come again to another while it waits here, and each goes on where the last one stopped.
 * Only where the session's client has sent several at a time, to several processes, the session
 * knows of the last. */
static size_t applied(const struct call *call, const struct session *session, uint64_t mark)
{
    size_t bytes = mark != 0 && session->posting == mark ? (size_t)session->posted
                                                         : call->done.bytes;

    return bytes < call->rq->body.len ? bytes : call->rq->body.len;
}

/* P has done what one may in a turn, BYTES of the body: the rest of it waits. */
static void go_on_later(struct post *p, uint64_t mark, size_t bytes)
{
    struct progress done = { .mark = mark, .bytes = bytes, .connects = p->connects };

    p->session->posting = mark;
    p->session->posted = (int64_t)done.bytes;
    p->session->changed = true;
    core_postpone(p->call, p->session, &done);
}

/* The POST has been applied, now or before: it is answered, or waits as a poll. */
static void conclude(struct call *call, struct session *session)
{
    if (call->wait)
        core_poll(call, session);
    else
        core_answer_ok(call);
}

/* What tells the POST from others. Clients may send several with one t, so its body counts; ours
 * never does, and names POSTs by their t alone (`after`; and where the body was lost). */
static uint64_t mark_of(const struct call *call, const struct session *session)
{
    return session->shim ? call->t : seen_hash_body(call->t, call->rq->body);
}

/* May the POST, of which nothing is applied yet, begin? False: the call was answered. */
static bool may_begin(struct call *call, struct session *session)
{
    struct store *store = call->c->store;

    if (call->after != 0
        && !store_has_request(store, session, REQUEST_POST, call->after, call->now)) {
        core_answer_error(call, 503, EIO_FORBIDDEN,
                          "Service unavailable: the request before this one has not come yet");
        return false;
    }
    return admissible(call, session);
}

void core_post(struct call *call, struct session *session)
{
    struct core *c = call->c;
    struct post p = { .call = call, .session = session, .connects = call->done.connects };
    struct eio_reader packets = { .payload = call->rq->body };
    struct eio_packet packet;
    enum eio_status status = eio_check_type(call->rq->content_type);

    if (session->closing) {
        core_answer_error(call, 400, EIO_SID_UNKNOWN, "Session ID unknown");
        return;
    }
    uint64_t mark = call->done.mark != 0 ? call->done.mark : mark_of(call, session);
    if (store_has_request(c->store, session, REQUEST_POST, mark, call->now)) {
        conclude(call, session);
        return;
    }
    packets.at = applied(call, session, mark);
    if (packets.at == 0 ? !may_begin(call, session) : !may_owe(call, session, BOUNDS_TWICE))
        return;
    int64_t until = core_worked(c) + c->slice;
    while (status == EIO_OK && p.wrong == NULL && !p.over) {
        if (packets.at < packets.payload.len && core_worked(c) >= until) {
            go_on_later(&p, mark, packets.at);
            return;
        }
        if ((status = eio_next(&packets, &packet)) == EIO_OK)
            apply(&p, &packet);
    }
    if (p.wrong == NULL && status != EIO_OK && status != EIO_END)
        p.wrong = eio_strerror(status);
    if (p.wrong == NULL && session->partial.len != 0 && store_is_full(c->store))
        p.wrong = "at present the server has no room for half a binary event";
    if (p.wrong != NULL) {
        reject(&p);
        return;
    }
    if (p.over) {
        core_answer_ok(call);
        return;
    }
    if (session->posting == mark)
        session->posting = 0;
    store_add_request(c->store, session, REQUEST_POST, mark, call->now);
    conclude(call, session);
}
