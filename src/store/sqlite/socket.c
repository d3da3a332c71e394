/* socket.c - rows of sockets: which session each belongs to, who is away and who has gone. */
#include "store/sqlite/lite.h"

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

struct cursor *engine_sockets(struct engine *e, int64_t session)
{
    struct db_query *q = db_query(e->db, Q_socket_list);

    db_put_int(q, 1, session);
    return (struct cursor *)q;
}

bool engine_next_socket(struct cursor *c, struct socket *out)
{
    struct db_query *q = (struct db_query *)c;

    if (db_next(q) != DB_ROW)
        return false;
    read_socket(q, out);
    return true;
}

/* The socket that Q, with its parameter bound, finds. Ends Q. */
static bool find_socket(struct engine *e, struct db_query *q, struct socket *out)
{
    bool found = db_next(q) == DB_ROW;

    if (found)
        read_socket(q, out);
    lite_check(e, db_done(q), "find a socket");
    return found && !e->failure->failed;
}

bool engine_socket_by_private(struct engine *e, struct span private, struct socket *out)
{
    struct db_query *q = db_query(e->db, Q_socket_by_private);

    db_put_text(q, 1, private);
    return find_socket(e, q, out);
}

bool engine_socket_by_public(struct engine *e, struct span public, struct socket *out)
{
    struct db_query *q = db_query(e->db, Q_socket_by_public);

    db_put_text(q, 1, public);
    return find_socket(e, q, out);
}

bool engine_socket_by_id(struct engine *e, int64_t id, struct socket *out)
{
    struct db_query *q = db_query(e->db, Q_socket_get);

    db_put_int(q, 1, id);
    return find_socket(e, q, out);
}

bool engine_socket_expired(struct engine *e, int64_t since, struct socket *out)
{
    struct db_query *q = db_query(e->db, Q_socket_expired);

    db_put_int(q, 1, since);
    return find_socket(e, q, out);
}

bool engine_socket_leaving(struct engine *e, struct socket *out, int64_t *leave_ms)
{
    struct db_query *q = db_query(e->db, Q_socket_leaving);
    bool found = db_next(q) == DB_ROW;

    if (found) {
        read_socket(q, out);
        *leave_ms = db_int(q, SK_LEAVE);
    }
    lite_check(e, db_done(q), "find a socket that is away");
    return found && !e->failure->failed;
}

/* ---- writing */

int64_t engine_add_socket(struct engine *e, const struct socket *k, struct span address,
                          int64_t now)
{
    struct db_query *q = db_query(e->db, Q_socket_insert);

    db_put_text(q, 1, span_of(k->public));
    lite_put_optional(q, 2, span_of(k->private));
    db_put_text(q, 3, span_of(k->nsp));
    db_put_int(q, 4, k->session);
    db_put_text(q, 5, address);
    db_put_int(q, 6, now);
    return lite_add(e, q, "open a socket");
}

void engine_write_socket(struct engine *e, const struct socket *k)
{
    struct db_query *q = db_query(e->db, Q_socket_update);

    db_put_int(q, 1, k->id);
    db_put_int(q, 2, k->heard);
    db_put_int(q, 3, k->greeting);
    lite_run(e, q, "store a socket");
}

void engine_attach_socket(struct engine *e, int64_t id, int64_t session)
{
    struct db_query *q = db_query(e->db, Q_socket_attach);

    db_put_int(q, 1, id);
    db_put_int(q, 2, session);
    lite_run(e, q, "recover a socket");
}

void engine_socket_away(struct engine *e, int64_t id, int64_t now, int64_t leave_ms)
{
    struct db_query *q = db_query(e->db, Q_socket_away);

    db_put_int(q, 1, id);
    db_put_int(q, 2, now);
    db_put_int(q, 3, leave_ms);
    lite_run(e, q, "store that a socket is away");
}

void engine_socket_left(struct engine *e, int64_t id)
{
    struct db_query *q = db_query(e->db, Q_socket_left);

    db_put_int(q, 1, id);
    lite_run(e, q, "store that a socket has left");
}

void engine_socket_gone(struct engine *e, int64_t id, enum gone how, int64_t now)
{
    struct db_query *q = db_query(e->db, how == GONE_OWED ? Q_socket_gone_keep : Q_socket_gone);

    db_put_int(q, 1, id);
    db_put_int(q, 2, now);
    lite_run(e, q, "store that a socket has gone");
}
