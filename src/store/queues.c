/* queues.c - what is owed to whom: what waits for each socket, what of it was sent and what
 * has arrived.
 *
 * A delivery's life, and a queue's:
 *
 *     owed ──▶ sent in the answer to a poll ──▶ arrived: the session's next poll came
 *      ▲                    │                    or the client says that it has it
 *      └────────────────────┘ the poll comes again, or the client is back in another session
 *
 *     UNREAD ── looked at ──▶ KNOWN: its places are here ── more than QUEUE_SHORT ──▶ LONG
 *        ▲                                                                            │
 *        └────────────────────── what was sent has arrived ◀──────────────────────────┘
 *
 * Most queues are short, and most of what is owed is sent in the turn in which it was said. So the
 * objects of sockets know their queue while it is short, and a turn's deliveries become rows at its
 * end, or earlier when rows are to be read or changed: then what was said, owed and sent in a turn
 * is one row written, and none read. Long queues are left to the engine.
 */
#include "store/work.h"

#include <stdlib.h>

struct member member_of(const struct session *session, const struct socket *socket)
{
    struct member m = { .socket = socket->id, .session = session->id,
                        .away_ms = socket->away_ms };

    memcpy(m.public, socket->public, sizeof m.public);
    return m;
}

/* ---- the turn's deliveries */

void store_write_deliveries(struct store *s)
{
    struct deliveries *d = &s->deliveries;

    for (; d->rows < d->count && !s->failure.failed; d->rows++)
        engine_add_delivery(s->engine, &d->list[d->rows]);
}

void store_deliveries_over(struct store *s)
{
    s->deliveries.count = s->deliveries.rows = 0;
}

void store_forget_numbers(struct store *s)
{
    s->deliveries.newest = 0;
}

/* The number of the next delivery; 0 when the store has failed. */
static int64_t next_id(struct store *s)
{
    if (s->deliveries.newest == 0)
        s->deliveries.newest = engine_newest_delivery(s->engine);
    return s->failure.failed ? 0 : ++s->deliveries.newest;
}

/* Add D to the turn's. Its place among them, counted from 1; 0 when the store has failed. */
static size_t add_delivery(struct store *s, const struct delivery *d)
{
    struct deliveries *all = &s->deliveries;

    if (all->count == all->cap) {
        size_t cap = all->cap != 0 ? all->cap * 2 : 64;
        struct delivery *list = realloc(all->list, cap * sizeof *list);
        if (list == NULL) {
            store_no_memory(s, "queue a message");
            return 0;
        }
        all->list = list;
        all->cap = cap;
    }
    all->list[all->count] = *d;
    return ++all->count;
}

/* ---- queues */

/* Read the queue of SESSION's socket I, if it is not known. Where it is long, that is all that is
 * known of it. */
static struct queue *read_queue(struct store *s, struct session *session, size_t i)
{
    struct queue *queue = &store_entry(session)->queues[i];

    if (queue->state != QUEUE_UNREAD)
        return queue;
    store_write_deliveries(s);
    queue->count = engine_queue(s->engine, session->sockets[i].id, session->id, queue->places,
                                QUEUE_SHORT);
    queue->state = queue->count == QUEUE_SHORT ? QUEUE_LONG : QUEUE_KNOWN;
    return queue;
}

/* The queue of the socket TO; NULL: it is away, or has gone. */
static struct queue *queue_of(struct store *s, const struct member *to)
{
    struct entry *entry = NULL;

    if (to->session != 0 && store_session_by_id(s, to->session) != NULL)
        entry = store_recall(s, to->session);
    for (size_t i = 0; entry != NULL && i < entry->session.socket_count; i++)
        if (entry->session.sockets[i].id == to->socket)
            return read_queue(s, &entry->session, i);
    return NULL;
}

/* One end of a queue, known or not: QUEUE may be NULL. False: it is empty. */
static bool queue_end(struct store *s, const struct queue *queue, int64_t socket, enum end which,
                      struct queue_end *end)
{
    *end = (struct queue_end){ 0, 0 };
    if (queue == NULL || queue->state != QUEUE_KNOWN) {
        store_write_deliveries(s);
        return engine_queue_end(s->engine, socket, which, end);
    }
    if (queue->count == 0)
        return false;
    const struct place *p = &queue->places[which == END_FIRST ? 0 : queue->count - 1];
    *end = (struct queue_end){ p->nth, p->upto_bytes };
    return true;
}

static bool queue_ends(struct store *s, const struct queue *queue, int64_t socket,
                       struct queue_end *first, struct queue_end *last)
{
    return queue_end(s, queue, socket, END_FIRST, first)
           && queue_end(s, queue, socket, END_LAST, last);
}

/* What is owed is not removed, whatever its size. So where it fills the file, queues that are long
 * grow no longer; those that are short, of clients that listen, go on. */
#define FULL_SHARE 64

