/* message.c - rows of messages: the log of what was said. */
#include "store/sqlite/lite.h"

/* ---- the log */

int64_t engine_add_message(struct engine *e, const struct message *m, struct kept kept,
                           int64_t now)
{
    struct db_query *q = db_query(e->db, Q_message_insert);

    db_put_int(q, 1, now);
    db_put_int(q, 2, m->type);
    lite_put_id(q, 3, m->sender);
    lite_put_optional(q, 4, m->channel);
    db_put_text(q, 5, m->name);
    db_put_text(q, 6, m->ack_id);
    lite_put_optional(q, 7, kept.body);
    lite_put_optional(q, 8, kept.attached);
    db_put_int(q, 9, m->attachments);
    db_put_int(q, 10, (int64_t)(m->body.len + m->attached.len));
    db_put_int(q, 11, (int64_t)m->recipients);
    e->tidying.said++;
    return lite_add(e, q, "store a message");
}

bool engine_hear_message(struct engine *e, int64_t seq, struct buf *body)
{
    struct db_query *q = db_query(e->db, Q_message_heard);
    bool last = false;

    db_put_int(q, 1, seq);
    if (db_next(q) == DB_ROW) {
        last = db_int(q, 0) <= 0;
        if (last)
            buf_add_span(body, db_text(q, 1));
    }
    lite_check(e, db_done(q), "settle a message");
    return last && !e->failure->failed;
}

void engine_reduce_message(struct engine *e, int64_t seq, struct span body)
{
    struct db_query *q = db_query(e->db, Q_message_reduce);

    db_put_int(q, 1, seq);
    lite_put_optional(q, 2, body);
    lite_run(e, q, "blank a message");
}

/* ---- what was kept, and is not to be any more */

/* Move *AFTER on over ROWS rows whose newest is found by N. True: there are rows beyond. */
static bool move_on(struct engine *e, size_t n, int64_t *after, size_t rows)
{
    int64_t newest = lite_number(e, db_query(e->db, n), 0, "see what is kept");

    *after += (int64_t)rows;
    return *after < newest;
}

size_t engine_settled(struct engine *e, int64_t *after, int64_t *seqs, struct buf *bodies,
                      size_t most, bool *more)
{
    if (*after == 0)                    /* ids may begin anywhere */
        *after = lite_number(e, db_query(e->db, Q_message_oldest_id), 1, "see what is kept") - 1;
    struct db_query *q = db_query(e->db, Q_message_settled);
    size_t count;
    db_put_int(q, 1, *after);
    db_put_int(q, 2, *after + (int64_t)most);
    for (count = 0; count < most && db_next(q) == DB_ROW; count++) {
        seqs[count] = db_int(q, 0);
        buf_add_span(&bodies[count], db_text(q, 1));
    }
    lite_check(e, db_done(q), "see what is kept");
    *more = move_on(e, Q_message_newest, after, most);
    return count;
}

bool engine_forget_addresses(struct engine *e, int64_t *after, size_t most)
{
    struct db_query *q = db_query(e->db, Q_socket_forget_address);

    db_put_int(q, 1, *after);
    db_put_int(q, 2, *after + (int64_t)most);
    lite_run(e, q, "forget addresses");
    return move_on(e, Q_socket_newest, after, most);
}
