/* seats.c - who gets a seat in a channel, and who has lost it to a newcomer: by the signs that
 * there are now. Waiting for more of them is rollcall.c's.
 */
#include "rules/occasions.h"
#include "rules/parts.h"

/* ---- joining */

static void create_channel(struct signaling *g, const struct socket *k, struct span name)
{
    int64_t channel = store_channel_open(g->store, span_of(k->nsp), name, g->now);

    store_join(g->store, channel, k->id, "creator", g->now);
    occasion_say(g, OCCASION_CREATED, &(struct concerned){ .channel = name, .one = k });
}

/* K joins CHANNEL, whose present members are in g->seats and have room for it. */
static void join_channel(struct signaling *g, const struct socket *k, int64_t channel,
                         struct span name)
{
    struct concerned who = { .channel = name, .one = k, .members = &g->seats };

    occasion_say(g, OCCASION_JOINING, &who);
    store_join(g->store, channel, k->id, "joiner", g->now);
    store_members(g->store, channel, &g->seats);
    occasion_say(g, OCCASION_JOINED, &who);
}

/* ---- who is there */

static struct signs signs_of(struct signaling *g, const struct member *m)
{
    const struct session *session =
        m->session != 0 ? store_session_by_id(g->store, m->session) : NULL;

    if (session == NULL)
        return (struct signs){ .ended_ms = m->away_ms != 0 ? m->away_ms : 1 };
    enum hold hold = store_hold(g->store, session);
    return (struct signs){ .ended_ms = session->ended_ms,
                           .polled_ms = session->polled_ms,
                           .watched = (hold == HOLD_HERE || hold == HOLD_ELSEWHERE)
                                      && session->watched };
}

/* Look at g->seats, and say in ROLL what was found. */
static void look(struct signaling *g, struct roll *roll)
{
    int64_t longest_ms = INT64_MAX;

    roll->gone = NULL;
    roll->unsure = false;
    for (size_t i = 0; i < g->seats.count; i++) {
        struct signs signs = signs_of(g, &g->seats.list[i]);
        enum presence presence = presence_of(&signs, g->now, roll->begun_ms, roll->until_ms,
                                             g->set->roll_call_ms);
        if (presence == PRESENCE_GONE && signs.ended_ms < longest_ms) {
            longest_ms = signs.ended_ms;
            roll->gone = &g->seats.list[i];
        }
        roll->unsure = roll->unsure || presence == PRESENCE_UNSURE;
    }
}

/* ---- seats */

/* M, which is not there any more, loses its seat in CHANNEL to a newcomer. */
static void give_up_seat(struct signaling *g, int64_t channel, struct span name, struct member m)
{
    struct session *session = m.session != 0 ? store_session_by_id(g->store, m.session) : NULL;

    if (session != NULL) {
        signaling_lost(g, session);
        signaling_close(g, session);
    }
    struct socket k = { .id = m.socket };
    memcpy(k.public, m.public, sizeof k.public);
    absence_leave(g, channel, name, &k);
}

bool seats_take(struct signaling *g, const struct socket *k, int64_t channel, struct span name,
                struct roll *roll)
{
    if (channel == 0) {
        create_channel(g, k, name);
        return true;
    }
    store_members(g->store, channel, &g->seats);
    if (g->seats.count >= (size_t)g->set->capacity) {
        look(g, roll);
        if (roll->gone == NULL)
            return false;
        give_up_seat(g, channel, name, *roll->gone);
        /* that was its only member */
        if (store_channel(g->store, span_of(k->nsp), name) == 0) {
            create_channel(g, k, name);
            return true;
        }
        store_members(g->store, channel, &g->seats);
    }
    join_channel(g, k, channel, name);
    return true;
}

int64_t seats_vacant(struct signaling *g, int64_t channel)
{
    struct roll roll = { .begun_ms = g->now, .until_ms = g->now, .gone = NULL };

    store_members(g->store, channel, &g->seats);
    if (g->seats.count >= (size_t)g->set->capacity)
        look(g, &roll);
    return roll.gone != NULL ? roll.gone->socket : 0;
}

void seats_tell_full(struct signaling *g, const struct socket *k, struct span channel)
{
    occasion_say(g, OCCASION_FULL, &(struct concerned){ .channel = channel, .one = k });
}