/* With SIZE more bytes, is TO's queue within TIMES its bounds? */
static bool is_within(struct store *s, const struct member *to, size_t size, int64_t times)
{
    struct queue_end first, last;
    int share = engine_is_full(s->engine) ? FULL_SHARE : 1;

    if (!store_begin(s) || !queue_ends(s, queue_of(s, to), to->socket, &first, &last))
        return true;                    /* empty: one message always fits */
    return last.nth - first.nth + 1 < times * s->set->max_queued_messages / share
           && last.upto_bytes - first.upto_bytes + (int64_t)size
                  <= times * s->set->max_queued_bytes / share;
}

bool store_has_room(struct store *s, const struct member *to, size_t size)
{
    return is_within(s, to, size, 1);
}

#define COUNTED_A_DELIVERY 32           /* messages counted in the time of one delivery */

bool store_is_crowded(struct store *s, const struct member *to, int64_t sender, size_t *work)
{
    int64_t half = s->set->max_queued_messages / 2;
    struct queue_end first, last;

    if (!store_begin(s) || !queue_ends(s, queue_of(s, to), to->socket, &first, &last)
        || last.nth - first.nth + 1 <= half)
        return false;
    *work += (size_t)(last.nth - first.nth + 1) / COUNTED_A_DELIVERY + 1;
    store_write_deliveries(s);
    return engine_count_from(s->engine, to->socket, sender, half + 1) > half;
}

bool store_overflows(struct store *s, const struct member *to)
{
    return !is_within(s, to, 0, 2);
}

int64_t store_deliver(struct store *s, int64_t seq, size_t size, const struct member *to)
{
    if (!store_begin(s))
        return 0;
    struct queue *queue = queue_of(s, to);
    struct queue_end last;
    queue_end(s, queue, to->socket, END_LAST, &last);
    struct delivery d = { .id = next_id(s), .message = seq, .socket = to->socket,
                          .nth = last.nth + 1, .upto_bytes = last.upto_bytes + (int64_t)size,
                          .said = s->said.count };
    size_t fresh = s->failure.failed ? 0 : add_delivery(s, &d);
    if (fresh == 0)
        return 0;
    if (queue != NULL && queue->state == QUEUE_KNOWN) {
        if (queue->count == QUEUE_SHORT)
            queue->state = QUEUE_LONG;
        else
            queue->places[queue->count++] = (struct place){ d.id, seq, d.nth, d.upto_bytes, false,
                                                            fresh };
    }
    store_wake(s, to->session);
    return d.id;
}

/* ---- sending */

/* Is all that SESSION is owed and was not sent yet of this turn, and of one socket? Then it need
 * not be read. */
static bool is_of_the_turn(struct store *s, struct session *session)
{
    size_t unsent = 0, fresh = 0;

    for (size_t i = 0; i < session->socket_count; i++) {
        const struct queue *queue = read_queue(s, session, i);
        if (queue->state != QUEUE_KNOWN)
            return false;
        for (size_t j = 0; j < queue->count; j++) {
            unsent += !queue->places[j].sent;
            fresh += !queue->places[j].sent && queue->places[j].fresh != 0;
        }
    }
    return unsent == 0 || (unsent == fresh && session->socket_count == 1);
}

void store_owed(struct store *s, struct session *session, enum owed_which which, size_t limit)
{
    struct reading *r = &s->reading;

    *r = (struct reading){ .session = session, .at = QUEUE_SHORT };
    if (session->socket_count == 0 || !store_begin(s))
        return;
    if (which == OWED_UNSENT && is_of_the_turn(s, session)) {
        r->at = 0;
        return;
    }
    store_write_deliveries(s);
    if (which == OWED_AGAIN)
        r->cursor = engine_answered(s->engine, session->id, session->poll);
    else
        r->cursor = engine_owed(s->engine, session->id,
                                session->socket_count == 1 ? session->sockets[0].id : 0, limit);
}

static const struct socket *socket_of(const struct session *session, int64_t id)
{
    for (size_t i = 0; i < session->socket_count; i++)
        if (session->sockets[i].id == id)
            return &session->sockets[i];
    return NULL;
}

/* What the turn's delivery P says. */
static struct owed owed_of(const struct store *s, const struct place *p)
{
    const struct said_message *m = &s->said.list[s->deliveries.list[p->fresh - 1].said - 1];
    const char *words = s->said.words.data + m->at;

    return (struct owed){ .id = p->delivery,
                          .type = m->type,
                          .socket = &s->reading.session->sockets[0],
                          .ack_id = { words, m->ack_id_len },
                          .body = { words + m->ack_id_len, m->body_len },
                          .attached = { words + m->ack_id_len + m->body_len, m->attached_len },
                          .attachments = m->attachments };
}

