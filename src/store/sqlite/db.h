/* db.h - prepared statements over one SQLite file. db.c is the only file that sees sqlite3.h.
 *
 * A statement is named by its place in the table that db_prepare() was given. Use:
 *
 *     struct db_query *q = db_query(db, Q_SESSION_FIND);
 *     db_put_text(q, 1, sid);
 *     if (db_next(q) == DB_ROW) id = db_int(q, 0);
 *     return db_done(q);
 *
 * Failures stick to the query: putting never fails visibly, db_next() and db_done() report. Every
 * query that was begun must be ended by db_done() or db_run(), or its reading holds the database.
 */
#ifndef POLLUX_STORE_SQLITE_DB_H
#define POLLUX_STORE_SQLITE_DB_H

#include "base/buf.h"

struct db;
struct db_query;

enum db_status { DB_FAIL = -1, DB_END = 0, DB_ROW = 1 };

enum db_cause {
    DB_CAUSE_NONE,
    DB_CAUSE_BUSY,              /* somebody else keeps it locked */
    DB_CAUSE_FULL,              /* no space left */
    DB_CAUSE_READONLY,          /* may not be written */
    DB_CAUSE_CORRUPT,           /* not a database, or a damaged one */
    DB_CAUSE_MEMORY,
    DB_CAUSE_OTHER
};

/* Open PATH: to read alone, for tools; to write; or create it (mode 0600) besides. On failure *DB
 * still is a handle that db_error() explains and db_close() takes (NULL only without memory).
 * BUSY_MS: how long a lock is waited for. */
enum db_access { DB_READ, DB_WRITE, DB_CREATE };
int db_open(struct db **db, const char *path, enum db_access access, int busy_ms);
void db_close(struct db *db);

/* "SQLite 3.40.1" */
const char *db_library(void);

/* Run SQL, one or more statements without results that matter. */
int db_exec(struct db *db, const char *sql);

/* The first column of the first row of SQL as a number; FALLBACK when there is none or on
 * failure. */
int64_t db_scalar(struct db *db, const char *sql, int64_t fallback);

/* The first column of the first row of SQL as text; false when there is none, on failure, or it
 * does not fit. */
bool db_scalar_text(struct db *db, const char *sql, char *out, size_t cap);

/* Name COUNT statements SQL[0..]. They are compiled at their first use. SQL is borrowed until
 * db_close(). */
int db_prepare(struct db *db, const char *const *sql, size_t count);

/* Compile all of them now: tests and start-up checks. */
int db_prepare_all(struct db *db);

/* Begin statement N: reset, nothing bound. Lent until db_done(). */
struct db_query *db_query(struct db *db, size_t n);
void db_put_int(struct db_query *q, int i, int64_t value);
void db_put_text(struct db_query *q, int i, struct span text);      /* borrowed until db_done() */
void db_put_blob(struct db_query *q, int i, struct span bytes);     /* likewise; empty is NULL */
void db_put_null(struct db_query *q, int i);

enum db_status db_next(struct db_query *q);
int64_t db_int(struct db_query *q, int column);
bool db_is_null(struct db_query *q, int column);
/* lent until db_next() or db_done() */
struct span db_text(struct db_query *q, int column);

/* End the query. 0, or -1 if any step of it failed. */
int db_done(struct db_query *q);

/* db_next() to the end and db_done(). 0 or -1. */
int db_run(struct db_query *q);

/* how often statement N has run: for tests and figures */
int64_t db_runs(struct db *db, size_t n);
int64_t db_last_id(struct db *db);      /* rowid of the last insertion */
int64_t db_changes(struct db *db);      /* rows that the last statement changed */

/* Rows that were changed since DB was opened, by triggers too. */
int64_t db_total_changes(struct db *db);

/* Bring the write-ahead log into the database. Passive: as far as others let it while they read
 * and write; restart: all of it, so that it begins anew, and empty: its file as well. These two
 * keep others from writing meanwhile, and give up if one reads or writes for longer than BUSY_MS.
 * Outside of transactions. How many PAGES it has, and how many of them are in the database. */
enum db_checkpoint { DB_PASSIVE, DB_RESTART, DB_EMPTY };
void db_checkpoint(struct db *db, enum db_checkpoint how, int busy_ms, int *pages, int *copied);

/* Closing the database leaves the write-ahead log as it is, though nobody else has it open. */
void db_leave_wal(struct db *db);

/* From now on, or no longer, every query fails without being run. After some failures SQLite has
 * ended the transaction by itself, and what came next would be stored for good. */
void db_refuse(struct db *db, bool refuse);

/* Is a transaction open? A full disk or an I/O error may have ended it. */
bool db_in_transaction(struct db *db);

/* Why the last call failed, for people; lent until the next call. */
const char *db_error(struct db *db);
enum db_cause db_cause(struct db *db);

#endif
