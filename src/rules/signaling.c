/* signaling.c - the rules of the signaling application, one function a rule; the table at the end
 * names them all. Who gets a seat and keeps it is seats.c's, how something is said to
 * clients say.c's.
 *
 * Payloads are passed on as the bytes they came in.
 */
#include "rules/parts.h"

#include "wire/json.h"
#include "base/log.h"

/* Work that one event may be, to see who fills queues, and whom it names: some milliseconds that all
 * others wait. */
#define LOOK_MOST 1000

/* What is being handled: one event of one client. */
struct said {
    struct session *session;
    struct socket sender;               /* a copy: the session's may move */
    const struct sio_packet *packet;
    struct span attached;               /* its attachments: see store/attached.h */
    struct span name;                   /* the event's name as JSON, with its quotes if a string */
    size_t begun;                       /* the signaling's work as it was before */
    int64_t seq;                        /* once stored; 0: was not */
    size_t recipients;
    const char *error;                  /* a code, when refused; then WHY says more */
    const char *why;
};

void signaling_init(struct signaling *g, struct store *store, const struct settings *set)
{
    *g = (struct signaling){ .store = store, .set = set };
}

void signaling_release(struct signaling *g)
{
    members_release(&g->members);
    members_release(&g->seats);
    buf_release(&g->body);
}

static void refuse(struct said *said, const char *code, const char *why)
{
    said->error = code;
    said->why = why;
}

/* The event's first argument; false: it has none. */
static bool first_argument(const struct said *said, struct span *argument)
{
    struct span rest = said->packet->data;
    bool named = json_array_next(&rest, argument);      /* the name comes first */

    return named && json_array_next(&rest, argument);
}

/* ---- answering the sender */

static void add_error(struct signaling *g, const struct said *said)
{
    buf_add_text(&g->body, "\"code\":");
    json_string_encode(&g->body, span_of(said->error));
    buf_add_text(&g->body, ",\"message\":");
    json_string_encode(&g->body, span_of(said->why));
}

/* The acknowledgement that the sender asked for. */
static void acknowledge(struct signaling *g, const struct said *said)
{
    struct member to = member_of(said->session, &said->sender);

    buf_clear(&g->body);
    buf_addf(&g->body, "[{\"seq\":%lld,\"recipients\":%zu", (long long)said->seq, said->recipients);
    if (said->error != NULL) {
        buf_add_text(&g->body, ",\"error\":{");
        add_error(g, said);
        buf_add_char(&g->body, '}');
    }
    buf_add_text(&g->body, "}]");
    struct message m = { .type = SIO_ACK,
                         .ack_id = said->packet->ack_id,
                         .body = buf_span(&g->body) };
    struct members one = say_only(&to);
    say_message(g, &m, &one, 0);
}

/* May TEXT, a JSON string of the sender's, stand in what it is told? A refusal is short, whatever
 * was refused: it is owed to the sender like anything else. */
static bool short_enough(struct span text)
{
    return text.len <= (size_t)6 * CHANNEL_MAX; /* every byte of a name escaped */
}

/* Without one, a refusal comes as an event. */
static void complain(struct signaling *g, const struct said *said)
{
    struct member to = member_of(said->session, &said->sender);
    struct members one = say_only(&to);
    struct span channel;

    if (!first_argument(said, &channel) || (json_type(channel) == JSON_OBJECT &&
                                            !json_member(channel, "channel", &channel)))
        channel.len = 0;
    say_begin(g, "error");
    buf_add_text(&g->body, ",{");
    add_error(g, said);
    if (short_enough(said->name)) {
        buf_add_text(&g->body, ",\"event\":");
        buf_add_span(&g->body, said->name);
    }
    if (channel.len != 0 && json_type(channel) == JSON_STRING && short_enough(channel)) {
        buf_add_text(&g->body, ",\"channel\":");
        buf_add_span(&g->body, channel);
    }
    buf_add_char(&g->body, '}');
    say_end(g, "error", (struct span){ NULL, 0 }, &one, 0);
}

/* The chapter's echo for the sender's console. */
static void echo(struct signaling *g, const struct said *said, const char *what,
                 struct span argument)
{
    struct member to = member_of(said->session, &said->sender);
    struct members one = say_only(&to);

