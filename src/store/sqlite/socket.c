/* socket.c - sockets: which session each belongs to, who is away and who has gone. */
#include "store/sqlite/engine.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- reading */

enum { SK_ID, SK_PUBLIC, SK_PRIVATE, SK_NSP, SK_SESSION, SK_AWAY, SK_GONE, SK_HEARD,
       SK_GREETING, SK_LEAVE };

static void read_socket(struct db_query *q, struct socket *k)
{
    *k = (struct socket){ 0 };
    k->id = db_int(q, SK_ID);
    span_copy(db_text(q, SK_PUBLIC), k->public, sizeof k->public);
    span_copy(db_text(q, SK_PRIVATE), k->private, sizeof k->private);
    span_copy(db_text(q, SK_NSP), k->nsp, sizeof k->nsp);
    k->session = db_int(q, SK_SESSION);
    k->away_ms = db_int(q, SK_AWAY);
    k->gone_ms = db_int(q, SK_GONE);
    k->heard = db_int(q, SK_HEARD);
    k->greeting = db_int(q, SK_GREETING);
}

static void *more(struct store *s, void *list, size_t cap, size_t size)
{
    void *longer = realloc(list, cap * size);

    if (longer == NULL)
        store_lacks(s, "read a socket: out of memory; give the machine more");
    return longer;
}

/* Room for one more socket of E; NULL when the store fails for lack of memory. */
static struct socket *add_socket(struct store *s, struct entry *e)
{
    struct session *session = &e->session;

    if (session->socket_count == e->socket_cap) {
        size_t cap = e->socket_cap != 0 ? e->socket_cap * 2 : 1;
        struct socket *sockets = more(s, session->sockets, cap, sizeof *sockets);
        if (sockets == NULL)
            return NULL;
        session->sockets = sockets;
        struct queue *queues = more(s, e->queues, cap, sizeof *queues);
        if (queues == NULL)
            return NULL;
        e->queues = queues;
        e->socket_cap = cap;
    }
    e->queues[session->socket_count].state = QUEUE_UNREAD;
    e->queues[session->socket_count].count = 0;
    return &session->sockets[session->socket_count++];
}

void store_read_sockets(struct store *s, struct entry *e)
{
    struct db_query *q = db_query(s->db, Q_socket_list);
    struct socket *k;

    db_put_int(q, 1, e->session.id);
    while (db_next(q) == DB_ROW && (k = add_socket(s, e)) != NULL)
        read_socket(q, k);
    store_check(s, db_done(q), "read sockets");
}

/* ---- writing */

static void write_socket(struct store *s, struct socket *k)
{
    struct db_query *q = db_query(s->db, Q_socket_update);

    db_put_int(q, 1, k->id);
    db_put_int(q, 2, k->heard);
    db_put_int(q, 3, k->greeting);
    store_check(s, db_run(q), "store a socket");
    k->changed = false;
}

void store_write_sockets(struct store *s, struct session *session)
{
    for (size_t i = 0; i < session->socket_count && !s->failed; i++)
        if (session->sockets[i].changed)
            write_socket(s, &session->sockets[i]);
}

/* ---- sockets */

struct socket *store_socket(struct session *session, struct span nsp)
{
    for (size_t i = 0; i < session->socket_count; i++)
        if (session->sockets[i].gone_ms == 0 && span_is(nsp, session->sockets[i].nsp))
            return &session->sockets[i];
    return NULL;
}

struct socket *store_socket_open(struct store *s, struct session *session, struct span nsp,
                                 struct span address, bool recoverable, int64_t now)
{
    struct socket k = { .session = session->id };

    if (!store_begin(s))
        return NULL;
    if (id_make(k.public) == -1 || (recoverable && id_make(k.private) == -1)) {
        store_lacks(s, "make a socket id: the kernel gives no random numbers");
        return NULL;
    }
    span_copy(nsp, k.nsp, sizeof k.nsp);
    struct db_query *q = db_query(s->db, Q_socket_insert);
    db_put_text(q, 1, span_of(k.public));
    if (recoverable)
        db_put_text(q, 2, span_of(k.private));
    else
        db_put_null(q, 2);
    db_put_text(q, 3, nsp);
    db_put_int(q, 4, session->id);
    db_put_text(q, 5, s->set->keep_addresses ? address : SPAN(""));
    db_put_int(q, 6, now);
    store_check(s, db_run(q), "open a socket");
    struct socket *added = s->failed ? NULL : add_socket(s, store_entry(session));
    if (added == NULL)
        return NULL;
    k.id = db_last_id(s->db);
    *added = k;
    store_entry(session)->queues[session->socket_count - 1].state = QUEUE_KNOWN;  /* empty */
    return added;
}

/* OUT was read from its row. If there is an object of its session, that is as good as the row or
 * newer: what this turn changed is written at its end. (Which session it is in, and whether it is
 * away, is written at once.) */
static void overlay(struct store *s, struct socket *out)
{
    struct entry *e = out->session != 0 ? store_recall(s, out->session) : NULL;

    for (size_t i = 0; e != NULL && i < e->session.socket_count; i++)
        if (e->session.sockets[i].id == out->id)
            *out = e->session.sockets[i];
}

static bool find_socket(struct store *s, struct db_query *q, struct socket *out)
{
    bool found = db_next(q) == DB_ROW;

    if (found)
        read_socket(q, out);
    store_check(s, db_done(q), "find a socket");
    if (!found || s->failed)
        return false;
    if (s->begun)                       /* else objects may be out of date, and nothing is changed */
        overlay(s, out);
    return true;
}

