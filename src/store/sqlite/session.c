/* session.c - rows of sessions, and of which requests came. */
#include "store/sqlite/lite.h"

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
    session->id = db_int(q, SE_ID);
    span_copy(db_text(q, SE_SID), session->sid, sizeof session->sid);
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

/* The session that Q, with its parameter bound, finds. Ends Q. */
static bool read_row(struct engine *e, struct db_query *q, struct session_row *row)
{
    bool found = db_next(q) == DB_ROW;

    if (found) {
        *row = (struct session_row){ .holder = db_int(q, SE_HOLDER),
                                     .half = db_int(q, SE_HALF) != 0 };
        read_session(q, &row->session);
    }
    lite_check(e, db_done(q), "read a session");
    return found && !e->failure->failed;
}

bool engine_session_by_sid(struct engine *e, struct span sid, struct session_row *row)
{
    struct db_query *q = db_query(e->db, Q_session_find);

    db_put_text(q, 1, sid);
    return read_row(e, q, row);
}

bool engine_session_by_id(struct engine *e, int64_t id, struct session_row *row)
{
    struct db_query *q = db_query(e->db, Q_session_get);

    db_put_int(q, 1, id);
    return read_row(e, q, row);
}

void engine_partial(struct engine *e, int64_t session, struct buf *partial)
{
    struct db_query *q = db_query(e->db, Q_partial_read);

    db_put_int(q, 1, session);
    while (db_next(q) == DB_ROW)
        buf_add_span(partial, db_text(q, 0));
    lite_check(e, db_done(q), "read half an event");
}

bool engine_session_due(struct engine *e, int64_t *session, int64_t *due_ms)
{
    struct db_query *q = db_query(e->db, Q_session_due);
    bool found = db_next(q) == DB_ROW;

    if (found) {
        *session = db_int(q, 0);
        *due_ms = db_int(q, 1);
    }
    lite_check(e, db_done(q), "look for sessions that are due");
    return found && !e->failure->failed;
}

int64_t engine_session_count(struct engine *e, const char *address)
{
    struct db_query *q = db_query(e->db, Q_visitor_count);

    db_put_text(q, 1, span_of(address));
    return lite_number(e, q, 0, "count sessions");
}

/* ---- writing */

int64_t engine_add_session(struct engine *e, const struct session *new)
{
    struct db_query *q = db_query(e->db, Q_session_insert);

    db_put_text(q, 1, span_of(new->sid));
    db_put_text(q, 2, span_of(new->address));
    db_put_text(q, 3, span_of(new->origin));
    db_put_int(q, 4, new->shim);
    db_put_int(q, 5, new->opened_ms);
    db_put_int(q, 6, new->due_ms);
    db_put_int(q, 7, (int64_t)new->opened_t);
    return lite_add(e, q, "open a session");
}

void engine_write_session(struct engine *e, const struct session *session, int64_t holder)
{
    struct db_query *q = db_query(e->db, Q_polling_write);

    db_put_int(q, 1, session->id);
    db_put_int(q, 2, session->ping_ms);
    db_put_int(q, 3, session->pinged);
    db_put_int(q, 4, (int64_t)session->last_post);
    db_put_int(q, 5, (int64_t)session->last_poll);
    db_put_int(q, 6, session->poll);
    db_put_int(q, 7, session->polled_ms);
    db_put_int(q, 8, holder);
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
    lite_run(e, q, "store a session");
}

void engine_write_due(struct engine *e, int64_t session, int64_t due_ms)
{
    struct db_query *q = db_query(e->db, Q_session_move_due);

    db_put_int(q, 1, session);
    db_put_int(q, 2, due_ms);
    lite_run(e, q, "store a session's deadline");
}

void engine_add_partial(struct engine *e, int64_t session, struct span piece)
{
    struct db_query *q = db_query(e->db, Q_partial_add);

    db_put_int(q, 1, session);
    db_put_blob(q, 2, piece);
    lite_run(e, q, "store half an event");
}

void engine_drop_partial(struct engine *e, int64_t session)
{
    struct db_query *q = db_query(e->db, Q_partial_delete);

    db_put_int(q, 1, session);
    lite_run(e, q, "forget half an event");
}

void engine_drop_session(struct engine *e, int64_t session)
{
    struct db_query *q = db_query(e->db, Q_session_delete);

    db_put_int(q, 1, session);
    lite_run(e, q, "end a session");
    q = db_query(e->db, Q_polling_delete);
    db_put_int(q, 1, session);
    lite_run(e, q, "end a session");
}

/* ---- which requests came */

#define TRIM_ROWS 128

struct cursor *engine_requests(struct engine *e, int64_t after)
{
    struct db_query *q = db_query(e->db, Q_request_newest);

    db_put_int(q, 1, after);
    return (struct cursor *)q;
}

bool engine_next_requests(struct cursor *c, int64_t *row, int64_t *at_ms, struct span *marks)
{
    struct db_query *q = (struct db_query *)c;

    if (db_next(q) != DB_ROW)
        return false;
    *row = db_int(q, 0);
    *at_ms = db_int(q, 1);
    *marks = db_text(q, 2);
    return true;
}

int64_t engine_add_requests(struct engine *e, int64_t at_ms, struct span marks)
{
    struct db_query *q = db_query(e->db, Q_request_insert);

    db_put_int(q, 1, at_ms);
    db_put_blob(q, 2, marks);
    return lite_add(e, q, "store which requests came");
}

void engine_trim_requests(struct engine *e, int64_t before_ms, int64_t after_ms, int64_t upto)
{
    struct db_query *q = db_query(e->db, Q_request_trim);

    db_put_int(q, 1, TRIM_ROWS);
    db_put_int(q, 2, before_ms);
    db_put_int(q, 3, after_ms);
    db_put_int(q, 4, upto);
    lite_run(e, q, "remove old requests");
}
