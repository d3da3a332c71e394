/* sockets.c - sockets: which session each belongs to, who is away and who has gone. A row always
 * says these: they are written at once. */
#include "store/work.h"

#include <stdlib.h>

/* ---- reading */

static void *more(struct store *s, void *list, size_t cap, size_t size)
{
    void *longer = realloc(list, cap * size);

    if (longer == NULL)
        store_no_memory(s, "read a socket");
    return longer;
}

/* Room for one more socket of ENTRY; NULL when the store fails for lack of memory. */
static struct socket *add_socket(struct store *s, struct entry *entry)
{
    struct session *session = &entry->session;

    if (session->socket_count == entry->socket_cap) {
        size_t cap = entry->socket_cap != 0 ? entry->socket_cap * 2 : 1;
        struct socket *sockets = more(s, session->sockets, cap, sizeof *sockets);
        if (sockets == NULL)
            return NULL;
        session->sockets = sockets;
        struct queue *queues = more(s, entry->queues, cap, sizeof *queues);
        if (queues == NULL)
            return NULL;
        entry->queues = queues;
        entry->socket_cap = cap;
    }
    entry->queues[session->socket_count].state = QUEUE_UNREAD;
    entry->queues[session->socket_count].count = 0;
    return &session->sockets[session->socket_count++];
}

void store_read_sockets(struct store *s, struct entry *entry)
{
    struct cursor *c = engine_sockets(s->engine, entry->session.id);
    struct socket k, *added;

    while (engine_next_socket(c, &k) && (added = add_socket(s, entry)) != NULL)
        *added = k;
    engine_end_load(s->engine, c, "read sockets");
}

/* ---- writing */

static void write_socket(struct store *s, struct socket *k)
{
    engine_write_socket(s->engine, k);
    k->changed = false;
}

void store_write_sockets(struct store *s, struct session *session)
{
    for (size_t i = 0; i < session->socket_count && !s->failure.failed; i++)
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
                                 struct span address, enum recovery recovery, int64_t now)
{
    struct socket k = { .session = session->id };

    if (!store_begin(s))
        return NULL;
    if (id_make(k.public) == -1 || (recovery == RECOVERY_BY_ID && id_make(k.private) == -1)) {
        failure_note(&s->failure, "cannot make a socket id: the kernel gives no random numbers");
        return NULL;
    }
    span_copy(nsp, k.nsp, sizeof k.nsp);
    k.id = engine_add_socket(s->engine, &k, s->set->keep_addresses ? address : SPAN(""), now);
    struct socket *added = k.id != 0 ? add_socket(s, store_entry(session)) : NULL;
    if (added == NULL)
        return NULL;
    *added = k;
    store_entry(session)->queues[session->socket_count - 1].state = QUEUE_KNOWN;  /* empty */
    return added;
}

/* OUT was read from its row. If there is an object of its session, that is as good as the row or
 * newer: what this turn changed is written at its end. Outside of a transaction objects may be out
 * of date, and nothing is changed. */
static bool found(struct store *s, struct socket *out)
{
    struct entry *entry = s->begun && out->session != 0 ? store_recall(s, out->session) : NULL;

    for (size_t i = 0; entry != NULL && i < entry->session.socket_count; i++)
        if (entry->session.sockets[i].id == out->id)
            *out = entry->session.sockets[i];
    return true;
}

bool store_socket_by_private(struct store *s, struct span private, struct socket *out)
{
    return store_begin(s) && engine_socket_by_private(s->engine, private, out) && found(s, out);
}

bool store_socket_by_public(struct store *s, struct span public, struct socket *out)
{
    return store_begin(s) && engine_socket_by_public(s->engine, public, out) && found(s, out);
}

bool store_socket_by_id(struct store *s, int64_t id, struct socket *out)
{
    return store_begin(s) && engine_socket_by_id(s->engine, id, out) && found(s, out);
}

/* The session that socket ID belongs to, if there is an object of it; *AT is the socket's place in
 * it. */
static struct session *object_of(struct store *s, int64_t id, size_t *at)
{
    struct socket k;
    struct entry *entry = store_socket_by_id(s, id, &k) ? store_recall(s, k.session) : NULL;

    for (*at = 0; entry != NULL && *at < entry->session.socket_count; ++*at)
        if (entry->session.sockets[*at].id == id)
            return &entry->session;
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
    if (offset > 0)
        store_arrive(s, &(struct arriving){ .socket = from->id, .offset = offset }, now);
    else
        store_write_deliveries(s);
    engine_drop_greeting(s->engine, from->id);
    engine_attach_socket(s->engine, from->id, session->id);
    struct socket *k = s->failure.failed ? NULL : add_socket(s, store_entry(session));
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
    engine_socket_away(s->engine, id, now, leave_ms);
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

void store_socket_gone(struct store *s, int64_t id, enum gone how, int64_t now)
{
    if (!store_begin(s))
        return;
    store_unlist(s, id);
    if (how == GONE_OWED) {
        mark_gone(s, id, now);
    } else {
        detach(s, id);
        store_arrive(s, &(struct arriving){ .socket = id }, 0);
    }
    engine_socket_gone(s->engine, id, how, now);
    engine_drop_former(s->engine, id);
}

/* Seen from outside of a transaction, a socket may just be coming back through another process: so
 * these look again within one. */
bool store_socket_expired(struct store *s, int64_t since, struct socket *out)
{
    if (s->failure.failed || !engine_socket_expired(s->engine, since, out))
        return false;
    if (!s->begun && (!store_begin(s) || !engine_socket_expired(s->engine, since, out)))
        return false;
    return found(s, out);
}

static bool is_leaving(struct store *s, int64_t now, struct socket *out, int64_t *next_ms)
{
    *next_ms = INT64_MAX;
    return engine_socket_leaving(s->engine, out, next_ms) && *next_ms <= now;
}

bool store_socket_leaving(struct store *s, int64_t now, struct socket *out, int64_t *next_ms)
{
    *next_ms = INT64_MAX;
    return !s->failure.failed && is_leaving(s, now, out, next_ms)
           && (s->begun || (store_begin(s) && is_leaving(s, now, out, next_ms)));
}

void store_socket_left(struct store *s, int64_t id)
{
    if (store_begin(s))
        engine_socket_left(s->engine, id);
}
