/* open.c - the store in one SQLite file: opening and upgrading it, and the turn's transaction. */
#include "store/sqlite/lite.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "store/sqlite/format.h"
#include "sql_schema.h"
#include "sql_upgrade_1.h"
#include "sql_upgrade_2.h"
#include "sql_upgrade_3.h"
#include "sql_upgrade_4.h"
#include "sql_views.h"

#define OPEN_TRIES 100                  /* 10 ms apart, besides SQLite's own waiting */

static const char *const statements[] = {
#define X(name, sql) sql,
    SQL_QUERIES(X)
#undef X
};

/* ---- failing */

static const char *advice(enum db_cause cause)
{
    switch (cause) {
    case DB_CAUSE_BUSY:
        return "another program keeps the database locked; close it or let it finish";
    case DB_CAUSE_FULL:
        return "free some space on that disk; it goes on by itself";
    case DB_CAUSE_READONLY:
        return "make the file, its directory and its file system writable for this user";
    case DB_CAUSE_CORRUPT:
        return "stop the server, look at it with `polluxctl check`, restore or remove the file";
    case DB_CAUSE_MEMORY:
        return "give the machine more memory or lower the limits";
    default:
        return "see whether the disk and its file system are well";
    }
}

void lite_fail(struct engine *e, const char *operation)
{
    failure_note(e->failure, "cannot %s in %s/pollux.db: %s; %s", operation, e->set->store,
                 db_error(e->db), advice(db_cause(e->db)));
    if (e->begun)
        db_refuse(e->db, true);
}

void lite_check(struct engine *e, int code, const char *operation)
{
    if (code == -1)
        lite_fail(e, operation);
}

void lite_run(struct engine *e, struct db_query *q, const char *operation)
{
    lite_check(e, db_run(q), operation);
}

int64_t lite_add(struct engine *e, struct db_query *q, const char *operation)
{
    lite_run(e, q, operation);
    return e->failure->failed ? 0 : db_last_id(e->db);
}

int64_t lite_number(struct engine *e, struct db_query *q, int64_t fallback, const char *operation)
{
    int64_t number = fallback;

    if (db_next(q) == DB_ROW)
        number = db_int(q, 0);
    lite_check(e, db_done(q), operation);
    return e->failure->failed ? fallback : number;
}

int lite_explain(struct engine *e, const char *operation, struct buf *why)
{
    failure_over(e->failure);
    lite_fail(e, operation);
    buf_clear(why);
    buf_add_text(why, e->failure->why);
    return -1;
}

void lite_put_id(struct db_query *q, int i, int64_t id)
{
    if (id != 0)
        db_put_int(q, i, id);
    else
        db_put_null(q, i);
}

void lite_put_optional(struct db_query *q, int i, struct span text)
{
    if (text.len != 0)
        db_put_text(q, i, text);
    else
        db_put_null(q, i);
}

/* A cursor is a statement that is being stepped through. */
void engine_end_load(struct engine *e, struct cursor *c, const char *operation)
{
    lite_check(e, db_done((struct db_query *)c), operation);
}

/* ---- opening */

static int make_directory(const char *dir, struct buf *why)
{
    struct stat st;

    if (mkdir(dir, 0700) == 0)
        return 0;
    int error = errno;
    if (error != EEXIST) {
        buf_addf(why,
                 "cannot create the store directory %s: %s; create it, or name another with the "
                 "key `store`",
                 dir, strerror(error));
        return -1;
    }
    if (stat(dir, &st) == -1 || !S_ISDIR(st.st_mode)) {
        buf_addf(why,
                 "cannot use %s as the store directory: it is not a directory; remove it, or name "
                 "another "
                 "with the key `store`",
                 dir);
        return -1;
    }
    if (access(dir, W_OK | X_OK) == -1) {
        buf_addf(why,
                 "cannot write to the store directory %s: %s; make it writable for the user that "
                 "the web "
                 "server runs this program as (uid %ld)",
                 dir, strerror(errno), (long)geteuid());
        return -1;
    }
    return 0;
}

static int set_up_connection(struct engine *e, struct buf *why)
{
    if (db_exec(e->db, e->set->durability == DURABILITY_FULL ? "PRAGMA synchronous = FULL"
                                                             : "PRAGMA synchronous = NORMAL")
            == -1
        /* what is removed leaves no text behind, not even where a page was split before */
        || db_exec(e->db, "PRAGMA secure_delete = ON") == -1
        || db_exec(e->db, "PRAGMA temp_store = MEMORY") == -1)
        return lite_explain(e, "set up the database", why);
    return 0;
}

