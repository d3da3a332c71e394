/* delivery.c - what is owed to whom: what waits for each socket, what of it was sent and what
 * has arrived.
 *
 * Most queues are short, and most of what is owed is sent in the turn in which it was said. So the
 * objects of sockets know their queue while it is short, and a turn's deliveries become rows at its
 * end, or earlier when a statement needs to see them: then what was said, owed and sent in a turn
 * is one row written, and none read. Long queues are left to statements. */
#include "store/sqlite/engine.h"

#include <stdio.h>
#include <stdlib.h>

struct member member_of(const struct session *session, const struct socket *socket)
{
    struct member m = { .socket = socket->id, .session = session->id,
                        .away_ms = socket->away_ms };

    memcpy(m.public, socket->public, sizeof m.public);
    return m;
}

/* ---- the turn's deliveries */

static void insert(struct store *s, const struct delivery *d)
{
    struct db_query *q = db_query(s->db, Q_delivery_insert);

    db_put_int(q, 1, d->id);
    db_put_int(q, 2, d->message);
    db_put_int(q, 3, d->socket);
    db_put_int(q, 4, d->nth);
    db_put_int(q, 5, d->upto_bytes);
    store_put_id(q, 6, d->session);
    store_put_id(q, 7, d->poll);
    store_put_id(q, 8, d->sent_ms);
    store_check(s, db_run(q), "store a delivery");
}

void store_write_deliveries(struct store *s)
{
    for (; s->delivery_rows < s->delivery_count && !s->failed; s->delivery_rows++)
        insert(s, &s->deliveries[s->delivery_rows]);
}

/* The number of the next delivery; 0 when the store has failed. */
static int64_t next_id(struct store *s)
{
    if (s->newest_delivery == 0) {
        struct db_query *q = db_query(s->db, Q_delivery_newest);
        if (db_next(q) == DB_ROW)
            s->newest_delivery = db_int(q, 0);
        store_check(s, db_done(q), "number a delivery");
    }
    return s->failed ? 0 : ++s->newest_delivery;
}

/* Add D to the turn's. Its place among them, counted from 1; 0 when the store has failed. */
static size_t add_delivery(struct store *s, const struct delivery *d)
{
    if (s->delivery_count == s->delivery_cap) {
        size_t cap = s->delivery_cap != 0 ? s->delivery_cap * 2 : 64;
        struct delivery *deliveries = realloc(s->deliveries, cap * sizeof *deliveries);
        if (deliveries == NULL) {
            store_no_memory(s);
            return 0;
        }
        s->deliveries = deliveries;
        s->delivery_cap = cap;
    }
    s->deliveries[s->delivery_count] = *d;
    return ++s->delivery_count;
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
    struct db_query *q = db_query(s->db, Q_delivery_queue);
    db_put_int(q, 1, session->sockets[i].id);
    db_put_int(q, 2, session->id);
    db_put_int(q, 3, QUEUE_SHORT);
    for (queue->count = 0; queue->count < QUEUE_SHORT && db_next(q) == DB_ROW; queue->count++)
        queue->places[queue->count] = (struct place){ .delivery = db_int(q, 0),
                                                      .message = db_int(q, 1),
                                                      .nth = db_int(q, 2),
                                                      .upto_bytes = db_int(q, 3),
                                                      .sent = db_int(q, 4) != 0 };
    queue->state = queue->count == QUEUE_SHORT ? QUEUE_LONG : QUEUE_KNOWN;
    store_check(s, db_done(q), "read a queue");
    return queue;
}

/* The queue of the socket TO; NULL: it is away, or has gone. */
static struct queue *queue_of(struct store *s, const struct member *to)
{
    struct entry *e = NULL;

    if (to->session != 0 && store_session_by_id(s, to->session) != NULL)
        e = store_recall(s, to->session);
    for (size_t i = 0; e != NULL && i < e->session.socket_count; i++)
        if (e->session.sockets[i].id == to->socket)
            return read_queue(s, &e->session, i);
    return NULL;
}

/* One end of a queue, as its running numbers. */
struct queue_end { int64_t nth, upto_bytes; };

static bool read_end(struct store *s, size_t n, int64_t socket, struct queue_end *end)
{
    store_write_deliveries(s);
    struct db_query *q = db_query(s->db, n);

    *end = (struct queue_end){ 0, 0 };
    db_put_int(q, 1, socket);
    bool found = db_next(q) == DB_ROW;
    if (found)
        *end = (struct queue_end){ db_int(q, 0), db_int(q, 1) };
    store_check(s, db_done(q), "measure a queue");
    return found && !s->failed;
}

