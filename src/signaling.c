/* signaling.c - the rules of the signaling application, one function a rule; the table at the end
 * names them all.
 *
 * What a client says goes to the log as one message and becomes a delivery for each recipient; the
 * server's own announcements likewise. Payloads are passed on as the bytes they came in.
 */
#include "signaling.h"

#include "json.h"
#include "log.h"
#include "presence.h"

/* how long a session that is over is remembered, should the poll that was told so come again */
#define CLOSING_MS 30000
#define ROLL_CALL_STEP_MS 25            /* how often an open roll call is looked at */
#define ROLL_CALLS_MOST 100             /* in one turn */
#define ASKING_MOST 20                  /* of one channel; further ones are told `full` */
/* deliveries, and names looked up, for one request: some tenths of a second that all others wait */
#define WORK_MOST 20000
/* when nothing is known to be due: another process may have died */
#define SWEEP_MS 1000

/* What is being handled: one event of one client. */
struct said {
    struct session *session;
    struct socket sender;               /* a copy: the session's may move */
    const struct sio_packet *packet;
    struct span attached;               /* its attachments as base64, each behind a 0x1e */
    struct span name;                   /* the event's name as JSON, with its quotes if a string */
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

/* ---- telling */

/* Store MESSAGE and owe it to everyone in TO but EXCEPT (a socket's id, or 0). Returns its seq. */
static int64_t deliver(struct signaling *g, struct message *message, const struct members *to,
                       int64_t except)
{
    size_t size = message->body.len + message->attached.len;

    if (!buf_ok(&g->body)) {            /* most are made up there */
        store_no_memory(g->store);
        buf_clear(&g->body);            /* the next turn's */
    }
    g->work += to->count;
    message->recipients = 0;
    for (size_t i = 0; i < to->count; i++)
        message->recipients += to->list[i].socket != except;
    int64_t seq = store_message(g->store, message, g->now);
    for (size_t i = 0; i < to->count; i++)
        if (to->list[i].socket != except)
            store_deliver(g->store, seq, size, &to->list[i]);
    return seq;
}

/* Begin the server's event NAME in g->body; its arguments follow, each with a comma in front. */
static void begin_event(struct signaling *g, const char *name)
{
    buf_clear(&g->body);
    buf_add_char(&g->body, '[');
    json_string_encode(&g->body, span_of(name));
}

static void add_string(struct signaling *g, struct span text)
{
    buf_add_char(&g->body, ',');
    json_string_encode(&g->body, text);
}

/* End it, and send it to TO but EXCEPT, as being about CHANNEL. */
static void announce(struct signaling *g, const char *name, struct span channel,
                     const struct members *to, int64_t except)
{
    buf_add_char(&g->body, ']');
    struct message m = { .type = SIO_EVENT, .channel = channel, .name = span_of(name),
                         .body = buf_span(&g->body) };
    if (to->count != 0)
        deliver(g, &m, to, except);
}

/* The event NAME with CHANNEL's name, and ID unless NULL. */
static void announce_channel(struct signaling *g, const char *name, struct span channel,
                             const char *id, const struct members *to, int64_t except)
{
    begin_event(g, name);
    add_string(g, channel);
    if (id != NULL)
        add_string(g, span_of(id));
    announce(g, name, channel, to, except);
}

static struct members only(struct member *m)
{
    return (struct members){ m, 1, 1 };
}

/* A socket as a recipient, wherever it is. */
static struct member recipient(struct signaling *g, const struct socket *k)
{
    const struct session *session =
        k->session != 0 ? store_session_by_id(g->store, k->session) : NULL;

