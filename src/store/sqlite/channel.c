/* channel.c - channels, their members, and newcomers who wait for a roll call. */
#include "store/sqlite/engine.h"

#include <stdio.h>
#include <stdlib.h>

void members_release(struct members *m)
{
    free(m->list);
    *m = (struct members){ 0 };
}

/* ---- channels as they were last read */

static struct room *place_of(struct store *s, int64_t channel)
{
    return &s->rooms[(uint64_t)channel % ROOMS];
}

static struct room *find_room(struct store *s, int64_t channel)
{
    struct room *room = place_of(s, channel);

    return room->id == channel && room->epoch == s->epoch ? room : NULL;
}

static size_t place_of_name(struct span nsp, struct span name)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

    for (size_t i = 0; i < nsp.len; i++)
        hash = (hash ^ (unsigned char)nsp.p[i]) * 0x100000001b3;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 0x100000001b3;
    return hash % ROOMS;
}

static bool is_named(const struct room *room, struct span nsp, struct span name)
{
    return room->key_len == nsp.len + 1 + name.len && memcmp(room->key, nsp.p, nsp.len) == 0
           && room->key[nsp.len] == '\0'
           && memcmp(room->key + nsp.len + 1, name.p, name.len) == 0;
}

static struct room *find_named(struct store *s, struct span nsp, struct span name)
{
    struct room *room = find_room(s, s->named[place_of_name(nsp, name)]);

    return room != NULL && room->id != 0 && is_named(room, nsp, name) ? room : NULL;
}

/* CHANNEL has this name. Without memory it is read again the next time. */
static void keep_room(struct store *s, int64_t channel, struct span nsp, struct span name)
{
    struct room *room = place_of(s, channel);
    size_t len = nsp.len + 1 + name.len;

    room->id = 0;
    if (len > room->key_cap) {
        char *key = realloc(room->key, len);
        if (key == NULL)
            return;
        room->key = key;
        room->key_cap = len;
    }
    memcpy(room->key, nsp.p, nsp.len);
    room->key[nsp.len] = '\0';
    memcpy(room->key + nsp.len + 1, name.p, name.len);
    room->key_len = len;
    room->id = channel;
    room->epoch = s->epoch;
    room->listed = false;
    s->named[place_of_name(nsp, name)] = channel;
}

/* Who is in CHANNEL changes. */
static void forget_room(struct store *s, int64_t channel)
{
    struct room *room = find_room(s, channel);

    if (room == NULL)
        return;
    room->id = 0;
    room->listed = false;
}

void store_unlist(struct store *s, int64_t socket)
{
    struct db_query *q = db_query(s->db, Q_member_rooms);

    db_put_int(q, 1, socket);
    while (db_next(q) == DB_ROW)
        forget_room(s, db_int(q, 0));
    store_check(s, db_done(q), "list a socket's channels");
}

void store_release_rooms(struct store *s)
{
    for (size_t i = 0; i < ROOMS; i++) {
        free(s->rooms[i].key);
        members_release(&s->rooms[i].members);
    }
}

/* ---- channels */

/* The number that Q, with its parameters bound, finds; 0: none. Ends Q. */
static int64_t find_id(struct store *s, struct db_query *q, const char *operation)
{
    int64_t id = 0;

    if (db_next(q) == DB_ROW)
        id = db_int(q, 0);
    store_check(s, db_done(q), operation);
    return s->failed ? 0 : id;
}

int64_t store_channel(struct store *s, struct span nsp, struct span name)
{
    if (!store_begin(s))
        return 0;
    const struct room *room = find_named(s, nsp, name);
    if (room != NULL)
        return room->id;
    struct db_query *q = db_query(s->db, Q_channel_find);
    db_put_text(q, 1, nsp);
    db_put_text(q, 2, name);
    int64_t id = find_id(s, q, "find a channel");
    if (id != 0)
        keep_room(s, id, nsp, name);
    return id;
}

