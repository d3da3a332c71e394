/* store_message.c - the log of what was said, and what of it is owed to whom. */
#include "store_sqlite.h"

#include "mask.h"

struct member member_of(const struct session *session, const struct socket *socket)
{
    struct member m = { .socket = socket->id, .session = session->id, .holder = session->holder,
                        .away_ms = socket->away_ms, .polled_ms = session->polled_ms };

    memcpy(m.public, socket->public, sizeof m.public);
    return m;
}

/* ---- storing */

static void put_optional_text(struct db_query *q, int i, struct span text)
{
    if (text.len != 0)
        db_put_text(q, i, text);
    else
        db_put_null(q, i);
}

int64_t store_message(struct store *s, const struct message *m, int64_t now)
{
    if (!store_begin(s))
        return 0;
    struct db_query *q = db_query(s->db, Q_message_insert);
    db_put_int(q, 1, now);
    db_put_int(q, 2, m->type);
    store_put_id(q, 3, m->sender);
    put_optional_text(q, 4, m->channel);
    db_put_text(q, 5, m->name);
    db_put_text(q, 6, m->ack_id);
    put_optional_text(q, 7, m->body);
    put_optional_text(q, 8, m->attached);
    db_put_int(q, 9, m->attachments);
    db_put_int(q, 10, (int64_t)(m->body.len + m->attached.len));
    db_put_int(q, 11, (int64_t)m->recipients);
    store_check(s, db_run(q), "store a message");
    s->stored++;
    return s->failed ? 0 : db_last_id(s->db);
}

/* One end of a socket's queue, as its running numbers. */
struct queue_end { int64_t nth, upto_bytes; };

static bool queue_end(struct store *s, size_t n, int64_t socket, struct queue_end *end)
{
    struct db_query *q = db_query(s->db, n);

    *end = (struct queue_end){ 0, 0 };
    db_put_int(q, 1, socket);
    bool found = db_next(q) == DB_ROW;
    if (found)
        *end = (struct queue_end){ db_int(q, 0), db_int(q, 1) };
    store_check(s, db_done(q), "measure a queue");
    return found && !s->failed;
}

/* What is owed is not removed, whatever its size. So where it fills the file, queues that are long
 * grow no longer; those that are short, of clients that listen, go on. */
#define FULL_SHARE 64

bool store_has_room(struct store *s, int64_t socket, size_t size)
{
    struct queue_end first, last;
    int share = s->full ? FULL_SHARE : 1;

    if (!store_begin(s) || !queue_end(s, Q_delivery_first, socket, &first))
        return true;                    /* empty: one message always fits */
    if (!queue_end(s, Q_delivery_last, socket, &last))
        return true;
    return last.nth - first.nth + 1 < s->set->max_queued_messages / share
           && last.upto_bytes - first.upto_bytes + (int64_t)size
                  <= s->set->max_queued_bytes / share;
}

void store_deliver(struct store *s, int64_t seq, size_t size, const struct member *to)
{
    struct queue_end last;

    if (!store_begin(s))
        return;
    queue_end(s, Q_delivery_last, to->socket, &last);
    struct db_query *q = db_query(s->db, Q_delivery_insert);
    db_put_int(q, 1, seq);
    db_put_int(q, 2, to->socket);
    db_put_int(q, 3, last.nth + 1);
    db_put_int(q, 4, last.upto_bytes + (int64_t)size);
    store_check(s, db_run(q), "store a delivery");
    s->stored++;
    store_touch(s, to->session, to->holder);
}

/* ---- sending */

