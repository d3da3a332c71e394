/* lite.h - what the files of the SQLite engine share, and nobody else sees. What each function of
 * store/engine.h promises stands there.
 *
 * open.c     opening, upgrading, the transaction, failing
 * session.c  sessions, and which requests came
 * socket.c   sockets
 * channel.c  channels, members, who asks to get in
 * message.c  messages
 * delivery.c deliveries
 * bell.c     words between processes
 * holder.c   which process holds polls, and whether it lives
 * tidy.c     retention
 * wal.c      the write-ahead log
 * db.c       prepared statements: the one file that sees SQLite
 */
#ifndef POLLUX_STORE_SQLITE_LITE_H
#define POLLUX_STORE_SQLITE_LITE_H

#include "store/engine.h"
#include "store/sqlite/db.h"

#include "sql_queries.h"

enum {
#define X(name, sql) Q_##name,
    SQL_QUERIES(X)
#undef X
    Q_COUNT
};

/* How long a turn waits for another process: some clients lose what is answered 503. */
#define BUSY_MS 10000

/* How far the tidying has come: everything up to these ids was looked at. */
struct walk {
    bool going;                         /* else it begins anew */
    bool log, sockets;                  /* which of the two have not come to their end */
    int64_t delivery, message, socket;
    int64_t removed;                    /* rows of the log */
};

/* What was removed since the engine was opened. */
struct removed { int64_t messages, deliveries, sockets; };

/* tidy.c's */
struct tidying {
    struct walk walk;
    struct removed removed;
    bool full;                          /* see engine_is_full() */
    int64_t said, owed;                 /* messages and deliveries stored since it went on */
};

/* bell.c's */
struct bell {
    int fd;                             /* the file: for ringing, and for holder.c's locks */
    int watch;                          /* an inotify descriptor, readable when it rang; -1: none */
    bool looks;                         /* it does not want one */
    bool ring;                          /* other processes have something to look at */
    size_t rings;                       /* so far */
    int64_t seen;                       /* engine_news() looks beyond this notice */
};

/* holder.c's */
struct holder {
    int64_t self;                       /* this process as a holder; 0: it has held nothing yet */
    bool noted, noting;                 /* its row is there; or will be if the turn lasts */
};

/* wal.c's */
struct wal {
    bool leave;                         /* to whoever opens the store next: see wal_leave() */
    bool has_keeper;                    /* another process keeps it short */
    int64_t empty_ms;                   /* if not: empty it then */
};

struct engine {
    struct db *db;
    const struct settings *set;         /* borrowed */
    struct failure *failure;            /* borrowed */
    bool begun;                         /* a transaction is open */
    int64_t version;                    /* of the database, when it was asked last */
    struct bell bell;
    struct holder holder;
    struct wal wal;
    struct tidying tidying;
};

/* ---- open.c: failing */

/* A call into db.h failed while doing OPERATION ("store a message"): note why, let the turn
 * fail. */
void lite_fail(struct engine *e, const char *operation);

/* Let it fail if CODE is -1; or run Q, and let it fail if that does. */
void lite_check(struct engine *e, int code, const char *operation);
void lite_run(struct engine *e, struct db_query *q, const char *operation);

/* Run Q, which adds a row; returns its id, 0 when it failed. */
int64_t lite_add(struct engine *e, struct db_query *q, const char *operation);

/* The number in the first row of Q; FALLBACK when there is none, or it failed. Ends Q. */
int64_t lite_number(struct engine *e, struct db_query *q, int64_t fallback, const char *operation);

/* The same while the store is being opened, into WHY. Returns -1. */
int lite_explain(struct engine *e, const char *operation, struct buf *why);

/* Bind an id that may be 0, or a text that may be empty, which are stored as NULL. */
void lite_put_id(struct db_query *q, int i, int64_t id);
void lite_put_optional(struct db_query *q, int i, struct span text);

/* ---- bell.c */

/* Open the bell, and skip what others have said so far. 0, or -1 with a sentence in WHY. */
int bell_open(struct engine *e, struct buf *why);
void bell_close(struct engine *e);

/* What was written lasts: ring if there is something for others to look at. */
void bell_ring(struct engine *e);

/* Are there notices that need not be kept? Remove some of them, at most ROWS. */
bool bell_has_old(struct engine *e);
void bell_trim(struct engine *e, int64_t rows);

/* ---- holder.c: what this turn noted lasts; or it does not */
void holder_committed(struct engine *e);
void holder_undone(struct engine *e);

/* ---- wal.c */

/* Have one, if the file system allows it. 0, or -1 with a sentence in WHY. */
int wal_begin(struct engine *e, struct buf *why);

/* Bound its file, and empty it now and then where no other process does. */
void wal_tend(struct engine *e, int64_t now);

/* The engine is about to be closed. */
void wal_end(struct engine *e);

#endif
