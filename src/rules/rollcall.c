/* rollcall.c - newcomers at a full channel, until it is known whether all of its members are there.
 *
 *     a newcomer asks
 *       │
 *       ├ somebody is gone for sure ───────────▶ it takes the seat
 *       ├ all are there for sure ──────────────▶ full
 *       └ somebody may be gone: it waits, and the members are called, by a probe where that helps
 *            │
 *            ├ somebody proves to be gone ─────▶ it takes the seat
 *            ├ all have answered ──────────────▶ full
 *            └ its time is over, roll_call_ms ─▶ full: who could not be judged stays
 *
 * Each newcomer has a time of its own: several at a time shorten nobody's. Those that wait are
 * rows, so any process may tell them. What counts as an answer stands in presence.h.
 */
#include "rules/parts.h"

#define ROLL_CALL_STEP_MS 25            /* how often an open roll call is looked at */
#define ROLL_CALLS_MOST 100             /* in one turn */
#define ASKING_MOST 20                  /* of one channel; further ones are told `full` */

/* ---- waiting */

/* A roll call is looked at again and again, so there are not very many of a channel, or of K's. */
static bool may_wait(struct signaling *g, const struct socket *k, struct span channel)
{
    size_t here, own;

    store_count_asking(g->store, channel, k->id, &here, &own);
    return here < ASKING_MOST && own < (size_t)g->set->max_channels_per_socket;
}

/* Where a poll is held whose end the web server may not tell, a probe makes it look. */
static void call_members(struct signaling *g)
{
    for (size_t i = 0; i < g->seats.count; i++) {
        struct session *session = store_session_by_id(g->store, g->seats.list[i].session);
        if (session == NULL || session->watched
            || store_hold(g->store, session) == HOLD_NOBODY)
            continue;
        session->probe = true;
        session->changed = true;
        store_wake(g->store, session->id);
    }
}

/* K waits to be told whether CHANNEL, whose members are in g->seats, has a seat. False: too many
 * wait already. */
static bool begin(struct signaling *g, const struct socket *k, struct span channel)
{
    if (!may_wait(g, k, channel))
        return false;
    if (store_is_asking(g->store, channel, k->id))
        return true;
    store_ask(g->store, channel, k->id, g->now + g->set->roll_call_ms);
    g->due_ms = g->now + ROLL_CALL_STEP_MS;
    call_members(g);
    return true;
}

void rollcall_seat(struct signaling *g, const struct socket *k, int64_t channel, struct span name)
{
    struct roll roll = { .begun_ms = g->now, .until_ms = g->now + g->set->roll_call_ms };

    if (seats_take(g, k, channel, name, &roll))
        return;
    g->work += g->seats.count;          /* each was looked at */
    if (!roll.unsure || !begin(g, k, name))
        seats_tell_full(g, k, name);
}

/* ---- time */

/* Look at one of them: is it over? */
static bool is_over(struct signaling *g, const struct asking *a)
{
    struct roll roll = { .begun_ms = a->due_ms - g->set->roll_call_ms, .until_ms = a->due_ms };
    struct span name = span_of(a->channel);
    struct socket k;

    if (!store_socket_by_id(g->store, a->socket, &k) || k.gone_ms != 0) {
        store_ask_end(g->store, a->id);
        return true;
    }
    int64_t channel = store_channel(g->store, span_of(k.nsp), name);
    if (!seats_take(g, &k, channel, name, &roll)) {
        if (roll.unsure)
            return false;
        seats_tell_full(g, &k, name);
    }
    store_ask_end(g->store, a->id);
    return true;
}

/* Where there are very many, at the next of them. */
int64_t rollcall_time(struct signaling *g)
{
    struct asking a = { .id = g->asked };
    bool open = g->asked != 0;

    g->asked = 0;
    for (int count = 0; store_asked(g->store, a.id, &a) && !store_failed(g->store); count++) {
        if (count == ROLL_CALLS_MOST) {
            g->asked = a.id - 1;
            return g->now;
        }
        open = !is_over(g, &a) || open;
    }
    return g->now + (open ? ROLL_CALL_STEP_MS : SIGNALING_SWEEP_MS);
}