/* The next of those that are of the turn. */
static bool next_of_the_turn(struct store *s, struct owed *o)
{
    struct reading *r = &s->reading;
    const struct queue *queue = store_entry(r->session)->queues;

    while (r->at < QUEUE_SHORT && r->at < queue->count) {
        const struct place *p = &queue->places[r->at++];
        if (p->sent || p->fresh == 0)
            continue;
        *o = owed_of(s, p);
        return true;
    }
    return false;
}

bool store_owed_next(struct store *s, struct owed *o)
{
    struct reading *r = &s->reading;
    int64_t socket;

    if (r->cursor == NULL)
        return next_of_the_turn(s, o);
    while (engine_next_owed(r->cursor, o, &socket))
        if ((o->socket = socket_of(r->session, socket)) != NULL)
            return true;
    return false;
}

void store_owed_done(struct store *s)
{
    if (s->reading.cursor != NULL)
        engine_end_load(s->engine, s->reading.cursor, "read what is owed");
    s->reading.cursor = NULL;
}

/* Delivery P is in the answer to SESSION's poll: note it where it is about to be written, or in its
 * row. */
static void mark_sent(struct store *s, const struct session *session, struct place *p, int64_t now)
{
    p->sent = true;
    if (p->fresh > s->deliveries.rows) {
        struct delivery *d = &s->deliveries.list[p->fresh - 1];
        d->session = session->id;
        d->poll = session->poll;
        d->sent_ms = now;
        return;
    }
    engine_sent(s->engine, p->delivery, session, now);
}

static void greeting_is_sent(struct socket *k)
{
    k->greeting = 0;
    k->changed = true;
}

void store_sent(struct store *s, struct session *session, int64_t upto, int64_t now)
{
    for (size_t i = 0; i < session->socket_count && store_begin(s); i++) {
        struct queue *queue = read_queue(s, session, i);
        if (session->sockets[i].greeting != 0 && session->sockets[i].greeting <= upto)
            greeting_is_sent(&session->sockets[i]);
        if (queue->state == QUEUE_KNOWN) {
            for (size_t j = 0; j < queue->count; j++)
                if (!queue->places[j].sent && queue->places[j].delivery <= upto)
                    mark_sent(s, session, &queue->places[j], now);
            continue;
        }
        store_write_deliveries(s);
        engine_sent_upto(s->engine, session->sockets[i].id, upto, session, now);
    }
}

void store_greeted(struct store *s, struct session *session, size_t i, int64_t now)
{
    struct queue *queue = read_queue(s, session, i);
    struct socket *k = &session->sockets[i];

    if (!store_begin(s))
        return;
    if (queue->state == QUEUE_KNOWN) {
        for (size_t j = 0; j < queue->count; j++)
            if (queue->places[j].delivery == k->greeting)
                mark_sent(s, session, &queue->places[j], now);
    } else {
        store_write_deliveries(s);
        engine_sent(s->engine, k->greeting, session, now);
    }
    greeting_is_sent(k);
}

/* ---- arriving */

void store_arrive(struct store *s, const struct arriving *a, int64_t now)
{
    store_write_deliveries(s);
    store_settle_all(s, a);
    engine_arrived_all(s->engine, a, now);
}

static void mark_arrived(struct store *s, const struct place *p, int64_t now)
{
    if (p->fresh > s->deliveries.rows)
        store_write_deliveries(s);
    store_settle(s, p->message);
    engine_arrived(s->engine, p->delivery, now);
}

/* A socket that has gone stays with its session for what it is still owed. Drop those that are
 * owed nothing. */
static void drop_settled_sockets(struct store *s, struct session *session, int64_t now)
{
    struct queue_end first, last;
    size_t i = 0;

    while (i < session->socket_count) {
        const struct socket *k = &session->sockets[i];
        if (k->gone_ms != 0 && !queue_ends(s, read_queue(s, session, i), k->id, &first, &last)
            && !s->failure.failed)
            store_socket_gone(s, k->id, GONE_ALTOGETHER, now);    /* takes it out of the list */
        else
            i++;
    }
}

/* What was sent to SESSION's socket I has arrived. */
static void arrived(struct store *s, struct session *session, size_t i, int64_t now)
{
    struct queue *queue = read_queue(s, session, i);
    size_t kept = 0;

    if (queue->state == QUEUE_KNOWN) {
        for (size_t j = 0; j < queue->count; j++)
            if (queue->places[j].sent)
                mark_arrived(s, &queue->places[j], now);
            else
                queue->places[kept++] = queue->places[j];
        queue->count = kept;
        return;
    }
    queue->state = QUEUE_UNREAD;
    store_arrive(s, &(struct arriving){ .socket = session->sockets[i].id, .session = session->id },
                 now);
}

void store_arrived(struct store *s, struct session *session, int64_t now)
{
    if (!store_begin(s))
        return;
    for (size_t i = 0; i < session->socket_count && !s->failure.failed; i++)
        arrived(s, session, i, now);
    drop_settled_sockets(s, session, now);
}