    if (session != NULL)
        return member_of(session, k);
    return (struct member){ .socket = k->id, .away_ms = k->away_ms };
}

static void refuse(struct said *said, const char *code, const char *why)
{
    said->error = code;
    said->why = why;
}

/* May the request at hand go on to ask for work? Else SAID is refused. What ends something always
 * passes. */
static bool may_go_on(const struct signaling *g, struct said *said)
{
    if (g->work < WORK_MOST)
        return true;
    refuse(said, "too_much", "this request has asked for enough; send the rest in another");
    return false;
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
    struct members one = only(&to);
    deliver(g, &m, &one, 0);
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
    struct members one = only(&to);
    struct span channel;

    if (!first_argument(said, &channel) || (json_type(channel) == JSON_OBJECT &&
                                            !json_member(channel, "channel", &channel)))
        channel.len = 0;
    begin_event(g, "error");
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
    announce(g, "error", (struct span){ NULL, 0 }, &one, 0);
}

/* The chapter's echo for the sender's console. */
static void echo(struct signaling *g, const struct said *said, const char *what,
                 struct span argument)
{
    struct member to = member_of(said->session, &said->sender);
    struct members one = only(&to);

    if (!g->set->log_events)
        return;
    begin_event(g, "log");
    buf_addf(&g->body, ",[\">>> \",\"S --> Got %s: \",", what);
    buf_add_span(&g->body, argument);
    buf_add_text(&g->body, "]]");
    struct message m = { .type = said->packet->type,
                         .name = SPAN("log"),
                         .body = buf_span(&g->body),
                         .attached = said->attached,
                         .attachments = said->packet->attachments };
    deliver(g, &m, &one, 0);
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

