/* turn.c - the steps of the turn besides its requests: what waits goes on, what is due is looked
 * at, polls are answered, all is committed and sent. */
#include "core/turn.h"

#include <stdlib.h>

#include "base/log.h"

#define SWEEP_MS 1000                   /* sessions opened by other processes may be due */
#define TURN_WORK 400                   /* of a turn: time to answer what it took */
#define SLICE_WORK 100                  /* of one POST in a turn: see postpone.c */
#define RETURN_MS 10000                 /* longer than clients pause before they ask again */
#define SWEEP_MOST 100                  /* sessions ended in one turn */
#define DUE_MOST 200                    /* held polls looked at in one turn */
#define SWEEP_LEAST_MS 20
/* Held polls fall due together: what is said to many at a time comes back at a time, many
 * heartbeats share a transaction, and no message waits for one. No client minds a heartbeat that is
 * so much late. */
#define DUE_STEP_MS 50
#define TIDY_MS 1000
#define TIDY_STEP_MS 50                 /* while there is more to remove */
/* after a turn that failed: what is due waits, requests are tried */
#define RETRY_MS 250

struct core *core_new(struct store *store, const struct settings *set)
{
    struct core *c = calloc(1, sizeof *c);

    if (c == NULL || (c->park = park_new()) == NULL) {
        free(c);
        return NULL;
    }
    c->store = store;
    c->set = set;
    c->slice = SLICE_WORK;
    c->counters = &c->own;
    signaling_init(&c->signaling, store, set);
    return c;
}

void core_free(struct core *c)
{
    if (c == NULL)
        return;
    signaling_release(&c->signaling);
    park_free(c->park);
    buf_release(&c->out);
    buf_release(&c->payload);
    buf_release(&c->root);
    free(c->answers);
    free(c->fresh);
    free(c);
}

void core_count_in(struct core *c, struct counters *counters)
{
    c->counters = counters;
}

struct counters *core_counters(struct core *c)
{
    return c->counters;
}

int64_t core_worked(const struct core *c)
{
    return store_written(c->store) + (int64_t)c->signaling.work;
}

bool core_busy(struct core *c)
{
    return core_worked(c) - c->worked >= TURN_WORK;
}

/* When held polls are to be looked at. */
static int64_t due_ms(const struct core *c)
{
    int64_t deadline = park_deadline(c->park);

    if (deadline < INT64_MAX - DUE_STEP_MS)
        deadline += DUE_STEP_MS - 1 - (deadline + DUE_STEP_MS - 1) % DUE_STEP_MS;
    return deadline;
}

int64_t core_deadline(const struct core *c)
{
    int64_t deadline = due_ms(c);

    if (core_slots_ms(c) < deadline)
        deadline = core_slots_ms(c);
    if (c->signaling.due_ms < deadline)
        deadline = c->signaling.due_ms;
    if (c->sweep_ms < deadline)
        deadline = c->sweep_ms;
    if (c->tidying && c->tidy_ms < deadline)
        deadline = c->tidy_ms;
    if (c->postponed_count != 0 && c->resume_ms < deadline)
        deadline = c->resume_ms;
    return deadline < c->retry_ms ? c->retry_ms : deadline;
}

size_t core_resume(struct core *c, struct host *h, int64_t now)
{
    int64_t until = core_worked(c) + c->slice;
    uint64_t from = c->postponed_count != 0 ? stats_clock() : 0;
    bool heavy = false;
    size_t count = 0;

    if (now < c->resume_ms || now < c->retry_ms)
        return 0;
    while (c->postponed_count != 0 && core_worked(c) + (int64_t)count < until) {
        size_t place;
        struct request rq;
        struct postponed p = core_next_postponed(c, now, &place);
        heavy = heavy || core_is_heavy(c, &p.worker, now);
        host_resume(h, p.ticket, &rq);
        core_take_again(c, h, &rq, now, &p.done, place);
        count++;
    }
    /* half of the time is for others, and for other processes */
    if (heavy && !c->leaving)
        c->resume_ms = now + 2 * (int64_t)((stats_clock() - from) / 1000000);
    return count;
}

