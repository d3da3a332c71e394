/* say.c - what is said to clients: one message in the log, and a delivery for each
 * recipient. Knows no rule.
 */
#include "rules/parts.h"

#include "wire/json.h"

/* Store MESSAGE and owe it to everyone in TO but EXCEPT (a socket's id, or 0). Returns its seq. */
int64_t say_message(struct signaling *g, struct message *message, const struct members *to,
                    int64_t except)
{
    size_t size = message->body.len + message->attached.len;

    if (!buf_ok(&g->body)) { /* most are made up there */
        store_no_memory(g->store);
        buf_clear(&g->body); /* the next turn's */
    }
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
void say_begin(struct signaling *g, const char *name)
{
    buf_clear(&g->body);
    buf_add_char(&g->body, '[');
    json_string_encode(&g->body, span_of(name));
}

void say_string(struct signaling *g, struct span text)
{
    buf_add_char(&g->body, ',');
    json_string_encode(&g->body, text);
}

/* End it, and send it to TO but EXCEPT, as being about CHANNEL. */
void say_end(struct signaling *g, const char *name, struct span channel, const struct members *to,
             int64_t except)
{
    buf_add_char(&g->body, ']');
    struct message m = {
        .type = SIO_EVENT, .channel = channel, .name = span_of(name), .body = buf_span(&g->body)
    };
    if (to->count != 0)
        say_message(g, &m, to, except);
}

/* The event NAME with CHANNEL's name, and ID unless NULL. */
void say_channel(struct signaling *g, const char *name, struct span channel, const char *id,
                 const struct members *to, int64_t except)
{
    say_begin(g, name);
    say_string(g, channel);
    if (id != NULL)
        say_string(g, span_of(id));
    say_end(g, name, channel, to, except);
}

struct members say_only(struct member *m)
{
    return (struct members){ m, 1, 1 };
}

/* A socket as a recipient, wherever it is. */
struct member say_recipient(struct signaling *g, const struct socket *k)
{
    const struct session *session =
        k->session != 0 ? store_session_by_id(g->store, k->session) : NULL;

    if (session != NULL)
        return member_of(session, k);
    return (struct member){ .socket = k->id, .away_ms = k->away_ms };
}
