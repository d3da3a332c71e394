/* fuzz_wire.c - any bytes at all, through everything that reads bytes from outside.
 *
 * The input is taken for each of the things that come in: a payload, a JSON text, a query, an
 * origin, text to be masked. Beyond not crashing, what is said about it must hold together: what
 * was found must be valid by itself, what is built again from its pieces must be read as the same.
 * With clang:
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -iquote src tests/fuzz/fuzz_wire.c \
 *         src/{buf,json,eio,sio,http,mask}.c -o fuzz_wire && ./fuzz_wire -dict=tests/fuzz/wire.dict NEW tests/fuzz/corpus
 * With any compiler, replay.c in place of -fsanitize=fuzzer.
 */
#include "eio.h"
#include "http.h"
#include "json.h"
#include "mask.h"
#include "sio.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), here in every build. */
#define must(claim) ((claim) ? (void)0 : broken(#claim, __LINE__))

static void broken(const char *claim, int line)
{
    fprintf(stderr, "fuzz_wire.c:%d: does not hold: %s\n", line, claim);
    abort();
}

static bool lies_in(struct span piece, struct span whole)
{
    return piece.p >= whole.p && piece.p + piece.len <= whole.p + whole.len;
}

static bool is_json(struct span text)
{
    return json_check(text, NULL) == JSON_OK;
}

/* ---- JSON */

/* A string can be decoded, or not; once it can, encoding and decoding it again gives the same. */
static void try_string(struct span string)
{
    struct buf again = BUF_EMPTY;
    char *text = malloc(string.len + 1), *second = malloc(string.len + 1);

    must(text != NULL && second != NULL);
    long len = json_string_decode(string, text, string.len + 1);
    must(len == -1 || ((size_t)len == strlen(text) && (size_t)len + 2 <= string.len));
    if (len != -1) {
        must(utf8_valid((struct span){ text, (size_t)len }));
        must(json_string_is(string, text));
        json_string_encode(&again, (struct span){ text, (size_t)len });
        must(is_json(buf_span(&again)) && json_string_is(buf_span(&again), text));
        must(json_string_decode(buf_span(&again), second, (size_t)len + 1) == len);
        must(strcmp(text, second) == 0);
        must(len == 0 || json_string_decode(string, second, (size_t)len) == -1);
    }
    buf_release(&again);
    free(text);
    free(second);
}

/* Tokens cover the text but for white space, in order. */
static void try_tokens(struct span text)
{
    struct span rest = text, token;
    const char *at = text.p;

    while (json_token(&rest, &token)) {
        must(token.len != 0 && lies_in(token, text) && token.p >= at);
        must(json_trim((struct span){ at, (size_t)(token.p - at) }).len == 0);
        at = token.p + token.len;
    }
    must(json_trim((struct span){ at, (size_t)(text.p + text.len - at) }).len == 0);
}

/* What the walks yield is JSON by itself. */
static void try_items(struct span text)
{
    struct span rest = text, key, item;
    size_t items = 0, members = 0;

    while (json_array_next(&rest, &item)) {
        must(lies_in(item, text) && is_json(item) && json_trim(item).len == item.len);
        items++;
    }
    must(items == 0 || json_type(text) == JSON_ARRAY);
    rest = text;
    while (json_object_next(&rest, &key, &item)) {
        must(lies_in(key, text) && is_json(key) && json_type(key) == JSON_STRING);
        must(lies_in(item, text) && is_json(item) && json_trim(item).len == item.len);
        try_string(key);
        members++;
    }
    must(members == 0 || json_type(text) == JSON_OBJECT);
    must(!json_member(text, "num", &item) || (members != 0 && is_json(item)));
}

static void try_json(struct span text)
{
    size_t at = 0;

    if (json_check(text, &at) != JSON_OK) {
        must(at <= text.len);
        return;
    }
    must(utf8_valid(text));
    must(is_json(json_trim(text)));
    try_tokens(text);
    try_items(text);
    if (json_type(text) == JSON_STRING)
        try_string(json_trim(text));
}

/* Any text can be said in JSON. */
static void try_encode(struct span text)
{
    struct buf json = BUF_EMPTY;

    json_string_encode(&json, text);
    must(is_json(buf_span(&json)));
    must(memchr(json.data, EIO_SEPARATOR, json.len) == NULL);
    if (utf8_valid(text) && (text.len == 0 || memchr(text.p, '\0', text.len) == NULL)) {
        char *copy = malloc(text.len + 1);
        must(copy != NULL && span_copy(text, copy, text.len + 1));
        must(json_string_is(buf_span(&json), copy));
        free(copy);
    }
    buf_release(&json);
}

/* ---- packets */

