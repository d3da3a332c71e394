/* seats.c - who gets a seat, who keeps it and who has lost it: joining, roll calls, being
 * away, leaving for lack of any sign, coming back. What speaks for somebody's presence and against it
 * is presence.h's.
 */
#include "rules/parts.h"

#include "rules/presence.h"

/* how long a session that is over is remembered, should the poll that was told so come again */
#define CLOSING_MS 30000
#define ROLL_CALL_STEP_MS 25            /* how often an open roll call is looked at */
#define ROLL_CALLS_MOST 100             /* in one turn */
#define ASKING_MOST 20                  /* of one channel; further ones are told `full` */
/* when nothing is known to be due: another process may have died */
#define SWEEP_MS 1000

/* ---- joining */

static void create_channel(struct signaling *g, const struct socket *k, struct span name)
{
    struct member to = say_recipient(g, k);
    struct members one = say_only(&to);
    int64_t channel = store_channel_open(g->store, span_of(k->nsp), name, g->now);

    store_join(g->store, channel, k->id, "creator", g->now);
    say_channel(g, "created", name, k->public, &one, 0);
}

/* K joins CHANNEL, whose present members are in g->seats and have room for it. */
static void join_channel(struct signaling *g, const struct socket *k, int64_t channel,
                         struct span name)
{
    struct member to = say_recipient(g, k);
    struct members one = say_only(&to);

    say_channel(g, "remotePeerJoining", name, NULL, &g->seats, 0);
    say_channel(g, "join", name, NULL, &g->seats, 0);
    store_join(g->store, channel, k->id, "joiner", g->now);

    buf_clear(&g->body);
    buf_addf(&g->body, "S --> broadcast(): client %s joined channel %.*s", k->public, (int)name.len,
             name.p);
    if (!buf_ok(&g->body))
        store_no_memory(g->store);
    struct buf text = g->body;
    buf_init(&g->body);
    say_begin(g, "broadcast: joined");
    say_string(g, buf_span(&text));
    say_end(g, "broadcast: joined", name, &g->seats, 0);
    buf_release(&text);

    say_channel(g, "joined", name, k->public, &one, 0);
    store_members(g->store, channel, &g->seats);
    say_channel(g, "ready", name, NULL, &g->seats, 0);
}

/* ---- seats */

/* SOCKET, which is away, leaves CHANNEL; the others are told. It goes back when it is recovered. */
static void leave_away(struct signaling *g, int64_t channel, struct span name, int64_t socket,
                       const char *public)
{
    store_former_add(g->store, socket, name);
    store_part(g->store, channel, socket);
    store_members(g->store, channel, &g->members);
    say_channel(g, "leave", name, public, &g->members, 0);
}

/* M, which is not there any more, loses its seat in CHANNEL to a newcomer. */
static void give_up_seat(struct signaling *g, int64_t channel, struct span name, struct member m)
{
    struct session *session = m.session != 0 ? store_session_by_id(g->store, m.session) : NULL;

    if (session != NULL) {
        signaling_lost(g, session);
        signaling_close(g, session);
    }
    leave_away(g, channel, name, m.socket, m.public);
}

/* How a newcomer found the members of a full channel. */
struct roll {
    int64_t begun_ms, until_ms;         /* it asks since then, and is told by then */
    const struct member *gone;          /* among g->seats, for the longest time; NULL: nobody */
    bool unsure;                        /* of somebody else it may yet prove so */
};

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

/* Look at g->seats. */
static void call_members(struct signaling *g, struct roll *roll)
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

/* Let K in if CHANNEL has a seat, or one whose member is gone. False: it is full, and ROLL says
 * whether for sure. */
