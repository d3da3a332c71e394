/* http.h - what a request asks and how an answer looks, as CGI and FastCGI have them: variables in,
 * "Status:" and headers out. Knows no sockets and no Socket.IO. Pure.
 */
#ifndef POLLUX_WIRE_HTTP_H
#define POLLUX_WIRE_HTTP_H

#include "base/buf.h"

enum http_method { HTTP_GET, HTTP_POST, HTTP_OPTIONS, HTTP_OTHER };

/* GET, POST, OPTIONS by their names; anything else, HEAD too, is HTTP_OTHER. */
enum http_method http_method(struct span name);

/* A field of a query that is asked for. */
struct http_field {
    const char *name;
    char *out;                          /* gets the value and a NUL, in CAP bytes */
    size_t cap;
    long len;                           /* the value's; -1: absent; -2: see below */
};

/* Find the FIELDS in QUERY (`a=b&c=d`, no '?'), percent-decode their values ('+' is a space). One
 * that does not fit, holds a NUL or is wrongly escaped has length -2; its text is then empty, as
 * that of one that is absent. Of several the first counts. Names are compared as they stand. */
void http_query(struct span query, struct http_field *fields, size_t count);

/* Is ORIGIN (an Origin header, e.g. `https://a.example:8443`) the origin that HOST (a Host
 * header) and HTTPS name? Default ports count as absent; letters compare without case. */
bool http_same_origin(struct span origin, struct span host, bool https);

/* Is HOST (a Host header, with its port or without) in SERVED, a list of names separated by spaces
 * or commas, `*.example.org` meaning one whole label or more in place of the star? An empty list
 * is any. A network address always is: a foreign name that was made to lead here is none. */
bool http_host_served(struct span host, const char *served);

/* Can TEXT stand in a message as it is: printable ASCII without quotes, backslashes and what HTML
 * is made of, not long? */
bool http_is_plain(struct span text);

/* Is ORIGIN in ALLOWED, a list of exact origins separated by spaces or commas, `*` meaning any,
 * or patterns such as `https://`, a star, `.example.org` (one whole host label or more in place
 * of the star)? Default ports count as absent; letters compare without case; an empty ORIGIN is
 * never allowed. */
bool http_origin_allowed(struct span origin, const char *allowed);

/* The same, but `*` does not count: is ORIGIN meant by more than "any"? */
bool http_origin_named(struct span origin, const char *allowed);

/* The pieces of an answer. Spans are borrowed. */
struct http_answer {
    int status;                         /* 200, 400... */
    const char *type;                   /* Content-Type; NULL: none (then BODY must be empty) */
    struct span body;
    struct span origin;                 /* non-empty: allow it (CORS), with credentials... */
    bool anyone;                        /* ...but not if it is one of any */
    struct span request_headers;        /* OPTIONS: what was asked for, echoed when harmless */
    bool begins;                        /* BODY is only its beginning: no length is told */
    bool preflight;                     /* OPTIONS: name the allowed methods and headers */
    int retry_after_s;                  /* more than 0: Retry-After */
    const char *extra;                  /* further header lines, each ending in \r\n; or NULL */
};

/* Append the CGI form of A: `Status: 400 Bad Request` (for 200 the line is left out, as CGI has
 * it), headers, empty line, body. Always `Cache-Control: no-store`, and a Content-Length except on
 * 204 and where more follows; `X-Accel-Buffering: no` on 200; `X-Content-Type-Options: nosniff` on
 * all others that have a type. Header injection through ORIGIN or REQUEST_HEADERS is impossible:
 * one that holds bytes which such a header may not hold is left out. */
void http_write(struct buf *out, const struct http_answer *a);

/* "OK", "Bad Request"... */
const char *http_reason(int status);

#endif