/* Both ends of the queue of TO, which may be NULL's: then it is empty. */
static bool queue_ends(struct store *s, const struct queue *queue, int64_t socket,
                       struct queue_end *first, struct queue_end *last)
{
    if (queue == NULL || queue->state != QUEUE_KNOWN)
        return read_end(s, Q_delivery_first, socket, first)
               && read_end(s, Q_delivery_last, socket, last);
    if (queue->count == 0)
        return false;
    const struct place *head = &queue->places[0], *tail = &queue->places[queue->count - 1];
    *first = (struct queue_end){ head->nth, head->upto_bytes };
    *last = (struct queue_end){ tail->nth, tail->upto_bytes };
    return true;
}

static struct queue_end queue_last(struct store *s, const struct queue *queue, int64_t socket)
{
    struct queue_end last = { 0, 0 };

    if (queue == NULL || queue->state != QUEUE_KNOWN) {
        read_end(s, Q_delivery_last, socket, &last);
    } else if (queue->count != 0) {
        last.nth = queue->places[queue->count - 1].nth;
        last.upto_bytes = queue->places[queue->count - 1].upto_bytes;
    }
    return last;
}

/* What is owed is not removed, whatever its size. So where it fills the file, queues that are long
 * grow no longer; those that are short, of clients that listen, go on. */
#define FULL_SHARE 64

