/* engine.h - what the files of the SQLite engine share, and nobody else sees.
 *
 * open.c     opening, upgrading, the turn's transaction
 * wake.c     words between processes
 * hold.c     who holds a session's poll
 * cache.c    sessions as objects: of the turn, and between turns
 * session.c  sessions
 * request.c  which requests came already
 * socket.c   sockets
 * channel.c  channels, members, who asks to get in
 * message.c  messages
 * delivery.c deliveries, and the queues that they wait in
 * tidy.c     retention
 * wal.c      the write-ahead log, kept short
 */
#ifndef POLLUX_STORE_SQLITE_ENGINE_H
#define POLLUX_STORE_SQLITE_ENGINE_H

#include "store/sqlite/db.h"
#include "store/seen.h"
#include "store/store.h"

#include "sql_queries.h"

enum {
#define X(name, sql) Q_##name,
    SQL_QUERIES(X)
#undef X
    Q_COUNT
};

#define SESSION_BUCKETS 512

/* What waits for a socket, for as long as it is little. */
#define QUEUE_SHORT 8

struct place {                          /* a delivery that has not arrived */
    int64_t delivery, message, nth, upto_bytes;
    bool sent;                          /* in the session that the socket is in */
    size_t fresh;                       /* 1...: its place among the turn's; 0: of an earlier turn */
};

struct queue {
    enum { QUEUE_UNREAD, QUEUE_KNOWN, QUEUE_LONG } state;
    size_t count;
    struct place places[QUEUE_SHORT];   /* in order */
};

/* A delivery of the turn; its row is written later. */
struct delivery {
    int64_t id, message, socket, nth, upto_bytes;
    int64_t session, poll, sent_ms;     /* 0: not sent */
    size_t said;                        /* 1...: its message's place among the turn's */
};

/* What a message of the turn says, in store.words. */
struct said_message {
    enum sio_type type;
    unsigned attachments;
    size_t at, ack_id_len, body_len, attached_len;      /* one behind the other */
};

#define ROOMS 512

/* A channel as it was last read, for as long as nobody stores anything else. */
struct room {
    int64_t id;                         /* 0: none */
    uint64_t epoch;                     /* the store's, or it is out of date */
    char *key;                          /* its namespace, a NUL, its name */
    size_t key_len, key_cap;
    bool listed;                        /* MEMBERS are known */
    struct members members;
};

/* A session as the store keeps it: for the turn, and for as long as it rests. */
struct entry {
    struct session session;             /* first: a struct session * is a struct entry * */
    int64_t holder;                     /* of its poll; 0: nobody */
    int64_t stored_due_ms;              /* due_ms as the row has it */
    size_t stored_partial;              /* bytes of session.partial that are rows already */
    size_t socket_cap;
    struct queue *queues;               /* of its sockets, in the same places */
    struct entry *next_by_id, *next_by_sid;
    struct entry *next;                 /* all of the turn's */
    bool rests;                         /* not of the turn; then: */
    struct entry *newer, *older;        /* neighbours in the ring of those that rest */
};

/* How far the tidying has come: everything up to these ids was looked at. */
struct walk {
    bool going;                         /* else it begins anew */
    bool log, sockets;                  /* which of the two have not come to their end */
    int64_t delivery, message, socket;
    int64_t removed;                    /* rows of the log */
};

/* wake.c's */
struct wake {
    int bell;                           /* the file: for ringing, and for hold.c's locks */
    int watch;                          /* an inotify descriptor, readable when it rang; -1: none */
    bool ring;                          /* other processes have something to look at */
    size_t rings;                       /* so far */
    int64_t seen;                       /* store_news() looks beyond this notice */
    int64_t *woken;                     /* sessions whose poll, held here, is to be looked at */
    size_t count, cap, next;
};

/* hold.c's */
struct holding {
    int64_t self;                       /* this process as a holder; 0: it has held nothing yet */
    bool noted, noting;                 /* its row is there; or will be if the turn lasts */
};

struct store {
    struct db *db;
    const struct settings *set;         /* borrowed */
    struct wake wake;
    struct holding hold;
    bool begun;                         /* a transaction is open */
    bool failed;                        /* a call of this turn has failed; it must be rolled back */
    bool leave_wal;                     /* see store_leave_wal() */
    bool kept;                          /* see store_is_kept() */
    int64_t empty_ms;                   /* if not: empty the write-ahead log then */
    char why[512];

    struct entry *entries;              /* the turn's sessions */
    struct entry rest;                  /* the ring's beginning: older is the latest to rest */
    size_t resting;
    int64_t version;                    /* of the database, as the objects have it */
    struct entry *by_id[SESSION_BUCKETS], *by_sid[SESSION_BUCKETS];