static bool seat(struct signaling *g, const struct socket *k, int64_t channel, struct span name,
                 struct roll *roll)
{
    store_members(g->store, channel, &g->seats);
    if (g->seats.count >= (size_t)g->set->capacity) {
        call_members(g, roll);
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

int64_t signaling_vacant(struct signaling *g, int64_t channel)
{
    struct roll roll = { .begun_ms = g->now, .until_ms = g->now, .gone = NULL };

    store_members(g->store, channel, &g->seats);
    if (g->seats.count >= (size_t)g->set->capacity)
        call_members(g, &roll);
    return roll.gone != NULL ? roll.gone->socket : 0;
}

static void tell_full(struct signaling *g, const struct socket *k, struct span channel)
{
    struct member to = say_recipient(g, k);
    struct members one = say_only(&to);

    say_channel(g, "full", channel, NULL, &one, 0);
}

/* CHANNEL's members (in g->seats) may not all be there: K waits to be told. Where a poll is held
 * whose end the web server may not tell, a probe makes it look. */
static void roll_call(struct signaling *g, const struct socket *k, struct span channel)
{
    if (store_is_asking(g->store, channel, k->id))
        return;
    store_ask(g->store, channel, k->id, g->now + g->set->roll_call_ms);
    g->due_ms = g->now + ROLL_CALL_STEP_MS;
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

/* A roll call is looked at again and again, so there are not very many of a channel, or of K's. */
static bool may_wait(struct signaling *g, const struct socket *k, struct span channel)
{
    size_t here, own;

    store_count_asking(g->store, channel, k->id, &here, &own);
    return here < ASKING_MOST && own < (size_t)g->set->max_channels_per_socket;
}

/* K takes a seat in CHANNEL (0: there is none of that name), or hears that it is full, or will be
 * told which of the two. */
void signaling_take_seat(struct signaling *g, const struct socket *k, int64_t channel,
                         struct span name)
{
    struct roll roll = { .begun_ms = g->now, .until_ms = g->now + g->set->roll_call_ms };

    if (channel == 0)
        create_channel(g, k, name);
    else if (!seat(g, k, channel, name, &roll)) {
        g->work += g->seats.count;      /* each was looked at */
        if (roll.unsure && may_wait(g, k, name))
            roll_call(g, k, name);
        else
            tell_full(g, k, name);
    }
}

void signaling_back(struct signaling *g, const struct socket *socket)
{
    struct socket k = *socket;          /* a copy: the session's may move */
    char text[CHANNEL_MAX + 1];

    while (store_former_take(g->store, k.id, text, sizeof text)) {
        struct span name = span_of(text);
        signaling_take_seat(g, &k, store_channel(g->store, span_of(k.nsp), name), name);
    }
}

/* ---- being lost */

void signaling_lost(struct signaling *g, struct session *session)
{
    int64_t since_ms = session->ended_ms != 0 ? session->ended_ms : g->now;

    while (session->socket_count != 0 && !store_failed(g->store)) {
        /* each of these takes it out of the list */
        const struct socket *k = &session->sockets[0];
        if (k->gone_ms != 0)
            store_socket_gone(g->store, k->id, false, g->now);
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

/* ---- time */

/* Look at one roll call. True: it is over. */
static bool call_roll(struct signaling *g, const struct asking *a)
{
    struct roll roll = { .begun_ms = a->due_ms - g->set->roll_call_ms, .until_ms = a->due_ms };
    struct span name = span_of(a->channel);
    struct socket k;

    if (!store_socket_by_id(g->store, a->socket, &k) || k.gone_ms != 0) {
        store_ask_end(g->store, a->id);
        return true;
    }
    int64_t channel = store_channel(g->store, span_of(k.nsp), name);
    if (channel == 0)
        create_channel(g, &k, name);
    else if (!seat(g, &k, channel, name, &roll)) {
        if (roll.unsure)
            return false;
        tell_full(g, &k, name);
    }
    store_ask_end(g->store, a->id);
    return true;
}

/* Look at the roll calls, or at the next of them where there are very many. Returns when to look
 * again. */
static int64_t call_rolls(struct signaling *g)
{
    struct asking a = { .id = g->asked };
    bool open = g->asked != 0;

    g->asked = 0;
    for (int count = 0; store_asked(g->store, a.id, &a) && !store_failed(g->store); count++) {
        if (count == ROLL_CALLS_MOST) {
            g->asked = a.id - 1;
            return g->now;
        }
        open = !call_roll(g, &a) || open;
    }
    return g->now + (open ? ROLL_CALL_STEP_MS : SWEEP_MS);
}

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
    return g->now + SWEEP_MS;
}

/* K, which is away, leaves all its channels. */
static void leave_all_away(struct signaling *g, const struct socket *k)
{
    struct channel channel;
    int64_t after = 0;

    while (store_channel_of(g->store, k->id, &after, &channel))
        leave_away(g, channel.id, span_of(channel.name), k->id, k->public);
}

/* Sockets that have been away for some time leave their channels. Returns when to look again. */
static int64_t end_absences(struct signaling *g)
{
    int64_t begun = store_written(g->store), next_ms = INT64_MAX;
    struct socket k;

    while (!store_failed(g->store) && store_socket_leaving(g->store, g->now, &k, &next_ms)) {
        if (store_written(g->store) - begun > SIGNALING_SLICE)
            return g->now;
        leave_all_away(g, &k);
        store_socket_left(g->store, k.id);
    }
    return next_ms < g->now + SWEEP_MS ? next_ms : g->now + SWEEP_MS;
}

void signaling_time(struct signaling *g)
{
    int64_t absences_ms = end_absences(g), windows_ms = end_windows(g), rolls_ms = call_rolls(g);

    g->due_ms = windows_ms < rolls_ms ? windows_ms : rolls_ms;
    if (absences_ms < g->due_ms)
        g->due_ms = absences_ms;
}