static void try_event(const struct sio_packet *packet)
{
    struct buf again = BUF_EMPTY;
    struct span name = sio_event_name(packet->data), args = sio_event_args(packet->data);

    must(is_json(name) && lies_in(name, packet->data));
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

static void try_message(struct span text)
{
    struct buf again = BUF_EMPTY;
    struct sio_packet packet, second;

    if (sio_parse(text, &packet) != SIO_OK)
        return;
    sio_begin(&again, packet.type, packet.attachments, packet.nsp, packet.ack_id);
    buf_add_span(&again, packet.data);
    must(memchr(again.data, EIO_SEPARATOR, again.len) == NULL);
    must(sio_parse(buf_span(&again), &second) == SIO_OK);
    must(second.type == packet.type && second.attachments == packet.attachments);
    must(span_equals(second.nsp, packet.nsp) && span_equals(second.ack_id, packet.ack_id));
    must(span_equals(second.data, packet.data));
    buf_release(&again);
    if (packet.data.len != 0)
        try_json(packet.data);
    if (packet.type == SIO_EVENT || packet.type == SIO_BINARY_EVENT)
        try_event(&packet);
}

/* Read PAYLOAD, build it again in AGAIN. Returns the number of packets. */
static size_t rebuild(struct span payload, struct buf *again, enum eio_status *status)
{
    struct span rest = payload;
    struct eio_packet packet;
    bool first = true;
    size_t count = 0;

    while ((*status = eio_next(&rest, &first, &packet)) == EIO_OK) {
        must(lies_in(packet.data, payload));
        eio_add(again, packet.type, packet.data);
        if (packet.type == EIO_MESSAGE)
            try_message(packet.data);
        count++;
    }
    return count;
}

static void try_payload(struct span payload)
{
    struct buf again = BUF_EMPTY, third = BUF_EMPTY;
    enum eio_status status;
    size_t count = rebuild(payload, &again, &status);

    must(count <= eio_count(payload));
    if (status == EIO_END) {
        must(count == eio_count(payload) && count == eio_count(buf_span(&again)));
        must(again.len >= payload.len && again.len <= payload.len + 2 * count);     /* padding */
        must(rebuild(buf_span(&again), &third, &status) == count && status == EIO_END);
        must(span_equals(buf_span(&third), buf_span(&again)));
    }
    buf_release(&again);
    buf_release(&third);
}

/* ---- the rest of a request */

static void try_query(struct span query)
{
    static const char *const names[] = { "EIO", "transport", "sid", "t", "" };
    char out[24];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        memset(out, 'x', sizeof out);
        long len = http_query(query, names[i], out, sizeof out);
        must(len >= -2 && len < (long)sizeof out);
        must(strlen(out) == (len < 0 ? 0 : (size_t)len));
    }
}

/* Whatever the headers of a request hold, the lines of the answer are those that we mean. */
static void try_answer(struct span header)
{
    struct http_answer a = { .status = 204, .preflight = true };
    struct buf out = BUF_EMPTY;
    size_t lines = 0;

    a.origin = a.request_headers = header;
    http_write(&out, &a);
    for (size_t i = 0; i < out.len; i++) {
        unsigned char c = (unsigned char)out.data[i];
        lines += c == '\n';
        must(c == '\r' || c == '\n' || (c >= 0x20 && c < 0x7f));
        must((c != '\n' || out.data[i - 1] == '\r') && (c != '\r' || out.data[i + 1] == '\n'));
    }
    must(lines == 3 || lines == 8 || lines == 9);
    buf_release(&out);
}

static void try_origin(struct span text)
{
    const char *cut = text.len != 0 ? memchr(text.p, '\n', text.len) : NULL;
    struct span origin = { text.p, cut != NULL ? (size_t)(cut - text.p) : text.len };
    struct span other = { text.p + origin.len, text.len - origin.len };
    char *list = malloc(other.len + 1);

    must(list != NULL);
    must(http_origin_allowed(origin, "*") == (origin.len != 0));
    must(!http_origin_allowed(origin, ""));
    must(!(http_same_origin(origin, other, false) && http_same_origin(origin, other, true)));
    if (span_copy(other, list, other.len + 1))
        (void)http_origin_allowed(origin, list);
    free(list);
}

static void try_mask(struct span text)
{
    struct buf masked = BUF_EMPTY;

    mask_addresses(&masked, text);
    must(buf_ok(&masked) && masked.len <= 2 * text.len);
    if (is_json(text))
        must(is_json(buf_span(&masked)));
    if (utf8_valid(text))
        must(utf8_valid(buf_span(&masked)));
    buf_release(&masked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = { size != 0 ? (const char *)data : "", size };

    try_payload(input);
    try_message(input);
    try_json(input);
    try_encode(input);
    try_query(input);
    try_answer(input);
    try_origin(input);
    try_mask(input);
    return 0;
}
