/* engine.h - what keeps the store: the narrow waist between the turn's working set and what lasts.
 *
 *     core, rules ─▶ store.h        sessions, sockets, channels, members, messages, deliveries
 *                    work.h         the working set of a turn: objects, queues, what was said
 *                    engine.h       loads, writes, the transaction, words between processes
 *                    sqlite/        in one file
 *
 * Above it nothing knows how rows are kept; below it nothing knows what they mean. An engine is a
 * folder with these functions. It may rely on this:
 *
 *  - engine_begin() comes before all that is not said to do without, engine_commit() or
 *    engine_rollback() behind it.
 *  - Nobody else writes between the two: who asks within a transaction and writes what follows from
 *    the answer is right.
 *  - Whatever fails notes so in the failure that engine_open() was given, which sticks until the
 *    turn is rolled back. After that loads find nothing, and what is written is of no account. So
 *    only few functions return whether they failed.
 *
 * Rows are named by numbers, which the engine gives; 0 is none. Those of messages and deliveries
 * grow. Spans are borrowed; those that are lent live until the next call. Times are milliseconds
 * since 1970.
 */
#ifndef POLLUX_STORE_ENGINE_H
#define POLLUX_STORE_ENGINE_H

#include "store/failure.h"
#include "store/store.h"

struct engine;

/* ---- its life */

/* See store_open(). SET and FAILURE are borrowed until engine_close(). */
int engine_open(struct engine **e, const struct settings *set, struct failure *failure,
                struct buf *why);
void engine_close(struct engine *e);

/* See store_probe(), store_library(), store_is_on_network(), store_is_newer(), store_looks(),
 * store_serves_once(), store_has_keeper(), store_keep(). */
int engine_probe(const struct settings *set, struct buf *why);
const char *engine_library(void);
bool engine_is_on_network(const struct settings *set);
bool engine_is_newer(const struct settings *set);
void engine_looks(struct engine *e);
void engine_serves_once(struct engine *e);
int engine_has_keeper(struct engine *e, struct buf *why);
void engine_keep(const struct settings *set);

/* ---- the transaction */

/* False: it failed. */
bool engine_begin(struct engine *e);

/* Within one: have others stored anything since this was asked last? Then what is known of rows is
 * out of date. */
bool engine_has_changed(struct engine *e);

/* All that was written lasts, and those who were notified will hear of it. */
bool engine_commit(struct engine *e);

/* Nothing of it does. Also where none was begun, and after a failure. */
void engine_rollback(struct engine *e);

/* Rows written since the engine was opened. */
int64_t engine_written(const struct engine *e);

/* A load of many rows: step through it, and always end it. OPERATION is for people, should it have
 * failed: "read sockets". */
struct cursor;
void engine_end_load(struct engine *e, struct cursor *c, const char *operation);

/* ---- sessions */

struct session_row {
    struct session session;             /* but for its sockets and its half an event */
    int64_t holder;                     /* of its poll; 0: nobody */
    bool half;                          /* there is half an event */
};

/* True: it was found, and is in *ROW. */
bool engine_session_by_sid(struct engine *e, struct span sid, struct session_row *row);
bool engine_session_by_id(struct engine *e, int64_t id, struct session_row *row);

/* Append the half event that there is of a session. */
void engine_partial(struct engine *e, int64_t session, struct buf *partial);

/* The session that is due first, and when. False: there is none. Needs no transaction. */
bool engine_session_due(struct engine *e, int64_t *session, int64_t *due_ms);

/* See store_session_count(). */
int64_t engine_session_count(struct engine *e, const char *address);

/* The last polls of all sessions, in no order; see store_polls(). Need no transaction. */
struct cursor *engine_polls(struct engine *e);
bool engine_next_poll(struct engine *e, struct cursor *c, struct poll *out);

/* How many processes live that hold polls or have held any; is this one among them? */
int64_t engine_holders(struct engine *e);
bool engine_counts(const struct engine *e);

/* Add NEW, with its sid; returns its number. Its polling is written by engine_write_session(). */
int64_t engine_add_session(struct engine *e, const struct session *new);

/* What its polls and POSTs have changed. */
void engine_write_session(struct engine *e, const struct session *session, int64_t holder);
void engine_write_due(struct engine *e, int64_t session, int64_t due_ms);
void engine_add_partial(struct engine *e, int64_t session, struct span piece);
void engine_drop_partial(struct engine *e, int64_t session);
void engine_drop_session(struct engine *e, int64_t session);

