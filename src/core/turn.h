/* turn.h - what the files of the core share, and nobody else sees.
 *
 * Each stands on those before it:
 *
 * answer.c    answers that leave after the commit, and polls that wait for theirs
 * postpone.c  what requests cost, and those that wait for their turn
 * poll.c      what a poll is answered
 * post.c      what a POST's packets do
 * figures.c   the page of figures
 * exposed.c   what the web server would show to everybody
 * slots.c     polls where each takes a process of its own
 * examine.c   what those hear who look after the server
 * door.c      a request comes in
 * turn.c      the turn's steps
 */
#ifndef POLLUX_CORE_TURN_H
#define POLLUX_CORE_TURN_H

#include "core/budget.h"
#include "core/core.h"
#include "wire/http.h"
#include "base/log.h"
#include "core/park.h"
#include "store/seen.h"
#include "rules/signaling.h"
#include "wire/eio.h"

/* An answer that leaves after the commit. */
struct answer {
    /* whom it is for; of a request that was not held only held.conn counts */
    struct held held;
    bool parked;                /* it was held: in a turn that fails it is held on */
    size_t at, len;             /* its place in core.out */
    int status;                 /* 0: nobody is there to be answered */
    /* for all polls of held.session that are still held: the beginning */
    bool begins;
};

/* Who is charged for a request. */
struct worker {
    int64_t session;            /* 0: it opens one */
    uint64_t address;           /* stands for the client's, or its proxy's */
    int share;                  /* of the address, in a session's */
};

/* How far a POST has come. */
struct progress {
    uint64_t mark;              /* what tells it from others; 0: nothing does */
    size_t bytes;               /* of it, that are applied; 0: it has not begun */
    size_t connects;            /* CONNECTs among them */
};

/* A request that waits for its turn: see postpone.c. */
struct postponed {
    struct worker worker;
    int ticket;                 /* the host's */
    struct conn conn;
    size_t bytes;               /* of its body */
    struct progress done;
};

/* slots.c's */
struct slots {
    enum scarce scarce;
    enum scarce began;          /* what it was at first: how the program is run */
    int64_t polled_ms;          /* since when the poll that this process has waits */
    int64_t look_ms;            /* at the polls of all, no earlier than then */
    int64_t until_ms;           /* somebody waited for a process lately: until then */
    /* one that waits for a process, by its poll, and since when it is known to */
    int64_t hungry, hungry_poll, hungry_ms;
    int64_t pause_ms;           /* to be told with the noop that is being made; 0: none */
};

struct core {
    struct store *store;
    const struct settings *set;
    struct signaling signaling;
    struct park *park;
    int64_t sweep_ms;           /* look for sessions that are due no later than then */
    int64_t tidy_ms;            /* look for what is too old no later than then */
    bool tidying;               /* there is more of it: soon */
    int64_t retry_ms;           /* after a turn that failed: nothing is due before */
    struct buf out;             /* the turn's answers, one behind the other */
    struct answer *answers;
    size_t answer_count, answer_cap;
    struct held *fresh;         /* polls held since the turn began */
    size_t fresh_count, fresh_cap;
    struct buf payload;         /* scratch: the packets of one answer */
    int64_t worked;             /* core_worked() as it was when the turn began */
    bool failing;               /* the last turn failed: say so once */
    bool store_failing;         /* because the store did */
    bool leaving;               /* hold no polls any more */
    int64_t began_ms;           /* when it took its first turn; 0: not yet */
    bool no_memory;             /* for an answer: the turn fails */
    struct budget sessions, addresses;  /* who has worked how much */
    struct postponed postponed[HOST_POSTPONED_MAX];     /* in the order in which they came */
    size_t postponed_count;
    int64_t resume_ms;          /* the next of them goes on no earlier */
    int64_t slice;              /* core_worked() that a POST may do in one turn */
    struct slots slots;
    int64_t doctor_gone;        /* requests held for the doctor whose clients went */
    struct buf root;            /* the document root that was judged last */
    bool exposed;               /* the store lies below it */
    struct counters *counters;  /* where it counts: its own, or those of core_count_in() */
    struct counters own;
};

/* Sockets that a session may have, those that have gone and are still owed something included, and
 * CONNECTs in one POST. A client connects once to each namespace that it uses. */
#define SOCKETS_MOST 100

/* One request on its way through. */
struct call {
    struct core *c;
    struct host *h;
    const struct request *rq;
    int64_t now;
    bool cross_origin;          /* from another site that is allowed: tell the browser so */
    uint64_t t;                 /* hash_of(); 0: none, too long to remember, or always the same */
    bool own_t;                 /* the t is this request's and no other's, as far as one can see */
    bool clock_t;               /* the t is the client's clock: the next request may have it, too */
    uint64_t after;             /* the t of the POST before this one; 0: not said */
    bool wait;                  /* a POST that is the session's poll as well */
    bool watched;               /* should its connection end, the web server will say so */
    bool shim;
    /* it was postponed, at this place of those that are; so far it was done: */
    bool resumed;
    size_t place;
    struct progress done;
};

