/* requests.c - which requests came already. One row for all that a turn took; each process keeps
 * the latest of all rows in memory, and reads what others have added. */
#include "store/work.h"

#define TRIM_EVERY 64                   /* rows */
#define ROWS_KEPT 8192                  /* at most; a process that begins reads them */

static struct mark mark_of(const struct session *session, enum request_kind kind, uint64_t t)
{
    return (struct mark){ (uint64_t)session->id * 2 + (uint64_t)kind, t };
}

static void put(struct store *s, struct mark m, int64_t now)
{
    if (!seen_put(&s->requests.seen, m, now))
        store_no_memory(s, "remember a request");
}

/* Returns how many there are in the row. */
static size_t put_row(struct store *s, struct span marks, int64_t now)
{
    struct mark m;
    size_t count = 0;

    for (; marks.len >= sizeof m && !s->failure.failed; count++) {
        memcpy(&m, marks.p, sizeof m);
        put(s, m, now);
        marks = (struct span){ marks.p + sizeof m, marks.len - sizeof m };
    }
    return count;
}

/* Read what was stored since the last time, the latest first: of what nobody would keep,
 * nothing. */
static void catch_up(struct store *s, int64_t now)
{
    int64_t row, at_ms, newest = 0;
    size_t count = 0;
    struct span marks;

    if (s->requests.are_read || !store_begin(s))
        return;
    struct cursor *c = engine_requests(s->engine, s->requests.newest);
    while (count < SEEN_MOST && engine_next_requests(c, &row, &at_ms, &marks)
           && at_ms >= now - SEEN_MS) {
        if (newest == 0)
            newest = row;
        count += put_row(s, marks, now);
    }
    engine_end_load(s->engine, c, "read which requests came");
    if (newest != 0)
        s->requests.newest = newest;
    s->requests.are_read = !s->failure.failed;
}

bool store_has_request(struct store *s, const struct session *session, enum request_kind kind,
                       uint64_t t, int64_t now)
{
    if (t == 0)
        return false;
    if (t == (kind == REQUEST_POST ? session->last_post : session->last_poll))
        return true;
    catch_up(s, now);
    return seen_has(&s->requests.seen, mark_of(session, kind, t));
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
    buf_add(&s->requests.marks, &m, sizeof m);
    s->requests.marks_ms = now;
}

void store_write_requests(struct store *s)
{
    struct requests *r = &s->requests;

    if (r->marks.len == 0 || s->failure.failed)
        return;
    if (!buf_ok(&r->marks)) {
        store_no_memory(s, "remember the requests of this turn");
        return;
    }
    r->newest = engine_add_requests(s->engine, r->marks_ms, buf_span(&r->marks));
    if (r->newest != 0 && r->newest % TRIM_EVERY == 0)
        engine_trim_requests(s->engine, r->marks_ms - SEEN_MS, r->marks_ms + SEEN_MS,
                             r->newest - ROWS_KEPT);
    buf_clear(&r->marks);
}

void store_forget_requests(struct store *s)
{
    seen_clear(&s->requests.seen);
    buf_clear(&s->requests.marks);
    s->requests.newest = 0;
    s->requests.are_read = false;
}