/* ---- which requests came */

/* Those of rows beyond AFTER, the latest first: marks as engine_add_requests() was given. */
struct cursor *engine_requests(struct engine *e, int64_t after);
bool engine_next_requests(struct cursor *c, int64_t *row, int64_t *at_ms, struct span *marks);

/* Returns the row. */
int64_t engine_add_requests(struct engine *e, int64_t at_ms, struct span marks);

/* Remove some of the oldest rows: those from before BEFORE_MS, those from after AFTER_MS by a
 * clock that was wrong, and those up to row UPTO. */
void engine_trim_requests(struct engine *e, int64_t before_ms, int64_t after_ms, int64_t upto);

/* ---- sockets */

/* Those of a session, in the order of their numbers. */
struct cursor *engine_sockets(struct engine *e, int64_t session);
bool engine_next_socket(struct cursor *c, struct socket *out);

/* One socket; see store_socket_by_private() and its like. */
bool engine_socket_by_private(struct engine *e, struct span private, struct socket *out);
bool engine_socket_by_public(struct engine *e, struct span public, struct socket *out);
bool engine_socket_by_id(struct engine *e, int64_t id, struct socket *out);

/* One that is away since before SINCE; the one that is to leave its channels first, and when. Need
 * no transaction. */
bool engine_socket_expired(struct engine *e, int64_t since, struct socket *out);
bool engine_socket_leaving(struct engine *e, struct socket *out, int64_t *leave_ms);

/* Add K, of a client at ADDRESS; returns its number. */
int64_t engine_add_socket(struct engine *e, const struct socket *k, struct span address,
                          int64_t now);

/* What it was heard of, and its greeting. */
void engine_write_socket(struct engine *e, const struct socket *k);

/* It is in SESSION, and not away; it is away since NOW; it has left its channels. */
void engine_attach_socket(struct engine *e, int64_t id, int64_t session);
void engine_socket_away(struct engine *e, int64_t id, int64_t now, int64_t leave_ms);
void engine_socket_left(struct engine *e, int64_t id);

/* It has gone. */
void engine_socket_gone(struct engine *e, int64_t id, enum gone how, int64_t now);

/* ---- channels: see store_channel() and its like */

int64_t engine_channel(struct engine *e, struct span nsp, struct span name);
int64_t engine_add_channel(struct engine *e, struct span nsp, struct span name, int64_t now);
bool engine_channel_of(struct engine *e, int64_t socket, int64_t after, struct channel *out);

/* Into *M, overwritten, in the order of their joining. */
void engine_members(struct engine *e, int64_t channel, struct members *m);
void engine_add_member(struct engine *e, int64_t channel, int64_t socket, const char *role,
                       int64_t now);

/* And the channel, if it was the last. */
void engine_drop_member(struct engine *e, int64_t channel, int64_t socket);

/* What a socket has lost while it was away. */
void engine_add_former(struct engine *e, int64_t socket, struct span channel);
bool engine_take_former(struct engine *e, int64_t socket, char *name, size_t cap);
void engine_drop_former(struct engine *e, int64_t socket);

/* Newcomers that wait for a roll call. engine_asking() needs no transaction. */
bool engine_asking(struct engine *e, int64_t after, struct asking *out);
bool engine_is_asking(struct engine *e, struct span channel, int64_t socket);
void engine_count_asking(struct engine *e, struct span channel, int64_t socket, size_t *here,
                         size_t *own);
void engine_add_asking(struct engine *e, struct span channel, int64_t socket, int64_t due_ms);
void engine_drop_asking(struct engine *e, int64_t id);
void engine_drop_asking_of(struct engine *e, int64_t socket);

/* ---- messages */

/* What of M is kept, besides what describes it. */
struct kept { struct span body, attached; };

/* Returns its seq. */
int64_t engine_add_message(struct engine *e, const struct message *m, struct kept kept,
                           int64_t now);

/* One listener less waits for it. True: that was the last; its body is appended to BODY. */
bool engine_hear_message(struct engine *e, int64_t seq, struct buf *body);

/* No more of it is kept than BODY. */
void engine_reduce_message(struct engine *e, int64_t seq, struct span body);

/* ---- deliveries */

/* A delivery that has not arrived, as a queue knows it. */
struct place {
    int64_t delivery, message;
    int64_t nth, upto_bytes;            /* running numbers: differences tell how much waits */
    bool sent;                          /* in the session that the socket is in */
    size_t fresh;                       /* 1...: its place among the turn's; 0: an earlier one */
};