/* How much has been done: rows written, and what else is counted as such, since the start. */
int64_t core_worked(const struct core *c);

/* ---- answer.c */

#define CORE_UNAVAILABLE "Service unavailable: the store cannot be written; nothing was stored"

/* The request's answer: an Engine.IO payload; or `ok`; or an error with its code and sentence. */
void core_answer_payload(struct call *call, struct span payload);
void core_answer_ok(struct call *call);
void core_answer_plain(struct call *call, int status, const char *type, struct span body);

void core_answer_error(struct call *call, int status, enum eio_error code, const char *message);

/* That nothing is served, for the reason CODE: see core/refusal.h. */
void core_answer_refusal(struct call *call, enum log_code code);

/* A browser asks whether it may. */
void core_answer_preflight(struct call *call);

/* Answer one that was taken out of the host's care that nothing more comes of it. */
void core_answer_unavailable(struct core *c, struct host *h, struct conn conn);

/* Answer all polls held here for SESSION, whose page is of ORIGIN if of another site's, with
 * PAYLOAD. */
void core_answer_held(struct core *c, int64_t session, const char *origin, struct span payload);

/* Begin the answer to all polls held here for SESSION: see rules/presence.h. */
void core_begin_held(struct core *c, const struct session *session);

/* SESSION's poll on the descriptor FD is held no more, and answered nothing. False: there is
 * none. */
bool core_drop_held(struct core *c, int64_t session, int fd);

/* Hold the call's connection as a poll of SESSION: here alone; or another process holds it as
 * well, and is told when it was answered. */
enum held_where { HELD_HERE, HELD_TWICE };
void core_hold(struct call *call, const struct session *session, enum held_where where);

/* Hold a request that is no session's until DUE_MS, under ID, which no session has: then it is
 * answered `6`. False: it was answered at once, for lack of memory. */
bool core_hold_blindly(struct call *call, int64_t id, int64_t due_ms);

/* When the poll of SESSION is to be answered at the latest. */
int64_t core_hold_until(const struct core *c, const struct session *session);

/* Whom a line about the call is about: a socket of SESSION, or the client's address if such are
 * kept. Lent until the next call. */
const char *core_who(const struct call *call, const struct session *session);

/* All answers of the turn leave. Or none does, in a turn that fails: its requests are told so, and
 * the polls that it would have answered are held on. */
void core_send_answers(struct core *c, struct host *h);
void core_take_back(struct core *c, struct host *h);

/* ---- postpone.c */

/* Whom the limits of ADDRESS are for. */
void core_visitor(struct span address, char out[ADDRESS_MAX]);

/* Who is charged for the call, of SESSION or NULL; has it used more than its share; it has used so
 * many microseconds. */
struct worker core_worker(const struct call *call, const struct session *session);
bool core_is_heavy(const struct core *c, const struct worker *w, int64_t now);
void core_charge(struct core *c, const struct worker *w, int64_t now, int64_t used_us);

/* Leave the rest of what the call asks, DONE being done, to a later turn; or refuse it. Has
 * SESSION a request that waits so? */
void core_postpone(struct call *call, const struct session *session, const struct progress *done);
bool core_has_postponed(const struct core *c, int64_t session);

/* Take out the one that is next, and say where it stood; or the one at PLACE. There is one. */
struct postponed core_next_postponed(struct core *c, int64_t now, size_t *place);
struct postponed core_take_postponed(struct core *c, size_t place);

/* ---- poll.c: a poll came; a held poll may have something to hear */
void core_poll(struct call *call, struct session *session);
void core_fill(struct core *c, struct session *session, int64_t now);

/* ---- post.c: a POST came */
void core_post(struct call *call, struct session *session);

/* ---- figures.c: is the call for the page of figures? Then it was answered. May RQ's client see
 * what is for those whom ALLOW names, as metrics_allow does? */
bool core_stats(struct call *call);
bool core_request_allowed(const char *allow, const struct request *rq);

/* ---- examine.c: is the call one of those that look after the server? Then it was answered. And
 * one that was held for that has gone. */
bool core_doctor(struct call *call);
bool core_doctor_gone(struct core *c, int64_t id);

/* ---- slots.c: is a poll to be answered early at NOW? When to look again: INT64_MAX for never.
 * And a request has come: the process counts; and if a poll waits here, they do not take a process
 * each. */
void core_slots(struct core *c, int64_t now);
int64_t core_slots_ms(const struct core *c);
void core_slots_taken(struct core *c);

/* SESSION's poll is held from now on. */
void core_slots_begin(struct core *c, const struct session *session);

/* ---- exposed.c: may the call not be served, since everybody could read the store? */
bool core_is_exposed(struct call *call);

/* ---- door.c: a request goes on that was postponed at PLACE, DONE so far */
void core_take_again(struct core *c, struct host *h, const struct request *rq, int64_t now,
                     const struct progress *done, size_t place);

#endif
