/* sio.c - Engine.IO messages and Socket.IO v5 packets. Knows neither sockets nor channels: it finds
 * the pieces of a packet and says whether a server may take them. What is refused here, a peer's
 * parser would choke on.
 */
#include "wire/sio.h"

#include "base/ascii.h"
#include "wire/json.h"

#include <assert.h>

/* ---- the pieces in front of the JSON. Each take_ function takes its piece off *REST, if it is
 * there. */

/* The digits at the start of *REST. */
static struct span take_digits(struct span *rest)
{
    struct span digits = { rest->p, 0 };

    while (digits.len < rest->len && ascii_is_digit(rest->p[digits.len]))
        digits.len++;
    rest->p += digits.len;
    rest->len -= digits.len;
    return digits;
}

static bool is_binary(enum sio_type type)
{
    return type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK;
}

static enum sio_status take_type(struct span *rest, struct sio_packet *packet)
{
    if (rest->len == 0 || rest->p[0] < '0' || rest->p[0] > '6')
        return SIO_BAD_TYPE;
    packet->type = (enum sio_type)(rest->p[0] - '0');
    rest->p++;
    rest->len--;
    return packet->type == SIO_CONNECT_ERROR ? SIO_FROM_CLIENT : SIO_OK;
}

/* The count of a binary packet: at least 1, for what has no attachments is not binary. */
static enum sio_status take_attachments(struct span *rest, struct sio_packet *packet)
{
    int64_t count;

    if (!is_binary(packet->type))
        return SIO_OK;
    struct span digits = take_digits(rest);
    if (rest->len == 0 || rest->p[0] != '-' || !span_int(digits, &count))
        return SIO_BAD_ATTACHMENTS;
    if (count < 1 || count > SIO_ATTACHMENTS_MAX)
        return SIO_BAD_ATTACHMENTS;
    packet->attachments = (unsigned)count;
    rest->p++;
    rest->len--;
    return SIO_OK;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

/* `/name?query,`, where the query part goes for nothing, and the comma may be missing when
 * nothing follows. */
static enum sio_status take_namespace(struct span *rest, struct sio_packet *packet)
{
    packet->nsp = SPAN("/");
    if (rest->len == 0 || rest->p[0] != '/')
        return SIO_OK;

    const char *comma = memchr(rest->p, ',', rest->len);
    struct span whole = { rest->p, comma != NULL ? (size_t)(comma - rest->p) : rest->len };
    size_t taken = whole.len + (comma != NULL);
    rest->p += taken;
    rest->len -= taken;

    const char *query = memchr(whole.p, '?', whole.len);
    packet->nsp = (struct span){ whole.p, query != NULL ? (size_t)(query - whole.p) : whole.len };
    if (packet->nsp.len > SIO_NSP_MAX || has_control(whole) || !utf8_valid(whole))
        return SIO_BAD_NAMESPACE;
    return SIO_OK;
}

static enum sio_status take_ack_id(struct span *rest, struct sio_packet *packet)
{
    bool needed = packet->type == SIO_ACK || packet->type == SIO_BINARY_ACK;

    packet->ack_id = take_digits(rest);
    if (packet->ack_id.len > SIO_ACK_ID_MAX || (needed && packet->ack_id.len == 0))
        return SIO_BAD_ACK_ID;
    return SIO_OK;
}

/* ---- the JSON */

static enum sio_status take_json(struct span *rest, struct sio_packet *packet)
{
    packet->data = *rest;
    if (rest->len == 0)
        return SIO_OK;
    switch (json_check(*rest, NULL)) {
    case JSON_OK:
        packet->data = json_trim(*rest);
        return SIO_OK;
    case JSON_TOO_DEEP:
        return SIO_TOO_DEEP;
    default:
        return SIO_BAD_JSON;
    }
}

/* Is NAME, with its quotes, one that the libraries use for events of their own? */
static bool is_reserved(struct span name)
{
    static const char *const reserved[] = {
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    };

    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (json_string_is(name, reserved[i]))
            return true;
    return false;
}

static enum sio_status check_event(struct span data)
{
    struct span name;

    if (data.len == 0 || !json_array_next(&data, &name))
        return SIO_BAD_PAYLOAD;
    if (json_type(name) == JSON_NUMBER)
        return SIO_OK;
    if (json_type(name) != JSON_STRING)
        return SIO_BAD_PAYLOAD;
    return is_reserved(name) ? SIO_RESERVED_EVENT : SIO_OK;
}

static bool is_of_type(struct span data, enum json_type type)
{
    return data.len != 0 && json_type(data) == type;
}

/* Is the JSON of a kind that the type carries? */
static enum sio_status check_payload(const struct sio_packet *packet)
{
    bool ok = false;

