/* eio.c - bytes and Engine.IO v4 packets. Knows nothing of sessions, or of what a message says;
 * payloads come from request bodies and go into answers to polls.
 */
#include "wire/eio.h"

#include <assert.h>
#include <stdio.h>

#define SEPARATOR '\x1e'
#define ERROR_FORM "{\"code\":%d,\"message\":\"%.*s\"}"

bool eio_speaks(const char *text)
{
    return strcmp(text, "4") == 0;
}

struct span eio_error_body(char out[EIO_ERROR_MAX], enum eio_error code, const char *message)
{
    int most = EIO_ERROR_MAX - (int)sizeof ERROR_FORM;
    int len = snprintf(out, EIO_ERROR_MAX, ERROR_FORM, (int)code, most, message);

    return (struct span){ out, (size_t)len };
}

/* ---- base64 */

/* Without branches, so that compilers can check many bytes at once. */
static bool is_base64(unsigned char c)
{
    return ((unsigned)(c | 0x20) - 'a' < 26) | ((unsigned)c - '0' < 10) | (c == '+') | (c == '/');
}

/* The six bits of a base64 digit. */
static int base64_value(unsigned char c)
{
    if (c >= 'a')
        return c - 'a' + 26;
    if (c >= 'A')
        return c - 'A';
    if (c >= '0')
        return c - '0' + 52;
    return c == '+' ? 62 : 63;
}

/* Is TEXT what an encoder makes of some bytes, with its padding or without any? Decoders differ
 * in what they do with anything else: browsers' read a foreign character as zero bits, others
 * fail on bits left over. */
static bool base64_canonical(struct span text)
{
    size_t padding = 0;
    bool wrong = false;

    while (padding < 2 && padding < text.len && text.p[text.len - 1 - padding] == '=')
        padding++;
    size_t digits = text.len - padding, over = digits % 4;
    if (over == 1 || (padding != 0 && over + padding != 4))
        return false;
    for (size_t i = 0; i < digits; i++)
        wrong |= !is_base64((unsigned char)text.p[i]);
    if (wrong || over == 0)
        return !wrong;
    int left_over = over == 2 ? 15 : 3;         /* bits of the last digit that belong to no byte */
    return (base64_value((unsigned char)text.p[digits - 1]) & left_over) == 0;
}

/* What of C is one of the 64, or C itself. */
static char base64_digit(char c)
{
    return c == '-' ? '+' : c == '_' ? '/' : c;
}

static bool is_blank(char c)
{
    return c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

/* Is TEXT made of digits of either alphabet and blanks, with padding, if any, behind all digits? A
 * digit too many is no byte: something is missing. */
static bool base64_readable(struct span text)
{
    size_t digits = 0, padding = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (is_blank(text.p[i]))
            continue;
        if (text.p[i] == '=')
            padding++;
        else if (padding != 0 || !is_base64((unsigned char)base64_digit(text.p[i])))
            return false;
        else
            digits++;
    }
    return digits % 4 != 1 && padding <= 2 && (digits != 0 || padding == 0);
}

void eio_add_base64(struct buf *out, const struct eio_packet *packet)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct span text = packet->data;
    char *room = NULL;
    size_t len = 0;

    if (base64_canonical(text)) {
        buf_add_span(out, text);
        return;
    }
    if ((room = buf_room(out, text.len)) == NULL)
        return;
    for (size_t i = 0; i < text.len; i++)
        if (!is_blank(text.p[i]) && text.p[i] != '=')
            room[len++] = base64_digit(text.p[i]);
    if (len % 4 != 0) {
        int left_over = len % 4 == 2 ? 15 : 3;
        room[len - 1] = alphabet[base64_value((unsigned char)room[len - 1]) & ~left_over];
    }
    buf_used(out, len);
}

/* ---- reading */

