/* events.c - the application's own events, a rule each; the table at the end names them all.
 */
#include "rules/occasions.h"
#include "rules/parts.h"

#include "wire/json.h"

/* ---- messages and responses */

static void message(struct signaling *g, struct emitted *emit, const char *what)
{
    struct span argument, name, payload;
    struct channel channel;

    if (!emitted_first(emit, &argument) || json_type(argument) != JSON_OBJECT
        || !json_member(argument, "channel", &name)
        || !json_member(argument, "message", &payload)) {
        relay_event(g, emit, NAMES_PEERS);
        return;
    }
    if (relay_own_channel(g, emit, name, &channel) == 0) {
        reply_refuse(emit, "not_a_member", "only members can send to a channel; join it first");
        return;
    }
    reply_echo(g, emit, what, argument);
    buf_clear(&g->body);
    buf_add_char(&g->body, '[');
    buf_add_span(&g->body, emit->name);
    buf_add_char(&g->body, ',');
    buf_add_span(&g->body, payload);
    buf_add_char(&g->body, ']');
    relay_to_channel(g, emit, &channel, buf_span(&g->body));
}

static void message_event(struct signaling *g, struct emitted *emit)
{
    message(g, emit, "message");
}

static void response_event(struct signaling *g, struct emitted *emit)
{
    message(g, emit, "response");
}

/* ---- joining */

/* May a newcomer be announced to CHANNEL's members? Their queues have bounds, whoever keeps coming
 * and going. The member that would lose its seat to the newcomer has no say. */
static bool may_announce(struct signaling *g, struct emitted *emit, int64_t channel)
{
    int64_t vacant = seats_vacant(g, channel);

    return relay_has_room(g, emit, &g->seats, vacant, 0);
}

/* The channel's name that the event's first argument gives, decoded into OUT. False: refused. */
static bool channel_argument(struct signaling *g, struct emitted *emit, char *out, size_t cap)
{
    struct span name;

    if (emitted_first(emit, &name)) {
        long len = json_type(name) == JSON_STRING ? json_string_decode(name, out, cap) : -1;
        if (len >= 1 && len <= g->set->max_channel_name_bytes)
            return true;
    }
    reply_refuse(emit, "bad_channel",
                 "a channel's name is a string of 1 to max_channel_name_bytes bytes");
    return false;
}

static size_t channel_count(struct signaling *g, int64_t socket)
{
    struct channel channel;
    int64_t after = 0;
    size_t count = 0;

    while (store_channel_of(g->store, socket, &after, &channel))
        count++;
    return count;
}

static void create_or_join(struct signaling *g, struct emitted *emit)
{
    char text[CHANNEL_MAX + 1];
    const struct socket *k = &emit->sender;

    if (!channel_argument(g, emit, text, sizeof text))
        return;
    struct span name = span_of(text);
    int64_t channel = store_channel(g->store, span_of(k->nsp), name);
    bool in = channel != 0 && store_is_member(g->store, channel, k->id);
    if (!in && channel_count(g, k->id) >= (size_t)g->set->max_channels_per_socket) {
        reply_refuse(emit, "too_many_channels",
                     "this socket is in as many channels as it may be; leave one first");
        return;
    }
    if (!in && channel != 0 && !may_announce(g, emit, channel))
        return;
    relay_note(g, emit, name);
    if (in)
        occasion_say(g, OCCASION_THERE, &(struct concerned){ .channel = name, .one = k });
    else
        rollcall_seat(g, k, channel, name);
}

/* ---- leaving */

/* The server disconnects the sender. */
static void disconnect(struct signaling *g, struct emitted *emit)
{
    if (emit->packet->ack_id.len != 0)
        reply_acknowledge(g, emit);     /* here: what follows is the last that it hears */
    absence_disconnect(g, emit->session, &emit->sender);
    emit->sender.gone_ms = g->now;
}

static void leave_event(struct signaling *g, struct emitted *emit)
{
    struct channel channel;
    struct span name;

    if (!emitted_first(emit, &name) || relay_own_channel(g, emit, name, &channel) == 0) {
        reply_refuse(emit, "not_a_member", "only members can leave a channel");
        return;
    }
    relay_note(g, emit, span_of(channel.name));
    absence_part(g, &emit->sender, &channel);
}

/* Make what is said ON leaving in g->body, and g->members those in the channel named, or in all:
 * who is to hear it. */
static void make_farewell(struct signaling *g, struct emitted *emit, enum occasion on,
                          struct channel *channel)
{
    struct span argument;

    if (emitted_first(emit, &argument) && relay_own_channel(g, emit, argument, channel) != 0) {
        store_members(g->store, channel->id, &g->members);
    } else {
        relay_first_channel(g, emit, channel);
        store_peers(g->store, emit->sender.id, &g->members);
    }
    occasion_make(g, occasion_line(on, NULL), span_of(channel->name), emit->sender.public);
}

static void bye_for_good(struct signaling *g, struct emitted *emit)
{
    struct channel channel;

    make_farewell(g, emit, OCCASION_FAREWELL, &channel);
    /* whatever waits for them: it is short, and the last */
    relay_always(g, emit, span_of(channel.name), buf_span(&g->body));
    absence_part_all(g, &emit->sender, channel.id);
    disconnect(g, emit);
}

static void bye(struct signaling *g, struct emitted *emit)
{
    struct channel channel;

    make_farewell(g, emit, OCCASION_WORD, &channel);
    relay_bounded(g, emit, span_of(channel.name), buf_span(&g->body));
}

static void ack_event(struct signaling *g, struct emitted *emit)
{
    struct channel channel;

    relay_first_channel(g, emit, &channel);
    relay_note(g, emit, span_of(channel.name));
    absence_part_all(g, &emit->sender, 0);
    disconnect(g, emit);
}

/* ---- the table */

/* Any name that no other rule is for. */
static void any_event(struct signaling *g, struct emitted *emit)
{
    relay_event(g, emit, NAMES_PEERS_AND_CHANNELS);
}

/* The server's alone: clients take its word for these, and the argument of `pollux` as the place up
 * to which they have heard everything. */
static void reserved_event(struct signaling *g, struct emitted *emit)
{
    (void)g;
    reply_refuse(emit, "reserved", "this event name is the server's: only it says so");
}

typedef void rule(struct signaling *g, struct emitted *emit);

/* What the server says on an occasion is reserved besides, where no row here says otherwise. */
static const struct { const char *event; rule *apply; } rules[] = {
    { "message", message_event },
    { "response", response_event },
    { "create or join", create_or_join },
    { "leave", leave_event },
    { "Bye", bye_for_good },
    { "Ack", ack_event },
    { "bye", bye },
    { SIGNALING_MARKER, reserved_event },
    { "error", reserved_event },
    { "log", reserved_event },
};

static rule *find_rule(struct span name)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (json_string_is(name, rules[i].event))
            return rules[i].apply;
    return occasion_has(name) ? reserved_event : any_event;
}

bool events_know(struct span name)
{
    return find_rule(name) != any_event;
}

void events_apply(struct signaling *g, struct emitted *emit)
{
    find_rule(emit->name)(g, emit);
}
