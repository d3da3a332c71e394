/* fuzz_packet.c - any Socket.IO packet: its pieces lie in it and are what they should be, built
 * again from them it is read as the same, and every placeholder is one of an attachment. */
#include "wire/eio.h"
#include "fuzz.h"
#include "wire/json.h"
#include "wire/sio.h"

static bool is_json(struct span text)
{
    return json_check(text, NULL) == JSON_OK;
}

/* Objects whose "_placeholder" is true have a "num" below ATTACHMENTS, at any depth. The parser
 * walks tokens; this walks values. */
static void try_placeholders(struct span value, unsigned attachments)
{
    struct span rest = value, key, item;
    int64_t num;

    if (json_member(value, "_placeholder", &item) && span_is(item, "true")) {
        must(json_member(value, "num", &item) && span_int(item, &num));
        must(num < (int64_t)attachments);
    }
    while (json_array_next(&rest, &item))
        try_placeholders(item, attachments);
    rest = value;
    while (json_object_next(&rest, &key, &item))
        try_placeholders(item, attachments);
}

static void try_event(const struct sio_packet *packet)
{
    struct buf again = BUF_EMPTY;
    struct span name = sio_event_name(packet->data), args = sio_event_args(packet->data);

    must(is_json(name) && lies_in(name, packet->data));
    must(json_type(name) == JSON_STRING || json_type(name) == JSON_NUMBER);
    must(!json_string_is(name, "connect") && !json_string_is(name, "disconnect"));
    buf_add_char(&again, '[');
    buf_add_span(&again, name);
    if (args.len != 0) {
        must(lies_in(args, packet->data));
        buf_add_char(&again, ',');
        buf_add_span(&again, args);
    }
    buf_add_char(&again, ']');
    must(is_json(buf_span(&again)));
    must(again.len <= packet->data.len);
    buf_release(&again);
}

static void try_pieces(const struct sio_packet *packet, struct span text)
{
    must(packet->nsp.len >= 1 && packet->nsp.len <= SIO_NSP_MAX && packet->nsp.p[0] == '/');
    must(memchr(packet->nsp.p, ',', packet->nsp.len) == NULL);
    must(memchr(packet->nsp.p, '?', packet->nsp.len) == NULL);
    must(lies_in(packet->nsp, text) || span_is(packet->nsp, "/"));
    must(packet->ack_id.len <= SIO_ACK_ID_MAX && lies_in(packet->ack_id, text));
    for (size_t i = 0; i < packet->ack_id.len; i++)
        must(packet->ack_id.p[i] >= '0' && packet->ack_id.p[i] <= '9');
    must(packet->data.len == 0 || (is_json(packet->data) && lies_in(packet->data, text)));
    bool binary = packet->type == SIO_BINARY_EVENT || packet->type == SIO_BINARY_ACK;
    must(binary ? packet->attachments >= 1 && packet->attachments <= SIO_ATTACHMENTS_MAX
                : packet->attachments == 0);
    if (binary)
        try_placeholders(packet->data, packet->attachments);
}

/* One packet has one spelling by us, and that is read as the same. */
static void try_again(const struct sio_packet *packet)
{
    struct buf again = BUF_EMPTY;
    struct sio_packet second;

    sio_begin(&again, packet->type, packet->attachments, packet->nsp, packet->ack_id);
    buf_add_span(&again, packet->data);
    must(eio_count(buf_span(&again)) == 1);    /* fit for a payload */
    must(sio_parse(buf_span(&again), &second) == SIO_OK);
    must(second.type == packet->type && second.attachments == packet->attachments);
    must(span_equals(second.nsp, packet->nsp) && span_equals(second.ack_id, packet->ack_id));
    must(span_equals(second.data, packet->data));
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of_input(data, size);
    struct sio_packet packet;
    enum sio_status status = sio_parse(text, &packet);

    must(*sio_strerror(status) != '\0');
    if (status != SIO_OK)
        return 0;
    try_pieces(&packet, text);
    try_again(&packet);
    if (packet.type == SIO_EVENT || packet.type == SIO_BINARY_EVENT)
        try_event(&packet);
    return 0;
}