static int write_version(struct engine *e)
{
    char pragmas[96];

    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             STORE_APPLICATION_ID, STORE_VERSION);
    return db_exec(e->db, pragmas);
}

static int create(struct engine *e, struct buf *why)
{
    if (db_scalar(e->db, "SELECT count(*) FROM sqlite_schema", -1) != 0) {
        buf_addf(
            why,
            "cannot use %s/pollux.db: it is another program's database; remove it, or name another "
            "directory with the key `store`",
            e->set->store);
        return -1;
    }
    if (db_exec(e->db, SQL_SCHEMA) == -1 || db_exec(e->db, SQL_VIEWS) == -1
        || write_version(e) == -1)
        return lite_explain(e, "create the tables", why);
    return 0;
}

/* From VERSION to the next. */
static int upgrade_step(struct engine *e, int64_t version, struct buf *why)
{
    static const char *const steps[STORE_VERSION] = { [1] = SQL_UPGRADE_1, [2] = SQL_UPGRADE_2,
                                                      [3] = SQL_UPGRADE_3, [4] = SQL_UPGRADE_4 };

    if (db_exec(e->db, steps[version]) == -1 || write_version(e) == -1)
        return lite_explain(e, "upgrade the tables", why);
    return 0;
}

/* The file's version; -1: it cannot be used, and WHY says why. */
static int64_t read_version(struct engine *e, struct buf *why)
{
    int64_t version = db_scalar(e->db, "PRAGMA user_version", -1);

    if (version == -1)
        return lite_explain(e, "open the database", why);
    if (version > STORE_VERSION) {
        buf_addf(why,
                 "cannot use %s/pollux.db: a newer version of this program wrote it (schema %lld, "
                 "this one knows "
                 "%d); run that version, or name another directory with the key `store`",
                 e->set->store, (long long)version, STORE_VERSION);
        return -1;
    }
    return version;
}

/* Bring the file to STORE_VERSION. Several processes may try at once: the first does it. */
static int upgrade(struct engine *e, struct buf *why)
{
    if (db_exec(e->db, "BEGIN IMMEDIATE") == -1)
        return lite_explain(e, "open the database", why);
    int64_t version = read_version(e, why);
    int code = version == -1 ? -1 : version == 0 ? create(e, why) : 0;
    for (; code == 0 && version > 0 && version < STORE_VERSION; version++)
        code = upgrade_step(e, version, why);
    if (code == 0 && db_exec(e->db, "COMMIT") == -1)
        code = lite_explain(e, "create the tables", why);
    if (code == -1)
        db_exec(e->db, "ROLLBACK");
    return code;
}

/* Make the file ready, whatever state it is in. A newer version's is not touched. */
static int prepare(struct engine *e, struct buf *why)
{
    int64_t version = read_version(e, why);

    if (version == -1 || wal_begin(e, why) == -1 || set_up_connection(e, why) == -1)
        return -1;
    return version == STORE_VERSION ? 0 : upgrade(e, why);
}

/* The same, patiently: another process that opens or leaves the file at this moment may lock it
 * without SQLite's waiting for it. */
static int prepare_patiently(struct engine *e, struct buf *why)
{
    struct timespec pause = { 0, 10000000L };
    int code;

    for (int tries = 0;
         (code = prepare(e, why)) == -1 && db_cause(e->db) == DB_CAUSE_BUSY && tries < OPEN_TRIES;
         tries++)
        nanosleep(&pause, NULL);
    if (code == 0)
        buf_clear(why);
    return code;
}

/* Everything that may fail. 0, or -1 with a sentence in WHY. */
static int open_file(struct engine *e, struct buf *why)
{
    char path[PATH_MAX];

    if (make_directory(e->set->store, why) == -1)
        return -1;
    snprintf(path, sizeof path, "%s/pollux.db", e->set->store);
    if (db_open(&e->db, path, DB_CREATE, BUSY_MS) == -1)
        return lite_explain(e, "open the database", why);
    if (prepare_patiently(e, why) == -1)
        return -1;
    if (db_prepare(e->db, statements, Q_COUNT) == -1)
        return lite_explain(e, "prepare the statements", why);
    return bell_open(e, why);
}

