/* relay.c - events that go on to others: to whom, and whether their queues have room.
 *
 * Who hears an event, the first that fits:
 *
 *     an argument names a socket, by `to` or the like    that one, if they share a channel
 *     an argument names a channel that the sender is in  the members of that
 *     neither                                            all who share a channel with the sender
 *
 * What is meant for one never goes to all: one that is not there is nobody. Payloads are passed on
 * as the bytes they came in.
 */
#include "rules/parts.h"

#include "base/log.h"
#include "wire/json.h"

/* Work that one event may be, to see who fills queues, and whom it names: some milliseconds that
 * all others wait. */
#define LOOK_MOST 1000

/* ---- storing */

/* The event's name for the log: without quotes, escapes undone where that is plain text. Names can
 * say anything, so where payloads are not kept only those that a rule is for are. */
static struct span plain_name(const struct signaling *g, struct span name, char *out, size_t cap)
{
    long len = json_type(name) == JSON_STRING ? json_string_decode(name, out, cap) : -1;

    if ((!g->set->keep_payloads || !g->set->keep_addresses) && !events_know(name))
        return SPAN("(an event)");
    if (!emitted_is_short(name))
        return SPAN("(a long name)");
    return len >= 0 ? (struct span){ out, (size_t)len } : name;
}

void relay_always(struct signaling *g, struct emitted *emit, struct span channel, struct span body)
{
    char name[256];
    struct message m = { .type = emit->packet->type, .sender = emit->sender.id, .channel = channel,
                         .name = plain_name(g, emit->name, name, sizeof name), .body = body,
                         .attached = emit->attached, .attachments = emit->packet->attachments };

    emit->seq = say_message(g, &m, &g->members, emit->sender.id);
    emit->recipients = m.recipients;
    g->relayed += m.recipients;
}

void relay_note(struct signaling *g, struct emitted *emit, struct span channel)
{
    char name[256];
    struct message m = { .type = SIO_EVENT,
                         .sender = emit->sender.id,
                         .channel = channel,
                         .name = plain_name(g, emit->name, name, sizeof name),
                         .body = emit->packet->data };

    emit->seq = store_message(g->store, &m, g->now);
}

/* ---- room */

static bool is_listed(const struct members *m, int64_t socket)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].socket == socket)
            return true;
    return false;
}