int64_t store_channel_open(struct store *s, struct span nsp, struct span name, int64_t now)
{
    if (!store_begin(s))
        return 0;
    struct db_query *q = db_query(s->db, Q_channel_insert);
    db_put_text(q, 1, nsp);
    db_put_text(q, 2, name);
    db_put_int(q, 3, now);
    store_check(s, db_run(q), "open a channel");
    return s->failed ? 0 : db_last_id(s->db);
}

static bool read_channel(struct store *s, struct db_query *q, struct channel *out)
{
    bool found = db_next(q) == DB_ROW;

    if (found) {
        out->id = db_int(q, 0);
        span_copy(db_text(q, 1), out->name, sizeof out->name);
    }
    store_check(s, db_done(q), "read a channel");
    return found && !s->failed;
}

bool store_channel_of(struct store *s, int64_t socket, int64_t *after, struct channel *out)
{
    if (!store_begin(s))
        return false;
    struct db_query *q = db_query(s->db, Q_member_channels);
    db_put_int(q, 1, socket);
    db_put_int(q, 2, *after);
    if (!read_channel(s, q, out))
        return false;
    *after = out->id;
    return true;
}

void store_join(struct store *s, int64_t channel, int64_t socket, const char *role, int64_t now)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_member_insert);
    db_put_int(q, 1, channel);
    db_put_int(q, 2, socket);
    db_put_text(q, 3, span_of(role));
    db_put_int(q, 4, now);
    store_check(s, db_run(q), "join a channel");
    forget_room(s, channel);
}

void store_part(struct store *s, int64_t channel, int64_t socket)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_member_delete);
    db_put_int(q, 1, channel);
    db_put_int(q, 2, socket);
    store_check(s, db_run(q), "leave a channel");
    q = db_query(s->db, Q_channel_delete_empty);
    db_put_int(q, 1, channel);
    store_check(s, db_run(q), "close a channel");
    forget_room(s, channel);
}

static struct member *add_member(struct store *s, struct members *m)
{
    if (m->count == m->cap) {
        size_t cap = m->cap != 0 ? m->cap * 2 : 8;
        struct member *list = realloc(m->list, cap * sizeof *list);
        if (list == NULL) {
            store_lacks(s, "list a channel's members: out of memory; give the machine more");
            return NULL;
        }
        m->list = list;
        m->cap = cap;
    }
    return &m->list[m->count++];
}

/* The members that Q, with its parameters bound, finds. Ends Q. */
static void read_members(struct store *s, struct db_query *q, struct members *m)
{
    struct member *member;

    m->count = 0;
    while (db_next(q) == DB_ROW && (member = add_member(s, m)) != NULL) {
        *member = (struct member){ .socket = db_int(q, 0),
                                   .session = db_int(q, 1),
                                   .away_ms = db_int(q, 2) };
        span_copy(db_text(q, 3), member->public, sizeof member->public);
    }
    store_check(s, db_done(q), "list members");
    if (s->failed)
        m->count = 0;
}

/* The members of CHANNEL, in the order of their joining. */
static const struct members *members_of(struct store *s, int64_t channel)
{
    struct room *room = find_room(s, channel);

    if (room == NULL) {
        room = place_of(s, channel);    /* without a name until somebody asks for it */
        room->id = channel;
        room->epoch = s->epoch;
        room->listed = false;
        room->key_len = 0;
    }
    if (!room->listed) {
        struct db_query *q = db_query(s->db, Q_member_list);
        db_put_int(q, 1, channel);
        read_members(s, q, &room->members);
        room->listed = !s->failed;
    }
    return &room->members;
}

static bool is_listed(const struct members *m, int64_t socket)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].socket == socket)
            return true;
    return false;
}

bool store_is_member(struct store *s, int64_t channel, int64_t socket)
{
    return store_begin(s) && is_listed(members_of(s, channel), socket);
}

