/* store.h - all that must last: sessions, sockets, channels, members, messages, deliveries.
 *
 * Speaks of these, and not of how they are kept: see store/engine.h for that.
 *
 * One transaction a turn. It begins by itself at the first call that needs it and ends with
 * store_commit() or store_rollback(). Failure sticks: once a call has failed, store_failed() is
 * true, further calls change nothing and find nothing, and store_commit() refuses. So the rules
 * read straight on, and the turn's end asks once.
 *
 * Sessions and their sockets are objects, lent until the turn's end. Change their fields, set
 * `changed`, and the commit writes them. Times are milliseconds since 1970; `now` is the turn's.
 */
#ifndef POLLUX_STORE_STORE_H
#define POLLUX_STORE_STORE_H

#include "base/buf.h"
#include "base/id.h"
#include "base/settings.h"
#include "wire/sio.h"
#include "base/stats.h"

#define T_MAX 40                        /* longest t that is remembered, bytes */
#define ADDRESS_MAX 64
#define ORIGIN_MAX 272                  /* a scheme, a name of 253 bytes, a port */
#define CHANNEL_MAX 1024

struct store;

/* A Socket.IO socket: one client in one namespace. */
struct socket {
    int64_t id;
    char public[ID_LEN + 1];
    char private[ID_LEN + 1];           /* empty: cannot be recovered */
    char nsp[SIO_NSP_MAX + 1];
    int64_t session;                    /* 0: away, or its session has ended */
    int64_t away_ms;                    /* 0: not away */
    int64_t gone_ms;                    /* 0: still in; else it left for good */
    int64_t heard;                      /* events taken from it, if the session is a shim's */
    int64_t greeting;                   /* delivery that answers its CONNECT, until it is sent */
    bool changed;
};

enum { ANSWER_NOOP = 1, ANSWER_PING = 2, ANSWER_EVENTS = 4, ANSWER_CLOSE = 8 };

/* An Engine.IO session: one client's polling. */
struct session {
    int64_t id;
    char sid[ID_LEN + 1];
    char address[ADDRESS_MAX];          /* whom the limit of sessions counts it for */
    char origin[ORIGIN_MAX];            /* of its page, if of another site than ours; else empty */
    bool shim;                          /* this project's client file, which counts what it sends */
    bool pinged;                        /* the heartbeat that was due at ping_ms is in an answer */
    bool overtaken;                     /* a poll that came before has come again since the last */
    bool watched;                       /* should the held poll end, the web server will say so */
    bool probe;                         /* begin the held poll's answer, so that it looks */
    bool nudge;                         /* the held poll is to be answered, be it with nothing */
    bool closing;                       /* over: the held poll or the next is told so */
    bool partial_over;                  /* what was stored of half an event is none any more */
    bool changed;                       /* to be written at commit */
    bool ended;                         /* deleted in this turn */
    int64_t opened_ms;
    int64_t due_ms;                     /* look at it again no later than then; moved on lazily */
    int64_t ping_ms;                    /* when the next heartbeat is due, or was */
    uint64_t opened_t;                  /* hash_of() of the handshake's t */
    uint64_t last_post, last_poll;      /* what stands for them: hash_of(), seen_hash_body() */
    /* a POST that is applied in part, and how many bytes of it; 0: none */
    uint64_t posting;
    int64_t posted;
    int64_t poll, polled_ms;            /* counts polls; when the last one came */
    int64_t ended_ms;                   /* its last poll's connection has ended; 0: it has not */
    uint64_t ports;                     /* the client's, in its last requests, 16 bits each */
    int64_t answer;                     /* what the answer to the last poll held: ANSWER_… */
    int64_t rate_ms, rate;              /* the second in which requests are counted; how many */
    struct buf partial;                 /* half a binary event: see store/attached.h */

    /* of this session, those gone but owed something included */
    struct socket *sockets;
    size_t socket_count;
};

/* ---- the store itself */

/* Open the store in directory SET->store; create or upgrade it. SET is borrowed until
 * store_close(). 0, or -1 with a sentence for the operator in WHY. */
int store_open(struct store **s, const struct settings *set, struct buf *why);
void store_close(struct store *s);

/* This process answers a single request and ends: it leaves to later ones what would make its
 * client wait. */
void store_serves_once(struct store *s);

/* This process looks now and then for what others have stored, instead of waiting to hear of it:
 * store_watch() gives nothing, and says nothing. For one that has few requests in its life. */
void store_looks(struct store *s);

/* Another process does the store's chores, by store_keep(): this one need not. 0, or -1 with a
 * sentence in WHY. */
