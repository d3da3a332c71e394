/* store_sqlite.h - what the files of the SQLite engine (store_*.c) share, and nobody else sees.
 *
 * store_sqlite.c   opening, upgrading, the turn's transaction, words between processes
 * store_session.c  sessions and sockets
 * store_channel.c  channels, members, who asks to get in
 * store_message.c  messages and deliveries
 * store_tidy.c     retention
 */
#ifndef POLLUX_STORE_SQLITE_H
#define POLLUX_STORE_SQLITE_H

#include "db.h"
#include "store.h"

#include "sql_queries.h"

enum {
#define X(name, sql) Q_##name,
    SQL_QUERIES(X)
#undef X
    Q_COUNT
};

#define SESSION_BUCKETS 512

/* A session as the store keeps it for the turn. */
struct entry {
    struct session session;             /* first: a struct session * is a struct entry * */
    int64_t stored_due_ms;              /* due_ms as the row has it */
    size_t socket_cap;
    struct entry *next_by_id;
    struct entry *next;                 /* all of the turn's */
};

/* How far the tidying has come: everything up to these ids was looked at. */
struct walk {
    bool going;                         /* else it begins anew */
    bool log, sockets;                  /* which of the two have not come to their end */
    int64_t delivery, message, socket;
    int64_t removed;                    /* rows of the log */
};

struct store {
    struct db *db;
    const struct settings *set;         /* borrowed */
    int64_t self;                       /* this process, as `holder` has it */
    bool begun;                         /* a transaction is open */
    bool failed;                        /* a call of this turn has failed; it must be rolled back */
    bool ring;                          /* other processes have something to look at */
    char why[512];

    struct entry *entries;              /* the turn's sessions */
    struct entry *by_id[SESSION_BUCKETS];

    int64_t *touched;                   /* sessions whose poll, held here, is to be looked at */
    size_t touched_count, touched_cap, touched_next;

    struct db_query *owed;              /* between store_owed() and store_owed_done() */
    struct session *owed_session;
    struct walk walk;
    bool full;                          /* see store_is_full() */
    int64_t stored;                     /* messages and deliveries since it went on */
    int64_t seen_notice;                /* store_news() looks beyond this one */
    struct buf scratch;
};

/* Begin the turn's transaction unless it has begun. False: the store has failed. Every function
 * of the engine that changes or decides anything begins with this. */
bool store_begin(struct store *s);

/* A call into db.h failed while doing OPERATION ("store a message"): remember why, let the turn
 * fail. */
void store_fail(struct store *s, const char *operation);

/* Let it fail if CODE is -1. */
void store_check(struct store *s, int code, const char *operation);

/* Forget the turn's sessions and what they touched. */
void store_forget(struct store *s);

/* Write the sessions that changed. */
void store_write_sessions(struct store *s);

/* What the turn's objects know better than the rows: who holds whose poll. */
void store_freshen(struct store *s, struct members *m);

/* What was sent to the socket and is not beyond delivery OFFSET has arrived; or: nothing that it
 * is owed ever will. */
void store_arrived_offset(struct store *s, int64_t socket, int64_t offset, int64_t now);
void store_abandon(struct store *s, int64_t socket);

/* Bind an id that may be 0, which is stored as NULL. */
void store_put_id(struct db_query *q, int i, int64_t id);

#endif
