/* record.c - FastCGI's records, in and out.
 *
 * A record is a header of 8 bytes (version, type, request's id, lengths), content and padding. A
 * request is BEGIN, then PARAMS whose contents together are the variables, then STDIN whose
 * contents together are the body; an empty one ends each of the two. What comes in between for
 * other ids, or for none, is not about the request: it is answered in REPLIES. */
#include "host/record.h"

#include <stdlib.h>

#define HEADER_LEN 8
#define BEGIN_LEN 8
#define CONTENT_MAX 65528               /* 16 bits, a multiple of 8 */
#define REPLIES_MAX 4096                /* a web server that asks more at once is none */

enum { ROLE_RESPONDER = 1, FLAG_KEEP = 1 };
enum { REQUEST_COMPLETE = 0, CANNOT_MULTIPLEX = 1, UNKNOWN_ROLE = 3 };

/* ---- out */

void record_add(struct buf *out, enum record_type type, uint16_t id, struct span content)
{
    const unsigned char header[HEADER_LEN] = { 1,
                                               (unsigned char)type,
                                               (unsigned char)(id >> 8),
                                               (unsigned char)id,
                                               (unsigned char)(content.len >> 8),
                                               (unsigned char)content.len,
                                               0,
                                               0 };

    buf_add(out, header, sizeof header);
    buf_add_span(out, content);
}

void record_add_part(struct buf *out, uint16_t id, struct span text)
{
    for (size_t at = 0; at < text.len; at += CONTENT_MAX)
        record_add(out, RECORD_STDOUT, id,
                   (struct span){ text.p + at,
                                  text.len - at < CONTENT_MAX ? text.len - at : CONTENT_MAX });
}

static void add_end(struct buf *out, uint16_t id, int status)
{
    const char end[8] = { 0, 0, 0, 0, (char)status, 0, 0, 0 };

    record_add(out, RECORD_END, id, (struct span){ end, sizeof end });
}

void record_add_complaint(struct buf *out, uint16_t id, struct span text)
{
    record_add(out, RECORD_STDERR, id, text);
    record_add(out, RECORD_STDERR, id, (struct span){ NULL, 0 });
}

void record_add_end(struct buf *out, uint16_t id)
{
    record_add(out, RECORD_STDOUT, id, SPAN(""));
    add_end(out, id, REQUEST_COMPLETE);
}

/* ---- in: memory */

void records_init(struct records *r, size_t body_max)
{
    *r = (struct records){ .body_max = body_max };
}

void records_clear(struct records *r)
{
    struct records clear = { .body_max = r->body_max,
                             .head = r->head,
                             .variables = r->variables,
                             .body = r->body,
                             .replies = r->replies };

    *r = clear;
    buf_clear(&r->head);
    buf_clear(&r->variables);
    buf_clear(&r->body);
    buf_clear(&r->replies);
}

void records_release(struct records *r)
{
    buf_release(&r->head);
    buf_release(&r->variables);
    buf_release(&r->body);
    buf_release(&r->replies);
}

/* Move what B has to no more memory than it needs. Returns the old memory, to be freed; NULL: it
 * has not moved. */
static char *shrink(struct buf *b)
{
    size_t cap = b->len + 64;
    char *old = b->data, *data = b->cap > cap ? malloc(cap) : NULL;

    if (data == NULL)
        return NULL;
    memcpy(data, old, b->len);
    b->data = data;
    b->cap = cap;
    return old;
}

void records_shrink(struct records *r)
{
    char **variable = (char **)(void *)r->variables.data;
    char *head = shrink(&r->head);
    size_t count = head != NULL && buf_ok(&r->variables) ? r->variables.len / sizeof *variable : 0;

    for (size_t i = 0; i + 1 < count; i++)                      /* they point into it */
        variable[i] = r->head.data + (variable[i] - head);
    free(head);
    free(shrink(&r->body));
}

bool records_at_rest(const struct records *r)
{
    return !r->begun && r->header_len == 0;
}

