/* response.h - one HTTP/1 response, fed as its bytes come: with a length, in chunks, or up to the
 * end of the connection. Interim responses (1xx) are left out. Knows no sockets.
 */
#ifndef SIOBENCH_RESPONSE_H
#define SIOBENCH_RESPONSE_H

#include <stdbool.h>

#include "util.h"

enum resp_state { RS_HEAD, RS_LENGTH, RS_TO_EOF, RS_CHUNK_SIZE, RS_CHUNK_DATA,
                  RS_CHUNK_END, RS_TRAILER, RS_DONE };

struct response {
    enum resp_state st;
    struct buf raw;             /* all bytes so far; the body is compacted in place */
    size_t pos;                 /* next byte of raw to look at */
    size_t head_len, body_len;  /* the body starts right after the head */
    uint64_t want;              /* bytes of the body or chunk still to come */
    int status;
    bool keep_alive, chunked, has_length;
    bool any;                   /* at least one byte came */
};

/* Ready for the next one; its memory is kept. */
void resp_reset(struct response *r);

/* Feed bytes.  1 the response is complete, 0 more is needed, -1 malformed. One in RS_TO_EOF is
 * complete when the connection ends. */
int resp_feed(struct response *r, const char *data, size_t n);

/* body_len bytes, lent until the next resp_feed(). */
const char *resp_body(const struct response *r);

#endif