/* May a packet of TYPE carry DATA? */
static enum eio_status check_data(enum eio_type type, struct span data)
{
    switch (type) {
    case EIO_CLOSE:
    case EIO_PING:
    case EIO_PONG:
    case EIO_NOOP:
        return data.len == 0 ? EIO_OK : EIO_TRAILING;
    case EIO_BINARY:
        return base64_canonical(data) || base64_readable(data) ? EIO_OK : EIO_BAD_BASE64;
    default:
        return EIO_OK;
    }
}

enum eio_status eio_check_type(struct span content_type)
{
    return span_starts(content_type, "application/octet-stream") ? EIO_BINARY_BODY : EIO_OK;
}

enum eio_status eio_next(struct eio_reader *r, struct eio_packet *packet)
{
    /* behind a packet stands the separator */
    size_t from = r->at != 0 ? r->at + 1 : 0, left = r->payload.len - r->at;

    if (r->at != 0 && left == 0)
        return EIO_END;
    left -= from - r->at;
    if (left == 0)
        return EIO_EMPTY;

    const char *p = r->payload.p + from, *separator = memchr(p, SEPARATOR, left);
    size_t len = separator != NULL ? (size_t)(separator - p) : left;
    if (len == 0)
        return EIO_EMPTY;
    if (*p != 'b' && (*p < '0' || *p > '6'))
        return EIO_BAD_TYPE;
    packet->type = *p == 'b' ? EIO_BINARY : (enum eio_type)(*p - '0');
    packet->data = (struct span){ p + 1, len - 1 };
    r->at = from + len;
    return check_data(packet->type, packet->data);
}

size_t eio_count(struct span payload)
{
    const char *p = payload.p, *separator;
    size_t left = payload.len, count = 1;

    if (left == 0)
        return 0;
    while ((separator = memchr(p, SEPARATOR, left)) != NULL) {
        left -= (size_t)(separator + 1 - p);
        p = separator + 1;
        count++;
    }
    return count;
}

/* ---- writing */

void eio_begin(struct eio_writer *w, struct buf *out)
{
    *w = (struct eio_writer){ .out = out };
    buf_clear(out);
}

void eio_begin_packet(struct eio_writer *w, enum eio_type type)
{
    if (w->packets++ != 0)
        buf_add_char(w->out, SEPARATOR);
    buf_add_char(w->out, type == EIO_BINARY ? 'b' : (char)('0' + (int)type));
}

void eio_add(struct eio_writer *w, enum eio_type type, struct span data)
{
    assert(data.len == 0 || memchr(data.p, SEPARATOR, data.len) == NULL);
    assert(type != EIO_BINARY || data.len % 4 != 1);
    eio_begin_packet(w, type);
    buf_add_span(w->out, data);
    if (type == EIO_BINARY && data.len % 4 != 0)
        buf_add(w->out, "==", 4 - data.len % 4);
}

void eio_add_open(struct eio_writer *w, const struct eio_open *open)
{
    eio_begin_packet(w, EIO_OPEN);
    buf_addf(w->out,
             "{\"sid\":\"%s\",\"upgrades\":[],\"pingInterval\":%lld,\"pingTimeout\":%lld,"
             "\"maxPayload\":%lld%s}",
             open->sid, (long long)open->ping_interval_ms, (long long)open->ping_timeout_ms,
             (long long)open->max_payload, open->wait ? ",\"wait\":true" : "");
}

struct span eio_noop(void)
{
    return SPAN("6");
}

/* Nothing is left to be written: what stands between packets says where they end. */
struct span eio_end(struct eio_writer *w)
{
    return buf_span(w->out);
}

const char *eio_strerror(enum eio_status status)
{
    switch (status) {
    case EIO_OK:
        return "no error";
    case EIO_END:
        return "no further packet";
    case EIO_EMPTY:
        return "empty packet or payload";
    case EIO_BAD_TYPE:
        return "unknown packet type";
    case EIO_BAD_BASE64:
        return "binary packet that is not base64";
    case EIO_TRAILING:
        return "data behind a packet that carries none";
    case EIO_BINARY_BODY:
        return "binary bodies are not part of protocol version 4";
    }
    return "unknown error";
}