char *const *records_variables(const struct records *r)
{
    static char *const none[] = { NULL };

    return buf_ok(&r->variables) ? (char *const *)(const void *)r->variables.data : none;
}

/* ---- in: variables */

/* Read a length at *AT: one byte, or four if the first bit is set. False: it is cut short. */
static bool take_length(const struct buf *head, size_t *at, size_t *length)
{
    const unsigned char *p = (const unsigned char *)head->data + *at;
    size_t left = head->len - *at;

    if (left == 0 || (p[0] >= 0x80 && left < 4))
        return false;
    if (p[0] < 0x80)
        *length = p[0];
    else
        *length = (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    *at += p[0] < 0x80 ? 1 : 4;
    return true;
}

/* Turn the pair at *AT of HEAD into NAME=value and a NUL at TO, no further on: its two lengths take
 * at least the two bytes that it needs now, so nothing is written over before it was read. Returns
 * where it ends; 0 when the lengths are not true. */
static size_t untie_pair(struct buf *head, size_t *at, size_t to)
{
    size_t name_len = 0, value_len = 0;

    if (!take_length(head, at, &name_len) || !take_length(head, at, &value_len)
        || name_len > head->len - *at || value_len > head->len - *at - name_len)
        return 0;
    memmove(head->data + to, head->data + *at, name_len);
    head->data[to + name_len] = '=';
    memmove(head->data + to + name_len + 1, head->data + *at + name_len, value_len);
    head->data[to + name_len + 1 + value_len] = '\0';
    *at += name_len + value_len;
    return to + name_len + value_len + 2;
}

static bool untie_pairs(struct records *r)
{
    size_t at = 0, to = 0, end;

    while (at < r->head.len) {
        char *variable = r->head.data + to;
        if ((end = untie_pair(&r->head, &at, to)) == 0)
            return false;
        buf_add(&r->variables, &variable, sizeof variable);
        to = end;
    }
    r->head.len = to;
    return true;
}

static enum record_state end_head(struct records *r)
{
    char *none = NULL;

    r->head_whole = true;
    if (r->head_too_long)
        buf_clear(&r->head);
    else if (buf_ok(&r->head) && !untie_pairs(r))
        return RECORDS_OVER;
    buf_add(&r->variables, &none, sizeof none);
    return RECORDS_MORE;
}

/* ---- in: records */

static uint16_t id_at_hand(const struct records *r)
{
    return (uint16_t)(r->header[2] << 8 | r->header[3]);
}

static size_t content_len(const struct records *r)
{
    return (size_t)r->header[4] << 8 | r->header[5];
}

/* May the record whose header has just come stand here? */
static bool may_begin(const struct records *r)
{
    bool ours = r->begun && id_at_hand(r) == r->id;

    if (r->header[0] != 1)
        return false;
    if (id_at_hand(r) == 0)
        return r->header[1] > RECORD_DATA || r->header[1] == 0;
    switch (r->header[1]) {
    case RECORD_BEGIN:
        return content_len(r) == BEGIN_LEN && !ours;
    case RECORD_PARAMS:
        return r->begun && !(ours && r->head_whole);
    case RECORD_STDIN:
        return r->begun && (!ours || r->head_whole);
    case RECORD_ABORT:
        return true;
    case RECORD_DATA:
        return r->begun;
    default:
        return false;
    }
}

static void keep_head(struct records *r, struct span piece)
{
    if (r->head.len + piece.len > RECORD_HEAD_MAX)
        r->head_too_long = true;
    if (!r->head_too_long)
        buf_add_span(&r->head, piece);
}

static void keep_body(struct records *r, struct span piece)
{
    size_t room = r->body_max - r->body.len;

    if (piece.len > room)
        piece.len = room;
    buf_add_span(&r->body, piece);
}

/* Keep what is of use of a PIECE of the content. */
static void keep_piece(struct records *r, struct span piece)
{
    bool ours = r->begun && id_at_hand(r) == r->id;

    if (r->header[1] == RECORD_BEGIN) {
        memcpy(r->begin + r->begin_len, piece.p, piece.len);
        r->begin_len += piece.len;
    } else if (ours && r->header[1] == RECORD_PARAMS) {
        keep_head(r, piece);
    } else if (ours && r->header[1] == RECORD_STDIN) {
        keep_body(r, piece);
    }
}

static enum record_state begin_request(struct records *r)
{
    int role = r->begin[0] << 8 | r->begin[1];

    if (r->begun) {                     /* as if it had asked whether it may */
        add_end(&r->replies, id_at_hand(r), CANNOT_MULTIPLEX);
        return RECORDS_MORE;
    }
    if (role != ROLE_RESPONDER) {
        add_end(&r->replies, id_at_hand(r), UNKNOWN_ROLE);
        return RECORDS_OVER;
    }
    r->begun = true;
    r->id = id_at_hand(r);
    r->keep = r->begin[2] & FLAG_KEEP;
    return RECORDS_MORE;
}

static enum record_state abort_request(struct records *r)
{
    if (!r->begun || id_at_hand(r) != r->id)
        return RECORDS_MORE;            /* it was answered meanwhile */
    add_end(&r->replies, r->id, REQUEST_COMPLETE);
    return RECORDS_OVER;
}

/* What concerns no request: of all that may be asked one thing has an answer. */
static enum record_state reply(struct records *r)
{
    const char unknown[8] = { (char)r->header[1] };

    if (r->header[1] == RECORD_GET_VALUES)
        record_add(&r->replies, RECORD_GET_VALUES_RESULT, 0,
                   SPAN("\x0f\x01" "FCGI_MPXS_CONNS0"));
    else
        record_add(&r->replies, RECORD_UNKNOWN, 0, (struct span){ unknown, sizeof unknown });
    return r->replies.len <= REPLIES_MAX ? RECORDS_MORE : RECORDS_OVER;
}

/* A record has come to its end. */
static enum record_state end_record(struct records *r)
{
    bool last = r->begun && id_at_hand(r) == r->id && content_len(r) == 0;

    r->header_len = 0;
    if (id_at_hand(r) == 0)
        return reply(r);
    if (r->header[1] == RECORD_BEGIN)
        return begin_request(r);
    if (r->header[1] == RECORD_ABORT)
        return abort_request(r);
    if (r->header[1] == RECORD_PARAMS && last)
        return end_head(r);
    return r->header[1] == RECORD_STDIN && last ? RECORDS_WHOLE : RECORDS_MORE;
}

/* Take up to LEN bytes off *BYTES. */
static struct span take(struct span *bytes, size_t len)
{
    struct span piece = { bytes->p, len < bytes->len ? len : bytes->len };

    bytes->p += piece.len;
    bytes->len -= piece.len;
    return piece;
}

/* Read on in a header. False: nothing good begins with it. */
static bool take_header(struct records *r, struct span *bytes)
{
    struct span piece = take(bytes, HEADER_LEN - r->header_len);

    memcpy(r->header + r->header_len, piece.p, piece.len);
    r->header_len += piece.len;
    if (r->header_len < HEADER_LEN)
        return true;
    r->content_left = content_len(r);
    r->padding_left = r->header[6];
    r->begin_len = 0;
    return may_begin(r);
}

enum record_state records_take(struct records *r, struct span *bytes)
{
    enum record_state state = RECORDS_MORE;

    while (state == RECORDS_MORE && bytes->len != 0) {
        if (r->header_len < HEADER_LEN && !take_header(r, bytes))
            return RECORDS_OVER;
        if (r->header_len < HEADER_LEN)
            break;
        struct span piece = take(bytes, r->content_left);
        if (piece.len != 0)
            keep_piece(r, piece);
        r->content_left -= piece.len;
        r->padding_left -= take(bytes, r->padding_left).len;
        if (r->content_left == 0 && r->padding_left == 0)
            state = end_record(r);
    }
    return state;
}
