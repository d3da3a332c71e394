/* signaling.c - an event comes in, and time passes: from here to the rules.
 */
#include "rules/parts.h"

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

void signaling_event(struct signaling *g, struct session *session, const struct socket *socket,
                     const struct sio_packet *packet, struct span attached)
{
    struct emitted emit = { .session = session,
                            .sender = *socket,
                            .packet = packet,
                            .attached = attached,
                            .begun = g->work,
                            .name = sio_event_name(packet->data) };

    events_apply(g, &emit);
    if (emit.sender.gone_ms != 0)
        return;                         /* acknowledged on its way out */
    if (packet->ack_id.len != 0)
        reply_acknowledge(g, &emit);
    else if (emit.error != NULL)
        reply_complain(g, &emit);
}

void signaling_back(struct signaling *g, const struct socket *socket)
{
    struct socket k = *socket;          /* a copy: the session's may move */
    char text[CHANNEL_MAX + 1];

    while (store_former_take(g->store, k.id, text, sizeof text)) {
        struct span name = span_of(text);
        rollcall_seat(g, &k, store_channel(g->store, span_of(k.nsp), name), name);
    }
}

void signaling_time(struct signaling *g)
{
    int64_t absence_ms = absence_time(g), rollcall_ms = rollcall_time(g);

    g->due_ms = absence_ms < rollcall_ms ? absence_ms : rollcall_ms;
}
