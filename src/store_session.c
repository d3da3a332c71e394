/* store_session.c - sessions and sockets. Keeps the turn's sessions as objects, so that a
 * request that looks at one several times reads it once and writes it once. */
#include "store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the turn's sessions */

static size_t bucket(int64_t id)
{
    return (uint64_t)id % SESSION_BUCKETS;
}

static struct entry *entry_of(struct session *session)
{
    return (struct entry *)session;
}

static struct entry *remember(struct store *s, int64_t id)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL) {
        s->failed = true;
        snprintf(s->why, sizeof s->why,
                 "cannot read a session: out of memory; give the machine more");
        return NULL;
    }
    e->session.id = id;
    e->next = s->entries;
    s->entries = e;
    e->next_by_id = s->by_id[bucket(id)];
    s->by_id[bucket(id)] = e;
    return e;
}

static struct entry *recall(struct store *s, int64_t id)
{
    struct entry *e = s->by_id[bucket(id)];

    while (e != NULL && e->session.id != id)
        e = e->next_by_id;
    return e;
}

void store_forget(struct store *s)
{
    struct entry *next;

    for (struct entry *e = s->entries; e != NULL; e = next) {
        next = e->next;
        s->by_id[bucket(e->session.id)] = NULL;
        buf_release(&e->session.partial);
        free(e->session.sockets);
        free(e);
    }
    s->entries = NULL;
    s->touched_count = s->touched_next = 0;
}

void store_freshen(struct store *s, struct members *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct entry *e = recall(s, m->list[i].session);
        if (e == NULL)
            continue;
        m->list[i].holder = e->session.holder;
        m->list[i].polled_ms = e->session.polled_ms;
    }
}

/* ---- reading */

enum { SK_ID, SK_PUBLIC, SK_PRIVATE, SK_NSP, SK_SESSION, SK_AWAY, SK_GONE, SK_HEARD };

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
}

/* Room for one more socket of E; NULL when the store fails for lack of memory. */
static struct socket *add_socket(struct store *s, struct entry *e)
{
    struct session *session = &e->session;

    if (session->socket_count == e->socket_cap) {
        size_t cap = e->socket_cap != 0 ? e->socket_cap * 2 : 2;
        struct socket *sockets = realloc(session->sockets, cap * sizeof *sockets);
        if (sockets == NULL) {
            s->failed = true;
            snprintf(s->why, sizeof s->why,
                     "cannot read a socket: out of memory; give the machine more");
            return NULL;
        }
        session->sockets = sockets;
        e->socket_cap = cap;
    }
    return &session->sockets[session->socket_count++];
}

static void read_sockets(struct store *s, struct entry *e)
{
    struct db_query *q = db_query(s->db, Q_socket_list);
    struct socket *k;

    db_put_int(q, 1, e->session.id);
    while (db_next(q) == DB_ROW && (k = add_socket(s, e)) != NULL)
        read_socket(q, k);
    store_check(s, db_done(q), "read sockets");
}

enum {
    SE_ID,
    SE_SID,
    SE_ADDRESS,
    SE_ORIGIN,
    SE_SHIM,
    SE_OPENED,
    SE_DUE,
    SE_PING,
    SE_PINGED,
    SE_POSTS,
    SE_POLLS,
    SE_POLL,
    SE_POLLED,
    SE_HOLDER,
    SE_ANSWER,
    SE_RATE_MS,
    SE_RATE,
    SE_NUDGE,
    SE_CLOSING,
    SE_PARTIAL
};

static void read_session(struct db_query *q, struct session *session)
{
    span_copy(db_text(q, SE_SID), session->sid, sizeof session->sid);
    span_copy(db_text(q, SE_ADDRESS), session->address, sizeof session->address);
    span_copy(db_text(q, SE_ORIGIN), session->origin, sizeof session->origin);
    session->shim = db_int(q, SE_SHIM) != 0;
    session->opened_ms = db_int(q, SE_OPENED);
    session->due_ms = db_int(q, SE_DUE);
    session->ping_ms = db_int(q, SE_PING);
    session->pinged = db_int(q, SE_PINGED) != 0;
    seen_read(&session->posts, db_text(q, SE_POSTS));
    seen_read(&session->polls, db_text(q, SE_POLLS));
    session->poll = db_int(q, SE_POLL);
    session->polled_ms = db_int(q, SE_POLLED);
    session->holder = db_int(q, SE_HOLDER);
    session->answer = db_int(q, SE_ANSWER);
    session->rate_ms = db_int(q, SE_RATE_MS);
    session->rate = db_int(q, SE_RATE);
    session->nudge = db_int(q, SE_NUDGE) != 0;
    session->closing = db_int(q, SE_CLOSING) != 0;
    buf_add_span(&session->partial, db_text(q, SE_PARTIAL));
}

