/* fuzz_payload.c - any Engine.IO payload: its packets lie in it, built again they are read as the
 * same, and whatever is taken for base64 is passed on as an encoder makes it, with the same
 * bytes. */
#include "wire/eio.h"
#include "fuzz.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The text that stands for the LEN bytes at P, without padding. */
static void encode(struct buf *out, const unsigned char *p, size_t len)
{
    unsigned bits = 0, have = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            buf_add_char(out, alphabet[bits >> (have - 6) & 63]);
    }
    if (have != 0)
        buf_add_char(out, alphabet[bits << (6 - have) & 63]);
}

/* The bytes that TEXT stands for, its padding and what else is no digit left out. */
static void decode(struct buf *out, struct span text)
{
    unsigned bits = 0, have = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i];
        const char *digit = c != '\0' ? strchr(alphabet, c) : NULL;
        if (digit == NULL)
            continue;
        bits = bits << 6 | (unsigned)(digit - alphabet);
        if ((have += 6) >= 8)
            buf_add_char(out, (char)(bits >> (have -= 8) & 255));
    }
}

/* Decoded and encoded again, TEXT is the same but for padding. */
static bool is_base64(struct span text)
{
    struct buf bytes = BUF_EMPTY, again = BUF_EMPTY;

    decode(&bytes, text);
    encode(&again, (const unsigned char *)bytes.data, bytes.len);
    bool same = again.len <= text.len
             && span_equals(buf_span(&again), (struct span){ text.p, again.len });
    struct span padding = { text.p + again.len, same ? text.len - again.len : 0 };
    same = same && (padding.len == 0 || (padding.len == 4 - again.len % 4 && padding.len < 3));
    for (size_t i = 0; i < padding.len; i++)
        same = same && padding.p[i] == '=';
    buf_release(&bytes);
    buf_release(&again);
    return same;
}

/* Append the binary PACKET as it is passed on. */
static void pass_on(struct eio_writer *again, const struct eio_packet *packet)
{
    struct buf clean = BUF_EMPTY, before = BUF_EMPTY, after = BUF_EMPTY;
    struct span data = packet->data;

    eio_add_base64(&clean, packet);
    must(is_base64(buf_span(&clean)));
    must(!is_base64(data) || span_equals(data, buf_span(&clean)));
    decode(&before, data);
    decode(&after, buf_span(&clean));
    must(span_equals(buf_span(&before), buf_span(&after)));
    eio_add(again, EIO_BINARY, buf_span(&clean));
    buf_release(&clean);
    buf_release(&before);
    buf_release(&after);
}

/* Read PAYLOAD, build it again in AGAIN. Returns the number of packets. */
static size_t rebuild(struct span payload, struct buf *again, enum eio_status *status)
{
    struct eio_reader reader = { .payload = payload };
    struct eio_writer writer;
    struct eio_packet packet;
    size_t count = 0;

    eio_begin(&writer, again);
    while ((*status = eio_next(&reader, &packet)) == EIO_OK) {
        must(lies_in(packet.data, payload) && reader.at <= payload.len);
        must(packet.data.p + packet.data.len == payload.p + reader.at);
        reader = (struct eio_reader){ payload, reader.at };     /* another goes on */
        if (packet.type == EIO_BINARY)
            pass_on(&writer, &packet);
        else
            eio_add(&writer, packet.type, packet.data);
        count++;
    }
    must(*status != EIO_BAD_BASE64 || !is_base64(packet.data));
    must(*eio_strerror(*status) != '\0');
    must(writer.packets == count && span_equals(eio_end(&writer), buf_span(again)));
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span payload = span_of_input(data, size);
    struct buf again = BUF_EMPTY, third = BUF_EMPTY;
    enum eio_status status;
    size_t count = rebuild(payload, &again, &status);

    must(count <= eio_count(payload));
    if (status == EIO_END) {
        must(count == eio_count(payload) && count == eio_count(buf_span(&again)));
        must(again.len <= payload.len + 2 * count);     /* padding */
        must(rebuild(buf_span(&again), &third, &status) == count && status == EIO_END);
        must(span_equals(buf_span(&third), buf_span(&again)));
    }
    buf_release(&again);
    buf_release(&third);
    return 0;
}