    switch (packet->type) {
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        return check_event(packet->data);
    case SIO_CONNECT:
        ok = packet->data.len == 0 || is_of_type(packet->data, JSON_OBJECT);
        break;
    case SIO_DISCONNECT:
        ok = packet->data.len == 0;
        break;
    case SIO_ACK:
    case SIO_BINARY_ACK:
        ok = is_of_type(packet->data, JSON_ARRAY);
        break;
    case SIO_CONNECT_ERROR:
        break;
    }
    return ok ? SIO_OK : SIO_BAD_PAYLOAD;
}

/* ---- placeholders
 *
 * Whoever reads a binary packet puts attachment N in place of each {"_placeholder":true,"num":N},
 * wherever in the data it stands, and gives the connection up when there is no N. So the walk goes
 * through every object, at any depth: once over the tokens, with one byte of state for each bracket
 * that is open. Of members that come twice the last one counts, as JSON.parse has it.
 */

enum {
    WALK_PLACEHOLDER = 1,       /* the bracket's last "_placeholder" was true */
    WALK_NUMBERED = 2           /* its last "num" names an attachment */
};

struct walk {
    unsigned attachments;
    size_t depth;
    unsigned char open[JSON_DEPTH_MAX];
};

static void set_flag(unsigned char *flags, int flag, bool on)
{
    *flags = (unsigned char)(on ? *flags | flag : *flags & ~flag);
}

/* Note what the member KEY, whose value starts with the token VALUE, says of the innermost
 * object. */
static void walk_member(struct walk *w, struct span key, struct span value)
{
    unsigned char *flags = &w->open[w->depth - 1];
    int64_t num;

    if (json_string_is(key, "_placeholder"))
        set_flag(flags, WALK_PLACEHOLDER, span_is(value, "true"));
    else if (json_string_is(key, "num"))
        set_flag(flags, WALK_NUMBERED, span_int(value, &num) && num < (int64_t)w->attachments);
}

/* Open or close the bracket C. False when an object closes that is a placeholder of nothing. */
static bool walk_bracket(struct walk *w, char c)
{
    if (c == '[' || c == '{') {
        assert(w->depth < JSON_DEPTH_MAX);
        w->open[w->depth++] = 0;
        return true;
    }
    if (c != ']' && c != '}')
        return true;
    assert(w->depth > 0);
    return w->open[--w->depth] != WALK_PLACEHOLDER;
}

/* Is every placeholder in DATA one of an attachment? */
static bool placeholders_fit(struct span data, unsigned attachments)
{
    struct walk w = { .attachments = attachments };
    struct span token, before = SPAN(""), key = SPAN("");

    for (; json_token(&data, &token); before = token) {
        if (key.len != 0)
            walk_member(&w, key, token);
        key = token.p[0] == ':' ? before : SPAN("");
        if (!walk_bracket(&w, token.p[0]))
            return false;
    }
    return true;
}

/* ---- whole packets */

enum sio_status sio_parse(struct span text, struct sio_packet *packet)
{
    static enum sio_status (*const steps[])(struct span *, struct sio_packet *) = {
        take_type, take_attachments, take_namespace, take_ack_id, take_json,
    };
    enum sio_status status = SIO_OK;

    *packet = (struct sio_packet){ .type = SIO_CONNECT };
    for (size_t i = 0; status == SIO_OK && i < sizeof steps / sizeof steps[0]; i++)
        status = steps[i](&text, packet);
    if (status == SIO_OK)
        status = check_payload(packet);
    if (status == SIO_OK && is_binary(packet->type)
        && !placeholders_fit(packet->data, packet->attachments))
        status = SIO_BAD_ATTACHMENTS;
    return status;
}

void sio_begin(struct buf *out, enum sio_type type, unsigned attachments, struct span nsp,
               struct span ack_id)
{
    buf_add_char(out, (char)('0' + (int)type));
    if (is_binary(type)) {
        buf_add_int(out, (int64_t)attachments);
        buf_add_char(out, '-');
    }
    if (!span_is(nsp, "/")) {
        buf_add_span(out, nsp);
        buf_add_char(out, ',');
    }
    buf_add_span(out, ack_id);
}

struct span sio_event_name(struct span data)
{
    struct span name = SPAN("");
    bool found = json_array_next(&data, &name);

    assert(found);
    (void)found;
    return name;
}

struct span sio_event_args(struct span data)
{
    struct span name;
    bool found = json_array_next(&data, &name);

    /* DATA now starts at the comma behind the name, or at the closing bracket. */
    assert(found && data.len != 0);
    (void)found;
    if (data.p[0] != ',')
        return SPAN("");
    return json_trim((struct span){ data.p + 1, json_trim(data).len - 2 });
}

const char *sio_strerror(enum sio_status status)
{
    switch (status) {
    case SIO_OK:
        return "no error";
    case SIO_BAD_TYPE:
        return "unknown packet type";
    case SIO_BAD_ATTACHMENTS:
        return "wrong number of attachments, or a placeholder of none";
    case SIO_BAD_NAMESPACE:
        return "namespace too long, or not plain text";
    case SIO_BAD_ACK_ID:
        return "ack id missing or too long";
    case SIO_BAD_JSON:
        return "not valid JSON";
    case SIO_TOO_DEEP:
        return "JSON nested too deeply";
    case SIO_BAD_PAYLOAD:
        return "not what a packet of its type carries";
    case SIO_RESERVED_EVENT:
        return "reserved event name";
    case SIO_FROM_CLIENT:
        return "packet that only servers send";
    }
    return "unknown error";
}