/* The session that Q, with its parameter bound, finds; with its sockets. Ends Q. */
static struct session *load(struct store *s, struct db_query *q)
{
    struct entry *e = NULL;

    if (db_next(q) == DB_ROW) {
        int64_t id = db_int(q, SE_ID);
        if ((e = recall(s, id)) != NULL || (e = remember(s, id)) == NULL) {
            db_done(q);
            return e == NULL || e->session.ended ? NULL : &e->session;
        }
        read_session(q, &e->session);
        e->stored_due_ms = e->session.due_ms;
        if (!buf_ok(&e->session.partial)) {
            s->failed = true;
            snprintf(s->why, sizeof s->why,
                     "cannot read a session: out of memory; give the machine more");
        }
    }
    store_check(s, db_done(q), "read a session");
    if (e != NULL)
        read_sockets(s, e);
    return e == NULL || s->failed ? NULL : &e->session;
}

struct session *store_session(struct store *s, struct span sid)
{
    if (!store_begin(s))
        return NULL;
    struct db_query *q = db_query(s->db, Q_session_find);
    db_put_text(q, 1, sid);
    return load(s, q);
}

struct session *store_session_by_id(struct store *s, int64_t id)
{
    struct entry *e = recall(s, id);

    if (e != NULL)
        return e->session.ended ? NULL : &e->session;
    if (!store_begin(s))
        return NULL;
    struct db_query *q = db_query(s->db, Q_session_get);
    db_put_int(q, 1, id);
    return load(s, q);
}

struct session *store_session_due(struct store *s, int64_t now, int64_t *next_ms)
{
    int64_t id = 0;

    *next_ms = INT64_MAX;
    if (s->failed)
        return NULL;
    struct db_query *q = db_query(s->db, Q_session_due);
    if (db_next(q) == DB_ROW) {
        id = db_int(q, 0);
        *next_ms = db_int(q, 1);
    }
    store_check(s, db_done(q), "look for sessions that are due");
    return id != 0 && *next_ms <= now ? store_session_by_id(s, id) : NULL;
}

static void write_due(struct store *s, const struct session *session)
{
    struct db_query *q = db_query(s->db, Q_session_move_due);

    db_put_int(q, 1, session->id);
    db_put_int(q, 2, session->due_ms);
    store_check(s, db_run(q), "store a session's deadline");
}

void store_session_due_done(struct store *s, struct session *session)
{
    if (session->ended || !store_begin(s))
        return;
    write_due(s, session);
    entry_of(session)->stored_due_ms = session->due_ms;
}

int64_t store_session_count(struct store *s, const char *address)
{
    int64_t count = 0;

    if (!store_begin(s))
        return 0;
    struct db_query *q = db_query(s->db, Q_visitor_count);
    db_put_text(q, 1, span_of(address));
    if (db_next(q) == DB_ROW)
        count = db_int(q, 0);
    store_check(s, db_done(q), "count sessions");
    return count;
}

/* ---- writing */

struct session *store_session_open(struct store *s, const struct session *new, int64_t now)
{
    char sid[ID_LEN + 1];

    if (!store_begin(s))
        return NULL;
    if (id_make(sid) == -1) {
        s->failed = true;
        snprintf(s->why, sizeof s->why,
                 "cannot make a session id: the kernel gives no random numbers");
        return NULL;
    }
    struct db_query *q = db_query(s->db, Q_session_insert);
    db_put_text(q, 1, span_of(sid));
    db_put_text(q, 2, span_of(new->address));
    db_put_text(q, 3, span_of(new->origin));
    db_put_int(q, 4, new->shim);
    db_put_int(q, 5, now);
    db_put_int(q, 6, new->due_ms);
    db_put_int(q, 7, new->ping_ms);
    store_check(s, db_run(q), "open a session");
    int64_t id = s->failed ? 0 : db_last_id(s->db);
    struct entry *e = s->failed ? NULL : remember(s, id);
    if (e == NULL)
        return NULL;
    struct session *session = &e->session;
    *session = *new;
    session->id = id;
    memcpy(session->sid, sid, sizeof sid);
    session->opened_ms = now;
    e->stored_due_ms = new->due_ms;
    return session;
}

void store_session_end(struct store *s, struct session *session)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_session_delete);
    db_put_int(q, 1, session->id);
    store_check(s, db_run(q), "end a session");
    session->ended = true;
}