int store_has_keeper(struct store *s, struct buf *why);

/* Do the store's chores, for as long as the process lives, so that nobody who has asked for
 * something waits for them; the store was opened before. Does not return. */
void store_keep(const struct settings *set);

/* Could it be opened? Creates and changes nothing. 0, or -1 with a sentence in WHY. */
int store_probe(const struct settings *set, struct buf *why);

/* What keeps it, and which version of that: "SQLite 3.40.1". */
const char *store_library(void);

/* Does it lie on a network file system? */
bool store_is_on_network(const struct settings *set);

/* Did a newer version of the program write it? Then it cannot be opened. */
bool store_is_newer(const struct settings *set);

/* Write what changed and end the transaction. 0; -1: nothing of this turn is stored, roll back. */
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* Has this turn begun a transaction? */
bool store_begun(const struct store *s);
bool store_failed(const struct store *s);

/* There is no memory to do OPERATION ("make a message"): let the turn fail. */
void store_no_memory(struct store *s, const char *operation);

/* Why it failed: a sentence with operation, object, cause and what to do. Lent until the next
 * turn. */
const char *store_why(struct store *s);

/* How much was stored since the store was opened, in single things: how much work something was,
 * by the difference. */
int64_t store_written(struct store *s);

/* ---- waking: whoever stored something for a session says so; the commit makes those hear it whom
 * it concerns */

/* SESSION has something to hear: its poll is to be looked at, by whoever holds it. */
void store_wake(struct store *s, int64_t session);

/* Other processes may hold a poll of SESSION as well, a twin: they are to look at it, too. */
void store_wake_others(struct store *s, int64_t session);

/* The sessions that were woken and may have a poll here: true and *SESSION, one after the other. */
bool store_woken(struct store *s, int64_t *session);

/* A descriptor that is readable, from now on, when other processes have woken somebody; what they
 * said before is found by store_news(). It is the store's. -1: there is none, and the log says why:
 * look now and then. Not for who has nothing to wait for: to close it takes up to 20 ms, which
 * the kernel waits for its other processors. */
int store_watch(struct store *s);

/* Look for what other processes have stored since the last call, and wake those whom it concerns
 * here; begins no transaction. -1 on failure, which does not
 * stick; store_why() says why. */
int store_news(struct store *s);

/* ---- holding: where the last poll of a session waits for its answer */

enum hold {
    HOLD_NOBODY,                        /* nowhere: it was answered, or none has come yet */
    HOLD_HERE,                          /* in this process */
    HOLD_ELSEWHERE,                     /* in another, which lives */
    HOLD_LOST                           /* in one that has died: the client will ask again */
};

enum hold store_hold(const struct store *s, const struct session *session);

/* It waits here from now on; it was answered. */
void store_hold_here(struct store *s, struct session *session);
void store_hold_over(struct session *session);

/* The last poll of a session, as slots.c of the core looks at all of them. */
struct poll {
    int64_t session;
    int64_t number;                     /* the session's count of polls */
    int64_t polled_ms;                  /* when it came; or, before the first, its session */
    bool held;                          /* by a living process */
    bool shim;                          /* the session's client is ours */
    bool over;                          /* the session ends, or its connection has: nobody asks */
};

/* This process counts among those of store_polls() from now on, though it may never hold one. */
void store_count_me(struct store *s);

/* Let SEE(ARG, ...) see each. Returns how many processes live that hold polls, have held any, or
 * count; it is 0 and not all were seen if the store has failed. */
int64_t store_polls(struct store *s, void (*see)(void *arg, const struct poll *p), void *arg);

/* ---- sessions */

/* The session with this sid, or this id; NULL: there is none (or the store failed). */
struct session *store_session(struct store *s, struct span sid);
struct session *store_session_by_id(struct store *s, int64_t id);

/* Add a session with a fresh sid and NEW's address, origin, shim, ping_ms and due_ms. NULL when
 * the store failed. */
struct session *store_session_open(struct store *s, const struct session *new, int64_t now);

/* Requests of a session, by what stands for the t of each. */
enum request_kind { REQUEST_POST, REQUEST_POLL };

/* Did the request come before: as the last of its kind, or not long ago? */
bool store_has_request(struct store *s, const struct session *session, enum request_kind kind,
                       uint64_t t, int64_t now);

/* It came, and is now the last of its kind. */
void store_add_request(struct store *s, struct session *session, enum request_kind kind,
                       uint64_t t, int64_t now);

/* Delete it. Its sockets must have been detached or be gone. */
void store_session_end(struct store *s, struct session *session);

