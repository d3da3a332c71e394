/* request.c - which requests came already. One row for all that a turn took; each process
 * keeps the latest of all rows in memory, and reads what others have added. */
#include "store/sqlite/engine.h"

#include <stdio.h>

#define TRIM_EVERY 64                   /* rows */
#define TRIM_ROWS 128
#define ROWS_KEPT 8192                  /* at most; a process that begins reads them */

static struct mark mark_of(const struct session *session, enum request_kind kind, uint64_t t)
{
    return (struct mark){ (uint64_t)session->id * 2 + (uint64_t)kind, t };
}

static void put(struct store *s, struct mark m, int64_t now)
{
    if (!seen_put(&s->seen, m, now))
        store_no_memory(s);
}

/* Returns how many there are in the row. */
static size_t put_row(struct store *s, struct span marks, int64_t now)
{
    struct mark m;
    size_t count = 0;

    for (; marks.len >= sizeof m && !s->failed; count++) {
        memcpy(&m, marks.p, sizeof m);
        put(s, m, now);
        marks = (struct span){ marks.p + sizeof m, marks.len - sizeof m };
    }
    return count;
}

/* Read what was stored since the last time, the latest first: of what nobody would keep, nothing. */
static void catch_up(struct store *s, int64_t now)
{
    int64_t newest = 0;
    size_t count = 0;

    if (s->requests_read || !store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_request_newest);
    db_put_int(q, 1, s->newest_request);
    while (count < SEEN_MOST && db_next(q) == DB_ROW && db_int(q, 1) >= now - SEEN_MS) {
        if (newest == 0)
            newest = db_int(q, 0);
        count += put_row(s, db_text(q, 2), now);
    }
    store_check(s, db_done(q), "read which requests came");
    if (newest != 0)
        s->newest_request = newest;
    s->requests_read = !s->failed;
}

bool store_has_request(struct store *s, const struct session *session, enum request_kind kind,
                       uint64_t t, int64_t now)
{
    if (t == 0)
        return false;
    if (t == (kind == REQUEST_POST ? session->last_post : session->last_poll))
        return true;
    catch_up(s, now);
    return seen_has(&s->seen, mark_of(session, kind, t));
}

void store_add_request(struct store *s, struct session *session, enum request_kind kind,
                       uint64_t t, int64_t now)
{
    struct mark m = mark_of(session, kind, t);
    uint64_t *last = kind == REQUEST_POST ? &session->last_post : &session->last_poll;
    bool there = *last == t;

    *last = t;
    session->changed = true;
    if (t == 0 || there || !store_begin(s))
        return;
    catch_up(s, now);
    put(s, m, now);
    buf_add(&s->marks, &m, sizeof m);
    s->marks_ms = now;
}

static void trim(struct store *s)
{
    struct db_query *q = db_query(s->db, Q_request_trim);

    db_put_int(q, 1, TRIM_ROWS);
    db_put_int(q, 2, s->marks_ms - SEEN_MS);
    db_put_int(q, 3, s->marks_ms + SEEN_MS);
    db_put_int(q, 4, s->newest_request - ROWS_KEPT);
    store_check(s, db_run(q), "remove old requests");
}

void store_write_requests(struct store *s)
{
    if (s->marks.len == 0 || s->failed)
        return;
    if (!buf_ok(&s->marks)) {
        store_no_memory(s);
        return;
    }
    struct db_query *q = db_query(s->db, Q_request_insert);
    db_put_int(q, 1, s->marks_ms);
    db_put_blob(q, 2, buf_span(&s->marks));
    store_check(s, db_run(q), "store which requests came");
    s->newest_request = s->failed ? 0 : db_last_id(s->db);
    if (!s->failed && s->newest_request % TRIM_EVERY == 0)
        trim(s);
    buf_clear(&s->marks);
}

void store_forget_requests(struct store *s)
{
    seen_clear(&s->seen);
    buf_clear(&s->marks);
    s->newest_request = 0;
    s->requests_read = false;
}
