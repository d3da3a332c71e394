/* delivery.c - rows of deliveries: what is owed to whom, what of it was sent and what has
 * arrived. */
#include "store/sqlite/lite.h"

/* ---- queues */

int64_t engine_newest_delivery(struct engine *e)
{
    return lite_number(e, db_query(e->db, Q_delivery_newest), 0, "number a delivery");
}

void engine_add_delivery(struct engine *e, const struct delivery *d)
{
    struct db_query *q = db_query(e->db, Q_delivery_insert);

    db_put_int(q, 1, d->id);
    db_put_int(q, 2, d->message);
    db_put_int(q, 3, d->socket);
    db_put_int(q, 4, d->nth);
    db_put_int(q, 5, d->upto_bytes);
    lite_put_id(q, 6, d->session);
    lite_put_id(q, 7, d->poll);
    lite_put_id(q, 8, d->sent_ms);
    e->tidying.owed++;
    lite_run(e, q, "store a delivery");
}

size_t engine_queue(struct engine *e, int64_t socket, int64_t session, struct place *places,
                    size_t most)
{
    struct db_query *q = db_query(e->db, Q_delivery_queue);
    size_t count;

    db_put_int(q, 1, socket);
    db_put_int(q, 2, session);
    db_put_int(q, 3, (int64_t)most);
    for (count = 0; count < most && db_next(q) == DB_ROW; count++)
        places[count] = (struct place){ .delivery = db_int(q, 0),
                                        .message = db_int(q, 1),
                                        .nth = db_int(q, 2),
                                        .upto_bytes = db_int(q, 3),
                                        .sent = db_int(q, 4) != 0 };
    lite_check(e, db_done(q), "read a queue");
    return count;
}

bool engine_queue_end(struct engine *e, int64_t socket, enum end which, struct queue_end *end)
{
    struct db_query *q =
        db_query(e->db, which == END_FIRST ? Q_delivery_first : Q_delivery_last);

    db_put_int(q, 1, socket);
    bool found = db_next(q) == DB_ROW;
    if (found)
        *end = (struct queue_end){ db_int(q, 0), db_int(q, 1) };
    lite_check(e, db_done(q), "measure a queue");
    return found && !e->failure->failed;
}

int64_t engine_count_from(struct engine *e, int64_t socket, int64_t sender, int64_t most)
{
    struct db_query *q = db_query(e->db, Q_delivery_from);

    db_put_int(q, 1, socket);
    db_put_int(q, 2, sender);
    db_put_int(q, 3, most);
    return lite_number(e, q, 0, "see who fills a queue");
}

/* ---- what is owed */

struct cursor *engine_owed(struct engine *e, int64_t session, int64_t only, size_t limit)
{
    struct db_query *q =
        db_query(e->db, only != 0 ? Q_delivery_owed : Q_delivery_owed_session);

    db_put_int(q, 1, only != 0 ? only : session);
    db_put_int(q, 2, session);
    db_put_int(q, 3, (int64_t)limit);
    return (struct cursor *)q;
}

struct cursor *engine_answered(struct engine *e, int64_t session, int64_t poll)
{
    struct db_query *q = db_query(e->db, Q_delivery_answered);

    db_put_int(q, 1, session);
    db_put_int(q, 2, poll);
    return (struct cursor *)q;
}

bool engine_next_owed(struct cursor *c, struct owed *o, int64_t *socket)
{
    struct db_query *q = (struct db_query *)c;

    if (db_next(q) != DB_ROW)
        return false;
    *socket = db_int(q, 2);
    *o = (struct owed){ .id = db_int(q, 0),
                        .type = (enum sio_type)db_int(q, 1),
                        .ack_id = db_text(q, 3),
                        .body = db_text(q, 4),
                        .attached = db_text(q, 5),
                        .attachments = (unsigned)db_int(q, 6) };
    return true;
}

/* ---- sent */

void engine_sent(struct engine *e, int64_t delivery, const struct session *session, int64_t now)
{
    struct db_query *q = db_query(e->db, Q_delivery_sent_one);

    db_put_int(q, 1, delivery);
    db_put_int(q, 2, session->id);
    db_put_int(q, 3, session->poll);
    db_put_int(q, 4, now);
    lite_run(e, q, "store what was sent");
}

void engine_sent_upto(struct engine *e, int64_t socket, int64_t upto, const struct session *session,
                      int64_t now)
{
    struct db_query *q = db_query(e->db, Q_delivery_sent);

    db_put_int(q, 1, socket);
    db_put_int(q, 2, upto);
    db_put_int(q, 3, session->id);
    db_put_int(q, 4, session->poll);
    db_put_int(q, 5, now);
    lite_run(e, q, "store what was sent");
}

/* ---- arrived */

void engine_arrived(struct engine *e, int64_t delivery, int64_t now)
{
    struct db_query *q = db_query(e->db, Q_delivery_arrived_one);

    db_put_int(q, 1, delivery);
    db_put_int(q, 2, now);
    lite_run(e, q, "store what arrived");
}

/* One statement for each, since a condition that is sometimes none reads more rows. */
void engine_arrived_all(struct engine *e, const struct arriving *a, int64_t now)
{
    size_t n = a->offset != 0    ? Q_delivery_arrived_offset
               : a->session != 0 ? Q_delivery_arrived
                                 : Q_delivery_arrived_any;
    struct db_query *q = db_query(e->db, n);

    db_put_int(q, 1, a->socket);
    db_put_int(q, 2, now);
    if (a->offset != 0 || a->session != 0)
        db_put_int(q, 3, a->offset != 0 ? a->offset : a->session);
    lite_run(e, q, "store what arrived");
}

void engine_drop_greeting(struct engine *e, int64_t socket)
{
    struct db_query *q = db_query(e->db, Q_delivery_drop_greeting);

    db_put_int(q, 1, socket);
    lite_run(e, q, "recover a socket");
}

size_t engine_arriving(struct engine *e, const struct arriving *a, int64_t *after, int64_t *seqs,
                       size_t most)
{
    struct db_query *q = db_query(e->db, Q_delivery_arriving);
    size_t count;

    db_put_int(q, 1, a->socket);
    lite_put_id(q, 2, a->session);
    lite_put_id(q, 3, a->offset);
    db_put_int(q, 4, *after);
    db_put_int(q, 5, (int64_t)most);
    for (count = 0; count < most && db_next(q) == DB_ROW; count++) {
        *after = db_int(q, 0);
        seqs[count] = db_int(q, 1);
    }
    lite_check(e, db_done(q), "settle deliveries");
    return count;
}
