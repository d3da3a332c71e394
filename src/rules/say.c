/* say.c - what is said to clients: one message in the log, and a delivery for each
 * recipient. Knows no rule.
 */
#include "rules/parts.h"

#include "wire/json.h"

int64_t say_message(struct signaling *g, struct message *message, const struct members *to,
                    int64_t except)
{
    size_t size = message->body.len + message->attached.len;

    if (!buf_ok(&g->body)) { /* most are made up there */
        store_no_memory(g->store, "make up an event");
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

void say_event(struct signaling *g, const char *name, struct span channel,
               const struct members *to, int64_t except)
{
    struct message m = {
        .type = SIO_EVENT, .channel = channel, .name = span_of(name), .body = buf_span(&g->body)
    };

    say_message(g, &m, to, except);
}

struct members say_only(struct member *m)
{
    return (struct members){ m, 1, 1 };
}

struct member say_recipient(struct signaling *g, const struct socket *k)
{
    const struct session *session =
        k->session != 0 ? store_session_by_id(g->store, k->session) : NULL;

    if (session != NULL)
        return member_of(session, k);
    return (struct member){ .socket = k->id, .away_ms = k->away_ms };
}