int engine_open(struct engine **out, const struct settings *set, struct failure *failure,
                struct buf *why)
{
    struct engine *e = calloc(1, sizeof *e);

    *out = e;
    if (e == NULL) {
        buf_add_text(why, "cannot open the store: out of memory");
        return -1;
    }
    e->set = set;
    e->failure = failure;
    e->bell.fd = e->bell.watch = -1;
    if (open_file(e, why) == 0) {
        failure_over(failure);
        return 0;
    }
    engine_close(e);
    *out = NULL;
    return -1;
}

int engine_probe(const struct settings *set, struct buf *why)
{
    char path[PATH_MAX];
    struct stat st;
    struct failure failure = { .failed = false };
    struct engine e = { .set = set, .failure = &failure };
    int code = 0;

    if (stat(set->store, &st) == -1 && errno == ENOENT) {
        snprintf(path, sizeof path, "%s", set->store);
        if (access(dirname(path), W_OK | X_OK) == 0)
            return 0;                   /* it will be created */
    }
    if (make_directory(set->store, why) == -1)
        return -1;
    snprintf(path, sizeof path, "%s/pollux.db", set->store);
    if (stat(path, &st) == -1 && errno == ENOENT)
        return 0;
    if (access(path, W_OK) == -1) {
        buf_addf(why, "cannot write to %s: %s; make it writable for this user (uid %ld)", path,
                 strerror(errno), (long)geteuid());
        return -1;
    }
    if (db_open(&e.db, path, DB_READ, BUSY_MS) == -1)
        code = lite_explain(&e, "open the database", why);
    else if (read_version(&e, why) == -1)
        code = -1;
    db_close(e.db);
    return code;
}

const char *engine_library(void)
{
    return db_library();
}

bool engine_is_newer(const struct settings *set)
{
    char path[PATH_MAX];
    struct db *db = NULL;

    snprintf(path, sizeof path, "%s/pollux.db", set->store);
    bool newer = access(path, R_OK) == 0 && db_open(&db, path, DB_READ, BUSY_MS) == 0
                 && db_scalar(db, "PRAGMA user_version", -1) > STORE_VERSION;
    db_close(db);
    return newer;
}

void engine_close(struct engine *e)
{
    if (e == NULL)
        return;
    wal_end(e);
    bell_close(e);
    db_close(e->db);
    free(e);
}

/* ---- the transaction */

bool engine_begin(struct engine *e)
{
    /* where there was no memory for rolling back either */
    if (db_in_transaction(e->db))
        lite_run(e, db_query(e->db, Q_turn_rollback), "end a failed transaction");
    if (!e->failure->failed)
        lite_run(e, db_query(e->db, Q_turn_begin), "begin a transaction");
    e->begun = !e->failure->failed;
    return e->begun;
}

bool engine_has_changed(struct engine *e)
{
    int64_t version = lite_number(e, db_query(e->db, Q_store_version), 0,
                                  "see whether others have stored anything");
    bool changed = version != e->version || e->failure->failed;

    e->version = version;
    return changed;
}

bool engine_commit(struct engine *e)
{
    lite_run(e, db_query(e->db, Q_turn_commit), "commit a transaction");
    if (e->failure->failed)
        return false;
    e->begun = false;
    holder_committed(e);
    bell_ring(e);
    return true;
}

void engine_rollback(struct engine *e)
{
    db_refuse(e->db, false);
    if (e->begun && db_in_transaction(e->db))
        db_run(db_query(e->db, Q_turn_rollback));
    e->begun = false;
    e->bell.ring = false;
    holder_undone(e);
}

int64_t engine_written(const struct engine *e)
{
    return db_total_changes(e->db);
}

/* ---- figures */

int engine_figures(struct engine *e, struct store_figures *f)
{
    struct db_query *q = db_query(e->db, Q_store_figures);

    *f = (struct store_figures){ 0 };
    if (db_next(q) == DB_ROW)
        *f = (struct store_figures){ .sessions = db_int(q, 0),
                                     .sockets = db_int(q, 1),
                                     .channels = db_int(q, 2),
                                     .queued = db_int(q, 3),
                                     .log_rows = db_int(q, 4) };
    stats_sizes(f, e->set->store);
    int code = db_done(q);
    if (e->begun)
        lite_check(e, code, "count what there is");
    return code;
}
