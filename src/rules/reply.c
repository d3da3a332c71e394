/* reply.c - what the sender of an event is told: the acknowledgement that it asked for, or what was
 * refused. Knows no rule.
 */
#include "rules/parts.h"

#include "wire/json.h"

bool emitted_first(const struct emitted *emit, struct span *argument)
{
    struct span rest = emit->packet->data;
    bool named = json_array_next(&rest, argument);      /* the name comes first */

    return named && json_array_next(&rest, argument);
}

/* A refusal is short, whatever was refused: it is owed to the sender like anything else. */
bool emitted_is_short(struct span text)
{
    return text.len <= (size_t)6 * CHANNEL_MAX; /* every byte of a name escaped */
}

void reply_refuse(struct emitted *emit, const char *code, const char *why)
{
    emit->error = code;
    emit->why = why;
}

static void add_error(struct signaling *g, const struct emitted *emit)
{
    buf_add_text(&g->body, "\"code\":");
    json_string_encode(&g->body, span_of(emit->error));
    buf_add_text(&g->body, ",\"message\":");
    json_string_encode(&g->body, span_of(emit->why));
}

void reply_acknowledge(struct signaling *g, const struct emitted *emit)
{
    struct member to = member_of(emit->session, &emit->sender);

    buf_clear(&g->body);
    buf_addf(&g->body, "[{\"seq\":%lld,\"recipients\":%zu", (long long)emit->seq, emit->recipients);
    if (emit->error != NULL) {
        buf_add_text(&g->body, ",\"error\":{");
        add_error(g, emit);
        buf_add_char(&g->body, '}');
    }
    buf_add_text(&g->body, "}]");
    struct message m = { .type = SIO_ACK,
                         .ack_id = emit->packet->ack_id,
                         .body = buf_span(&g->body) };
    struct members one = say_only(&to);
    say_message(g, &m, &one, 0);
}

void reply_complain(struct signaling *g, const struct emitted *emit)
{
    struct member to = member_of(emit->session, &emit->sender);
    struct members one = say_only(&to);
    struct span channel;

    if (!emitted_first(emit, &channel)
        || (json_type(channel) == JSON_OBJECT && !json_member(channel, "channel", &channel)))
        channel.len = 0;
    say_begin(g, "error");
    buf_add_text(&g->body, ",{");
    add_error(g, emit);
    if (emitted_is_short(emit->name)) {
        buf_add_text(&g->body, ",\"event\":");
        buf_add_span(&g->body, emit->name);
    }
    if (channel.len != 0 && json_type(channel) == JSON_STRING && emitted_is_short(channel)) {
        buf_add_text(&g->body, ",\"channel\":");
        buf_add_span(&g->body, channel);
    }
    buf_add_text(&g->body, "}]");
    say_event(g, "error", (struct span){ NULL, 0 }, &one, 0);
}

void reply_echo(struct signaling *g, const struct emitted *emit, const char *what,
                struct span argument)
{
    struct member to = member_of(emit->session, &emit->sender);
    struct members one = say_only(&to);

    if (!g->set->log_events)
        return;
    say_begin(g, "log");
    buf_addf(&g->body, ",[\">>> \",\"S --> Got %s: \",", what);
    buf_add_span(&g->body, argument);
    buf_add_text(&g->body, "]]");
    struct message m = { .type = emit->packet->type,
                         .name = SPAN("log"),
                         .body = buf_span(&g->body),
                         .attached = emit->attached,
                         .attachments = emit->packet->attachments };
    say_message(g, &m, &one, 0);
}