/* SESSION is to be looked at no later than DUE_MS. */
static void be_due(struct core *c, struct session *session, int64_t due_ms)
{
    if (due_ms < session->due_ms)
        session->due_ms = due_ms;
    if (due_ms < c->sweep_ms)
        c->sweep_ms = due_ms;
}

void core_gone(struct core *c, int64_t id, int fd, int64_t now)
{
    if (!core_drop_held(c, id, fd) || core_doctor_gone(c, id))
        return;
    struct session *session = store_session_by_id(c->store, id);
    if (session == NULL || store_hold(c->store, session) != HOLD_HERE || park_has(c->park, id))
        return;
    store_hold_over(session);
    session->answer = ANSWER_NOOP;      /* should that poll come again */
    session->ended_ms = now;
    session->changed = true;
    be_due(c, session, now + c->set->leave_after_ms);
    if (now + c->set->roll_call_ms < c->signaling.due_ms)
        c->signaling.due_ms = now + c->set->roll_call_ms;
}

int core_watch(struct core *c)
{
    return store_watch(c->store);
}

void core_news(struct core *c)
{
    if (store_news(c->store) == -1)
        log_often(P302, NULL, "%s; it will be tried again", store_why(c->store));
}

/* When SESSION, whose poll's connection has ended, has left for the others. If that was before this
 * process began, there may have been nobody to poll: clients ask again after up to five seconds. */
static int64_t leave_ms(const struct core *c, const struct session *session)
{
    int64_t left_ms = session->ended_ms + c->set->leave_after_ms;

    if (session->ended_ms == 0)
        return INT64_MAX;
    return session->ended_ms < c->began_ms && left_ms < c->began_ms + RETURN_MS
               ? c->began_ms + RETURN_MS
               : left_ms;
}

/* A session whose time has come: over, never joined, or lost. Or it is alive, and looked at
 * later. */
static void end_if_over(struct core *c, struct session *session, int64_t now)
{
    int64_t lost_ms = session->ping_ms + c->set->ping_timeout_ms, left_ms = leave_ms(c, session);
    int64_t join_ms =
        session->socket_count == 0 ? session->opened_ms + c->set->connect_timeout_ms : INT64_MAX;

    if (join_ms < lost_ms)
        lost_ms = join_ms;
    if (left_ms < lost_ms)
        lost_ms = left_ms;
    if (session->closing) {
        store_session_end(c->store, session);
    } else if (now >= lost_ms && core_has_postponed(c, session->id)) {
        session->due_ms = now + SWEEP_MS;       /* its pong may be in what waits */
    } else if (now >= lost_ms) {
        signaling_lost(&c->signaling, session);
        signaling_close(&c->signaling, session);
    } else {
        session->due_ms = lost_ms;
    }
}

static void sweep_sessions(struct core *c, int64_t now)
{
    struct session *session;
    int64_t next_ms = INT64_MAX, begun = store_written(c->store);
    int count = 0;

    while (count++ < SWEEP_MOST && store_written(c->store) - begun <= SIGNALING_SLICE
           && (session = store_session_due(c->store, now, &next_ms)) != NULL) {
        end_if_over(c, session, now);
        store_session_due_done(c->store, session);
    }
    c->sweep_ms = next_ms < now + SWEEP_MS ? next_ms : now + SWEEP_MS;
    if (c->sweep_ms < now + SWEEP_LEAST_MS)
        c->sweep_ms = now + SWEEP_LEAST_MS;
}

/* Held polls that are due are looked at: most get a ping. What has nothing to hear yet is held
 * on. Where very many are due at a time, the others are so in the next turn. */
static void touch_due(struct core *c, int64_t now)
{
    int64_t id;

    for (int count = 0; count < DUE_MOST && park_due(c->park, now, &id); count++) {
        struct session *session = store_session_by_id(c->store, id);
        if (session != NULL)
            core_fill(c, session, now);
        if (store_failed(c->store) || c->no_memory)
            return;
        if (session == NULL) {
            core_answer_held(c, id, "", eio_noop());
        } else if (park_has(c->park, id)) {
            int64_t until = core_hold_until(c, session);
            park_put_off(c->park, id, until > now ? until : now + SWEEP_MS);
        }
    }
}