/* Sessions in all, and from ADDRESS. */
int64_t store_session_count(struct store *s, const char *address);

/* A session whose due_ms is not after NOW; NULL: none, and *NEXT_MS is when there will be one.
 * Its due_ms is to be moved on, or the session ended; that is written at once, so that the next
 * call finds another. Begins no transaction when there is none. */
struct session *store_session_due(struct store *s, int64_t now, int64_t *next_ms);
void store_session_due_done(struct store *s, struct session *session);

/* ---- sockets */

/* SESSION's socket in namespace NSP that has not gone; NULL: none. */
struct socket *store_socket(struct session *session, struct span nsp);

/* Add a socket in NSP to SESSION, of a client at ADDRESS, with a fresh public id and, if it can be
 * recovered, a private one. NULL when the store failed. May move SESSION's other sockets. */
enum recovery { RECOVERY_NONE, RECOVERY_BY_ID };
struct socket *store_socket_open(struct store *s, struct session *session, struct span nsp,
                                 struct span address, enum recovery recovery, int64_t now);

/* Find a socket by its private id, which those that have gone have no longer, its public id, or
 * its number: a copy in *OUT. */
bool store_socket_by_private(struct store *s, struct span private, struct socket *out);
bool store_socket_by_public(struct store *s, struct span public, struct socket *out);
bool store_socket_by_id(struct store *s, int64_t id, struct socket *out);

/* Move FROM (a copy, away or in another session) into SESSION: it is here again. What it is owed
 * and was not heard up to OFFSET (a delivery's number; 0: unknown) will be sent, ahead of
 * anything stored later. */
struct socket *store_socket_recover(struct store *s, struct session *session,
                                    const struct socket *from, int64_t offset, int64_t now);

/* Take the socket ID off its session: away since NOW, to leave its channels at LEAVE_MS. */
void store_socket_away(struct store *s, int64_t id, int64_t now, int64_t leave_ms);

/* It has gone for good: and stays in its session for what it is still owed; or is owed nothing
 * more. */
enum gone { GONE_OWED, GONE_ALTOGETHER };
void store_socket_gone(struct store *s, int64_t id, enum gone how, int64_t now);

/* A socket that is away since before SINCE: a copy in *OUT; false: none. Begins no transaction
 * when there is none. */
bool store_socket_expired(struct store *s, int64_t since, struct socket *out);

/* A socket that is away and should have left its channels by NOW: a copy in *OUT; false: none, and
 * *NEXT_MS is when there will be one. Begins no transaction when there is none. And it has left
 * them. */
bool store_socket_leaving(struct store *s, int64_t now, struct socket *out, int64_t *next_ms);
void store_socket_left(struct store *s, int64_t id);

/* ---- channels */

struct member {
    int64_t socket, session;            /* session 0: away */
    int64_t away_ms;
    char public[ID_LEN + 1];
};

struct members {                        /* the caller's; reuse it, release with members_release() */
    struct member *list;
    size_t count, cap;
};

/* A copy of MEMBER, at the end. False: no memory. */
bool members_add(struct members *m, const struct member *member);
void members_release(struct members *m);

struct channel {
    int64_t id;
    char name[CHANNEL_MAX + 1];
};

/* The channel's id; 0: there is none. Begins a transaction, as all of these do. */
int64_t store_channel(struct store *s, struct span nsp, struct span name);
int64_t store_channel_open(struct store *s, struct span nsp, struct span name, int64_t now);

void store_join(struct store *s, int64_t channel, int64_t socket, const char *role, int64_t now);

/* Take the socket out; the last one out destroys the channel, questions at it included. */
void store_part(struct store *s, int64_t channel, int64_t socket);
bool store_is_member(struct store *s, int64_t channel, int64_t socket);

/* All members in the order of their joining, into *M (overwritten). */
void store_members(struct store *s, int64_t channel, struct members *m);

/* The channels that SOCKET is in, one after the other: start with *AFTER = 0. */
bool store_channel_of(struct store *s, int64_t socket, int64_t *after, struct channel *out);

/* The other members of all of SOCKET's channels, each once, into *M. */
void store_peers(struct store *s, int64_t socket, struct members *m);

/* SOCKET lost its place in CHANNEL while it was away. Take one of those that it lost so, into NAME;
 * false: none is left. */
void store_former_add(struct store *s, int64_t socket, struct span channel);
bool store_former_take(struct store *s, int64_t socket, char *name, size_t cap);

/* Newcomers that wait for a roll call. */
struct asking {
    int64_t id, socket, due_ms;
    char channel[CHANNEL_MAX + 1];      /* in the socket's namespace; it may have ended meanwhile */
};