/* With SIZE more bytes, is TO's queue within TIMES its bounds? */
static bool is_within(struct store *s, const struct member *to, size_t size, int64_t times)
{
    struct queue_end first, last;
    int share = s->full ? FULL_SHARE : 1;

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

#define COUNTED_A_DELIVERY 32           /* messages are counted in the time that one delivery takes */

bool store_is_crowded(struct store *s, const struct member *to, int64_t sender, size_t *work)
{
    int64_t half = s->set->max_queued_messages / 2, count = 0;
    struct queue_end first, last;

    if (!store_begin(s) || !queue_ends(s, queue_of(s, to), to->socket, &first, &last)
        || last.nth - first.nth + 1 <= half)
        return false;
    *work += (size_t)(last.nth - first.nth + 1) / COUNTED_A_DELIVERY + 1;
    store_write_deliveries(s);
    struct db_query *q = db_query(s->db, Q_delivery_from);
    db_put_int(q, 1, to->socket);
    db_put_int(q, 2, sender);
    db_put_int(q, 3, half + 1);
    if (db_next(q) == DB_ROW)
        count = db_int(q, 0);
    store_check(s, db_done(q), "see who fills a queue");
    return count > half;
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
    struct queue_end last = queue_last(s, queue, to->socket);
    struct delivery d = { .id = next_id(s), .message = seq, .socket = to->socket,
                          .nth = last.nth + 1, .upto_bytes = last.upto_bytes + (int64_t)size,
                          .said = s->said_count };
    size_t fresh = s->failed ? 0 : add_delivery(s, &d);
    if (fresh == 0)
        return 0;
    if (queue != NULL && queue->state == QUEUE_KNOWN) {
        if (queue->count == QUEUE_SHORT)
            queue->state = QUEUE_LONG;
        else
            queue->places[queue->count++] = (struct place){ d.id, seq, d.nth, d.upto_bytes, false,
                                                            fresh };
    }
    s->owed_since++;
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

void store_owed(struct store *s, struct session *session, bool again, size_t limit)
{
    s->owed = NULL;
    s->owed_session = session;
    s->owed_at = QUEUE_SHORT;
    if (session->socket_count == 0 || !store_begin(s))
        return;
    if (!again && is_of_the_turn(s, session)) {
        s->owed_at = 0;
        return;
    }
    store_write_deliveries(s);
    struct db_query *q;
    if (again) {
        q = db_query(s->db, Q_delivery_answered);
        db_put_int(q, 1, session->id);
        db_put_int(q, 2, session->poll);
    } else {
        bool only = session->socket_count == 1;
        q = db_query(s->db, only ? Q_delivery_owed : Q_delivery_owed_session);
        db_put_int(q, 1, only ? session->sockets[0].id : session->id);
        db_put_int(q, 2, session->id);
        db_put_int(q, 3, (int64_t)limit);
    }
    s->owed = q;
}

static const struct socket *socket_of(const struct session *session, int64_t id)
{
    for (size_t i = 0; i < session->socket_count; i++)
        if (session->sockets[i].id == id)
            return &session->sockets[i];
    return NULL;
}

/* The next of those that are of the turn. */
static bool next_of_the_turn(struct store *s, struct owed *o)
{
    const struct queue *queue = store_entry(s->owed_session)->queues;

    while (s->owed_at < QUEUE_SHORT && s->owed_at < queue->count) {
        const struct place *p = &queue->places[s->owed_at++];
        if (p->sent || p->fresh == 0)
            continue;
        const struct said_message *m = &s->said[s->deliveries[p->fresh - 1].said - 1];
        const char *words = s->words.data + m->at;
        *o = (struct owed){ .id = p->delivery,
                            .type = m->type,
                            .socket = &s->owed_session->sockets[0],
                            .ack_id = { words, m->ack_id_len },
                            .body = { words + m->ack_id_len, m->body_len },
                            .attached = { words + m->ack_id_len + m->body_len, m->attached_len },
                            .attachments = m->attachments };
        return true;
    }
    return false;
}

bool store_owed_next(struct store *s, struct owed *o)
{
    if (s->owed == NULL)
        return next_of_the_turn(s, o);
    while (db_next(s->owed) == DB_ROW) {
        *o = (struct owed){ .id = db_int(s->owed, 0),
                            .type = (enum sio_type)db_int(s->owed, 1),
                            .socket = socket_of(s->owed_session, db_int(s->owed, 2)),
                            .ack_id = db_text(s->owed, 3),
                            .body = db_text(s->owed, 4),
                            .attached = db_text(s->owed, 5),
                            .attachments = (unsigned)db_int(s->owed, 6) };
        if (o->socket != NULL)
            return true;
    }
    return false;
}

void store_owed_done(struct store *s)
{
    if (s->owed != NULL)
        store_check(s, db_done(s->owed), "read what is owed");
    s->owed = NULL;
}

static void write_sent(struct store *s, const struct session *session, int64_t delivery,
                       int64_t now)
{
    struct db_query *q = db_query(s->db, Q_delivery_sent_one);

    db_put_int(q, 1, delivery);
    db_put_int(q, 2, session->id);
    db_put_int(q, 3, session->poll);
    db_put_int(q, 4, now);
    store_check(s, db_run(q), "store what was sent");
}

/* Delivery P is in the answer to SESSION's poll: note it where it is about to be written, or in its
 * row. */
static void mark_sent(struct store *s, const struct session *session, struct place *p, int64_t now)
{
    p->sent = true;
    if (p->fresh > s->delivery_rows) {
        struct delivery *d = &s->deliveries[p->fresh - 1];
        d->session = session->id;
        d->poll = session->poll;
        d->sent_ms = now;
        return;
    }
    write_sent(s, session, p->delivery, now);
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
        struct db_query *q = db_query(s->db, Q_delivery_sent);
        db_put_int(q, 1, session->sockets[i].id);
        db_put_int(q, 2, upto);
        db_put_int(q, 3, session->id);
        db_put_int(q, 4, session->poll);
        db_put_int(q, 5, now);
        store_check(s, db_run(q), "store what was sent");
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
        write_sent(s, session, k->greeting, now);
    }
    greeting_is_sent(k);
}

/* ---- arriving */

static void mark_arrived(struct store *s, const struct place *p, int64_t now)
{
    if (p->fresh > s->delivery_rows)
        store_write_deliveries(s);
    store_settle(s, p->message);
    struct db_query *q = db_query(s->db, Q_delivery_arrived_one);
    db_put_int(q, 1, p->delivery);
    db_put_int(q, 2, now);
    store_check(s, db_run(q), "store what arrived");
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
            && !s->failed)
            store_socket_gone(s, k->id, false, now);    /* takes it out of the list */
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
    store_write_deliveries(s);
    store_settle_all(s, session->sockets[i].id, session->id, 0);
    struct db_query *q = db_query(s->db, Q_delivery_arrived);
    db_put_int(q, 1, session->sockets[i].id);
    db_put_int(q, 2, session->id);
    db_put_int(q, 3, now);
    store_check(s, db_run(q), "store what arrived");
}

void store_arrived(struct store *s, struct session *session, int64_t now)
{
    if (!store_begin(s))
        return;
    for (size_t i = 0; i < session->socket_count && !s->failed; i++)
        arrived(s, session, i, now);
    drop_settled_sockets(s, session, now);
}

void store_arrived_offset(struct store *s, int64_t socket, int64_t offset, int64_t now)
{
    if (offset <= 0 || !store_begin(s))
        return;
    store_settle_all(s, socket, 0, offset);
    struct db_query *q = db_query(s->db, Q_delivery_arrived_offset);
    db_put_int(q, 1, socket);
    db_put_int(q, 2, offset);
    db_put_int(q, 3, now);
    store_check(s, db_run(q), "store what arrived");
}

void store_abandon(struct store *s, int64_t socket)
{
    if (!store_begin(s))
        return;
    store_write_deliveries(s);
    store_settle_all(s, socket, 0, 0);
    struct db_query *q = db_query(s->db, Q_delivery_abandon);
    db_put_int(q, 1, socket);
    store_check(s, db_run(q), "abandon deliveries");
}