    if (!g->set->log_events)
        return;
    say_begin(g, "log");
    buf_addf(&g->body, ",[\">>> \",\"S --> Got %s: \",", what);
    buf_add_span(&g->body, argument);
    buf_add_text(&g->body, "]]");
    struct message m = { .type = said->packet->type,
                         .name = SPAN("log"),
                         .body = buf_span(&g->body),
                         .attached = said->attached,
                         .attachments = said->packet->attachments };
    say_message(g, &m, &one, 0);
}

/* ---- relaying */

static const struct rule *find_rule(struct span name);

/* The event's name for the log: without quotes, escapes undone where that is plain text. Names can say
 * anything, so where payloads are not kept only those that a rule is for are. */
static struct span plain_name(const struct signaling *g, struct span name, char *out, size_t cap)
{
    long len = json_type(name) == JSON_STRING ? json_string_decode(name, out, cap) : -1;

    if ((!g->set->keep_payloads || !g->set->keep_addresses) && find_rule(name) == NULL)
        return SPAN("(an event)");
    if (!short_enough(name))
        return SPAN("(a long name)");
    return len >= 0 ? (struct span){ out, (size_t)len } : name;
}

/* Store the event with BODY for g->members but the sender. */
static void send_to_members(struct signaling *g, struct said *said, struct span channel,
                            struct span body)
{
    char name[256];
    struct message m = { .type = said->packet->type, .sender = said->sender.id, .channel = channel,
                         .name = plain_name(g, said->name, name, sizeof name), .body = body,
                         .attached = said->attached, .attachments = said->packet->attachments };

    said->seq = say_message(g, &m, &g->members, said->sender.id);
    said->recipients = m.recipients;
    g->relayed += m.recipients;
}

static bool is_listed(const struct members *m, int64_t socket)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].socket == socket)
            return true;
    return false;
}

/* Why M's queue does not take what was SAID. ROOM: it would take it from another. */
static void tell_no_room(const struct signaling *g, const struct said *said, const struct member *m,
                         bool room)
{
    const char *sender = said->sender.public;
    long long most = g->set->max_queued_messages;

    if (room)
        log_often(P320, sender,
                  "a message is refused: its sender has filled half of the queue of %s; see "
                  "max_queued_messages (%lld)",
                  m->public, most);
    else if (store_is_full(g->store))
        log_often(P321, sender,
                  "a message is refused: the database is twice as large as log_max_bytes (%lld) "
                  "allows, and much waits for %s",
                  (long long)g->set->log_max_bytes, m->public);
    else
        log_often(P315, sender,
                  "a message is refused: more waits for %s than max_queued_messages (%lld) or "
                  "max_queued_bytes (%lld) allow",
                  m->public, most, (long long)g->set->max_queued_bytes);
}

/* Has everyone in TO but EXCEPT (a socket's id) room for SIZE more bytes? Else SAID is refused. Where there
 * are others, nobody fills more than half of a queue: the rest is theirs. To see that is work, and where
 * it is much, as where many listen to nothing, the others' whole queues are the bound. */
static bool have_room(struct signaling *g, struct said *said, const struct members *to,
                      int64_t except, size_t size)
{
    bool one = to->count < 2 || (to->count == 2 && is_listed(to, except));
    size_t enough = said->begun + LOOK_MOST;

    for (size_t i = 0; i < to->count; i++) {
        const struct member *m = &to->list[i];
        if (m->socket == except)
            continue;
        bool room = store_has_room(g->store, m, size);
        if (room
            && (one || g->work >= enough
                || !store_is_crowded(g->store, m, said->sender.id, &g->work)))
            continue;
        g->work += i;                   /* each was looked at, and who is refused pays for nothing else */
        tell_no_room(g, said, m, room);
        refuse(said, "queue_full",
               "too much is waiting for a member of the channel; send it again later");
        return false;
    }
    return true;
}

/* The same within the bounds of their queues: all of them get it, or nobody, and the sender is
 * told. */
static void relay(struct signaling *g, struct said *said, struct span channel, struct span body)
{
    if (have_room(g, said, &g->members, said->sender.id, body.len + said->attached.len))
        send_to_members(g, said, channel, body);
}

/* As it is, to the other members of all of the sender's channels. */
static void relay_to_all(struct signaling *g, struct said *said)
{
    struct channel channel = { .id = 0 };
    int64_t after = 0;

    store_peers(g->store, said->sender.id, &g->members);
    bool in = store_channel_of(g->store, said->sender.id, &after, &channel);
    relay(g, said, in ? span_of(channel.name) : (struct span){ NULL, 0 }, said->packet->data);
}

