/* tidy.c - retention: what has been kept long enough goes, a little at a time, in
 * transactions of its own between turns. Oldest first, and past what must stay: what is still owed,
 * and sockets that have not gone. */
#include "store/sqlite/engine.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"

#define TIDY_ROWS 200                   /* about a millisecond's work */
#define TIDY_ROWS_MOST 10000
#define WAL_MOST 64000000               /* bytes; twice what the keeper lets it have */
#define WAL_PATIENCE_MS 50
#define EMPTY_MS 10000
#define DAY_MS INT64_C(86400000)

/* Rows in the order of their ids: the last one's id (0: there are none), its message or time, and
 * whether more follow. */
struct window { int64_t last, newest; bool more; };

/* The window that Q, with its parameters bound, finds. Ends Q. */
static struct window read_window(struct store *s, struct db_query *q)
{
    struct window w = { 0, 0, false };

    if (db_next(q) == DB_ROW)
        w = (struct window){ db_int(q, 0), db_int(q, 1), db_int(q, 2) != 0 };
    store_check(s, db_done(q), "see what is old");
    return s->failed ? (struct window){ 0, 0, false } : w;
}

static struct db_query *window_query(struct store *s, size_t n, int64_t after, int64_t rows)
{
    struct db_query *q = db_query(s->db, n);

    db_put_int(q, 1, after);
    db_put_int(q, 2, rows);
    return q;
}

static struct db_query *trim_query(struct store *s, size_t n, int64_t before, int64_t after,
                                   int64_t upto)
{
    struct db_query *q = db_query(s->db, n);

    db_put_int(q, 1, before);
    db_put_int(q, 2, after);
    db_put_int(q, 3, upto);
    return q;
}

/* Run Q and return how many rows it removed. */
static int64_t trim(struct store *s, struct db_query *q)
{
    store_check(s, db_run(q), "remove old rows");
    return s->failed ? 0 : db_changes(s->db);
}

/* Bytes that the file's rows take; what was freed inside of it is not counted. */
static int64_t store_bytes(struct store *s)
{
    struct db_query *q = db_query(s->db, Q_store_size);
    int64_t bytes = 0;

    if (db_next(q) == DB_ROW)
        bytes = db_int(q, 0) * db_int(q, 1);
    store_check(s, db_done(q), "measure the database");
    return bytes;
}

static int64_t oldest_message(struct store *s)
{
    struct db_query *q = db_query(s->db, Q_message_oldest);
    int64_t at_ms = INT64_MAX;

    if (db_next(q) == DB_ROW)
        at_ms = db_int(q, 1);
    store_check(s, db_done(q), "see what is old");
    return at_ms;
}

/* SQLite begins its write-ahead log anew when it has been copied and nobody reads. While several
 * processes are busy somebody always does, and the log would grow for as long. */
static void bound_wal(struct store *s)
{
    char path[PATH_MAX];
    struct stat st;
    int pages, copied;

    snprintf(path, sizeof path, "%s/pollux.db-wal", s->set->store);
    if (stat(path, &st) == 0 && st.st_size > WAL_MOST)
        db_checkpoint(s->db, DB_EMPTY, WAL_PATIENCE_MS, &pages, &copied);
}

/* Where no other process keeps the log short, what was removed is taken out of it here; not by those
 * that answer and end. */
static void empty_wal(struct store *s, int64_t now)
{
    int pages = 0, copied = 0;

    if (s->empty_ms == 0)
        s->empty_ms = now + EMPTY_MS;
    if (s->kept || now < s->empty_ms)
        return;
    db_checkpoint(s->db, DB_EMPTY, WAL_PATIENCE_MS, &pages, &copied);
    if (pages == 0)
        s->empty_ms = now + EMPTY_MS;
}

/* ---- the walk */

/* The last delivery in D that is of a message up to MESSAGE; the place where D began if none is. */
static int64_t delivery_upto(struct store *s, const struct window *d, int64_t message)
{
    struct db_query *q = db_query(s->db, Q_delivery_upto);
    int64_t last = 0;

    db_put_int(q, 1, s->walk.delivery);
    db_put_int(q, 2, d->last);
    db_put_int(q, 3, message);
    if (db_next(q) == DB_ROW)
        last = db_int(q, 0);
    store_check(s, db_done(q), "see what is old");
    return last != 0 ? last : s->walk.delivery;
}

/* Remove what is old of the deliveries in D, of messages up to UPTO, and of the messages in M.
 * Returns how many rows went. */
