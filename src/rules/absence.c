/* absence.c - clients that are lost, have left, or are back.
 *
 *     HERE ─ left: 41, Bye, Ack, closed its session ─────────────────────────────▶ GONE
 *       │                                                                            ▲
 *       └ lost: no heartbeat, or its connection ended and no poll came since         │
 *           ▼                                                                        │
 *         AWAY ── leave_after_ms ──▶ AWAY, out of its channels ── recovery_window_ms ┘
 *           │                           │
 *           └─ back, by its pid ────────┴─▶ HERE: what it missed comes, and it goes back into the
 *                                           channels that it lost as a joiner does, if it can
 *
 * The others hear `leave` when it is out of their channel, whichever way. Where recovery is off,
 * whoever is lost has left.
 */
#include "rules/occasions.h"
#include "rules/parts.h"

/* how long a session that is over is remembered, should the poll that was told so come again */
#define CLOSING_MS 30000

/* ---- leaving channels */

static void tell_left(struct signaling *g, int64_t channel, struct span name,
                      const struct socket *k)
{
    store_members(g->store, channel, &g->members);
    occasion_say(g, OCCASION_LEFT,
                 &(struct concerned){ .channel = name, .one = k, .members = &g->members });
}

void absence_part(struct signaling *g, const struct socket *k, const struct channel *channel)
{
    store_part(g->store, channel->id, k->id);
    tell_left(g, channel->id, span_of(channel->name), k);
}

void absence_part_all(struct signaling *g, const struct socket *k, int64_t quiet)
{
    struct channel channel;
    int64_t after = 0;

    store_ask_end_socket(g->store, k->id);
    while (store_channel_of(g->store, k->id, &after, &channel))
        if (channel.id == quiet)
            store_part(g->store, channel.id, k->id);
        else
            absence_part(g, k, &channel);
}

void absence_leave(struct signaling *g, int64_t channel, struct span name, const struct socket *k)
{
    store_former_add(g->store, k->id, name);
    store_part(g->store, channel, k->id);
    tell_left(g, channel, name, k);
}

/* K, which is away, leaves all its channels. */
static void leave_all(struct signaling *g, const struct socket *k)
{
    struct channel channel;
    int64_t after = 0;

    while (store_channel_of(g->store, k->id, &after, &channel))
        absence_leave(g, channel.id, span_of(channel.name), k);
}

/* ---- leaving, being lost */

void signaling_left(struct signaling *g, const struct socket *socket)
{
    struct socket k = *socket;          /* a copy: its going moves the session's */

    absence_part_all(g, &k, 0);
    store_socket_gone(g->store, k.id, GONE_ALTOGETHER, g->now);
}

void signaling_lost(struct signaling *g, struct session *session)
{
    int64_t since_ms = session->ended_ms != 0 ? session->ended_ms : g->now;

    while (session->socket_count != 0 && !store_failed(g->store)) {
        /* each of these takes it out of the list */
        const struct socket *k = &session->sockets[0];
        if (k->gone_ms != 0)
            store_socket_gone(g->store, k->id, GONE_ALTOGETHER, g->now);
        else if (g->set->recovery_window_ms == 0)
            signaling_left(g, k);
        else
            store_socket_away(g->store, k->id, since_ms, since_ms + g->set->leave_after_ms);
    }
    if (since_ms + g->set->leave_after_ms < g->due_ms)
        g->due_ms = since_ms + g->set->leave_after_ms;
}

void signaling_close(struct signaling *g, struct session *session)
{
    buf_release(&session->partial);
    session->partial_over = true;
    if (store_hold(g->store, session) == HOLD_NOBODY) {
        store_session_end(g->store, session);
        return;
    }
    session->closing = true;
    session->due_ms = g->now + CLOSING_MS;
    session->changed = true;
    store_wake(g->store, session->id);
}

/* ---- being disconnected by the server */

void absence_disconnect(struct signaling *g, const struct session *session, const struct socket *k)
{
    struct member to = member_of(session, k);
    struct members one = say_only(&to);
    struct message m = { .type = SIO_DISCONNECT };

    say_message(g, &m, &one, 0);
    store_socket_gone(g->store, k->id, GONE_OWED, g->now);
}

/* M, a member of the channel QUIET, goes. True: it was there, and is told. */
static bool dismiss(struct signaling *g, const struct member *m, int64_t quiet)
{
    const struct session *session =
        m->session != 0 ? store_session_by_id(g->store, m->session) : NULL;
    struct socket k;

    if (!store_socket_by_id(g->store, m->socket, &k))
        return false;
    absence_part_all(g, &k, quiet);
    if (session == NULL)
        store_socket_gone(g->store, k.id, GONE_ALTOGETHER, g->now);
    else
        absence_disconnect(g, session, &k);
    return session != NULL;
}

struct closed signaling_close_channel(struct signaling *g, int64_t channel)
{
    struct closed closed = { 0, 0 };

    store_members(g->store, channel, &g->seats);
    for (size_t i = 0; i < g->seats.count; i++)
        if (dismiss(g, &g->seats.list[i], channel))
            closed.disconnected++;
        else
            closed.away++;
    return closed;
}

/* ---- time */

/* Sockets whose window is over have left. Returns when to look again. */
static int64_t end_windows(struct signaling *g)
{
    int64_t begun = store_written(g->store);
    struct socket k;

    while (!store_failed(g->store)
           && store_socket_expired(g->store, g->now - g->set->recovery_window_ms, &k)) {
        if (store_written(g->store) - begun > SIGNALING_SLICE)
            return g->now;
        signaling_left(g, &k);
    }
    return g->now + SIGNALING_SWEEP_MS;
}

/* Sockets that have been away for some time leave their channels. Returns when to look again. */
static int64_t end_membership(struct signaling *g)
{
    int64_t begun = store_written(g->store), next_ms = INT64_MAX;
    struct socket k;

    while (!store_failed(g->store) && store_socket_leaving(g->store, g->now, &k, &next_ms)) {
        if (store_written(g->store) - begun > SIGNALING_SLICE)
            return g->now;
        leave_all(g, &k);
        store_socket_left(g->store, k.id);
    }
    return next_ms < g->now + SIGNALING_SWEEP_MS ? next_ms : g->now + SIGNALING_SWEEP_MS;
}

int64_t absence_time(struct signaling *g)
{
    int64_t membership_ms = end_membership(g), windows_ms = end_windows(g);

    return membership_ms < windows_ms ? membership_ms : windows_ms;
}
