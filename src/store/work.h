/* work.h - the working set of a turn: what the files of the store share, whatever the engine.
 *
 * work.c      the turn: it begins, is committed, fails
 * cache.c     sessions as objects: of the turn, and between turns
 * sessions.c  sessions
 * requests.c  which requests came already
 * sockets.c   sockets
 * channels.c  channels and their members
 * waiting.c   who waits to get in, and who lost its place while it was away
 * said.c      messages: what was said in this turn, and what is kept of what was heard
 * queues.c    deliveries, and the queues that they wait in
 * waking.c    who has something to hear
 * hold.c      who holds a session's poll
 * reduce.c    what was kept, and is not to be any more
 */
#ifndef POLLUX_STORE_WORK_H
#define POLLUX_STORE_WORK_H

#include "store/engine.h"
#include "store/seen.h"

#define SESSION_BUCKETS 512

/* What waits for a socket, for as long as it is little. */
#define QUEUE_SHORT 8

struct queue {
    enum { QUEUE_UNREAD, QUEUE_KNOWN, QUEUE_LONG } state;
    size_t count;
    struct place places[QUEUE_SHORT];   /* in order */
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

/* cache.c's */
struct cache {
    struct entry *entries;              /* the turn's sessions */
    struct entry rest;                  /* the ring's beginning: older is the latest to rest */
    size_t resting;
    struct entry *by_id[SESSION_BUCKETS], *by_sid[SESSION_BUCKETS];
};

/* requests.c's */
struct requests {
    struct seen seen;                   /* of this and of other processes */
    bool are_read;                      /* else others may have stored some */
    int64_t newest;                     /* row; those beyond it are not in `seen` yet */
    struct buf marks;                   /* of the turn's */
    int64_t marks_ms;                   /* when it was that they came */
};

#define KNOWN_MOST 512

/* A channel as it was last read, for as long as nobody stores anything else. */
struct known_channel {
    int64_t id;                         /* 0: none */
    uint64_t epoch;                     /* the one it was read in */
    char *key;                          /* its namespace, a NUL, its name */
    size_t key_len, key_cap;
    bool listed;                        /* MEMBERS are known */
    struct members members;
};

/* channels.c's */
struct known_channels {
    uint64_t epoch;                     /* what was read before it began is out of date */
    struct known_channel list[KNOWN_MOST];            /* each in the place that its id gives */
    int64_t named[KNOWN_MOST];               /* their ids, each in the place that its name gives */
};

/* What a message of the turn says, in said.words. */
struct said_message {
    enum sio_type type;
    unsigned attachments;
    size_t at, ack_id_len, body_len, attached_len;      /* one behind the other */
};

/* said.c's: the turn's messages */
struct said {
    struct said_message *list;
    size_t count, cap;
    struct buf words;
    struct buf heard;                   /* scratch: a message that all have heard, */
    struct buf scratch;                 /* and what is kept of it */
};

/* queues.c's: the turn's deliveries */
struct deliveries {
    struct delivery *list;
    size_t count, cap;
    size_t rows;                        /* the first so many have been written */
    int64_t newest;                     /* 0: look */
};

/* queues.c's: between store_owed() and store_owed_done() */
struct reading {
    struct session *session;
    struct cursor *cursor;              /* NULL: what is owed is of this turn */
    size_t at;                          /* without a cursor: the place in the queue */
};

/* waking.c's: sessions whose poll, held here, is to be looked at */
struct woken {
    int64_t *list;
    size_t count, cap, next;
};

/* reduce.c's: how far it has come */
struct reducing {
    int64_t message, socket;            /* everything up to these was looked at */
    int64_t reduced;
};

struct store {
    struct engine *engine;
    const struct settings *set;         /* borrowed */
    bool begun;                         /* a transaction is open */
    struct failure failure;             /* of this turn: it must be rolled back */
    struct cache cache;
    struct requests requests;
    struct known_channels known;
    struct said said;
    struct deliveries deliveries;
    struct reading reading;
    struct woken woken;
    struct reducing reducing;
};

/* Begin the turn's transaction unless it has begun. False: the store has failed. Every function
 * that changes or decides anything begins with this. */
bool store_begin(struct store *s);

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

/* Others have stored something: what rested is out of date. */
void store_forget_resting(struct store *s);

static inline struct entry *store_entry(struct session *session)
{
    return (struct entry *)session;
}

/* ---- sessions.c, sockets.c */

/* Write what changed. */
void store_write_sessions(struct store *s);
void store_write_sockets(struct store *s, struct session *session);

/* Read the sockets of a session that was just read. */
void store_read_sockets(struct store *s, struct entry *entry);

/* ---- requests.c */

/* Write which requests came in this turn; what is known is read anew. */
void store_write_requests(struct store *s);
void store_forget_requests(struct store *s);

/* ---- channels.c */

/* SOCKET is about to go away or has come back: read who is in its channels again. */
void store_unlist(struct store *s, int64_t socket);
void store_release_known(struct store *s);

/* ---- said.c */

/* A message has one listener less to wait for. After the last: what need not be kept of it goes.
 * The same for all that is about to arrive. */
void store_settle(struct store *s, int64_t seq);
void store_settle_all(struct store *s, const struct arriving *a);

/* The turn is over. */
void store_said_over(struct store *s);

/* Is all kept that was said? */
bool store_keeps_all(const struct store *s);

/* BODY, of which nobody is to hear any more, as it is kept: not at all, or without addresses. Lent
 * until the next call. */
struct span store_reduced(struct store *s, struct span body);

/* ---- queues.c */

/* Write those of the turn's deliveries that are no rows yet: what comes reads or changes rows. */
void store_write_deliveries(struct store *s);

/* They arrive, or never will: at 0. */
void store_arrive(struct store *s, const struct arriving *a, int64_t now);

/* The turn is over; what is known of numbers may be out of date. */
void store_deliveries_over(struct store *s);
void store_forget_numbers(struct store *s);

/* ---- hold.c, waking.c */

/* Who holds SESSION's poll: a number; 0: nobody. */
int64_t store_holder(const struct session *session);

/* Nobody is woken any more; none is known. */
void store_forget_woken(struct store *s);
void store_release_woken(struct store *s);

#endif