void store_owed(struct store *s, struct session *session, bool again, size_t limit)
{
    s->owed = NULL;
    s->owed_session = session;
    if (session->socket_count == 0 || !store_begin(s))
        return;
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

bool store_owed_next(struct store *s, struct owed *o)
{
    while (s->owed != NULL && db_next(s->owed) == DB_ROW) {
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

void store_sent(struct store *s, struct session *session, int64_t upto, int64_t now)
{
    for (size_t i = 0; i < session->socket_count && store_begin(s); i++) {
        struct db_query *q = db_query(s->db, Q_delivery_sent);
        db_put_int(q, 1, session->sockets[i].id);
        db_put_int(q, 2, upto);
        db_put_int(q, 3, session->id);
        db_put_int(q, 4, session->poll);
        db_put_int(q, 5, now);
        store_check(s, db_run(q), "store what was sent");
    }
}

/* ---- arriving */

/* A message has one listener less to wait for. After the last: what need not be kept of it goes. */
static void settle(struct store *s, int64_t seq)
{
    struct db_query *q = db_query(s->db, Q_message_heard);
    bool last = false;

    db_put_int(q, 1, seq);
    buf_clear(&s->scratch);
    if (db_next(q) == DB_ROW) {
        last = db_int(q, 0) <= 0;
        if (last && s->set->keep_payloads)
            mask_addresses(&s->scratch, db_text(q, 1));
        if (!buf_ok(&s->scratch))
            store_no_memory(s);
    }
    store_check(s, db_done(q), "settle a message");
    if (!last || s->failed)
        return;
    q = db_query(s->db, Q_message_reduce);
    db_put_int(q, 1, seq);
    put_optional_text(q, 2, buf_span(&s->scratch));
    store_check(s, db_run(q), "blank a message");
}

#define SETTLE_BATCH 64

/* Settle what an update of SOCKET's deliveries is about to mark: those sent in SESSION (0: any),
 * up to OFFSET (0: any). */
static void settle_all(struct store *s, int64_t socket, int64_t session, int64_t offset)
{
    int64_t seqs[SETTLE_BATCH], after = 0;
    size_t count;

    if (s->set->keep_payloads && s->set->keep_addresses)
        return;
    do {
        struct db_query *q = db_query(s->db, Q_delivery_settling);
        db_put_int(q, 1, socket);
        store_put_id(q, 2, session);
        store_put_id(q, 3, offset);
        db_put_int(q, 4, after);
        db_put_int(q, 5, SETTLE_BATCH);
        for (count = 0; count < SETTLE_BATCH && db_next(q) == DB_ROW; count++) {
            after = db_int(q, 0);
            seqs[count] = db_int(q, 1);
        }
        store_check(s, db_done(q), "settle deliveries");
        for (size_t i = 0; i < count && !s->failed; i++)
            settle(s, seqs[i]);
    } while (count == SETTLE_BATCH && !s->failed);
}

/* A socket that has gone stays with its session for what it is still owed. Drop those that are
 * owed nothing. */
static void drop_settled_sockets(struct store *s, struct session *session, int64_t now)
{
    struct queue_end first;
    size_t i = 0;

    while (i < session->socket_count) {
        const struct socket *k = &session->sockets[i];
        if (k->gone_ms != 0 && !queue_end(s, Q_delivery_first, k->id, &first) && !s->failed)
            store_socket_gone(s, k->id, false, now);    /* takes it out of the list */
        else
            i++;
    }
}

void store_arrived(struct store *s, struct session *session, int64_t now)
{
    for (size_t i = 0; i < session->socket_count && store_begin(s); i++) {
        settle_all(s, session->sockets[i].id, session->id, 0);
        struct db_query *q = db_query(s->db, Q_delivery_arrived);
        db_put_int(q, 1, session->sockets[i].id);
        db_put_int(q, 2, session->id);
        db_put_int(q, 3, now);
        store_check(s, db_run(q), "store what arrived");
    }
    drop_settled_sockets(s, session, now);
}

void store_arrived_offset(struct store *s, int64_t socket, int64_t offset, int64_t now)
{
    if (offset <= 0 || !store_begin(s))
        return;
    settle_all(s, socket, 0, offset);
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
    settle_all(s, socket, 0, 0);
    struct db_query *q = db_query(s->db, Q_delivery_abandon);
    db_put_int(q, 1, socket);
    store_check(s, db_run(q), "abandon deliveries");
}