/* May one more name be looked up for the event? Else SAID is refused. */
static bool may_look(struct signaling *g, struct said *said)
{
    if (g->work++ - said->begun < LOOK_MOST)
        return true;
    refuse(said, "too_much", "this event names more than are looked up for one");
    return false;
}

/* The channel that the JSON string NAME names, if the sender is in it; 0: none. */
static int64_t own_channel(struct signaling *g, struct said *said, struct span name,
                           struct channel *out)
{
    long len =
        json_type(name) == JSON_STRING ? json_string_decode(name, out->name, sizeof out->name) : -1;

    if (len <= 0 || !may_look(g, said))
        return 0;
    out->id =
        store_channel(g->store, span_of(said->sender.nsp), (struct span){ out->name, (size_t)len });
    return out->id != 0 && store_is_member(g->store, out->id, said->sender.id) ? out->id : 0;
}

static void relay_to_channel(struct signaling *g, struct said *said, const struct channel *channel,
                             struct span body)
{
    store_members(g->store, channel->id, &g->members);
    relay(g, said, span_of(channel->name), body);
}

/* Does NAME look like a socket's id? Then *TO is it, if it shares a channel with the sender; else
 * nobody (socket 0), whether it has left, is the sender's own, or never was: what is meant for one
 * never goes to all. */
static bool names_peer(struct signaling *g, struct said *said, struct span name,
                       struct member *to)
{
    char id[ID_LEN + 1];
    struct socket k;

    if (json_type(name) != JSON_STRING || json_string_decode(name, id, sizeof id) != ID_LEN)
        return false;
    if (!id_is(id))
        return false;
    *to = (struct member){ .socket = 0 };
    if (!may_look(g, said) || !store_socket_by_public(g->store, span_of(id), &k) || k.id == said->sender.id)
        return true;
    store_peers(g->store, said->sender.id, &g->members);
    for (size_t i = 0; i < g->members.count; i++)
        if (g->members.list[i].socket == k.id)
            *to = g->members.list[i];
    return true;
}

static const char *const peer_keys[] = { "to",       "target", "targetId", "recipient",
                                         "receiver", "peerId", "socketId" };
static const char *const channel_keys[] = { "channel", "room", "roomId" };

static bool is_one_of(struct span key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_string_is(key, keys[i]))
            return true;
    return false;
}

/* Does OBJECT have a member `to` or the like that is a socket's id? Then *TO is set as
 * names_peer() does. */
static bool object_names_peer(struct signaling *g, struct said *said, struct span object,
                              struct member *to)
{
    struct span key, value;

    if (json_type(object) != JSON_OBJECT)
        return false;
    while (json_object_next(&object, &key, &value))
        if (is_one_of(key, peer_keys, sizeof peer_keys / sizeof peer_keys[0])
            && names_peer(g, said, value, to))
            return true;
    return false;
}

static bool object_names_channel(struct signaling *g, struct said *said, struct span object,
                                 struct channel *channel)
{
    struct span key, value;

    if (json_type(object) != JSON_OBJECT)
        return false;
    while (json_object_next(&object, &key, &value))
        if (is_one_of(key, channel_keys, sizeof channel_keys / sizeof channel_keys[0]) &&
            own_channel(g, said, value, channel) != 0)
            return true;
    return false;
}

static bool relayed_to_peer(struct signaling *g, struct said *said)
{
    struct span rest = said->packet->data, item;
    struct channel channel = { .id = 0 };
    struct member to;
    int64_t after = 0;

    for (json_array_next(&rest, &item); json_array_next(&rest, &item);) {
        if (!object_names_peer(g, said, item, &to))
            continue;
        if (said->error != NULL)
            return true;
        g->members.count = 0;
        if (to.socket != 0)
            /* names_peer() has listed it, so there is room */
            g->members.list[g->members.count++] = to;
        store_channel_of(g->store, said->sender.id, &after, &channel);
        relay(g, said, span_of(channel.name), said->packet->data);
        return true;
    }
    return false;
}

static bool relayed_to_channel(struct signaling *g, struct said *said)
{
    struct span rest = said->packet->data, item;
    struct channel channel;

    for (json_array_next(&rest, &item); said->error == NULL && json_array_next(&rest, &item);)
        if (own_channel(g, said, item, &channel) != 0
            || object_names_channel(g, said, item, &channel)) {
            relay_to_channel(g, said, &channel, said->packet->data);
            return true;
        }
    return false;
}

