/* record.h - FastCGI's records: what a web server sends becomes a request, however it is cut into
 * pieces, and an answer becomes records. Knows no sockets, no clock and no log. Pure.
 *
 * A web server has one request at a time on a connection. Bytes that are no such thing never do
 * more harm than to end their connection.
 */
#ifndef POLLUX_HOST_RECORD_H
#define POLLUX_HOST_RECORD_H

#include "base/buf.h"

/* Bytes of a request's variables; more are read away, and head_too_long is set. */
#define RECORD_HEAD_MAX 65536

enum record_type {
    RECORD_BEGIN = 1, RECORD_ABORT, RECORD_END, RECORD_PARAMS, RECORD_STDIN, RECORD_STDOUT,
    RECORD_STDERR, RECORD_DATA, RECORD_GET_VALUES, RECORD_GET_VALUES_RESULT, RECORD_UNKNOWN
};

enum record_state {
    RECORDS_MORE,               /* the request is not whole yet */
    RECORDS_WHOLE,
    RECORDS_OVER                /* nothing good can come there: send the replies, then close it */
};

/* What has come of a request. Read the fields, change none. */
struct records {
    size_t body_max;
    bool begun;
    uint16_t id;
    bool keep;                  /* the web server wants to keep the connection */
    bool head_whole;            /* all variables are there */
    bool head_too_long;
    /* name and length pairs; when whole NAME=value, a NUL behind each */
    struct buf head;
    struct buf variables;       /* char *, the last NULL; they point into HEAD */
    struct buf body;            /* its first body_max bytes */
    struct buf replies;         /* to be sent to the web server at once, then cleared */
    /* the record that is being read */
    unsigned char header[8], begin[8];
    size_t header_len, begin_len, content_left, padding_left;
};

/* Start with nothing; no memory is taken yet. */
void records_init(struct records *r, size_t body_max);

/* Forget the request, keep the memory. */
void records_clear(struct records *r);

/* Give the memory back. */
void records_release(struct records *r);

/* Read from *BYTES, which loses what was read: all, except behind a whole request. After anything
 * but RECORDS_MORE clear it first. Without memory head, variables or body are failed (see
 * buf_ok()). */
enum record_state records_take(struct records *r, struct span *bytes);

/* Give back memory beyond what has come: it was used for others before. */
void records_shrink(struct records *r);

/* Has nothing come since the start but whole records that begin no request? */
bool records_at_rest(const struct records *r);

/* CGI's variables, as environ has them; only when head_whole. None without memory. Lent until the
 * next clear. */
char *const *records_variables(const struct records *r);

/* Append one record with CONTENT, at most 65535 bytes. */
void record_add(struct buf *out, enum record_type type, uint16_t id, struct span content);

/* Append TEXT as the next part of the answer to request ID. */
void record_add_part(struct buf *out, uint16_t id, struct span text);

/* Append TEXT, at most 65535 bytes, for the web server's error log. */
void record_add_complaint(struct buf *out, uint16_t id, struct span text);

/* Append the answer's end. */
void record_add_end(struct buf *out, uint16_t id);

#endif
