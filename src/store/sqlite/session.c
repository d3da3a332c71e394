/* session.c - sessions: reading them into objects and writing them back. */
#include "store/sqlite/engine.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- reading */

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
    SE_LAST_POST,
    SE_LAST_POLL,
    SE_POLL,
    SE_POLLED,
    SE_HOLDER,
    SE_ANSWER,
    SE_RATE_MS,
    SE_RATE,
    SE_NUDGE,
    SE_CLOSING,
    SE_ENDED,
    SE_PORTS,
    SE_WATCHED,
    SE_PROBE,
    SE_OPENED_T,
    SE_OVERTAKEN,
    SE_POSTING,
    SE_POSTED,
    SE_HALF
};

static void read_session(struct db_query *q, struct session *session)
{
    span_copy(db_text(q, SE_ADDRESS), session->address, sizeof session->address);
    span_copy(db_text(q, SE_ORIGIN), session->origin, sizeof session->origin);
    session->shim = db_int(q, SE_SHIM) != 0;
    session->opened_ms = db_int(q, SE_OPENED);
    session->due_ms = db_int(q, SE_DUE);
    session->ping_ms = db_int(q, SE_PING);
    session->pinged = db_int(q, SE_PINGED) != 0;
    session->last_post = (uint64_t)db_int(q, SE_LAST_POST);
    session->last_poll = (uint64_t)db_int(q, SE_LAST_POLL);
    session->poll = db_int(q, SE_POLL);
    session->polled_ms = db_int(q, SE_POLLED);
    session->answer = db_int(q, SE_ANSWER);
    session->rate_ms = db_int(q, SE_RATE_MS);
    session->rate = db_int(q, SE_RATE);
    session->nudge = db_int(q, SE_NUDGE) != 0;
    session->closing = db_int(q, SE_CLOSING) != 0;
    session->ended_ms = db_int(q, SE_ENDED);
    session->ports = (uint64_t)db_int(q, SE_PORTS);
    session->watched = db_int(q, SE_WATCHED) != 0;
    session->probe = db_int(q, SE_PROBE) != 0;
    session->opened_t = (uint64_t)db_int(q, SE_OPENED_T);
    session->overtaken = db_int(q, SE_OVERTAKEN) != 0;
    session->posting = (uint64_t)db_int(q, SE_POSTING);
    session->posted = db_int(q, SE_POSTED);
}

static void read_partial(struct store *s, struct entry *e)
{
    struct db_query *q = db_query(s->db, Q_partial_read);

    db_put_int(q, 1, e->session.id);
    while (db_next(q) == DB_ROW)
        buf_add_span(&e->session.partial, db_text(q, 0));
    store_check(s, db_done(q), "read half an event");
    e->stored_partial = e->session.partial.len;
    if (!buf_ok(&e->session.partial))
        store_no_memory(s);
}

/* The session that Q, with its parameter bound, finds; with its sockets. Ends Q. */
static struct session *load(struct store *s, struct db_query *q)
{
    struct entry *e = NULL;
    char sid[ID_LEN + 1];
    bool half = false;

    if (db_next(q) == DB_ROW && span_copy(db_text(q, SE_SID), sid, sizeof sid)
        && (e = store_remember(s, db_int(q, SE_ID), sid)) != NULL) {
        read_session(q, &e->session);
        e->holder = db_int(q, SE_HOLDER);
        e->stored_due_ms = e->session.due_ms;
        half = db_int(q, SE_HALF) != 0;
    }
    store_check(s, db_done(q), "read a session");
    if (half)
        read_partial(s, e);
    if (e != NULL)
        store_read_sockets(s, e);
    return e == NULL || s->failed ? NULL : &e->session;
}

/* What is lent of E. */
static struct session *lend(struct entry *e)
{
    return e->session.ended ? NULL : &e->session;
}

struct session *store_session(struct store *s, struct span sid)
{
    if (!store_begin(s))
        return NULL;
    struct entry *e = store_recall_sid(s, sid);
    if (e != NULL)
        return lend(e);
    struct db_query *q = db_query(s->db, Q_session_find);
    db_put_text(q, 1, sid);
    return load(s, q);
}