void store_ask(struct store *s, struct span channel, int64_t socket, int64_t due_ms);
/* the next one beyond id AFTER */
bool store_asked(struct store *s, int64_t after, struct asking *out);
void store_ask_end(struct store *s, int64_t id);
void store_ask_end_socket(struct store *s, int64_t socket);
bool store_is_asking(struct store *s, struct span channel, int64_t socket);

/* How many ask for channels of this name, and for how many the socket asks. */
void store_count_asking(struct store *s, struct span channel, int64_t socket, size_t *here,
                        size_t *own);

/* ---- messages */

struct message {
    enum sio_type type;
    int64_t sender;                     /* socket id; 0: the server */
    struct span channel;                /* empty: concerns none */
    /* the event's name, decoded as far as it is plain; for people */
    struct span name;
    struct span ack_id;
    struct span body;                   /* the packet's JSON as recipients get it; empty: none */
    struct span attached;               /* attachments: see store/attached.h */
    unsigned attachments;
    size_t recipients;
};

/* Append one message to the log. Returns its seq, increasing; 0 when the store failed. */
int64_t store_message(struct store *s, const struct message *m, int64_t now);

/* May SIZE more bytes be queued for TO? An empty queue takes one message of any size. Where the
 * store is full, queues are short. */
bool store_has_room(struct store *s, const struct member *to, size_t size);

/* Is TO's queue more than half full, and half of what it may hold SENDER's alone? Adds to *WORK
 * what it took to see that, in deliveries that could have been made instead. */
bool store_is_crowded(struct store *s, const struct member *to, int64_t sender, size_t *work);

/* Does twice as much wait for TO as may? Then it is its own answers that pile up. */
bool store_overflows(struct store *s, const struct member *to);

/* Has the store, for all that store_tidy() does, twice the size that it may have? Then most of it
 * is owed to clients that do not listen. */
bool store_is_full(const struct store *s);

/* Owe the message SEQ of SIZE bytes to TO, and wake its session. The delivery's id; 0 when the
 * store failed. */
int64_t store_deliver(struct store *s, int64_t seq, size_t size, const struct member *to);

/* A client as a recipient, for store_has_room() and store_deliver(). */
struct member member_of(const struct session *session, const struct socket *socket);

/* What SESSION is owed and was not sent yet, in order, at most LIMIT; or again what its last
 * poll's answer held. Begin with store_owed(), take each with store_owed_next(), always end with
 * store_owed_done(). Spans are lent until the next call. */
struct owed {
    int64_t id;                         /* the delivery */
    enum sio_type type;
    const struct socket *socket;        /* one of the session's */
    struct span ack_id, body, attached;
    unsigned attachments;
};

enum owed_which { OWED_UNSENT, OWED_AGAIN };
void store_owed(struct store *s, struct session *session, enum owed_which which, size_t limit);
bool store_owed_next(struct store *s, struct owed *o);
void store_owed_done(struct store *s);

/* All that SESSION is owed up to delivery UPTO is in the answer to its current poll; or of what is
 * behind that, the greeting of its socket I alone. */
void store_sent(struct store *s, struct session *session, int64_t upto, int64_t now);
void store_greeted(struct store *s, struct session *session, size_t i, int64_t now);

/* All that was sent in SESSION has arrived. */
void store_arrived(struct store *s, struct session *session, int64_t now);

/* ---- figures */

/* What there is: into *F. Begins no transaction. -1 on failure, which sticks only within one. */
int store_figures(struct store *s, struct store_figures *f);

/* ---- retention */

/* These do a little of their work each time they are called, in a transaction of their own; never
 * within a turn's. TIDY_FAILED: nothing of it was done, and store_why() says why; it does not
 * stick. */
enum tidy { TIDY_FAILED = -1, TIDY_DONE = 0, TIDY_MORE = 1 };

/* Remove what need not be kept any longer. */
enum tidy store_tidy(struct store *s, int64_t now);

/* Take out of what is left what the settings do not want kept: payloads that nobody is owed any
 * more, addresses. For who has changed the settings: what is stored is stored by them. */
enum tidy store_reduce(struct store *s);

/* Give back the space that is free inside of the store. All at once; everybody waits. 0 or -1, as
 * above. */
int store_compact(struct store *s);

/* What was removed since the store was opened, and taken out; and what there is. */
struct tidied {
    int64_t messages, deliveries, sockets;
    int64_t reduced;                    /* messages of which something was taken out */
    int64_t used, unused;               /* bytes; those that are free inside of the store */
};

int store_tidied(struct store *s, struct tidied *t);

#endif
