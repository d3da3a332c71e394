/* db.c - the one place that speaks to SQLite's C interface. Knows statements and values, not
 * what they mean. */
#include "store/sqlite/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

struct db_query {
    struct db *db;
    sqlite3_stmt *stmt;         /* NULL until first used */
    int failed;                 /* a SQLite result code that stuck, or 0 */
};

struct db {
    sqlite3 *lite;              /* NULL when it could not be opened for lack of memory */
    const char *const *sql;     /* borrowed */
    struct db_query *queries;
    size_t count;
    int busy_ms;
    bool refusing;              /* see db_refuse() */
    int code;                   /* SQLite result code of the last failure */
    char why[256];
};

#define BUSY_STEP_US 500        /* short and even: SQLite's own back-off starves writers */

static int busy_wait(void *arg, int tries)
{
    const struct db *db = arg;
    struct timespec pause = { 0, BUSY_STEP_US * 1000L };

    if ((int64_t)tries * BUSY_STEP_US >= (int64_t)db->busy_ms * 1000)
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

static int fail(struct db *db, int code)
{
    db->code = code;
    snprintf(db->why, sizeof db->why, "%s", db->lite != NULL ? sqlite3_errmsg(db->lite)
                                                             : sqlite3_errstr(code));
    return -1;
}

/* SQLite would create the file with the process's umask. */
static int create_private(struct db *db, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd == -1) {
        db->code = errno == ENOSPC                     ? SQLITE_FULL
                   : errno == EROFS || errno == EACCES ? SQLITE_READONLY
                                                       : SQLITE_CANTOPEN;
        snprintf(db->why, sizeof db->why, "cannot create the file (errno %d)", errno);
        return -1;
    }
    close(fd);
    return 0;
}

/* Nothing here runs in two threads, and nobody asks SQLite how much memory it has: without locks
 * around each allocation and its book-keeping a statement costs a tenth less. In vain, and to no
 * harm, where SQLite has been used already. */
static void set_up_library(void)
{
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open(struct db **out, const char *path, enum db_access access, int busy_ms)
{
    struct db *db = calloc(1, sizeof *db);

    *out = db;
    if (db == NULL)
        return -1;
    db->busy_ms = busy_ms;
    set_up_library();
    if (access == DB_CREATE && create_private(db, path) == -1)
        return -1;
    int flags = (access == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE)
                | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &db->lite, flags, NULL);
    if (code != SQLITE_OK)
        return fail(db, code);
    sqlite3_extended_result_codes(db->lite, 1);
    sqlite3_busy_handler(db->lite, busy_wait, db);
    return 0;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < db->count; i++)
        sqlite3_finalize(db->queries[i].stmt);
    free(db->queries);
    sqlite3_close(db->lite);
    free(db);
}

const char *db_library(void)
{
    static char text[32];

    snprintf(text, sizeof text, "SQLite %s", sqlite3_libversion());
    return text;
}