struct session *store_session_by_id(struct store *s, int64_t id)
{
    if (!store_begin(s))
        return NULL;
    struct entry *e = store_recall(s, id);
    if (e != NULL)
        return lend(e);
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
    store_entry(session)->stored_due_ms = session->due_ms;
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
        store_lacks(s, "make a session id: the kernel gives no random numbers");
        return NULL;
    }
    struct db_query *q = db_query(s->db, Q_session_insert);
    db_put_text(q, 1, span_of(sid));
    db_put_text(q, 2, span_of(new->address));
    db_put_text(q, 3, span_of(new->origin));
    db_put_int(q, 4, new->shim);
    db_put_int(q, 5, now);
    db_put_int(q, 6, new->due_ms);
    db_put_int(q, 7, (int64_t)new->opened_t);
    store_check(s, db_run(q), "open a session");
    int64_t id = s->failed ? 0 : db_last_id(s->db);
    struct entry *e = s->failed ? NULL : store_remember(s, id, sid);
    if (e == NULL)
        return NULL;
    struct session *session = &e->session;
    *session = *new;
    session->id = id;
    memcpy(session->sid, sid, sizeof sid);
    session->opened_ms = now;
    session->changed = true;
    e->stored_due_ms = new->due_ms;
    return session;
}

static void delete_partial(struct store *s, struct entry *e)
{
    struct db_query *q = db_query(s->db, Q_partial_delete);

    db_put_int(q, 1, e->session.id);
    store_check(s, db_run(q), "forget half an event");
    e->stored_partial = 0;
}

void store_session_end(struct store *s, struct session *session)
{
    if (!store_begin(s))
        return;
    if (store_entry(session)->stored_partial != 0)
        delete_partial(s, store_entry(session));
    struct db_query *q = db_query(s->db, Q_session_delete);
    db_put_int(q, 1, session->id);
    store_check(s, db_run(q), "end a session");
    q = db_query(s->db, Q_polling_delete);
    db_put_int(q, 1, session->id);
    store_check(s, db_run(q), "end a session");
    session->ended = true;
}

/* Only what has come since is written: it may be much, and come in many small requests. */
static void write_partial(struct store *s, struct entry *e)
{
    const struct buf *partial = &e->session.partial;

    if (e->session.partial_over && e->stored_partial != 0)
        delete_partial(s, e);
    e->session.partial_over = false;
    if (partial->len <= e->stored_partial)
        return;
    struct db_query *q = db_query(s->db, Q_partial_add);
    db_put_int(q, 1, e->session.id);
    db_put_blob(q, 2, (struct span){ partial->data + e->stored_partial,
                                     partial->len - e->stored_partial });
    store_check(s, db_run(q), "store half an event");
    e->stored_partial = partial->len;
}

static void write_session(struct store *s, const struct session *session)
{
    struct db_query *q = db_query(s->db, Q_polling_write);

    db_put_int(q, 1, session->id);
    db_put_int(q, 2, session->ping_ms);
    db_put_int(q, 3, session->pinged);
    db_put_int(q, 4, (int64_t)session->last_post);
    db_put_int(q, 5, (int64_t)session->last_poll);
    db_put_int(q, 6, session->poll);
    db_put_int(q, 7, session->polled_ms);
    db_put_int(q, 8, store_holder(session));
    db_put_int(q, 9, session->answer);
    db_put_int(q, 10, session->rate_ms);
    db_put_int(q, 11, session->rate);
    db_put_int(q, 12, session->nudge);
    db_put_int(q, 13, session->closing);
    db_put_int(q, 14, session->ended_ms);
    db_put_int(q, 15, (int64_t)session->ports);
    db_put_int(q, 16, session->watched);
    db_put_int(q, 17, session->probe);
    db_put_int(q, 18, session->overtaken);
    db_put_int(q, 19, (int64_t)session->posting);
    db_put_int(q, 20, session->posted);
    store_check(s, db_run(q), "store a session");
}

void store_write_sessions(struct store *s)
{
    for (struct entry *e = s->entries; e != NULL && !s->failed; e = e->next) {
        store_write_sockets(s, &e->session);
        if (e->session.ended)
            continue;
        if (e->session.changed)
            write_session(s, &e->session);
        write_partial(s, e);
        if (e->session.due_ms != e->stored_due_ms)
            write_due(s, &e->session);
        e->session.changed = false;
        e->stored_due_ms = e->session.due_ms;
    }
}