static int64_t trim_log(struct store *s, int64_t before, const struct window *d,
                        const struct window *m, int64_t upto)
{
    struct db_query *q = trim_query(s, Q_delivery_trim, before, s->walk.delivery, d->last);

    db_put_int(q, 4, s->walk.message);
    db_put_int(q, 5, upto);
    int64_t removed = trim(s, q);
    q = trim_query(s, Q_message_trim, before, s->walk.message, m->last);
    db_put_int(q, 4, s->walk.delivery);
    db_put_int(q, 5, d->last);
    return removed + trim(s, q);
}

/* One step through deliveries and their messages, ROWS of each. Deliveries are looked at beyond
 * walk.delivery, messages beyond walk.message, and none of the deliveries passed is of a message to
 * come. False: the walk is at its end. */
static bool walk_log(struct store *s, int64_t before, int64_t rows)
{
    struct window d =
        read_window(s, window_query(s, Q_delivery_window, s->walk.delivery, rows));
    /* the last message of a window may have more deliveries behind it */
    int64_t whole = d.more ? d.newest - 1 : INT64_MAX;
    struct db_query *q = window_query(s, Q_message_window, s->walk.message, rows);
    db_put_int(q, 3, whole);
    struct window m = read_window(s, q);
    if (!d.more && m.last == 0)
        return false;

    int64_t removed = trim_log(s, before, &d, &m, m.more ? m.last : d.newest);
    int64_t message = m.last != 0 ? m.last : s->walk.message;
    int64_t delivery = delivery_upto(s, &d, message);
    if (removed == 0 && delivery == s->walk.delivery && message == s->walk.message)
        message = d.newest;             /* one message to very many, some of whom are owed it */
    s->walk.message = message;
    s->walk.delivery = delivery;
    s->walk.removed += removed;
    return m.newest < before && !s->failed;
}

static bool walk_sockets(struct store *s, int64_t before, int64_t rows)
{
    struct window k = read_window(s, window_query(s, Q_socket_window, s->walk.socket, rows));

    if (k.last == 0)
        return false;
    trim(s, trim_query(s, Q_socket_trim, before, s->walk.socket, k.last));
    s->walk.socket = k.last;
    return k.newest < before && !s->failed;
}

/* A quarter more than were stored meanwhile: faster than the log grows, whoever floods it, and not
 * much faster, since those who talk wait for it. */
static int64_t rows_to_walk(struct store *s)
{
    int64_t grown = s->said_since > s->owed_since ? s->said_since : s->owed_since;
    int64_t rows = grown + grown / 4;

    s->said_since = s->owed_since = 0;
    return rows < TIDY_ROWS ? TIDY_ROWS : rows > TIDY_ROWS_MOST ? TIDY_ROWS_MOST : rows;
}

/* One step of the walk, or of a new one. False: it is at its end. */
static bool walk(struct store *s, int64_t before)
{
    if (!s->walk.going)
        s->walk = (struct walk){ .going = true, .log = true, .sockets = true };
    s->walk.log = s->walk.log && walk_log(s, before, rows_to_walk(s));
    s->walk.sockets = s->walk.sockets && walk_sockets(s, before, TIDY_ROWS);
    s->walk.going = s->walk.log || s->walk.sockets;
    return s->walk.going;
}

bool store_is_full(const struct store *s)
{
    return s->full;
}

bool store_tidy(struct store *s, int64_t now)
{
    int64_t before = now - s->set->log_age_days * DAY_MS;

    if (s->failed || s->begun)
        return false;
    bound_wal(s);
    empty_wal(s, now);
    int64_t bytes = store_bytes(s);
    bool over = bytes > s->set->log_max_bytes;
    s->full = bytes / 2 > s->set->log_max_bytes;
    if (over)
        before = now;
    if (s->failed
        || (!s->walk.going && oldest_message(s) >= before
            && !store_has_old_notices(s)))
        goto end;
    if (!store_begin(s))
        goto end;
    /* what is being stored meanwhile is behind a walk that has ended: begin another */
    bool more = walk(s, before) || (over && s->walk.removed != 0);
    store_trim_notices(s, TIDY_ROWS);
    if (store_commit(s) == 0)
        return more;
end:
    s->said_since = s->owed_since = 0;
    if (s->failed) {
        log_often(P120, NULL, "%s", store_why(s));
        store_rollback(s);
        s->walk.going = false;
    }
    return false;
}
