/* channel.c - rows of channels, of their members, and of those who wait at the door. */
#include "store/sqlite/lite.h"

/* ---- channels */

int64_t engine_channel(struct engine *e, struct span nsp, struct span name)
{
    struct db_query *q = db_query(e->db, Q_channel_find);

    db_put_text(q, 1, nsp);
    db_put_text(q, 2, name);
    return lite_number(e, q, 0, "find a channel");
}

int64_t engine_add_channel(struct engine *e, struct span nsp, struct span name, int64_t now)
{
    struct db_query *q = db_query(e->db, Q_channel_insert);

    db_put_text(q, 1, nsp);
    db_put_text(q, 2, name);
    db_put_int(q, 3, now);
    return lite_add(e, q, "open a channel");
}

bool engine_channel_of(struct engine *e, int64_t socket, int64_t after, struct channel *out)
{
    struct db_query *q = db_query(e->db, Q_member_channels);

    db_put_int(q, 1, socket);
    db_put_int(q, 2, after);
    bool found = db_next(q) == DB_ROW;
    if (found) {
        out->id = db_int(q, 0);
        span_copy(db_text(q, 1), out->name, sizeof out->name);
    }
    lite_check(e, db_done(q), "read a channel");
    return found && !e->failure->failed;
}

/* ---- members */

/* False: no memory. */
static bool read_member(struct db_query *q, struct members *m)
{
    struct member member = { .socket = db_int(q, 0),
                             .session = db_int(q, 1),
                             .away_ms = db_int(q, 2) };

    span_copy(db_text(q, 3), member.public, sizeof member.public);
    return members_add(m, &member);
}

void engine_members(struct engine *e, int64_t channel, struct members *m)
{
    struct db_query *q = db_query(e->db, Q_member_list);
    bool room = true;

    db_put_int(q, 1, channel);
    m->count = 0;
    while (room && db_next(q) == DB_ROW)
        room = read_member(q, m);
    lite_check(e, db_done(q), "list members");
    if (!room)
        failure_note(e->failure,
                     "cannot list a channel's members: out of memory; give the machine more");
    if (e->failure->failed)
        m->count = 0;
}

void engine_add_member(struct engine *e, int64_t channel, int64_t socket, const char *role,
                       int64_t now)
{
    struct db_query *q = db_query(e->db, Q_member_insert);

    db_put_int(q, 1, channel);
    db_put_int(q, 2, socket);
    db_put_text(q, 3, span_of(role));
    db_put_int(q, 4, now);
    lite_run(e, q, "join a channel");
}

void engine_drop_member(struct engine *e, int64_t channel, int64_t socket)
{
    struct db_query *q = db_query(e->db, Q_member_delete);

    db_put_int(q, 1, channel);
    db_put_int(q, 2, socket);
    lite_run(e, q, "leave a channel");
    q = db_query(e->db, Q_channel_delete_empty);
    db_put_int(q, 1, channel);
    lite_run(e, q, "close a channel");
}

/* ---- who lost its place while it was away */

void engine_add_former(struct engine *e, int64_t socket, struct span channel)
{
    struct db_query *q = db_query(e->db, Q_former_insert);

    db_put_int(q, 1, socket);
    db_put_text(q, 2, channel);
    lite_run(e, q, "note what a socket lost");
}

bool engine_take_former(struct engine *e, int64_t socket, char *name, size_t cap)
{
    struct db_query *q = db_query(e->db, Q_former_take);

    db_put_int(q, 1, socket);
    bool found = db_next(q) == DB_ROW && span_copy(db_text(q, 0), name, cap);
    lite_check(e, db_done(q), "see what a socket lost");
    return found && !e->failure->failed;
}

void engine_drop_former(struct engine *e, int64_t socket)
{
    struct db_query *q = db_query(e->db, Q_former_delete);

    db_put_int(q, 1, socket);
    lite_run(e, q, "forget what a socket lost");
}

/* ---- who asks to get in */

bool engine_asking(struct engine *e, int64_t after, struct asking *out)
{
    struct db_query *q = db_query(e->db, Q_asking_next);

    db_put_int(q, 1, after);
    bool found = db_next(q) == DB_ROW;
    if (found) {
        *out = (struct asking){ .id = db_int(q, 0),
                                .socket = db_int(q, 2),
                                .due_ms = db_int(q, 3) };
        span_copy(db_text(q, 1), out->channel, sizeof out->channel);
    }
    lite_check(e, db_done(q), "see who asks to join");
    return found && !e->failure->failed;
}

bool engine_is_asking(struct engine *e, struct span channel, int64_t socket)
{
    struct db_query *q = db_query(e->db, Q_asking_find);

    db_put_text(q, 1, channel);
    db_put_int(q, 2, socket);
    return lite_number(e, q, 0, "see who asks to join") != 0;
}

void engine_count_asking(struct engine *e, struct span channel, int64_t socket, size_t *here,
                         size_t *own)
{
    struct db_query *q = db_query(e->db, Q_asking_count);

    db_put_text(q, 1, channel);
    db_put_int(q, 2, socket);
    if (db_next(q) == DB_ROW) {
        *here = (size_t)db_int(q, 0);
        *own = (size_t)db_int(q, 1);
    }
    lite_check(e, db_done(q), "count who asks to join");
}

void engine_add_asking(struct engine *e, struct span channel, int64_t socket, int64_t due_ms)
{
    struct db_query *q = db_query(e->db, Q_asking_insert);

    db_put_text(q, 1, channel);
    db_put_int(q, 2, socket);
    db_put_int(q, 3, due_ms);
    lite_run(e, q, "note who asks to join");
}

void engine_drop_asking(struct engine *e, int64_t id)
{
    struct db_query *q = db_query(e->db, Q_asking_delete);

    db_put_int(q, 1, id);
    lite_run(e, q, "forget who asked to join");
}

void engine_drop_asking_of(struct engine *e, int64_t socket)
{
    struct db_query *q = db_query(e->db, Q_asking_delete_socket);

    db_put_int(q, 1, socket);
    lite_run(e, q, "forget who asked to join");
}
