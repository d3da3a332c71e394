/* why.c - looks around in the log, a little way. */
#include "ctl/why.h"

#include "ctl/text.h"

/* The time that QUERY finds for S; -1: none, or it cannot be read: the reason is a hint. */
static int64_t time_of(struct ctl *c, int query, const struct said *s)
{
    struct db_query *q = ctl_query(c, query);
    int64_t at_ms = -1;

    db_put_int(q, 1, s->seq);
    db_put_text(q, 2, buf_span(&s->channel));
    db_put_int(q, 3, s->sender);
    if (db_next(q) == DB_ROW)
        at_ms = db_int(q, 0);
    return db_done(q) == -1 ? -1 : at_ms;
}

void why_nobody(struct ctl *c, struct buf *out, const struct said *s)
{
    int64_t joined_ms = s->has_channel ? time_of(c, Q_message_next_join, s) : -1;
    int64_t left_ms = s->has_channel ? time_of(c, Q_message_last_leave, s) : -1;

    if (!s->has_channel) {
        buf_add_text(out, "its sender was in no channel");
    } else if (left_ms != -1 && (joined_ms == -1 || s->at_ms - left_ms <= joined_ms - s->at_ms)) {
        buf_add_text(out, "the other had left ");
        text_add_duration(out, s->at_ms - left_ms);
        buf_add_text(out, " before");
    } else if (joined_ms != -1) {
        buf_add_text(out, "the other joined ");
        text_add_duration(out, joined_ms - s->at_ms);
        buf_add_text(out, " later (send after \"ready\")");
    } else {
        buf_add_text(out, "nobody else was there");
    }
}