/* Any name that no other rule is for. */
static void any_event(struct signaling *g, struct said *said)
{
    if (!relayed_to_peer(g, said) && !relayed_to_channel(g, said) && said->error == NULL)
        relay_to_all(g, said);
}

/* ---- messages and responses */

static void message(struct signaling *g, struct said *said, const char *what)
{
    struct span argument, name, payload;
    struct channel channel;

    if (!first_argument(said, &argument) || json_type(argument) != JSON_OBJECT ||
        !json_member(argument, "channel", &name) || !json_member(argument, "message", &payload)) {
        if (!relayed_to_peer(g, said))
            relay_to_all(g, said);
        return;
    }
    if (own_channel(g, said, name, &channel) == 0) {
        refuse(said, "not_a_member", "only members can send to a channel; join it first");
        return;
    }
    echo(g, said, what, argument);
    buf_clear(&g->body);
    buf_add_char(&g->body, '[');
    buf_add_span(&g->body, said->name);
    buf_add_char(&g->body, ',');
    buf_add_span(&g->body, payload);
    buf_add_char(&g->body, ']');
    relay_to_channel(g, said, &channel, buf_span(&g->body));
}

static void message_event(struct signaling *g, struct said *said)
{
    message(g, said, "message");
}

static void response_event(struct signaling *g, struct said *said)
{
    message(g, said, "response");
}

/* ---- joining */

static void note(struct signaling *g, struct said *said, struct span channel)
{
    char name[256];
    struct message m = { .type = SIO_EVENT,
                         .sender = said->sender.id,
                         .channel = channel,
                         .name = plain_name(g, said->name, name, sizeof name),
                         .body = said->packet->data };

    said->seq = store_message(g->store, &m, g->now);
}

/* May a newcomer be announced to CHANNEL's members? Their queues have bounds, whoever keeps coming
 * and going. The member that would lose its seat to the newcomer has no say. */
static bool may_announce(struct signaling *g, struct said *said, int64_t channel)
{
    int64_t vacant = signaling_vacant(g, channel);

    return have_room(g, said, &g->seats, vacant, 0);
}

