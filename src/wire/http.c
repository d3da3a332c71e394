/* http.c - variables of a request, and the bytes of an answer, as CGI and FastCGI have them. Knows
 * no sockets and no Socket.IO: hosts bring the variables and send the bytes, core decides what they
 * mean.
 */
#include "wire/http.h"

#include <strings.h>

#include "base/ascii.h"

enum http_method http_method(struct span name)
{
    if (span_is(name, "GET"))
        return HTTP_GET;
    if (span_is(name, "POST"))
        return HTTP_POST;
    return span_is(name, "OPTIONS") ? HTTP_OPTIONS : HTTP_OTHER;
}

/* Take off *REST what is in front of the first of SEPARATORS, and that separator. */
static struct span take_until(struct span *rest, const char *separators)
{
    struct span piece = { rest->p, 0 };

    while (piece.len < rest->len
           && (rest->p[piece.len] == '\0' || strchr(separators, rest->p[piece.len]) == NULL))
        piece.len++;
    size_t taken = piece.len + (piece.len < rest->len);
    if (taken != 0)
        rest->p += taken;
    rest->len -= taken;
    return piece;
}

/* ---- the query */

/* The byte that the `%41` at the start of TEXT stands for, or -1. */
static int percent_value(struct span text)
{
    if (text.len < 3)
        return -1;
    int high = ascii_hex_value(text.p[1]), low = ascii_hex_value(text.p[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Decode VALUE into OUT, as http_query() does. */
static long percent_decode(struct span value, char *out, size_t cap)
{
    size_t used = 0;

    for (size_t i = 0; i < value.len; i++) {
        int c = value.p[i] == '+' ? ' ' : (unsigned char)value.p[i];
        if (c == '%') {
            c = percent_value((struct span){ value.p + i, value.len - i });
            i += 2;
        }
        if (c <= 0 || used + 1 >= cap)
            return -2;
        out[used++] = (char)c;
    }
    if (used >= cap)
        return -2;
    out[used] = '\0';
    return (long)used;
}

/* Take off *QUERY its first pair, and the & behind it; *NAME is what is before the first =. */
static struct span take_pair(struct span *query, struct span *name)
{
    const char *end = memchr(query->p, '&', query->len);
    size_t len = end != NULL ? (size_t)(end - query->p) : query->len;
    const char *equals = memchr(query->p, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - query->p) : len;
    struct span value = { query->p + name_len + (equals != NULL),
                          len - name_len - (equals != NULL) };

    *name = (struct span){ query->p, name_len };
    query->p += len + (end != NULL);
    query->len -= len + (end != NULL);
    return value;
}

void http_query(struct span query, struct http_field *fields, size_t count)
{
    struct span name;

    for (size_t i = 0; i < count; i++) {
        fields[i].len = -1;
        if (fields[i].cap != 0)
            fields[i].out[0] = '\0';
    }
    while (query.len != 0) {
        struct span value = take_pair(&query, &name);
        for (size_t i = 0; i < count; i++) {
            struct http_field *f = &fields[i];
            if (f->len != -1 || !span_is(name, f->name))
                continue;
            f->len = percent_decode(value, f->out, f->cap);
            if (f->len < 0 && f->cap != 0)
                f->out[0] = '\0';
        }
    }
}

/* ---- origins */

static bool equals_nocase(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

static bool starts_nocase(struct span s, struct span prefix)
{
    return s.len >= prefix.len && equals_nocase((struct span){ s.p, prefix.len }, prefix);
}

static bool ends_nocase(struct span s, struct span suffix)
{
    return s.len >= suffix.len
        && equals_nocase((struct span){ s.p + s.len - suffix.len, suffix.len }, suffix);
}

/* AUTHORITY (`host:port`) without the port that its scheme has by default. */
static struct span without_default_port(struct span authority, bool https)
{
    struct span port = https ? SPAN(":443") : SPAN(":80");

    if (ends_nocase(authority, port))
        authority.len -= port.len;
    return authority;
}

/* Split ORIGIN into what is behind its scheme, the default port taken off, and *HTTPS. False for
 * any other scheme, `null` too. */
static bool split_origin(struct span origin, struct span *authority, bool *https)
{
    struct span scheme = SPAN("https://");

    *https = starts_nocase(origin, scheme);
    if (!*https)
        scheme = SPAN("http://");
    if (!starts_nocase(origin, scheme))
        return false;
    origin.p += scheme.len;
    origin.len -= scheme.len;
    *authority = without_default_port(origin, *https);
    return authority->len != 0;
}

bool http_same_origin(struct span origin, struct span host, bool https)
{
    struct span authority;
    bool origin_https;

    return split_origin(origin, &authority, &origin_https) && origin_https == https
        && equals_nocase(authority, without_default_port(host, https));
}

/* Is LABELS what may stand for a star: host labels with dots between, none empty? */
static bool whole_labels(struct span labels)
{
    bool in_label = false;

    for (size_t i = 0; i < labels.len; i++) {
        char c = labels.p[i];
        if (c == '.' && !in_label)
            return false;
        if (c != '.' && c != '-' && c != '_' && !ascii_is_alnum(c))
            return false;
        in_label = c != '.';
    }
    return in_label;
}

/* Does AUTHORITY fit PATTERN, the same or with `*.` for whole labels in front? */
static bool authority_fits(struct span authority, struct span pattern)
{
    if (!span_starts(pattern, "*.") || pattern.len == 2)
        return equals_nocase(authority, pattern);
    struct span suffix = { pattern.p + 1, pattern.len - 1 };
    return ends_nocase(authority, suffix)
        && whole_labels((struct span){ authority.p, authority.len - suffix.len });
}

/* Does ORIGIN fit ENTRY of a list? A slash at the end, which people copy along, is not held
 * against the entry. */
static bool entry_fits(struct span origin, struct span entry)
{
    struct span authority, pattern;
    bool https, pattern_https;

    if (span_is(entry, "*"))
        return true;
    if (entry.len != 0 && entry.p[entry.len - 1] == '/')
        entry.len--;
    if (split_origin(origin, &authority, &https) && split_origin(entry, &pattern, &pattern_https))
        return https == pattern_https && authority_fits(authority, pattern);
    return equals_nocase(origin, entry);
}

static bool origin_in_list(struct span origin, const char *allowed, bool star_counts)
{
    struct span list = span_of(allowed);

    while (origin.len != 0 && list.len != 0) {
        struct span entry = take_until(&list, " ,\t\r\n");
        if ((star_counts || !span_is(entry, "*")) && entry_fits(origin, entry))
            return true;
    }
    return false;
}

bool http_origin_allowed(struct span origin, const char *allowed)
{
    return origin_in_list(origin, allowed, true);
}

bool http_origin_named(struct span origin, const char *allowed)
{
    return origin_in_list(origin, allowed, false);
}

/* HOST without its port, and without the dot that a name may end in. */
static struct span without_port(struct span host)
{
    size_t len = host.len;

    while (len != 0 && ascii_is_digit(host.p[len - 1]))
        len--;
    if (len != 0 && host.p[len - 1] == ':')
        host.len = len - 1;
    if (host.len != 0 && host.p[host.len - 1] == '.')
        host.len--;
    return host;
}

/* `192.0.2.1` or `[2001:db8::1]`: nobody's name looks so. */
static bool is_address(struct span host)
{
    bool six = host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']';

    for (size_t i = 0; i < host.len && !six; i++)
        if ((host.p[i] < '0' || host.p[i] > '9') && host.p[i] != '.')
            return false;
    return host.len != 0;
}

bool http_host_served(struct span host, const char *served)
{
    struct span list = span_of(served), name = without_port(host);

    if (list.len == 0 || is_address(name))
        return true;
    while (list.len != 0) {
        struct span entry = take_until(&list, " ,\t\r\n");
        if (entry.len != 0 && authority_fits(name, entry))
            return true;
    }
    return false;
}

bool http_is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~' || strchr("\"\\<>&", text.p[i]) != NULL)
            return false;
    return text.len <= 100;
}

/* ---- answers */

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" }, { 204, "No Content" }, { 304, "Not Modified" },
        { 400, "Bad Request" }, { 403, "Forbidden" }, { 404, "Not Found" },
        { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
        { 411, "Length Required" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" }, { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* Does S hold nothing but letters, digits and bytes of OTHERS, and something at all? */
static bool made_of(struct span s, const char *others)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alnum(s.p[i]) && (s.p[i] == '\0' || strchr(others, s.p[i]) == NULL))
            return false;
    return s.len != 0;
}

/* One header line. NAME brings its colon and space. */
static void add_header(struct buf *out, struct span name, struct span value)
{
    buf_add_span(out, name);
    buf_add_span(out, value);
    buf_add_span(out, SPAN("\r\n"));
}

static void add_number(struct buf *out, struct span name, size_t value)
{
    buf_add_span(out, name);
    buf_add_int(out, (int64_t)value);
    buf_add_span(out, SPAN("\r\n"));
}

/* What CORS asks for, or nothing at all when the origin is not one. */
static void add_cors(struct buf *out, const struct http_answer *a)
{
    if (!made_of(a->origin, "+-.:/[]_"))
        return;
    add_header(out, SPAN("Access-Control-Allow-Origin: "), a->origin);
    if (!a->anyone)
        buf_add_span(out, SPAN("Access-Control-Allow-Credentials: true\r\n"));
    buf_add_span(out, SPAN("Vary: Origin\r\n"));
    if (!a->preflight)
        return;
    buf_add_span(out, SPAN("Access-Control-Allow-Methods: GET, POST\r\n"
                           "Access-Control-Max-Age: 7200\r\n"));
    if (made_of(a->request_headers, "!#$%&'*+-.^_`|~, "))
        add_header(out, SPAN("Access-Control-Allow-Headers: "), a->request_headers);
}

/* What only answers other than 200 have: polls and POSTs, which are nearly all, stay short.
 * Nothing need be sniffed in a 200 of ours: it is text/plain, which browsers never take for
 * anything that runs, or a body of our own. */
static void add_rarities(struct buf *out, const struct http_answer *a)
{
    buf_add_span(out, SPAN("Status: "));
    buf_add_int(out, a->status);
    add_header(out, SPAN(" "), span_of(http_reason(a->status)));
    if (a->type != NULL)
        buf_add_span(out, SPAN("X-Content-Type-Options: nosniff\r\n"));
}

void http_write(struct buf *out, const struct http_answer *a)
{
    if (a->status == 200)                       /* which is what no Status line means */
        buf_add_span(out, SPAN("X-Accel-Buffering: no\r\n"));
    else
        add_rarities(out, a);
    if (a->type != NULL)
        add_header(out, SPAN("Content-Type: "), span_of(a->type));
    if (a->status != 204 && !a->begins)         /* where HTTP forbids it, or nobody knows it yet */
        add_number(out, SPAN("Content-Length: "), a->body.len);
    buf_add_span(out, SPAN("Cache-Control: no-store\r\n"));
    if (a->origin.len != 0)
        add_cors(out, a);
    if (a->retry_after_s > 0)
        add_number(out, SPAN("Retry-After: "), (size_t)a->retry_after_s);
    if (a->extra != NULL)
        buf_add_text(out, a->extra);
    buf_add_span(out, SPAN("\r\n"));
    buf_add_span(out, a->body);
}
