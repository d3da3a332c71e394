/* message.c - rows of messages: the log of what was said. */
#include "store/sqlite/lite.h"

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