int db_exec(struct db *db, const char *sql)
{
    int code = sqlite3_exec(db->lite, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : fail(db, code);
}

/* Prepare SQL for one use and step to its first row; NULL when there is none. */
static sqlite3_stmt *first_row(struct db *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db->lite, sql, -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        return stmt;
    if (code != SQLITE_DONE)
        fail(db, code);
    sqlite3_finalize(stmt);
    return NULL;
}

int64_t db_scalar(struct db *db, const char *sql, int64_t fallback)
{
    sqlite3_stmt *stmt = first_row(db, sql);

    if (stmt == NULL)
        return fallback;
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

bool db_scalar_text(struct db *db, const char *sql, char *out, size_t cap)
{
    sqlite3_stmt *stmt = first_row(db, sql);

    if (stmt == NULL)
        return false;
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    bool fits = text != NULL && span_copy(span_of(text), out, cap);
    sqlite3_finalize(stmt);
    return fits;
}

int db_prepare(struct db *db, const char *const *sql, size_t count)
{
    db->queries = calloc(count, sizeof *db->queries);
    if (db->queries == NULL)
        return fail(db, SQLITE_NOMEM);
    db->sql = sql;
    db->count = count;
    for (size_t i = 0; i < count; i++)
        db->queries[i].db = db;
    return 0;
}

static int compile(struct db *db, size_t n)
{
    int code = sqlite3_prepare_v3(db->lite, db->sql[n], -1, SQLITE_PREPARE_PERSISTENT,
                                  &db->queries[n].stmt, NULL);
    return code == SQLITE_OK ? 0 : fail(db, code);
}

int db_prepare_all(struct db *db)
{
    for (size_t i = 0; i < db->count; i++)
        if (db->queries[i].stmt == NULL && compile(db, i) == -1)
            return -1;
    return 0;
}

struct db_query *db_query(struct db *db, size_t n)
{
    struct db_query *q = &db->queries[n];

    q->failed = 0;
    if (q->stmt == NULL && compile(db, n) == -1)
        q->failed = db->code;
    return q;
}

static void put(struct db_query *q, int code)
{
    if (q->failed == 0 && code != SQLITE_OK) {
        q->failed = code;
        fail(q->db, code);
    }
}

void db_put_int(struct db_query *q, int i, int64_t value)
{
    if (q->failed == 0)
        put(q, sqlite3_bind_int64(q->stmt, i, value));
}

void db_put_text(struct db_query *q, int i, struct span text)
{
    if (q->failed == 0)
        put(q, sqlite3_bind_text64(q->stmt, i, text.p != NULL ? text.p : "", text.len,
                                   SQLITE_STATIC, SQLITE_UTF8));
}

void db_put_blob(struct db_query *q, int i, struct span bytes)
{
    if (q->failed == 0)
        put(q, sqlite3_bind_blob64(q->stmt, i, bytes.p, bytes.len, SQLITE_STATIC));
}

void db_put_null(struct db_query *q, int i)
{
    if (q->failed == 0)
        put(q, sqlite3_bind_null(q->stmt, i));
}

enum db_status db_next(struct db_query *q)
{
    if (q->failed == 0 && q->db->refusing)
        q->failed = SQLITE_ABORT;
    if (q->failed != 0)
        return DB_FAIL;
    int code = sqlite3_step(q->stmt);
    if (code == SQLITE_ROW)
        return DB_ROW;
    if (code == SQLITE_DONE)
        return DB_END;
    q->failed = code;
    fail(q->db, code);
    return DB_FAIL;
}

int64_t db_int(struct db_query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

bool db_is_null(struct db_query *q, int column)
{
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

struct span db_text(struct db_query *q, int column)
{
    const char *p = (const char *)sqlite3_column_blob(q->stmt, column);

    return (struct span){ p, p != NULL ? (size_t)sqlite3_column_bytes(q->stmt, column) : 0 };
}

int db_done(struct db_query *q)
{
    if (q->stmt != NULL) {
        sqlite3_reset(q->stmt);
        sqlite3_clear_bindings(q->stmt);
    }
    return q->failed == 0 ? 0 : -1;
}

int db_run(struct db_query *q)
{
    while (db_next(q) == DB_ROW)
        ;
    return db_done(q);
}

int64_t db_runs(struct db *db, size_t n)
{
    sqlite3_stmt *stmt = db->queries[n].stmt;

    return stmt != NULL ? sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, 0) : 0;
}

int64_t db_last_id(struct db *db)
{
    return sqlite3_last_insert_rowid(db->lite);
}

int64_t db_changes(struct db *db)
{
    return sqlite3_changes64(db->lite);
}

int64_t db_total_changes(struct db *db)
{
    return sqlite3_total_changes64(db->lite);
}

void db_checkpoint(struct db *db, enum db_checkpoint how, int busy_ms, int *pages, int *copied)
{
    static const int modes[] = { SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_RESTART,
                                 SQLITE_CHECKPOINT_TRUNCATE };
    int usual_ms = db->busy_ms;

    db->busy_ms = busy_ms;
    sqlite3_wal_checkpoint_v2(db->lite, NULL, modes[how], pages, copied);
    db->busy_ms = usual_ms;
}

void db_leave_wal(struct db *db)
{
    sqlite3_db_config(db->lite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void db_refuse(struct db *db, bool refuse)
{
    db->refusing = refuse;
}

bool db_in_transaction(struct db *db)
{
    return sqlite3_get_autocommit(db->lite) == 0;
}

const char *db_error(struct db *db)
{
    return db == NULL ? "out of memory" : db->why[0] != '\0' ? db->why : "no error";
}

enum db_cause db_cause(struct db *db)
{
    switch (db == NULL ? SQLITE_NOMEM : db->code & 0xff) {
    case SQLITE_OK:
        return DB_CAUSE_NONE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DB_CAUSE_BUSY;
    case SQLITE_FULL:
        return DB_CAUSE_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return DB_CAUSE_READONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DB_CAUSE_CORRUPT;
    case SQLITE_NOMEM:
        return DB_CAUSE_MEMORY;
    default:
        return DB_CAUSE_OTHER;
    }
}