void core_time(struct core *c, int64_t now, bool behind)
{
    c->signaling.now = now;
    if (c->began_ms == 0)
        c->began_ms = now;
    if (now >= c->sweep_ms && !behind) {
        sweep_sessions(c, now);
        log_catch_up();
    }
    if (now >= c->signaling.due_ms && !behind)
        signaling_time(&c->signaling);
    if (now >= due_ms(c))
        touch_due(c, now);
    if (now >= core_slots_ms(c))
        core_slots(c, now);
}

void core_wake(struct core *c, int64_t now)
{
    int64_t id;

    while (store_woken(c->store, &id)) {
        if (!park_has(c->park, id))
            continue;
        struct session *session = store_session_by_id(c->store, id);
        if (session != NULL)
            core_fill(c, session, now);
        else if (!store_failed(c->store))
            core_answer_held(c, id, "", eio_noop());
    }
}

static void forget_turn(struct core *c)
{
    buf_clear(&c->out);
    buf_clear(&c->payload);
    c->answer_count = c->fresh_count = 0;
    c->worked = core_worked(c);
    c->signaling.relayed = 0;
    c->no_memory = false;
}

/* Commit; what it took and what it relayed counts if there was anything. */
static int commit(struct core *c)
{
    bool begun = store_begun(c->store);
    uint64_t from = begun ? stats_clock() : 0;

    if (store_commit(c->store) == -1)
        return -1;
    if (begun)
        stats_time(&c->counters->commit, stats_clock() - from);
    c->counters->hops += c->signaling.relayed;
    return 0;
}

int core_commit(struct core *c)
{
    /* that something else was stored since shows that the store works, and nothing less does */
    bool shown = !c->store_failing || store_begun(c->store);

    if (c->no_memory || !buf_ok(&c->out) || commit(c) == -1)
        return -1;
    if (c->failing && shown)
        log_often(P304, NULL, "it works again");
    c->failing = c->failing && !shown;
    c->retry_ms = 0;
    return 0;
}

void core_fail_turn(struct core *c, struct host *h)
{
    if (!c->failing && store_failed(c->store))
        log_often(P303, NULL, "%s", store_why(c->store));
    else if (!c->failing)
        log_often(P305, NULL, "cannot make an answer: out of memory; give the machine more");
    c->failing = true;
    c->store_failing = store_failed(c->store);
    c->retry_ms = c->signaling.now + RETRY_MS;
    store_rollback(c->store);
    core_take_back(c, h);
    core_give_up(c, h);                 /* how far they had come may be undone */
    forget_turn(c);
}

void core_send(struct core *c, struct host *h)
{
    core_send_answers(c, h);
    c->counters->held = park_count(c->park);
    forget_turn(c);
}

void core_tidy(struct core *c, int64_t now)
{
    if (now < c->tidy_ms)
        return;
    enum tidy done = store_tidy(c->store, now);
    if (done == TIDY_FAILED)
        log_often(P120, NULL, "%s", store_why(c->store));
    c->tidying = done == TIDY_MORE;
    c->tidy_ms = now + (c->tidying ? TIDY_STEP_MS : TIDY_MS);
    c->worked = core_worked(c);
}

void core_leave(struct core *c, int64_t now)
{
    int64_t id;

    c->leaving = true;
    c->resume_ms = 0;
    while (park_any(c->park, &id) && !store_failed(c->store) && !c->no_memory) {
        struct session *session = store_session_by_id(c->store, id);
        if (session != NULL)
            core_fill(c, session, now);
        else if (!store_failed(c->store))
            core_answer_held(c, id, "", eio_noop());
    }
}

void core_give_up(struct core *c, struct host *h)
{
    struct request rq;

    while (c->postponed_count != 0) {
        struct postponed p = core_take_postponed(c, 0);
        host_resume(h, p.ticket, &rq);
        core_answer_unavailable(c, h, rq.conn);
    }
}