    struct seen seen;                   /* requests, of this and of other processes */
    bool requests_read;                 /* else others may have stored some */
    int64_t newest_request;             /* row; those beyond it are not in `seen` yet */
    struct buf marks;                   /* of the turn's requests */
    int64_t marks_ms;                   /* when it was that they came */

    uint64_t epoch;                     /* what was read before it began is out of date */
    struct room rooms[ROOMS];           /* each in the place that its id gives */
    int64_t named[ROOMS];               /* their ids, each in the place that its name gives */

    struct delivery *deliveries;        /* of the turn */
    size_t delivery_count, delivery_cap;
    size_t delivery_rows;               /* the first so many have been written */
    int64_t newest_delivery;            /* 0: look */
    struct said_message *said;          /* the turn's messages */
    size_t said_count, said_cap;
    struct buf words;

    struct db_query *owed;              /* between store_owed() and store_owed_done() */
    struct session *owed_session;
    size_t owed_at;                     /* without a query: the place in the queue */
    struct walk walk;
    bool full;                          /* see store_is_full() */
    int64_t said_since, owed_since;     /* messages and deliveries stored since it went on */
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

/* What no file is to blame for: "WHAT: cause; what to do" could not be done. The turn fails. */
void store_lacks(struct store *s, const char *what);

/* The same while the store is being opened, into WHY. Returns -1. */
int store_explain(struct store *s, const char *operation, struct buf *why);

/* ---- wake.c */

/* Open the bell, and skip what others have said so far. 0, or -1 with a sentence in WHY. */
int store_open_bell(struct store *s, struct buf *why);
void store_close_bell(struct store *s);

/* The turn is committed: ring if there is something for others to look at. */
void store_ring(struct store *s);

/* Are there notices that need not be kept? Remove some of them, at most ROWS. */
bool store_has_old_notices(struct store *s);
void store_trim_notices(struct store *s, int64_t rows);

/* ---- hold.c */

/* Who holds SESSION's poll: a number; 0: nobody. Is that this process? */
int64_t store_holder(const struct session *session);
bool store_is_self(const struct store *s, int64_t holder);

/* What this turn noted lasts; or it does not. */
void store_hold_committed(struct store *s);
void store_hold_undone(struct store *s);

/* ---- cache.c */

/* A new object of the turn for session ID, all else of it zero; NULL: the store has failed. */
struct entry *store_remember(struct store *s, int64_t id, const char *sid);

/* The object that there is for a session, lent to the turn; NULL: none, look for the row. */
struct entry *store_recall(struct store *s, int64_t id);
struct entry *store_recall_sid(struct store *s, struct span sid);

/* The turn is over and stored: its objects may rest. */
void store_rest(struct store *s);

/* Nothing is known any longer: neither of the turn nor from before. */
void store_forget(struct store *s);

/* A transaction has begun: forget what rested if others have stored anything since. */
void store_check_cache(struct store *s);

static inline struct entry *store_entry(struct session *session)
{
    return (struct entry *)session;
}

/* ---- channel.c */

/* SOCKET is about to go away or has come back: read who is in its channels again. */
void store_unlist(struct store *s, int64_t socket);
void store_release_rooms(struct store *s);

/* SOCKET comes back no more, so nothing that it lost is kept for it. */
void store_former_end(struct store *s, int64_t socket);

/* ---- message.c, delivery.c */

/* A message has one listener less to wait for. After the last: what need not be kept of it goes. */
void store_settle(struct store *s, int64_t seq);

/* The same for what an update of SOCKET's deliveries is about to mark: those sent in SESSION (0:
 * any), up to OFFSET (0: any). */
void store_settle_all(struct store *s, int64_t socket, int64_t session, int64_t offset);

/* Write those of the turn's deliveries that are no rows yet: what comes reads or changes rows. */
void store_write_deliveries(struct store *s);

/* ---- request.c */

/* Write which requests came in this turn. */
void store_write_requests(struct store *s);

/* A turn failed: what is known is read anew. */
void store_forget_requests(struct store *s);

/* ---- session.c, socket.c */

/* Read the sockets of a session that was just read. */
void store_read_sockets(struct store *s, struct entry *e);

/* Write what changed. */
void store_write_sessions(struct store *s);
void store_write_sockets(struct store *s, struct session *session);

/* What was sent to the socket and is not beyond delivery OFFSET has arrived; or: nothing that it
 * is owed ever will. */
void store_arrived_offset(struct store *s, int64_t socket, int64_t offset, int64_t now);
void store_abandon(struct store *s, int64_t socket);

/* Bind an id that may be 0, which is stored as NULL. */
void store_put_id(struct db_query *q, int i, int64_t id);

#endif
