/* core.h - from requests to answers: one function for each step of the turn (see run/loop.c).
 *
 * Owns the turn's answers, which are made while the turn runs and leave only after its commit.
 * Knows HTTP, Engine.IO and Socket.IO; the rules of the application are signaling's, what lasts is
 * the store's.
 */
#ifndef POLLUX_CORE_CORE_H
#define POLLUX_CORE_CORE_H

#include "host/host.h"
#include "base/settings.h"
#include "base/stats.h"
#include "store/store.h"

struct core;

/* STORE and SET are borrowed until core_free(). NULL without memory. */
struct core *core_new(struct store *store, const struct settings *set);
void core_free(struct core *c);

/* Count in COUNTERS (borrowed until core_free()) from now on; before, it counts for itself. */
void core_count_in(struct core *c, struct counters *counters);

/* Where it counts, for what the loop knows. */
struct counters *core_counters(struct core *c);

/* A poll that waits takes a process of its own, of which there are few: see slots.c. How many there
 * are can be counted, since they stay (mod_fcgid), or it cannot (CGI). */
enum scarce { SCARCE_NOT, SCARCE_COUNTED, SCARCE_UNCOUNTED };
void core_scarce(struct core *c, enum scarce scarce);

/* When to run a turn at the latest. */
int64_t core_deadline(const struct core *c);

/* Handle one request: what it says is stored, its answer made, or, of a poll with nothing to
 * hear, held in HOST's care. */
void core_take(struct core *c, struct host *h, const struct request *rq, int64_t now);

/* Go on with requests that were postponed, since they are much work or their clients have asked for
 * much: a slice of it. Returns how many it came to. */
size_t core_resume(struct core *c, struct host *h, int64_t now);

/* Has the turn enough to do, so that further requests are left to the next? */
bool core_busy(struct core *c);

/* SESSION's poll on the descriptor FD has lost its connection: that poll, and no other. */
void core_gone(struct core *c, int64_t session, int fd, int64_t now);

/* As store_watch(). */
int core_watch(struct core *c);

/* Other processes may have stored something: wake the sessions concerned. */
void core_news(struct core *c);

/* Whatever is due: heartbeats, sessions and windows that are over, roll calls. BEHIND: requests
 * may be waiting unread, so no client is judged by what did not come. */
void core_time(struct core *c, int64_t now, bool behind);

/* Answer the held polls that have something to hear. */
void core_wake(struct core *c, int64_t now);

/* Make the turn last. -1: nothing of it does; then core_fail_turn(). */
int core_commit(struct core *c);

/* The turn's requests are answered 503, the polls it would have answered are held on. */
void core_fail_turn(struct core *c, struct host *h);

/* Send the turn's answers. */
void core_send(struct core *c, struct host *h);

/* Remove a little of what is too old to be kept, now and then. */
void core_tidy(struct core *c, int64_t now);

/* This process is about to end: held polls are answered, be it with a noop, and none is held from
 * now on. */
void core_leave(struct core *c, int64_t now);

/* Answer all that is postponed with 503, outside of a turn or in one that fails. */
void core_give_up(struct core *c, struct host *h);

#endif