/* The channel's name that the event's first argument gives, decoded into OUT. False: refused. */
static bool channel_argument(struct signaling *g, struct said *said, char *out, size_t cap)
{
    struct span name;

    if (first_argument(said, &name)) {
        long len = json_type(name) == JSON_STRING ? json_string_decode(name, out, cap) : -1;
        if (len >= 1 && len <= g->set->max_channel_name_bytes)
            return true;
    }
    refuse(said, "bad_channel",
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

static void create_or_join(struct signaling *g, struct said *said)
{
    char text[CHANNEL_MAX + 1];
    const struct socket *k = &said->sender;

    if (!channel_argument(g, said, text, sizeof text))
        return;
    struct span name = span_of(text);
    int64_t channel = store_channel(g->store, span_of(k->nsp), name);
    bool in = channel != 0 && store_is_member(g->store, channel, k->id);
    if (!in && channel_count(g, k->id) >= (size_t)g->set->max_channels_per_socket) {
        refuse(said, "too_many_channels",
               "this socket is in as many channels as it may be; leave one first");
        return;
    }
    if (!in && channel != 0 && !may_announce(g, said, channel))
        return;
    note(g, said, name);
    if (in) {
        struct member to = say_recipient(g, k);
        struct members one = say_only(&to);
        say_channel(g, "joined", name, k->public, &one, 0);
    } else {
        signaling_take_seat(g, k, channel, name);
    }
}

/* ---- leaving */

static void part(struct signaling *g, const struct socket *k, const struct channel *channel,
                 bool tell)
{
    store_part(g->store, channel->id, k->id);
    if (!tell)
        return;
    store_members(g->store, channel->id, &g->members);
    say_channel(g, "leave", span_of(channel->name), k->public, &g->members, 0);
}

/* K leaves all channels; those in them are told, except in the channel QUIET. */
static void part_all(struct signaling *g, const struct socket *k, int64_t quiet)
{
    struct channel channel;
    int64_t after = 0;

    store_ask_end_socket(g->store, k->id);
    while (store_channel_of(g->store, k->id, &after, &channel))
        part(g, k, &channel, channel.id != quiet);
}

void signaling_left(struct signaling *g, const struct socket *socket)
{
    struct socket k = *socket;          /* a copy: its going moves the session's */

    part_all(g, &k, 0);
    store_socket_gone(g->store, k.id, false, g->now);
}

/* The server disconnects the sender, which stays owed what it is owed, the word of it included. */
static void disconnect(struct signaling *g, struct said *said)
{
    struct member to = member_of(said->session, &said->sender);
    struct members one = say_only(&to);
    struct message m = { .type = SIO_DISCONNECT };

    if (said->packet->ack_id.len != 0)
        acknowledge(g, said);           /* here, since what follows is the last that it hears */
    say_message(g, &m, &one, 0);
    store_socket_gone(g->store, said->sender.id, true, g->now);
    said->sender.gone_ms = g->now;
}

static void leave_event(struct signaling *g, struct said *said)
{
    struct channel channel;
    struct span name;

    if (!first_argument(said, &name) || own_channel(g, said, name, &channel) == 0) {
        refuse(said, "not_a_member", "only members can leave a channel");
        return;
    }
    note(g, said, span_of(channel.name));
    part(g, &said->sender, &channel, true);
}

/* Make `Bye` or `bye` in g->body, and g->members those in the channel named, or in all: who is to
 * hear it. */
static void make_farewell(struct signaling *g, struct said *said, const char *name,
                          bool with_channel, struct channel *channel)
{
    struct span argument;
    int64_t after = 0;

    *channel = (struct channel){ .id = 0 };
    if (first_argument(said, &argument) && own_channel(g, said, argument, channel) != 0) {
        store_members(g->store, channel->id, &g->members);
    } else {
        *channel = (struct channel){ .id = 0 };
        store_channel_of(g->store, said->sender.id, &after, channel);
        store_peers(g->store, said->sender.id, &g->members);
    }
    struct span channel_name = span_of(channel->name);
    say_begin(g, name);
    if (with_channel && channel_name.len != 0)
        say_string(g, channel_name);
    buf_add_char(&g->body, ']');
}

static void bye_for_good(struct signaling *g, struct said *said)
{
    struct channel channel;

    make_farewell(g, said, "Bye", false, &channel);
    /* whatever waits for them: it is short, and the last */
    send_to_members(g, said, span_of(channel.name), buf_span(&g->body));
    part_all(g, &said->sender, channel.id);
    disconnect(g, said);
}

static void bye(struct signaling *g, struct said *said)
{
    struct channel channel;

    make_farewell(g, said, "bye", true, &channel);
    relay(g, said, span_of(channel.name), buf_span(&g->body));
}

static void ack_event(struct signaling *g, struct said *said)
{
    struct channel channel = { .id = 0 };
    int64_t after = 0;

    store_channel_of(g->store, said->sender.id, &after, &channel);
    note(g, said, span_of(channel.name));
    part_all(g, &said->sender, 0);
    disconnect(g, said);
}

/* Ours alone: clients take the server's word for these, and the argument of `pollux` as the place up
 * to which they have heard everything. */
static void reserved_event(struct signaling *g, struct said *said)
{
    (void)g;
    refuse(said, "reserved", "this event name is the server's: only it says so");
}

/* ---- the table */

static const struct rule {
    const char *event;
    void (*apply)(struct signaling *g, struct said *said);
} rules[] = {
    { "message", message_event },
    { "response", response_event },
    { "create or join", create_or_join },
    { "leave", leave_event },
    { "Bye", bye_for_good },
    { "Ack", ack_event },
    { "bye", bye },
    { "pollux", reserved_event },
    { "created", reserved_event },
    { "joined", reserved_event },
    { "full", reserved_event },
    { "ready", reserved_event },
    { "join", reserved_event },
    { "remotePeerJoining", reserved_event },
    { "broadcast: joined", reserved_event },
    { "error", reserved_event },
    { "log", reserved_event },
};

static const struct rule *find_rule(struct span name)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (json_string_is(name, rules[i].event))
            return &rules[i];
    return NULL;
}

void signaling_event(struct signaling *g, struct session *session, const struct socket *socket,
                     const struct sio_packet *packet, struct span attached)
{
    struct said said = { .session = session,
                         .sender = *socket,
                         .packet = packet,
                         .attached = attached,
                         .begun = g->work,
                         .name = sio_event_name(packet->data) };
    const struct rule *rule = find_rule(said.name);

    if (rule != NULL)
        rule->apply(g, &said);
    else
        any_event(g, &said);
    if (said.sender.gone_ms != 0)
        return;                         /* acknowledged on its way out */
    if (packet->ack_id.len != 0)
        acknowledge(g, &said);
    else if (said.error != NULL)
        complain(g, &said);
}