/* Why M's queue does not take what is EMITted. ROOM: it would take it from another. */
static void tell_no_room(const struct signaling *g, const struct emitted *emit,
                         const struct member *m, bool room)
{
    const char *sender = emit->sender.public;
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

/* Where there are others, nobody fills more than half of a queue: the rest is theirs. To see that
 * is work, and where it is much, as where many listen to nothing, the others' whole queues are the
 * bound. */
bool relay_has_room(struct signaling *g, struct emitted *emit, const struct members *to,
                    int64_t except, size_t size)
{
    bool one = to->count < 2 || (to->count == 2 && is_listed(to, except));
    size_t enough = emit->begun + LOOK_MOST;

    for (size_t i = 0; i < to->count; i++) {
        const struct member *m = &to->list[i];
        if (m->socket == except)
            continue;
        bool room = store_has_room(g->store, m, size);
        if (room
            && (one || g->work >= enough
                || !store_is_crowded(g->store, m, emit->sender.id, &g->work)))
            continue;
        g->work += i;           /* each was looked at, and who is refused pays for nothing else */
        tell_no_room(g, emit, m, room);
        reply_refuse(emit, "queue_full",
                     "too much is waiting for a member of the channel; send it again later");
        return false;
    }
    return true;
}

void relay_bounded(struct signaling *g, struct emitted *emit, struct span channel,
                   struct span body)
{
    if (relay_has_room(g, emit, &g->members, emit->sender.id, body.len + emit->attached.len))
        relay_always(g, emit, channel, body);
}

/* ---- to whom */

bool relay_first_channel(struct signaling *g, const struct emitted *emit, struct channel *out)
{
    int64_t after = 0;

    *out = (struct channel){ .id = 0 };
    return store_channel_of(g->store, emit->sender.id, &after, out);
}

static void relay_to_all(struct signaling *g, struct emitted *emit)
{
    struct channel channel;

    store_peers(g->store, emit->sender.id, &g->members);
    relay_first_channel(g, emit, &channel);
    relay_bounded(g, emit, span_of(channel.name), emit->packet->data);
}

/* May one more name be looked up for the event? Else EMIT is refused. */
static bool may_look(struct signaling *g, struct emitted *emit)
{
    if (g->work++ - emit->begun < LOOK_MOST)
        return true;
    reply_refuse(emit, "too_much", "this event names more than are looked up for one");
    return false;
}

int64_t relay_own_channel(struct signaling *g, struct emitted *emit, struct span name,
                          struct channel *out)
{
    long len =
        json_type(name) == JSON_STRING ? json_string_decode(name, out->name, sizeof out->name) : -1;

    if (len <= 0 || !may_look(g, emit))
        return 0;
    out->id =
        store_channel(g->store, span_of(emit->sender.nsp), (struct span){ out->name, (size_t)len });
    return out->id != 0 && store_is_member(g->store, out->id, emit->sender.id) ? out->id : 0;
}

void relay_to_channel(struct signaling *g, struct emitted *emit, const struct channel *channel,
                      struct span body)
{
    store_members(g->store, channel->id, &g->members);
    relay_bounded(g, emit, span_of(channel->name), body);
}

/* Does NAME look like a socket's id? Then *TO is it, if it shares a channel with the sender; else
 * nobody (socket 0), whether it has left, is the sender's own, or never was: what is meant for one
 * never goes to all. */
static bool names_peer(struct signaling *g, struct emitted *emit, struct span name,
                       struct member *to)
{
    char id[ID_LEN + 1];
    struct socket k;

    if (json_type(name) != JSON_STRING || json_string_decode(name, id, sizeof id) != ID_LEN)
        return false;
    if (!id_is(id))
        return false;
    *to = (struct member){ .socket = 0 };
    if (!may_look(g, emit) || !store_socket_by_public(g->store, span_of(id), &k)
        || k.id == emit->sender.id)
        return true;
    store_peers(g->store, emit->sender.id, &g->members);
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
static bool object_names_peer(struct signaling *g, struct emitted *emit, struct span object,
                              struct member *to)
{
    struct span key, value;

    if (json_type(object) != JSON_OBJECT)
        return false;
    while (json_object_next(&object, &key, &value))
        if (is_one_of(key, peer_keys, sizeof peer_keys / sizeof peer_keys[0])
            && names_peer(g, emit, value, to))
            return true;
    return false;
}

static bool object_names_channel(struct signaling *g, struct emitted *emit, struct span object,
                                 struct channel *channel)
{
    struct span key, value;

    if (json_type(object) != JSON_OBJECT)
        return false;
    while (json_object_next(&object, &key, &value))
        if (is_one_of(key, channel_keys, sizeof channel_keys / sizeof channel_keys[0])
            && relay_own_channel(g, emit, value, channel) != 0)
            return true;
    return false;
}

static bool relayed_to_peer(struct signaling *g, struct emitted *emit)
{
    struct span rest = emit->packet->data, item;
    struct channel channel;
    struct member to;

    for (json_array_next(&rest, &item); json_array_next(&rest, &item);) {
        if (!object_names_peer(g, emit, item, &to))
            continue;
        if (emit->error != NULL)
            return true;
        g->members.count = 0;
        if (to.socket != 0)
            /* names_peer() has listed it, so there is room */
            g->members.list[g->members.count++] = to;
        relay_first_channel(g, emit, &channel);
        relay_bounded(g, emit, span_of(channel.name), emit->packet->data);
        return true;
    }
    return false;
}

static bool relayed_to_channel(struct signaling *g, struct emitted *emit)
{
    struct span rest = emit->packet->data, item;
    struct channel channel;

    for (json_array_next(&rest, &item); emit->error == NULL && json_array_next(&rest, &item);)
        if (relay_own_channel(g, emit, item, &channel) != 0
            || object_names_channel(g, emit, item, &channel)) {
            relay_to_channel(g, emit, &channel, emit->packet->data);
            return true;
        }
    return false;
}

void relay_event(struct signaling *g, struct emitted *emit, enum names names)
{
    if (relayed_to_peer(g, emit))
        return;
    if (names == NAMES_PEERS_AND_CHANNELS && relayed_to_channel(g, emit))
        return;
    if (emit->error == NULL)
        relay_to_all(g, emit);
}
