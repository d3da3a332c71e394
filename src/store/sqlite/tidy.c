/* tidy.c - retention: what has been kept long enough goes, a little at a time, in
 * transactions of its own between turns. Oldest first, and past what must stay: what is still owed,
 * and sockets that have not gone. */
#include "store/sqlite/lite.h"

#define TIDY_ROWS 200                   /* about a millisecond's work */
#define TIDY_ROWS_MOST 10000
#define DAY_MS INT64_C(86400000)

/* Rows in the order of their ids: the last one's id (0: there are none), its message or time, and
 * whether more follow. */
struct window { int64_t last, newest; bool more; };

/* The window that Q, with its parameters bound, finds. Ends Q. */
static struct window read_window(struct engine *e, struct db_query *q)
{
    struct window w = { 0, 0, false };

    if (db_next(q) == DB_ROW)
        w = (struct window){ db_int(q, 0), db_int(q, 1), db_int(q, 2) != 0 };
    lite_check(e, db_done(q), "see what is old");
    return e->failure->failed ? (struct window){ 0, 0, false } : w;
}

static struct db_query *window_query(struct engine *e, size_t n, int64_t after, int64_t rows)
{
    struct db_query *q = db_query(e->db, n);

    db_put_int(q, 1, after);
    db_put_int(q, 2, rows);
    return q;
}

static struct db_query *trim_query(struct engine *e, size_t n, int64_t before, int64_t after,
                                   int64_t upto)
{
    struct db_query *q = db_query(e->db, n);

    db_put_int(q, 1, before);
    db_put_int(q, 2, after);
    db_put_int(q, 3, upto);
    return q;
}

/* Run Q and return how many rows it removed. */
static int64_t trim(struct engine *e, struct db_query *q)
{
    lite_check(e, db_run(q), "remove old rows");
    return e->failure->failed ? 0 : db_changes(e->db);
}

/* Bytes of the file by statement N: those that its rows take, or those that are free inside of
 * it. */
static int64_t store_bytes(struct engine *e, size_t n)
{
    struct db_query *q = db_query(e->db, n);
    int64_t bytes = 0;

    if (db_next(q) == DB_ROW)
        bytes = db_int(q, 0) * db_int(q, 1);
    lite_check(e, db_done(q), "measure the database");
    return bytes;
}

static int64_t oldest_message(struct engine *e)
{
    struct db_query *q = db_query(e->db, Q_message_oldest);
    int64_t at_ms = INT64_MAX;

    if (db_next(q) == DB_ROW)
        at_ms = db_int(q, 1);
    lite_check(e, db_done(q), "see what is old");
    return at_ms;
}

/* ---- the walk */

/* The last delivery in D that is of a message up to MESSAGE; the place where D began if none is. */
static int64_t delivery_upto(struct engine *e, const struct window *d, int64_t message)
{
    struct db_query *q = db_query(e->db, Q_delivery_upto);
    int64_t last = 0;

    db_put_int(q, 1, e->tidying.walk.delivery);
    db_put_int(q, 2, d->last);
    db_put_int(q, 3, message);
    if (db_next(q) == DB_ROW)
        last = db_int(q, 0);
    lite_check(e, db_done(q), "see what is old");
    return last != 0 ? last : e->tidying.walk.delivery;
}

/* Remove what is old of the deliveries in D, of messages up to UPTO, and of the messages in M.
 * Returns how many rows went. */
static int64_t trim_log(struct engine *e, int64_t before, const struct window *d,
                        const struct window *m, int64_t upto)
{
    struct db_query *q = trim_query(e, Q_delivery_trim, before, e->tidying.walk.delivery, d->last);
    struct removed *all = &e->tidying.removed;

    db_put_int(q, 4, e->tidying.walk.message);
    db_put_int(q, 5, upto);
    int64_t deliveries = trim(e, q);
    q = trim_query(e, Q_message_trim, before, e->tidying.walk.message, m->last);
    db_put_int(q, 4, e->tidying.walk.delivery);
    db_put_int(q, 5, d->last);
    int64_t messages = trim(e, q);
    all->deliveries += deliveries;
    all->messages += messages;
    return deliveries + messages;
}

/* One step through deliveries and their messages, ROWS of each. Deliveries are looked at beyond
 * walk.delivery, messages beyond walk.message, and none of the deliveries passed is of a message to
 * come. False: the walk is at its end. */