void store_members(struct store *s, int64_t channel, struct members *m)
{
    m->count = 0;
    if (!store_begin(s))
        return;
    const struct members *all = members_of(s, channel);
    for (size_t i = 0; i < all->count; i++) {
        struct member *member = add_member(s, m);
        if (member == NULL)
            return;
        *member = all->list[i];
    }
}

void store_peers(struct store *s, int64_t socket, struct members *m)
{
    struct channel channel;
    int64_t after = 0;

    m->count = 0;
    while (store_channel_of(s, socket, &after, &channel)) {
        const struct members *all = members_of(s, channel.id);
        for (size_t i = 0; i < all->count; i++) {
            struct member *member;
            if (all->list[i].socket == socket || is_listed(m, all->list[i].socket))
                continue;
            if ((member = add_member(s, m)) == NULL)
                return;
            *member = all->list[i];
        }
    }
}

/* ---- who lost its place while it was away */

void store_former_add(struct store *s, int64_t socket, struct span channel)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_former_insert);
    db_put_int(q, 1, socket);
    db_put_text(q, 2, channel);
    store_check(s, db_run(q), "note what a socket lost");
}

bool store_former_take(struct store *s, int64_t socket, char *name, size_t cap)
{
    if (!store_begin(s))
        return false;
    struct db_query *q = db_query(s->db, Q_former_take);
    db_put_int(q, 1, socket);
    bool found = db_next(q) == DB_ROW && span_copy(db_text(q, 0), name, cap);
    store_check(s, db_done(q), "see what a socket lost");
    return found && !s->failed;
}

void store_former_end(struct store *s, int64_t socket)
{
    struct db_query *q = db_query(s->db, Q_former_delete);

    db_put_int(q, 1, socket);
    store_check(s, db_run(q), "forget what a socket lost");
}

/* ---- who asks to get in */

void store_ask(struct store *s, struct span channel, int64_t socket, int64_t due_ms)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_asking_insert);
    db_put_text(q, 1, channel);
    db_put_int(q, 2, socket);
    db_put_int(q, 3, due_ms);
    store_check(s, db_run(q), "note who asks to join");
}

static bool read_asking(struct store *s, int64_t after, struct asking *out)
{
    struct db_query *q = db_query(s->db, Q_asking_next);

    db_put_int(q, 1, after);
    bool found = db_next(q) == DB_ROW;
    if (found) {
        *out =
            (struct asking){ .id = db_int(q, 0), .socket = db_int(q, 2), .due_ms = db_int(q, 3) };
        span_copy(db_text(q, 1), out->channel, sizeof out->channel);
    }
    store_check(s, db_done(q), "see who asks to join");
    return found && !s->failed;
}

bool store_asked(struct store *s, int64_t after, struct asking *out)
{
    if (s->failed || !read_asking(s, after, out))
        return false;
    /* Seen from outside of a transaction, another process may be answering it: look again. */
    return s->begun || (store_begin(s) && read_asking(s, after, out));
}

void store_ask_end(struct store *s, int64_t id)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_asking_delete);
    db_put_int(q, 1, id);
    store_check(s, db_run(q), "forget who asked to join");
}

void store_ask_end_socket(struct store *s, int64_t socket)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_asking_delete_socket);
    db_put_int(q, 1, socket);
    store_check(s, db_run(q), "forget who asked to join");
}

bool store_is_asking(struct store *s, struct span channel, int64_t socket)
{
    if (!store_begin(s))
        return false;
    struct db_query *q = db_query(s->db, Q_asking_find);
    db_put_text(q, 1, channel);
    db_put_int(q, 2, socket);
    return find_id(s, q, "see who asks to join") != 0;
}

void store_count_asking(struct store *s, struct span channel, int64_t socket, size_t *here,
                        size_t *own)
{
    *here = *own = 0;
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_asking_count);
    db_put_text(q, 1, channel);
    db_put_int(q, 2, socket);
    if (db_next(q) == DB_ROW) {
        *here = (size_t)db_int(q, 0);
        *own = (size_t)db_int(q, 1);
    }
    store_check(s, db_done(q), "count who asks to join");
}