    said->seq = deliver(g, &m, &g->members, said->sender.id);
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

/* Has everyone in TO but EXCEPT (a socket's id) room for SIZE more bytes? Else SAID is refused. Where there
 * are others, nobody fills more than half of a queue: the rest is theirs. */
static bool have_room(struct signaling *g, struct said *said, const struct members *to,
                      int64_t except, size_t size)
{
    bool one = to->count < 2 || (to->count == 2 && is_listed(to, except));

    for (size_t i = 0; i < to->count; i++) {
        const struct member *m = &to->list[i];
        if (m->socket == except
            || (store_has_room(g->store, m, size)
                && (one || !store_is_crowded(g->store, m, said->sender.id))))
            continue;
        log_often(LOG_WARNING, "P315", "rules", said->sender.public,
                  "a message is refused: more waits for %s than max_queued_messages (%lld) or "
                  "max_queued_bytes (%lld) allow",
                  m->public, (long long)g->set->max_queued_messages,
                  (long long)g->set->max_queued_bytes);
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

/* The channel that the JSON string NAME names, if the sender is in it; 0: none. */
static int64_t own_channel(struct signaling *g, const struct said *said, struct span name,
                           struct channel *out)
{
    long len =
        json_type(name) == JSON_STRING ? json_string_decode(name, out->name, sizeof out->name) : -1;

    if (len <= 0)
        return 0;
    g->work++;
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
static bool names_peer(struct signaling *g, const struct said *said, struct span name,
                       struct member *to)
{
    char id[ID_LEN + 1];
    struct socket k;

    if (json_type(name) != JSON_STRING || json_string_decode(name, id, sizeof id) != ID_LEN)
        return false;
    if (!id_is(id))
        return false;
    g->work++;
    *to = (struct member){ .socket = 0 };
    if (!store_socket_by_public(g->store, span_of(id), &k) || k.id == said->sender.id)
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
static bool object_names_peer(struct signaling *g, const struct said *said, struct span object,
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

static bool object_names_channel(struct signaling *g, const struct said *said, struct span object,
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

    for (json_array_next(&rest, &item); json_array_next(&rest, &item);)
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
    if (may_go_on(g, said) && !relayed_to_peer(g, said) && !relayed_to_channel(g, said))
        relay_to_all(g, said);
}

/* ---- messages and responses */

static void message(struct signaling *g, struct said *said, const char *what)
{
    struct span argument, name, payload;
    struct channel channel;

    if (!may_go_on(g, said))
        return;
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

/* ---- joining a channel */

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

static void create_channel(struct signaling *g, const struct socket *k, struct span name)
{
    struct member to = recipient(g, k);
    struct members one = only(&to);
    int64_t channel = store_channel_open(g->store, span_of(k->nsp), name, g->now);

    store_join(g->store, channel, k->id, "creator", g->now);
    announce_channel(g, "created", name, k->public, &one, 0);
}

/* K joins CHANNEL, whose present members are in g->seats and have room for it. */
static void join_channel(struct signaling *g, const struct socket *k, int64_t channel,
                         struct span name)
{
    struct member to = recipient(g, k);
    struct members one = only(&to);

    announce_channel(g, "remotePeerJoining", name, NULL, &g->seats, 0);
    announce_channel(g, "join", name, NULL, &g->seats, 0);
    store_join(g->store, channel, k->id, "joiner", g->now);

    buf_clear(&g->body);
    buf_addf(&g->body, "S --> broadcast(): client %s joined channel %.*s", k->public, (int)name.len,
             name.p);
    if (!buf_ok(&g->body))
        store_no_memory(g->store);
    struct buf text = g->body;
    buf_init(&g->body);
    begin_event(g, "broadcast: joined");
    add_string(g, buf_span(&text));
    announce(g, "broadcast: joined", name, &g->seats, 0);
    buf_release(&text);

    announce_channel(g, "joined", name, k->public, &one, 0);
    store_members(g->store, channel, &g->seats);
    announce_channel(g, "ready", name, NULL, &g->seats, 0);
}

/* ---- seats */

/* SOCKET, which is away, leaves CHANNEL; the others are told. It goes back when it is recovered. */
static void leave_away(struct signaling *g, int64_t channel, struct span name, int64_t socket,
                       const char *public)
{
    store_former_add(g->store, socket, name);
    store_part(g->store, channel, socket);
    store_members(g->store, channel, &g->members);
    announce_channel(g, "leave", name, public, &g->members, 0);
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
    return (struct signs){ .ended_ms = session->ended_ms,
                           .polled_ms = session->polled_ms,
                           .watched = session->holder != 0 && session->watched };
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

/* May a newcomer be announced to CHANNEL's members? Their queues have bounds, whoever keeps coming
 * and going. The member that would lose its seat to the newcomer has no say. */
static bool may_announce(struct signaling *g, struct said *said, int64_t channel)
{
    struct roll roll = { .begun_ms = g->now, .until_ms = g->now, .gone = NULL };

    store_members(g->store, channel, &g->seats);
    if (g->seats.count >= (size_t)g->set->capacity)
        call_members(g, &roll);
    return have_room(g, said, &g->seats, roll.gone != NULL ? roll.gone->socket : 0, 0);
}

static void tell_full(struct signaling *g, const struct socket *k, struct span channel)
{
    struct member to = recipient(g, k);
    struct members one = only(&to);

    announce_channel(g, "full", channel, NULL, &one, 0);
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
        if (session == NULL || session->holder == 0 || session->watched)
            continue;
        session->probe = true;
        session->changed = true;
        store_touch(g->store, session->id, session->holder);
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
static void take_seat(struct signaling *g, const struct socket *k, int64_t channel, struct span name)
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
        take_seat(g, &k, store_channel(g->store, span_of(k.nsp), name), name);
    }
}

/* ---- joining */

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

    if (!may_go_on(g, said) || !channel_argument(g, said, text, sizeof text))
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
        struct member to = recipient(g, k);
        struct members one = only(&to);
        announce_channel(g, "joined", name, k->public, &one, 0);
    } else {
        take_seat(g, k, channel, name);
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
    announce_channel(g, "leave", span_of(channel->name), k->public, &g->members, 0);
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
    struct members one = only(&to);
    struct message m = { .type = SIO_DISCONNECT };

    if (said->packet->ack_id.len != 0)
        acknowledge(g, said);           /* here, since what follows is the last that it hears */
    deliver(g, &m, &one, 0);
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
static void make_farewell(struct signaling *g, const struct said *said, const char *name,
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
    begin_event(g, name);
    if (with_channel && channel_name.len != 0)
        add_string(g, channel_name);
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

    if (!may_go_on(g, said))
        return;
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
    if (session->holder == 0) {
        store_session_end(g->store, session);
        return;
    }
    session->closing = true;
    session->due_ms = g->now + CLOSING_MS;
    session->changed = true;
    store_touch(g->store, session->id, session->holder);
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