bool store_socket_by_private(struct store *s, struct span private, struct socket *out)
{
    if (!store_begin(s))
        return false;
    struct db_query *q = db_query(s->db, Q_socket_by_private);
    db_put_text(q, 1, private);
    return find_socket(s, q, out);
}

bool store_socket_by_public(struct store *s, struct span public, struct socket *out)
{
    if (!store_begin(s))
        return false;
    struct db_query *q = db_query(s->db, Q_socket_by_public);
    db_put_text(q, 1, public);
    return find_socket(s, q, out);
}

bool store_socket_by_id(struct store *s, int64_t id, struct socket *out)
{
    if (!store_begin(s))
        return false;
    struct db_query *q = db_query(s->db, Q_socket_get);
    db_put_int(q, 1, id);
    return find_socket(s, q, out);
}

/* The session that socket ID belongs to, if there is an object of it; *AT is the socket's place in
 * it. A row always says which: joining and leaving a session are written at once. */
static struct session *object_of(struct store *s, int64_t id, size_t *at)
{
    struct socket k;
    struct entry *e = store_socket_by_id(s, id, &k) ? store_recall(s, k.session) : NULL;

    for (*at = 0; e != NULL && *at < e->session.socket_count; ++*at)
        if (e->session.sockets[*at].id == id)
            return &e->session;
    return NULL;
}

/* Take socket ID out of the object of its session. */
static void detach(struct store *s, int64_t id)
{
    size_t i;
    struct session *session = object_of(s, id, &i);

    if (session == NULL)
        return;
    if (session->sockets[i].changed)
        write_socket(s, &session->sockets[i]);
    session->socket_count--;
    session->sockets[i] = session->sockets[session->socket_count];
    store_entry(session)->queues[i] = store_entry(session)->queues[session->socket_count];
}

struct socket *store_socket_recover(struct store *s, struct session *session,
                                    const struct socket *from, int64_t offset, int64_t now)
{
    if (!store_begin(s))
        return NULL;
    store_unlist(s, from->id);
    detach(s, from->id);
    store_write_deliveries(s);
    store_arrived_offset(s, from->id, offset, now);
    struct db_query *q = db_query(s->db, Q_delivery_drop_greeting);
    db_put_int(q, 1, from->id);
    store_check(s, db_run(q), "recover a socket");
    q = db_query(s->db, Q_socket_attach);
    db_put_int(q, 1, from->id);
    db_put_int(q, 2, session->id);
    store_check(s, db_run(q), "recover a socket");
    struct socket *k = s->failed ? NULL : add_socket(s, store_entry(session));
    if (k == NULL)
        return NULL;
    *k = *from;
    k->session = session->id;
    k->away_ms = 0;
    return k;
}

void store_socket_away(struct store *s, int64_t id, int64_t now, int64_t leave_ms)
{
    if (!store_begin(s))
        return;
    store_unlist(s, id);
    detach(s, id);
    struct db_query *q = db_query(s->db, Q_socket_away);
    db_put_int(q, 1, id);
    db_put_int(q, 2, now);
    db_put_int(q, 3, leave_ms);
    store_check(s, db_run(q), "store that a socket is away");
}

/* The object says so as well. */
static void mark_gone(struct store *s, int64_t id, int64_t now)
{
    size_t i;
    struct session *session = object_of(s, id, &i);

    if (session == NULL)
        return;
    session->sockets[i].gone_ms = now;
    session->sockets[i].private[0] = '\0';
}

void store_socket_gone(struct store *s, int64_t id, bool keep, int64_t now)
{
    if (!store_begin(s))
        return;
    store_unlist(s, id);
    if (keep) {
        mark_gone(s, id, now);
    } else {
        detach(s, id);
        store_abandon(s, id);
    }
    struct db_query *q = db_query(s->db, keep ? Q_socket_gone_keep : Q_socket_gone);
    db_put_int(q, 1, id);
    db_put_int(q, 2, now);
    store_check(s, db_run(q), "store that a socket has gone");
    store_former_end(s, id);
}

static bool read_expired(struct store *s, int64_t since, struct socket *out)
{
    struct db_query *q = db_query(s->db, Q_socket_expired);

    db_put_int(q, 1, since);
    return find_socket(s, q, out);
}

bool store_socket_expired(struct store *s, int64_t since, struct socket *out)
{
    if (s->failed || !read_expired(s, since, out))
        return false;
    /* Seen from outside of a transaction, it may just be coming back through another process. */
    return s->begun || (store_begin(s) && read_expired(s, since, out));
}

static bool read_leaving(struct store *s, int64_t now, struct socket *out, int64_t *next_ms)
{
    struct db_query *q = db_query(s->db, Q_socket_leaving);
    bool found = db_next(q) == DB_ROW;

    *next_ms = found ? db_int(q, SK_LEAVE) : INT64_MAX;
    if (found)
        read_socket(q, out);
    store_check(s, db_done(q), "find a socket that is away");
    return found && !s->failed && *next_ms <= now;
}

bool store_socket_leaving(struct store *s, int64_t now, struct socket *out, int64_t *next_ms)
{
    *next_ms = INT64_MAX;
    if (s->failed || !read_leaving(s, now, out, next_ms))
        return false;
    /* Seen from outside of a transaction, it may just be coming back through another process. */
    return s->begun || (store_begin(s) && read_leaving(s, now, out, next_ms));
}

void store_socket_left(struct store *s, int64_t id)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_socket_left);
    db_put_int(q, 1, id);
    store_check(s, db_run(q), "store that a socket has left");
}
