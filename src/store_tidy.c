/* store_tidy.c - retention: what has been kept long enough goes, a little at a time, in
 * transactions of its own between turns. Oldest first; nothing that is still owed. */
#include "store_sqlite.h"

#include "log.h"

#define TIDY_ROWS 200                   /* a few milliseconds' work */
#define NOTICE_KEEP_MS 60000
#define DAY_MS INT64_C(86400000)

static int64_t trim(struct store *s, size_t n, int64_t before)
{
    struct db_query *q = db_query(s->db, n);

    db_put_int(q, 1, before);
    db_put_int(q, 2, TIDY_ROWS);
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

/* Is the oldest row of the table that statement N looks at worth beginning a transaction for? */
static bool has_old(struct store *s, size_t n, int64_t before)
{
    struct db_query *q = db_query(s->db, n);

    db_put_int(q, 1, before);
    bool found = db_next(q) == DB_ROW;
    store_check(s, db_done(q), "see what is old");
    return found && !s->failed;
}

bool store_tidy(struct store *s, int64_t now)
{
    int64_t before = now - s->set->log_age_days * DAY_MS;
    int64_t removed = 0;

    if (s->failed || s->begun)
        return false;
    if (store_bytes(s) > s->set->log_max_bytes)
        before = now;
    if (s->failed
        || (oldest_message(s) >= before && !has_old(s, Q_notice_old, now - NOTICE_KEEP_MS)))
        goto end;
    if (!store_begin(s))
        goto end;
    removed += trim(s, Q_delivery_trim, before);
    removed += trim(s, Q_message_trim, before);
    removed += trim(s, Q_socket_trim, before);
    trim(s, Q_notice_trim, now - NOTICE_KEEP_MS);
    if (store_commit(s) == 0)
        return removed >= TIDY_ROWS;
end:
    if (s->failed) {
        log_line(LOG_WARNING, "P120", "store", NULL, "%s", store_why(s));
        store_rollback(s);
    }
    return false;
}