static void write_session(struct store *s, const struct session *session)
{
    struct db_query *q = db_query(s->db, Q_session_update);

    db_put_int(q, 1, session->id);
    db_put_int(q, 2, session->ping_ms);
    db_put_int(q, 3, session->pinged);
    db_put_blob(q, 4, seen_bytes(&session->posts));
    db_put_blob(q, 5, seen_bytes(&session->polls));
    db_put_int(q, 6, session->poll);
    db_put_int(q, 7, session->polled_ms);
    db_put_int(q, 8, session->holder);
    db_put_int(q, 9, session->answer);
    db_put_int(q, 10, session->rate_ms);
    db_put_int(q, 11, session->rate);
    db_put_int(q, 12, session->nudge);
    db_put_int(q, 13, session->closing);
    db_put_blob(q, 14, buf_span(&session->partial));
    store_check(s, db_run(q), "store a session");
}

static void write_heard(struct store *s, const struct socket *k)
{
    struct db_query *q = db_query(s->db, Q_socket_heard);

    db_put_int(q, 1, k->id);
    db_put_int(q, 2, k->heard);
    store_check(s, db_run(q), "store a socket");
}

void store_write_sessions(struct store *s)
{
    for (struct entry *e = s->entries; e != NULL && !s->failed; e = e->next) {
        for (size_t i = 0; i < e->session.socket_count; i++)
            if (e->session.sockets[i].changed)
                write_heard(s, &e->session.sockets[i]);
        if (e->session.ended)
            continue;
        if (e->session.changed)
            write_session(s, &e->session);
        if (e->session.due_ms != e->stored_due_ms)
            write_due(s, &e->session);
    }
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
        s->failed = true;
        snprintf(s->why, sizeof s->why,
                 "cannot make a socket id: the kernel gives no random numbers");
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
    struct socket *added = s->failed ? NULL : add_socket(s, entry_of(session));
    if (added == NULL)
        return NULL;
    k.id = db_last_id(s->db);
    *added = k;
    return added;
}

static bool find_socket(struct store *s, struct db_query *q, struct socket *out)
{
    bool found = db_next(q) == DB_ROW;

    if (found)
        read_socket(q, out);
    store_check(s, db_done(q), "find a socket");
    return found && !s->failed;
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

/* Take socket ID out of the object of its session, if the turn has one. */
static void detach(struct store *s, int64_t id)
{
    for (struct entry *e = s->entries; e != NULL; e = e->next)
        for (size_t i = 0; i < e->session.socket_count; i++)
            if (e->session.sockets[i].id == id) {
                if (e->session.sockets[i].changed)
                    write_heard(s, &e->session.sockets[i]);
                e->session.sockets[i] = e->session.sockets[--e->session.socket_count];
                return;
            }
}

struct socket *store_socket_recover(struct store *s, struct session *session,
                                    const struct socket *from, int64_t offset, int64_t now)
{
    if (!store_begin(s))
        return NULL;
    detach(s, from->id);
    store_arrived_offset(s, from->id, offset, now);
    struct db_query *q = db_query(s->db, Q_delivery_drop_greeting);
    db_put_int(q, 1, from->id);
    store_check(s, db_run(q), "recover a socket");
    q = db_query(s->db, Q_socket_attach);
    db_put_int(q, 1, from->id);
    db_put_int(q, 2, session->id);
    store_check(s, db_run(q), "recover a socket");
    struct socket *k = s->failed ? NULL : add_socket(s, entry_of(session));
    if (k == NULL)
        return NULL;
    *k = *from;
    k->session = session->id;
    k->away_ms = 0;
    return k;
}

void store_socket_away(struct store *s, int64_t id, int64_t now)
{
    if (!store_begin(s))
        return;
    detach(s, id);
    struct db_query *q = db_query(s->db, Q_socket_away);
    db_put_int(q, 1, id);
    db_put_int(q, 2, now);
    store_check(s, db_run(q), "store that a socket is away");
}

/* The objects say so as well. */
static void mark_gone(struct store *s, int64_t id, int64_t now)
{
    for (struct entry *e = s->entries; e != NULL; e = e->next)
        for (size_t i = 0; i < e->session.socket_count; i++)
            if (e->session.sockets[i].id == id) {
                e->session.sockets[i].gone_ms = now;
                e->session.sockets[i].private[0] = '\0';
            }
}

void store_socket_gone(struct store *s, int64_t id, bool keep, int64_t now)
{
    if (!store_begin(s))
        return;
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