/* A delivery of the turn; its row is written later. */
struct delivery {
    int64_t id, message, socket, nth, upto_bytes;
    int64_t session, poll, sent_ms;     /* 0: not sent */
    size_t said;                        /* 1...: its message's place among the turn's */
};

/* One end of a queue, as its running numbers. */
struct queue_end { int64_t nth, upto_bytes; };
enum end { END_FIRST, END_LAST };

int64_t engine_newest_delivery(struct engine *e);
void engine_add_delivery(struct engine *e, const struct delivery *d);

/* The first MOST at most of what waits for SOCKET, which is in SESSION; returns how many. */
size_t engine_queue(struct engine *e, int64_t socket, int64_t session, struct place *places,
                    size_t most);

/* False: nothing waits for it. */
bool engine_queue_end(struct engine *e, int64_t socket, enum end which, struct queue_end *end);

/* How many messages of SENDER wait for SOCKET, counted up to MOST. */
int64_t engine_count_from(struct engine *e, int64_t socket, int64_t sender, int64_t most);

/* What SESSION, whose only socket is ONLY, if not 0, was not sent yet, at most LIMIT; what was in
 * the answer to its poll. In order. O->socket is left to the caller, who is told its number. */
struct cursor *engine_owed(struct engine *e, int64_t session, int64_t only, size_t limit);
struct cursor *engine_answered(struct engine *e, int64_t session, int64_t poll);
bool engine_next_owed(struct cursor *c, struct owed *o, int64_t *socket);

/* It is in the answer to the current poll of SESSION: one delivery; what is owed to SOCKET up to
 * UPTO. */
void engine_sent(struct engine *e, int64_t delivery, const struct session *session, int64_t now);
void engine_sent_upto(struct engine *e, int64_t socket, int64_t upto, const struct session *session,
                      int64_t now);

/* Deliveries to a socket, which arrive all at once. */
struct arriving {
    int64_t socket;
    int64_t session;                    /* those that were sent in it; 0: in any or none */
    int64_t offset;                     /* those that were sent, up to this one; 0: all */
};

/* It arrived at NOW, or never will, which is 0: one delivery; several; what greets SOCKET. */
void engine_arrived(struct engine *e, int64_t delivery, int64_t now);
void engine_arrived_all(struct engine *e, const struct arriving *a, int64_t now);
void engine_drop_greeting(struct engine *e, int64_t socket);

/* The messages of those that are about to arrive, beyond delivery *AFTER, which moves on: at most
 * MOST. Returns how many. */
size_t engine_arriving(struct engine *e, const struct arriving *a, int64_t *after, int64_t *seqs,
                       size_t most);

/* ---- between processes */

/* SESSION, which another process holds, is to be looked at there once this is committed. */
void engine_notify(struct engine *e, int64_t session);

/* See store_watch(). */
int engine_watch(struct engine *e);

/* Whom others have woken since the last call: at most MOST, *COUNT of them; ask again if it was as
 * many. Needs no transaction. -1 on failure, which does not stick. */
int engine_news(struct engine *e, int64_t *sessions, size_t most, size_t *count);

/* This process as a holder of polls: a number that it has, from now on, and that tells the others
 * whether it lives. 0 when that failed. */
int64_t engine_hold(struct engine *e);
bool engine_is_self(const struct engine *e, int64_t holder);
bool engine_lives(const struct engine *e, int64_t holder);

/* ---- figures and retention: without a transaction, but for engine_figures(), which may be in
 * one */

int engine_figures(struct engine *e, struct store_figures *f);

/* See store_tidy(), store_compact(), store_is_full(). */
enum tidy engine_tidy(struct engine *e, int64_t now);
int engine_compact(struct engine *e);
bool engine_is_full(const struct engine *e);

/* What engine_tidy() has removed, and bytes; not how much was reduced. 0 or -1. */
int engine_tidied(struct engine *e, struct tidied *t);

/* Within a transaction: messages beyond *AFTER of which more is kept than what describes them
 * though nobody is owed them, and their bodies: into SEQS and BODIES, at most MOST; *AFTER moves
 * on over as many rows. Returns how many; *MORE: there are rows beyond. Bodies are appended. */
size_t engine_settled(struct engine *e, int64_t *after, int64_t *seqs, struct buf *bodies,
                      size_t most, bool *more);

/* The same of sockets: their addresses are forgotten. Returns whether there are rows beyond. */
bool engine_forget_addresses(struct engine *e, int64_t *after, size_t most);

#endif
