/* fuzz_http.c - any variables that a web server hands over: the request that is made of them, which
 * origins are let in, and the lines of the answer, which are those that we mean.
 *
 * The input is lines NAME=value, as in CGI's environment; ALLOWED is the setting, not a variable.
 */
#include "fuzz.h"
#include "host/kind.h"
#include "wire/http.h"

#define VARIABLES_MAX 32

struct variables {
    char *line[VARIABLES_MAX + 1];      /* the last NULL */
    size_t count;
};

static const char *get(const struct variables *v, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < v->count; i++)
        if (strncmp(v->line[i], name, len) == 0 && v->line[i][len] == '=')
            return v->line[i] + len + 1;
    return NULL;
}

static void read_variables(struct variables *v, struct span text)
{
    struct span line;

    v->count = 0;
    while (v->count < VARIABLES_MAX && take_piece(&text, '\n', &line))
        v->line[v->count++] = text_of(line);
    v->line[v->count] = NULL;
}

static void try_request(struct variables *v, const struct request *rq)
{
    const char *uri = get(v, "REQUEST_URI"), *script = get(v, "SCRIPT_NAME");
    struct span whole = span_of(uri != NULL ? uri : script);
    int64_t status;

    must(rq->path.len <= whole.len && (rq->path.len == 0 || lies_in(rq->path, whole)));
    must(rq->path.len == 0 || memchr(rq->path.p, '?', rq->path.len) == NULL);
    must(rq->https == (get(v, "HTTPS") != NULL && strcmp(get(v, "HTTPS"), "on") == 0));
    must(span_equals(rq->origin, span_of(get(v, "HTTP_ORIGIN"))));
    bool failed = get(v, "REDIRECT_STATUS") != NULL
               && span_int(span_of(get(v, "REDIRECT_STATUS")), &status) && status >= 400
               && status < 600;
    must(!failed || rq->again == (rq->refused == 0));
    must(failed || (!rq->again && rq->refused == 0));
    must(rq->refused == 0 || (rq->refused == status && status != 500 && status != 503));
    if (!failed) {
        must(span_equals(rq->query, span_of(get(v, "QUERY_STRING"))));
    } else {
        must(http_method(rq->method) != HTTP_OPTIONS);
        must(rq->query.len == 0 || lies_in(rq->query, span_of(uri)));
    }
}

/* May S stand in a list of origins, as one that means itself alone? */
static bool is_entry(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr(" ,\t\r\n*", s.p[i]) != NULL)
            return false;
    return s.len != 0 && s.p[s.len - 1] != '/';
}

static void try_origin(struct span origin, struct span host, bool https, const char *allowed)
{
    struct buf list = BUF_EMPTY;
    bool same = http_same_origin(origin, host, https);

    must(http_origin_allowed(origin, "*") == (origin.len != 0));
    must(!http_origin_allowed(origin, "") && !http_origin_allowed(SPAN(""), allowed));
    must(!same || !http_same_origin(origin, host, !https));
    buf_add_text(&list, https ? "https://" : "http://");
    buf_add_span(&list, host);
    if (same && is_entry(host))
        must(http_origin_allowed(origin, buf_text(&list)));
    buf_clear(&list);
    buf_addf(&list, "%s https://other.example %.*s", allowed, (int)origin.len, origin.p);
    if (is_entry(origin) || http_origin_allowed(origin, allowed))
        must(http_origin_allowed(origin, buf_text(&list)));
    buf_release(&list);
}

/* Whatever the request holds, an answer is so many lines, none of them empty but the last, and the
 * body behind them. */
static void try_answer(const struct request *rq, bool preflight)
{
    struct http_answer a = { .status = preflight ? 204 : 400,
                             .type = preflight ? NULL : "text/plain",
                             .body = preflight ? SPAN("") : rq->query,
                             .origin = rq->origin,
                             .request_headers = rq->cors_headers,
                             .preflight = preflight };
    struct buf out = BUF_EMPTY;
    size_t lines = 0;

    http_write(&out, &a);
    must(buf_ok(&out) && out.len > a.body.len);
    struct span head = { out.data, out.len - a.body.len };
    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.p[i];
        lines += c == '\n';
        must(c == '\r' || c == '\n' || (c >= 0x20 && c < 0x7f));
        must((c != '\n' || head.p[i - 1] == '\r') && (c != '\r' || head.p[i + 1] == '\n'));
    }
    must(memcmp(head.p + head.len - 4, "\r\n\r\n", 4) == 0);
    must((const char *)memmem(head.p, head.len, "\r\n\r\n", 4) == head.p + head.len - 4);
    must(preflight ? lines == 3 || lines == 8 || lines == 9 : lines == 6 || lines == 9);
    must(span_equals((struct span){ out.data + head.len, a.body.len }, a.body));
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct variables v;
    struct request rq = { .conn = { -1, 0 } };

    read_variables(&v, span_of_input(data, size));
    must(host_read_variables(&rq, v.line) <= INT64_MAX);
    try_request(&v, &rq);
    try_origin(rq.origin, rq.host, rq.https, get(&v, "ALLOWED") != NULL ? get(&v, "ALLOWED") : "");
    try_answer(&rq, false);
    try_answer(&rq, true);
    while (v.count > 0)
        free(v.line[--v.count]);
    return 0;
}
