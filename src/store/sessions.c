/* sessions.c - sessions: as objects of the turn, which are read once and written once. */
#include "store/work.h"

#include <stdlib.h>

/* ---- reading */

static void read_partial(struct store *s, struct entry *entry)
{
    engine_partial(s->engine, entry->session.id, &entry->session.partial);
    entry->stored_partial = entry->session.partial.len;
    if (!buf_ok(&entry->session.partial))
        store_no_memory(s, "read half an event");
}

/* An object of what ROW says, with its sockets. */
static struct session *make_object(struct store *s, const struct session_row *row)
{
    struct entry *entry = store_remember(s, row->session.id, row->session.sid);

    if (entry == NULL)
        return NULL;
    entry->session = row->session;
    entry->holder = row->holder;
    entry->stored_due_ms = row->session.due_ms;
    if (row->half)
        read_partial(s, entry);
    store_read_sockets(s, entry);
    return s->failure.failed ? NULL : &entry->session;
}

/* What is lent of ENTRY. */
static struct session *lend(struct entry *entry)
{
    return entry->session.ended ? NULL : &entry->session;
}

struct session *store_session(struct store *s, struct span sid)
{
    struct session_row row;

    if (!store_begin(s))
        return NULL;
    struct entry *entry = store_recall_sid(s, sid);
    if (entry != NULL)
        return lend(entry);
    return engine_session_by_sid(s->engine, sid, &row) ? make_object(s, &row) : NULL;
}

struct session *store_session_by_id(struct store *s, int64_t id)
{
    struct session_row row;

    if (!store_begin(s))
        return NULL;
    struct entry *entry = store_recall(s, id);
    if (entry != NULL)
        return lend(entry);
    return engine_session_by_id(s->engine, id, &row) ? make_object(s, &row) : NULL;
}

struct session *store_session_due(struct store *s, int64_t now, int64_t *next_ms)
{
    int64_t id;

    *next_ms = INT64_MAX;
    if (s->failure.failed || !engine_session_due(s->engine, &id, next_ms))
        return NULL;
    return *next_ms <= now ? store_session_by_id(s, id) : NULL;
}

void store_session_due_done(struct store *s, struct session *session)
{
    if (session->ended || !store_begin(s))
        return;
    engine_write_due(s->engine, session->id, session->due_ms);
    store_entry(session)->stored_due_ms = session->due_ms;
}

int64_t store_session_count(struct store *s, const char *address)
{
    return store_begin(s) ? engine_session_count(s->engine, address) : 0;
}

/* ---- beginning and ending */

struct session *store_session_open(struct store *s, const struct session *new, int64_t now)
{
    struct session session = *new;

    if (!store_begin(s))
        return NULL;
    if (id_make(session.sid) == -1) {
        failure_note(&s->failure,
                     "cannot make a session id: the kernel gives no random numbers");
        return NULL;
    }
    session.opened_ms = now;
    session.changed = true;
    session.id = engine_add_session(s->engine, &session);
    struct entry *entry = session.id != 0 ? store_remember(s, session.id, session.sid) : NULL;
    if (entry == NULL)
        return NULL;
    entry->session = session;
    entry->stored_due_ms = session.due_ms;
    return &entry->session;
}

static void drop_partial(struct store *s, struct entry *entry)
{
    engine_drop_partial(s->engine, entry->session.id);
    entry->stored_partial = 0;
}

void store_session_end(struct store *s, struct session *session)
{
    if (!store_begin(s))
        return;
    if (store_entry(session)->stored_partial != 0)
        drop_partial(s, store_entry(session));
    engine_drop_session(s->engine, session->id);
    session->ended = true;
}

/* ---- writing */

/* Only what has come since is written: it may be much, and come in many small requests. */
static void write_partial(struct store *s, struct entry *entry)
{
    const struct buf *partial = &entry->session.partial;

    if (entry->session.partial_over && entry->stored_partial != 0)
        drop_partial(s, entry);
    entry->session.partial_over = false;
    if (partial->len <= entry->stored_partial)
        return;
    engine_add_partial(s->engine, entry->session.id,
                       (struct span){ partial->data + entry->stored_partial,
                                      partial->len - entry->stored_partial });
    entry->stored_partial = partial->len;
}

static void write_session(struct store *s, struct entry *entry)
{
    struct session *session = &entry->session;

    if (session->changed)
        engine_write_session(s->engine, session, entry->holder);
    write_partial(s, entry);
    if (session->due_ms != entry->stored_due_ms)
        engine_write_due(s->engine, session->id, session->due_ms);
    session->changed = false;
    entry->stored_due_ms = session->due_ms;
}

void store_write_sessions(struct store *s)
{
    for (struct entry *e = s->cache.entries; e != NULL && !s->failure.failed; e = e->next) {
        store_write_sockets(s, &e->session);
        if (!e->session.ended)
            write_session(s, e);
    }
}