static bool walk_log(struct engine *e, int64_t before, int64_t rows)
{
    struct window d =
        read_window(e, window_query(e, Q_delivery_window, e->tidying.walk.delivery, rows));
    /* the last message of a window may have more deliveries behind it */
    int64_t whole = d.more ? d.newest - 1 : INT64_MAX;
    struct db_query *q = window_query(e, Q_message_window, e->tidying.walk.message, rows);
    db_put_int(q, 3, whole);
    struct window m = read_window(e, q);
    if (!d.more && m.last == 0)
        return false;

    int64_t removed = trim_log(e, before, &d, &m, m.more ? m.last : d.newest);
    int64_t message = m.last != 0 ? m.last : e->tidying.walk.message;
    int64_t delivery = delivery_upto(e, &d, message);
    if (removed == 0 && delivery == e->tidying.walk.delivery && message == e->tidying.walk.message)
        message = d.newest;             /* one message to very many, some of whom are owed it */
    e->tidying.walk.message = message;
    e->tidying.walk.delivery = delivery;
    e->tidying.walk.removed += removed;
    return m.newest < before && !e->failure->failed;
}

static bool walk_sockets(struct engine *e, int64_t before, int64_t rows)
{
    struct window k =
        read_window(e, window_query(e, Q_socket_window, e->tidying.walk.socket, rows));

    if (k.last == 0)
        return false;
    e->tidying.removed.sockets +=
        trim(e, trim_query(e, Q_socket_trim, before, e->tidying.walk.socket, k.last));
    e->tidying.walk.socket = k.last;
    return k.newest < before && !e->failure->failed;
}

/* A quarter more than were stored meanwhile: faster than the log grows, whoever floods it, and not
 * much faster, since those who talk wait for it. */
static int64_t rows_to_walk(struct engine *e)
{
    int64_t grown = e->tidying.said > e->tidying.owed ? e->tidying.said : e->tidying.owed;
    int64_t rows = grown + grown / 4;

    e->tidying.said = e->tidying.owed = 0;
    return rows < TIDY_ROWS ? TIDY_ROWS : rows > TIDY_ROWS_MOST ? TIDY_ROWS_MOST : rows;
}

/* One step of the walk, or of a new one. False: it is at its end. */
static bool walk(struct engine *e, int64_t before)
{
    if (!e->tidying.walk.going)
        e->tidying.walk = (struct walk){ .going = true, .log = true, .sockets = true };
    e->tidying.walk.log = e->tidying.walk.log && walk_log(e, before, rows_to_walk(e));
    e->tidying.walk.sockets = e->tidying.walk.sockets && walk_sockets(e, before, TIDY_ROWS);
    e->tidying.walk.going = e->tidying.walk.log || e->tidying.walk.sockets;
    return e->tidying.walk.going;
}

bool engine_is_full(const struct engine *e)
{
    return e->tidying.full;
}

/* A step of the walk, in a transaction of its own. True: there is more. */
static bool step(struct engine *e, int64_t before, bool over)
{
    if (!engine_begin(e))
        return false;
    /* what is being stored meanwhile is behind a walk that has ended: begin another */
    bool more = walk(e, before) || (over && e->tidying.walk.removed != 0);
    bell_trim(e, TIDY_ROWS);
    return !e->failure->failed && engine_commit(e) && more;
}

/* It does not stick: the reason can be read until the next. */
static enum tidy give_up(struct engine *e)
{
    engine_rollback(e);
    failure_over(e->failure);
    e->tidying.walk.going = false;
    return TIDY_FAILED;
}

enum tidy engine_tidy(struct engine *e, int64_t now)
{
    int64_t before = now - e->set->log_age_days * DAY_MS;
    bool more = false;

    wal_tend(e, now);
    int64_t bytes = store_bytes(e, Q_store_size);
    bool over = bytes > e->set->log_max_bytes;
    e->tidying.full = bytes / 2 > e->set->log_max_bytes;
    if (over)
        before = now;
    bool some = e->tidying.walk.going || oldest_message(e) < before || bell_has_old(e);
    if (some && !e->failure->failed)
        more = step(e, before, over);
    if (!more)
        e->tidying.said = e->tidying.owed = 0;
    if (e->failure->failed)
        return give_up(e);
    return more ? TIDY_MORE : TIDY_DONE;
}

/* ---- for people who run it */

int engine_tidied(struct engine *e, struct tidied *t)
{
    t->messages = e->tidying.removed.messages;
    t->deliveries = e->tidying.removed.deliveries;
    t->sockets = e->tidying.removed.sockets;
    t->used = store_bytes(e, Q_store_size);
    t->unused = store_bytes(e, Q_store_unused);
    return e->failure->failed ? give_up(e) : 0;
}

int engine_compact(struct engine *e)
{
    lite_check(e, db_exec(e->db, "VACUUM"), "give free space back");
    return e->failure->failed ? give_up(e) : 0;
}
