/*
 * siobench - load generator for Socket.IO servers over HTTP long-polling
 *            (Engine.IO v4, Socket.IO protocol v5).
 *
 * One thread, one edge-triggered epoll set.  Every simulated client is one
 * session with two keep-alive connections, as a browser has: one that carries
 * the outstanding long-poll GET and one for POSTs.  See README.md.
 *
 *   cc -O2 -std=c11 -D_GNU_SOURCE -o siobench siobench.c -lm
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define VERSION        "1.0"
#define NS             1000000000ull
#define MS             1000000ull
#define SEP            '\x1e'            /* between Engine.IO packets of one payload */
#define TICK_NS        (5 * MS)          /* how often phases are looked at */
#define SWEEP_NS       (250 * MS)        /* how often time limits are looked at */
#define LINGER_NS      (300 * MS)        /* after the drain, to catch late duplicates */
#define MIN_SIZE       96
#define MAX_SIZE       500000
#define MAX_HEAD       65536
#define MAX_BODY       (64u << 20)
#define MAX_CLOSING    64                /* sessions being closed at one time */
#define MAX_BURST      256               /* paced sends before answers are looked at */
#define PAD_MASK       0xffffu

/* ------------------------------------------------------------ utilities -- */

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

__attribute__((noreturn, format(printf, 2, 3)))
static void die(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("siobench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(code);
}

static void *xrealloc(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        die(1, "out of memory (%zu bytes)", n);
    return p;
}

static void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        die(1, "out of memory (%zu x %zu bytes)", n, size);
    return p;
}

struct buf { char *p; size_t len, cap; };

static void buf_room(struct buf *b, size_t extra)
{
    size_t cap = b->cap ? b->cap : 512;
    if (b->cap - b->len >= extra)
        return;
    while (cap - b->len < extra)
        cap *= 2;
    b->p = xrealloc(b->p, cap);
    b->cap = cap;
}

static void buf_add(struct buf *b, const void *data, size_t n)
{
    buf_room(b, n);
    memcpy(b->p + b->len, data, n);
    b->len += n;
}

__attribute__((format(printf, 2, 3)))
static void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    buf_room(b, 256);
    va_start(ap, fmt);
    int n = vsnprintf(b->p + b->len, b->cap - b->len, fmt, ap);
    va_end(ap);
    if ((size_t)n >= b->cap - b->len) {
        buf_room(b, (size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(b->p + b->len, b->cap - b->len, fmt, ap);
        va_end(ap);
    }
    b->len += (size_t)n;
}

/* Decimal digits of v at out; returns how many.  (printf is too slow for the
 * hot path.) */
static size_t put_uint(char *out, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static size_t put_text(char *out, const char *text)
{
    size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

static uint64_t mix64(uint64_t x)               /* splitmix64 finaliser */
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* ------------------------------------------------------------ histogram -- */

/* Log-linear (HDR style): 1024 steps per octave, under 0.1 % error; the
 * maximum, the count and the sum are exact. */
#define HIST_BITS   10
#define HIST_OCTAVE (1u << HIST_BITS)
#define HIST_CELLS  (36u << HIST_BITS)          /* up to 2^45 ns, about 9.7 hours */

struct hist { uint64_t n, max; double sum; uint64_t cell[HIST_CELLS]; };

static unsigned hist_index(uint64_t v)
{
    if (v < HIST_OCTAVE)
        return (unsigned)v;
    unsigned e = 63u - (unsigned)__builtin_clzll(v) - HIST_BITS;
    unsigned i = ((e + 1) << HIST_BITS) + (unsigned)((v >> e) - HIST_OCTAVE);
    return i < HIST_CELLS ? i : HIST_CELLS - 1;
}

static uint64_t hist_value(unsigned i)          /* middle of cell i */
{
    if (i < HIST_OCTAVE)
        return i;
    unsigned e = (i >> HIST_BITS) - 1;
    uint64_t low = (uint64_t)((i & (HIST_OCTAVE - 1)) + HIST_OCTAVE) << e;
    return low + (((uint64_t)1 << e) >> 1);
}

static void hist_add(struct hist *h, uint64_t v)
{
    h->n++;
    h->sum += (double)v;
    if (v > h->max)
        h->max = v;
    h->cell[hist_index(v)]++;
}

static double hist_ms(const struct hist *h, double percentile)
{
    uint64_t rank = (uint64_t)ceil(percentile / 100.0 * (double)h->n), seen = 0;
    if (h->n == 0)
        return 0;
    if (rank < 1)
        rank = 1;
    for (unsigned i = 0; i < HIST_CELLS; i++) {
        seen += h->cell[i];
        if (seen >= rank) {
            uint64_t v = hist_value(i);
            return (double)(v < h->max ? v : h->max) / 1e6;
        }
    }
    return (double)h->max / 1e6;
}

static double hist_mean_ms(const struct hist *h)
{
    return h->n ? h->sum / (double)h->n / 1e6 : 0;
}

/* --------------------------------------------------------- JSON scanning -- */

static const char *js_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* p is at the opening quote; returns the place after the closing one, or NULL. */
static const char *js_string_end(const char *p, const char *end)
{
    const char *q = p + 1;
    while (q < end && (q = memchr(q, '"', (size_t)(end - q))) != NULL) {
        const char *b = q;
        while (b > p + 1 && b[-1] == '\\')
            b--;
        if (((q - b) & 1) == 0)
            return q + 1;
        q++;
    }
    return NULL;
}

static const char *js_nested_end(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = js_string_end(p, end);
            if (!p)
                return NULL;
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

/* The place after the value that starts at p, or NULL. */
static const char *js_value_end(const char *p, const char *end)
{
    if (p >= end)
        return NULL;
    if (*p == '"')
        return js_string_end(p, end);
    if (*p == '{' || *p == '[')
        return js_nested_end(p, end);
    const char *q = p;
    while (q < end && (isalnum((unsigned char)*q) || *q == '-' || *q == '+' || *q == '.'))
        q++;
    return q > p ? q : NULL;
}

struct slice { const char *p, *end; };

/* Walks through the members of an object. */
struct js_walk { const char *p, *end; bool inside; };

/* 1: key (without its quotes) and value are the next member, 0: that was the
 * closing brace, -1: not an object. */
static int js_member(struct js_walk *w, struct slice *key, struct slice *val)
{
    const char *p = js_space(w->p, w->end), *end = w->end;
    if (p < end && *p == (w->inside ? ',' : '{'))
        p = js_space(p + 1, end);
    else if (!w->inside || p >= end || *p != '}')
        return -1;
    if (p < end && *p == '}') {
        bool empty_or_last = !w->inside || p[-1] != ',';
        w->p = p + 1;
        return empty_or_last ? 0 : -1;
    }
    if (p >= end || *p != '"' || !(key->end = js_string_end(p, end)))
        return -1;
    key->p = p + 1;
    p = js_space(key->end--, end);
    if (p >= end || *p != ':')
        return -1;
    val->p = js_space(p + 1, end);
    val->end = js_value_end(val->p, end);
    if (!val->end)
        return -1;
    w->p = val->end;
    w->inside = true;
    return 1;
}

static bool slice_is(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(s.end - s.p) == n && memcmp(s.p, text, n) == 0;
}

/* Plain non-negative integers only, which is all the bench ever sends. */
static bool js_uint(struct slice v, uint64_t *out)
{
    uint64_t n = 0;
    if (v.p == v.end || v.end - v.p > 18)
        return false;
    for (const char *p = v.p; p < v.end; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    return true;
}

/* A Socket.IO event: ["name", first argument, ...more]. */
struct event { struct slice name, arg; bool has_arg; };

static bool parse_event(const char *p, const char *end, struct event *ev)
{
    *ev = (struct event){ .has_arg = false };
    while (p < end && isdigit((unsigned char)*p))       /* acknowledgement id */
        p++;
    if (p >= end || *p != '[')
        return false;
    p = js_space(p + 1, end);
    if (p >= end || *p != '"')
        return false;
    ev->name.p = p + 1;
    p = js_string_end(p, end);
    if (!p)
        return false;
    ev->name.end = p - 1;
    for (int i = 0; ; i++) {
        p = js_space(p, end);
        if (p < end && *p == ']')
            return js_space(p + 1, end) == end;
        if (p >= end || *p != ',')
            return false;
        p = js_space(p + 1, end);
        const char *v = p;
        p = js_value_end(p, end);
        if (!p)
            return false;
        if (i == 0) {
            ev->arg = (struct slice){ v, p };
            ev->has_arg = true;
        }
    }
}

/* -------------------------------------------------------- HTTP responses -- */

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

static void resp_reset(struct response *r)
{
    struct buf raw = r->raw;
    *r = (struct response){ .st = RS_HEAD, .raw = raw };
    r->raw.len = 0;
}

static const char *resp_body(const struct response *r) { return r->raw.p + r->head_len; }

static bool slice_has_word(struct slice s, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = s.p; (size_t)(s.end - p) >= n && p < s.end; p++)
        if (strncasecmp(p, word, n) == 0)
            return true;
    return false;
}

/* Note one header line; false where it makes no sense. */
static bool resp_field(struct response *r, struct slice name, struct slice v)
{
    switch (name.end - name.p) {
    case 10:
        if (strncasecmp(name.p, "Connection", 10) == 0)
            r->keep_alive = slice_has_word(v, "close") ? false
                          : r->keep_alive || slice_has_word(v, "keep-alive");
        break;
    case 14:
        if (strncasecmp(name.p, "Content-Length", 14) != 0)
            break;
        r->has_length = true;
        return js_uint(v, &r->want) && r->want <= MAX_BODY;
    case 17:
        if (strncasecmp(name.p, "Transfer-Encoding", 17) != 0)
            break;
        r->chunked = slice_has_word(v, "chunked");
        return r->chunked;
    }
    return true;
}

static bool resp_fields(struct response *r)
{
    const char *p = memchr(r->raw.p, '\n', r->head_len), *end = r->raw.p + r->head_len - 2;
    while (p && ++p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *colon = memchr(p, ':', (size_t)((eol ? eol : end) - p));
        if (!eol || !colon)
            return false;
        struct slice name = { p, colon }, v = { js_space(colon + 1, eol), eol };
        while (v.end > v.p && isspace((unsigned char)v.end[-1]))
            v.end--;
        if (!resp_field(r, name, v))
            return false;
        p = eol;
    }
    return true;
}

/* How the body is framed.  0, or -1 where the head makes no sense. */
static int resp_framing(struct response *r)
{
    r->keep_alive = r->raw.p[7] != '0';
    if (!resp_fields(r))
        return -1;
    if (r->status == 204 || r->status == 304) {
        r->st = RS_DONE;
    } else if (r->chunked) {
        r->st = RS_CHUNK_SIZE;
    } else if (r->has_length) {
        r->st = r->want ? RS_LENGTH : RS_DONE;
    } else {
        r->st = RS_TO_EOF;
        r->keep_alive = false;
    }
    return 0;
}

static int resp_head(struct response *r)        /* 1 parsed, 0 not all here, -1 bad */
{
    char *h = r->raw.p;
    char *end = r->raw.len ? memmem(h, r->raw.len, "\r\n\r\n", 4) : NULL;
    if (!end)
        return r->raw.len > MAX_HEAD ? -1 : 0;
    r->head_len = r->pos = (size_t)(end + 4 - h);
    if (r->head_len < 16 || memcmp(h, "HTTP/1.", 7) != 0 || h[8] != ' ' ||
        !isdigit((unsigned char)h[9]) || !isdigit((unsigned char)h[10]) ||
        !isdigit((unsigned char)h[11]))
        return -1;
    r->status = (h[9] - '0') * 100 + (h[10] - '0') * 10 + (h[11] - '0');
    if (r->status >= 100 && r->status < 200) {          /* interim: drop it */
        r->raw.len -= r->head_len;
        memmove(h, h + r->head_len, r->raw.len);
        r->head_len = r->pos = 0;
        return resp_head(r);
    }
    return resp_framing(r) == 0 ? 1 : -1;
}

static int resp_line(struct response *r, struct slice *line)    /* as resp_head */
{
    char *p = r->raw.p + r->pos, *end = r->raw.p + r->raw.len;
    char *eol = end > p ? memmem(p, (size_t)(end - p), "\r\n", 2) : NULL;
    if (!eol)
        return end - p > 4096 ? -1 : 0;
    *line = (struct slice){ p, eol };
    r->pos = (size_t)(eol + 2 - r->raw.p);
    return 1;
}

static bool chunk_size(struct slice line, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = line.p;
    for (; p < line.end && isxdigit((unsigned char)*p); p++) {
        n = n * 16 + (uint64_t)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 32) - 'a' + 10);
        if (n > MAX_BODY)
            return false;
    }
    if (p == line.p || (p < line.end && *p != ';' && *p != ' ' && *p != '\t'))
        return false;
    *out = n;
    return true;
}

/* Move what has come of the body (or chunk) to the end of the compacted body. */
static void resp_take(struct response *r)
{
    size_t n = r->raw.len - r->pos;
    char *to = r->raw.p + r->head_len + r->body_len;
    if (r->st != RS_TO_EOF && n > r->want)
        n = (size_t)r->want;
    if (to != r->raw.p + r->pos)
        memmove(to, r->raw.p + r->pos, n);
    r->pos += n;
    r->body_len += n;
    if (r->st != RS_TO_EOF)
        r->want -= n;
}

/* Feed bytes.  1 the response is complete, 0 more is needed, -1 malformed. */
static int resp_feed(struct response *r, const char *data, size_t n)
{
    struct slice line;
    int rc;
    r->any = true;
    buf_add(&r->raw, data, n);
    for (;;) {
        switch (r->st) {
        case RS_HEAD:
            if ((rc = resp_head(r)) != 1)
                return rc;
            break;
        case RS_LENGTH:
        case RS_CHUNK_DATA:
            resp_take(r);
            if (r->want > 0)
                return 0;
            r->st = r->st == RS_LENGTH ? RS_DONE : RS_CHUNK_END;
            break;
        case RS_TO_EOF:
            resp_take(r);
            return r->body_len > MAX_BODY ? -1 : 0;
        case RS_CHUNK_SIZE:
            if ((rc = resp_line(r, &line)) != 1)
                return rc;
            if (!chunk_size(line, &r->want) || r->body_len + r->want > MAX_BODY)
                return -1;
            r->st = r->want ? RS_CHUNK_DATA : RS_TRAILER;
            break;
        case RS_CHUNK_END:
            if ((rc = resp_line(r, &line)) != 1)
                return rc;
            if (line.p != line.end)
                return -1;
            r->st = RS_CHUNK_SIZE;
            break;
        case RS_TRAILER:
            if ((rc = resp_line(r, &line)) != 1)
                return rc;
            if (line.p == line.end)
                r->st = RS_DONE;
            break;
        case RS_DONE:
            return r->pos == r->raw.len ? 1 : -1;       /* -1: bytes nobody asked for */
        }
    }
}

/* --------------------------------------------------------------- options -- */

enum mode { M_RELAY, M_PACED, M_IDLE };
static const char *const mode_name[] = { "relay", "paced", "idle" };

#define MAX_WATCH 16

static struct {
    enum mode mode;
    char host[64];
    int port;
    char path[256];
    int pairs, sessions, window, size, sources, ramp;
    double seconds, warmup, rate, grace, settle, timeout, request_timeout, ramp_rate;
    bool join, poisson, together, quiet;
    uint64_t seed;
    const char *json;
    FILE *json_file;            /* opened at the start: better to fail early */
    const char *watch[MAX_WATCH];
    int nwatch;
    struct buf headers;         /* extra request header lines */
} opt = {
    .mode = M_RELAY, .host = "127.0.0.1", .port = 8181,
    .pairs = -1, .sessions = 100, .window = 1, .size = 200, .ramp = 50,
    .seconds = 10, .warmup = 1, .rate = 1000, .grace = 5, .settle = 3,
    .request_timeout = 30, .seed = 1,
};

/* ------------------------------------------------------ data and globals -- */

struct packet { struct packet *next; size_t len; char data[]; };

struct session;

struct conn {
    struct session *s;
    int fd;                     /* -1: not connected */
    uint32_t id, gen;           /* gen tells stale epoll events apart */
    bool is_poll;
    bool connecting;
    bool busy;                  /* a request is outstanding */
    bool retried;               /* that request was sent a second time already */
    struct buf head;            /* what all requests on it begin with */
    struct buf req;             /* the request under way */
    size_t sent;
    uint64_t since;             /* when it began */
    struct response r;
};

enum role { R_PROBE, R_IDLE, R_ACTIVE };
enum sess_state { S_NEW, S_OPENING, S_CONNECTING, S_CONNECTED, S_CLOSING, S_DEAD };

struct session {
    int id, side;               /* side: 0 creates the channel, 1 joins it */
    enum role role;
    enum sess_state st;
    bool started, settled;      /* settled: the ramp need not wait for it any more */
    bool ready, failed;
    struct conn poll, post;
    struct buf both;            /* --together: what a POST that waits begins with */
    bool taking;                /* an answer is being looked at: what is sent now may leave with the poll */
    struct pair *pair;          /* NULL: in no channel */
    struct packet *q_head, **q_tail;
    char sid[128];
    uint64_t last_ping, ping_limit;
    size_t max_payload;
};

struct stream {                 /* one direction of a pair */
    uint64_t sent, got, highest;
    uint8_t *seen;              /* one bit for each sequence number */
    size_t seen_cap;
};

struct pair {
    int id;
    struct session *side[2];
    struct stream stream[2];    /* 0: "message", creator to joiner; 1: "response" */
    bool created, join_sent, ready, broken;
    char emit[2][80];           /* how the event packet of each direction begins */
};

enum phase { PH_PROBE, PH_PROBE_SETTLE, PH_RAMP_IDLE, PH_SETTLE, PH_RAMP, PH_WARMUP,
             PH_MEASURE, PH_DRAIN, PH_LINGER, PH_CLOSE, PH_CLOSED, PH_DONE };
static const char *const phase_name[] = { "probe", "probe settle", "idle ramp", "settle",
    "ramp", "warm-up", "measure", "drain", "linger", "close", "closed", "done" };

enum fail_kind { F_CONNECT, F_DROPPED, F_HTTP, F_PROTOCOL, F_CLOSED, F_TIMEOUT, F_KINDS };
static const char *const fail_name[] = { "connect_error", "connection_lost", "http_error",
                                         "protocol_error", "closed_by_server", "timeout" };

#define MAX_REASONS 24
struct reason { char text[160]; uint64_t n; };

struct ramp_result { int sessions, ready; double seconds; };
struct cpu { double user, sys; };               /* seconds */
struct machine { double busy, steal; };         /* seconds, over all cores */

static struct {
    int ep;
    struct sockaddr_in addr;
    uint64_t t0;                        /* start of the run; message times count from it */
    uint64_t rng;
    char nonce[20];
    char *pad;                          /* text that paddings are cut from */
    struct buf head;                    /* header lines common to all requests */

    struct session *sess;
    int nsess;
    struct pair *pair;
    int npair;
    int first_active, nactive;          /* range of active pairs */

    enum phase phase;
    uint64_t phase_end, hard_end, next_tick, next_sweep;
    int ramp_first, ramp_next, ramp_end, ramp_settled, ramp_ready;
    uint64_t ramp_t0;
    int close_next, closing;

    double next_send;                   /* paced: intended time of the next message */
    uint64_t send_index;

    uint64_t m_begin, m_end;            /* the measured window */
    struct rusage ru[2];                /* the generator's own use at its ends */
    struct machine machine[2];
    bool timed_out, interrupted;
} g;

static struct {
    uint64_t hops;                      /* in the measured window */
    uint64_t sent, delivered;           /* whole run */
    uint64_t duplicated, out_of_order, corrupted, misrouted;
    uint64_t polls, posts, post_packets, bytes_in, bytes_out;
    uint64_t connects, idle_closes, retries, unsolicited, warnings;
    uint64_t pings, pings_window, skipped;
    uint64_t failed, failed_idle, failed_kind[F_KINDS], failed_idle_kind[F_KINDS];
    uint64_t pairs_broken, abandoned;   /* abandoned: its partner failed in the ramp */
    struct reason reason[MAX_REASONS];
    int nreasons;
    struct ramp_result ramp_idle, ramp_active;
    struct hist latency, lag;
} st;

static volatile sig_atomic_t stop_signals;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)           /* progress */
{
    va_list ap;
    if (opt.quiet)
        return;
    va_start(ap, fmt);
    fprintf(stderr, "[%7.2f] ", (double)(now_ns() - g.t0) / 1e9);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

static bool traffic_on(void) { return g.phase == PH_WARMUP || g.phase == PH_MEASURE; }

static void session_fail(struct session *s, enum fail_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void session_flush(struct session *s);
static void on_response(struct conn *c);

/* -------------------------------------------- watched processes: figures -- */

#define MAX_PIDS 64
enum snap { SN_BEFORE, SN_STEADY, SN_END, SN_CLOSED, SNAPS };
static const char *const snap_name[] = { "before", "steady", "end", "closed" };

struct memory { bool taken; long rss_kb, pss_kb, anon_kb; int fds; };

static struct watch {
    int pid[MAX_PIDS], n;
    bool changed;               /* the set of processes changed during the run */
    struct memory mem[SNAPS];
    struct cpu cpu[2];
} watches[MAX_WATCH];

static bool read_line(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    bool ok = fgets(out, (int)cap, f) != NULL;
    fclose(f);
    if (ok)
        out[strcspn(out, "\n")] = 0;
    return ok;
}

static bool comm_matches(const char *path, const char *name)
{
    char comm[32];
    return read_line(path, comm, sizeof comm) && strncmp(comm, name, 15) == 0;
}

/* Does the process, or any thread of it, have this name? */
static bool process_matches(int pid, const char *name)
{
    char path[64], task[384];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    if (comm_matches(path, name))
        return true;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && !found && (e = readdir(d)) != NULL; ) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(task, sizeof task, "%s/%s/comm", path, e->d_name);
        found = comm_matches(task, name);
    }
    if (d)
        closedir(d);
    return found;
}

/* What follows the name in /proc/PID/stat: "S 1 ..."; NULL if there is no such
 * process, or only what is left of one that ended. */
static const char *process_stat(int pid, char *line, size_t cap)
{
    char path[64], *p;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_line(path, line, cap) || !(p = strrchr(line, ')')) || strlen(p) < 3)
        return NULL;
    return p[2] == 'Z' || p[2] == 'X' ? NULL : p + 2;
}

static int find_pids(const char *spec, int *pid)
{
    char line[1024];
    bool by_number = spec[strspn(spec, "0123456789")] == 0;
    int n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && n < MAX_PIDS && (e = readdir(d)) != NULL; ) {
        int p = atoi(e->d_name);
        bool match = by_number ? strcmp(e->d_name, spec) == 0
                               : p > 0 && p != getpid() && process_matches(p, spec);
        if (match && process_stat(p, line, sizeof line))
            pid[n++] = p;
    }
    if (d)
        closedir(d);
    return n;
}

static void watch_resolve(bool first)
{
    for (int i = 0; i < opt.nwatch; i++) {
        struct watch *w = &watches[i];
        int old[MAX_PIDS], n = w->n;
        memcpy(old, w->pid, sizeof old);
        w->n = find_pids(opt.watch[i], w->pid);
        if (first && w->n == 0)
            die(2, "--watch %s: no such process", opt.watch[i]);
        if (!first && (w->n != n || memcmp(old, w->pid, (size_t)n * sizeof(int)) != 0))
            w->changed = true;
    }
}

static void add_memory(int pid, struct memory *m)
{
    char path[64], line[256];
    long kb;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "Rss: %ld", &kb) == 1)
            m->rss_kb += kb;
        else if (sscanf(line, "Pss: %ld", &kb) == 1)
            m->pss_kb += kb;
        else if (sscanf(line, "Anonymous: %ld", &kb) == 1)
            m->anon_kb += kb;
    }
    if (f)
        fclose(f);
    else
        m->taken = false;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL; )
        m->fds += e->d_name[0] != '.';
    if (d)
        closedir(d);
}

static void watch_memory(enum snap which)
{
    watch_resolve(false);
    for (int i = 0; i < opt.nwatch; i++) {
        struct memory *m = &watches[i].mem[which];
        *m = (struct memory){ .taken = watches[i].n > 0 };
        for (int k = 0; k < watches[i].n; k++)
            add_memory(watches[i].pid[k], m);
    }
}

static struct cpu pid_cpu(int pid)
{
    char line[1024];
    unsigned long long u = 0, s = 0;
    double hz = (double)sysconf(_SC_CLK_TCK);
    const char *p = process_stat(pid, line, sizeof line);
    if (p)
        sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &u, &s);
    return (struct cpu){ (double)u / hz, (double)s / hz };
}

/* What all cores did: tells whether something else disturbed the run. */
static struct machine machine_cpu(void)
{
    char line[512];
    unsigned long long v[8] = { 0 };
    double hz = (double)sysconf(_SC_CLK_TCK);
    if (read_line("/proc/stat", line, sizeof line))
        sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &v[6], &v[7]);
    return (struct machine){ (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / hz, (double)v[7] / hz };
}

static void read_cpu(int which)         /* 0 at the start of the window, 1 at its end */
{
    if (which == 0)
        watch_resolve(false);
    g.machine[which] = machine_cpu();
    for (int i = 0; i < opt.nwatch; i++) {
        struct cpu *c = &watches[i].cpu[which];
        *c = (struct cpu){ 0, 0 };
        for (int k = 0; k < watches[i].n; k++) {
            struct cpu one = pid_cpu(watches[i].pid[k]);
            c->user += one.user;
            c->sys += one.sys;
        }
    }
    getrusage(RUSAGE_SELF, &g.ru[which]);
}

/* ----------------------------------------------------------- connections -- */

static void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->connecting = false;
    c->gen++;
}

/* Spread source addresses so that ephemeral ports never run out. */
static int bind_source(int fd, uint32_t n)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int one = 1;
    if (opt.sources < 2)
        return 0;
    n %= (uint32_t)opt.sources;
    a.sin_addr.s_addr = htonl(0x7f000001u + ((n / 250) << 8) + n % 250);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&a, sizeof a);
}

static void conn_open(struct conn *c)
{
    int one = 1;
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        session_fail(c->s, F_CONNECT, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ev.data.u64 = (uint64_t)c->id << 32 | c->gen;
    if (bind_source(c->fd, (uint32_t)c->s->id) < 0 ||
        (connect(c->fd, (struct sockaddr *)&g.addr, sizeof g.addr) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(g.ep, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
        session_fail(c->s, F_CONNECT, "connect: %s", strerror(errno));
        return;
    }
    c->connecting = true;
    st.connects++;
}

/* The connection went away.  Between requests that is the server's right; a
 * request without any response byte is sent once more on a new connection. */
static void conn_lost(struct conn *c, const char *why)
{
    conn_close(c);
    if (!c->busy) {
        st.idle_closes++;
    } else if (!c->r.any && !c->retried) {
        st.retries++;
        c->retried = true;
        c->sent = 0;
        conn_open(c);
    } else {
        session_fail(c->s, F_DROPPED, "%s: connection lost %s (%s)", c->is_poll ? "poll" : "post",
                     c->r.any ? "in the middle of a response" : "twice without a response", why);
    }
}

static void conn_write(struct conn *c)
{
    while (c->sent < c->req.len) {
        ssize_t n = send(c->fd, c->req.p + c->sent, c->req.len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                conn_lost(c, strerror(errno));
            return;
        }
        c->sent += (size_t)n;
        st.bytes_out += (uint64_t)n;
    }
}

/* Send the request that was put together in c->req. */
static void conn_request(struct conn *c)
{
    resp_reset(&c->r);
    c->busy = true;
    c->retried = false;
    c->sent = 0;
    c->since = now_ns();
    if (c->fd < 0)
        conn_open(c);
    else if (!c->connecting)
        conn_write(c);
}

static void conn_complete(struct conn *c)
{
    c->busy = false;
    if (!c->r.keep_alive)
        conn_close(c);
    on_response(c);
}

static void conn_eof(struct conn *c)
{
    if (c->busy && c->r.st == RS_TO_EOF)
        conn_complete(c);
    else
        conn_lost(c, "closed by server");
}

static void conn_input(struct conn *c, const char *data, size_t n)
{
    st.bytes_in += n;
    if (!c->busy) {
        st.unsolicited++;
        conn_close(c);
        return;
    }
    int rc = resp_feed(&c->r, data, n);
    if (rc < 0)
        session_fail(c->s, F_HTTP, "malformed HTTP response");
    else if (rc > 0)
        conn_complete(c);
}

static void conn_read(struct conn *c, uint32_t events)
{
    static char chunk[1 << 18];
    bool to_the_end = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    uint32_t gen = c->gen;
    while (c->gen == gen) {             /* the handlers may close or reopen it */
        ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
        if (n > 0) {
            conn_input(c, chunk, (size_t)n);
            if (!to_the_end && (size_t)n < sizeof chunk)
                return;                 /* edge-triggered: more data is a new edge */
        } else if (n == 0) {
            conn_eof(c);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            conn_lost(c, strerror(errno));
        }
    }
}

static void conn_event(struct conn *c, uint32_t events)
{
    uint32_t gen = c->gen;
    if (c->connecting) {
        int err = 0;
        socklen_t len = sizeof err;
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        if (err) {
            session_fail(c->s, F_CONNECT, "connect: %s", strerror(err));
            return;
        }
        c->connecting = false;
        if (c->busy)
            conn_write(c);
    } else if ((events & EPOLLOUT) && c->busy && c->sent < c->req.len) {
        conn_write(c);
    }
    if (c->gen == gen && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        conn_read(c, events);
}

/* -------------------------------------------------------------- sessions -- */

static struct packet *packet_new(size_t cap)
{
    struct packet *p = xrealloc(NULL, sizeof *p + cap);
    p->next = NULL;
    p->len = 0;
    return p;
}

static void packet_add(struct packet *p, const char *data, size_t n)
{
    memcpy(p->data + p->len, data, n);
    p->len += n;
}

static void session_queue(struct session *s, struct packet *p)
{
    *s->q_tail = p;
    s->q_tail = &p->next;
}

static struct packet *session_unqueue(struct session *s)
{
    struct packet *p = s->q_head;
    s->q_head = p->next;
    if (!s->q_head)
        s->q_tail = &s->q_head;
    return p;
}

static void session_send_text(struct session *s, const char *text)
{
    struct packet *p = packet_new(strlen(text));
    packet_add(p, text, strlen(text));
    session_queue(s, p);
    session_flush(s);
}

#define POST_FIELDS "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "

/* Begin a POST with head and a body of len bytes. */
static void post_begin(struct conn *c, const struct buf *head, size_t len)
{
    c->req.len = 0;
    buf_add(&c->req, head->p, head->len);
    buf_room(&c->req, 32);
    c->req.len += put_uint(c->req.p + c->req.len, len);
    buf_add(&c->req, "\r\n\r\n", 4);
    st.posts++;
}

static void post_add(struct conn *c, struct packet *p)
{
    buf_add(&c->req, p->data, p->len);
    free(p);
    st.post_packets++;
}

/* Drop everything; sends nothing. */
static void session_shut(struct session *s)
{
    if (s->st == S_CLOSING)
        g.closing--;
    s->st = S_DEAD;
    conn_close(&s->poll);
    conn_close(&s->post);
    s->poll.busy = s->post.busy = false;
    while (s->q_head)
        free(session_unqueue(s));
}

/* The ramp need not wait for this session any longer. */
static void session_settle(struct session *s)
{
    if (s->settled)
        return;
    s->settled = true;
    g.ramp_settled++;
    g.ramp_ready += s->ready;
}

static void session_ready(struct session *s)
{
    if (s->ready)
        return;
    s->ready = true;
    session_settle(s);
}

static void pair_break(struct pair *p)
{
    if (p->broken)
        return;
    p->broken = true;
    st.pairs_broken++;
    for (int i = 0; i < 2; i++) {       /* a partner that waits, waits for nothing */
        struct session *s = p->side[i];
        if (!s->ready) {
            if (s->st != S_DEAD)
                session_shut(s);
            if (!s->failed)
                st.abandoned++;
            session_settle(s);
        }
    }
}

static void count_reason(const char *text)
{
    int i = 0;
    while (i < st.nreasons && strcmp(st.reason[i].text, text) != 0)
        i++;
    if (i == st.nreasons) {
        if (i == MAX_REASONS)
            return;
        st.nreasons++;
        snprintf(st.reason[i].text, sizeof st.reason[i].text, "%s", text);
        say("session failed: %s", text);
    }
    st.reason[i].n++;
}

static void session_fail(struct session *s, enum fail_kind kind, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    if (s->st == S_DEAD)
        return;
    if (s->st == S_CLOSING || g.phase >= PH_CLOSE) {    /* it was leaving anyway */
        session_shut(s);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    count_reason(text);
    s->failed = true;
    st.failed++;
    st.failed_kind[kind]++;
    if (s->role == R_IDLE) {
        st.failed_idle++;
        st.failed_idle_kind[kind]++;
    }
    session_shut(s);
    session_settle(s);
    if (s->pair)
        pair_break(s->pair);
}

/* "poll: HTTP 400 <start of the body>" */
static void fail_status(struct conn *c)
{
    char text[64];
    size_t n = c->r.body_len < sizeof text - 1 ? c->r.body_len : sizeof text - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)resp_body(&c->r)[i];
        text[i] = ch < 32 || ch > 126 ? ' ' : (char)ch;
    }
    text[n] = 0;
    session_fail(c->s, F_HTTP, "%s: HTTP %d %s", c->is_poll ? "poll" : "post", c->r.status, text);
}

/* ------------------------------------------- bench messages and checking -- */

static uint32_t pad_offset(uint64_t p, uint64_t d, uint64_t s, uint64_t t)
{
    return (uint32_t)mix64(mix64(opt.seed ^ p << 1 ^ d) ^ mix64(s) ^ t) & PAD_MASK;
}

/* {"p":pair,"d":direction,"s":seq,"t":time,"pad":"..."}, opt.size bytes in all.
 * Where the padding is cut from depends on all four numbers, so that the
 * padding also vouches for them. */
static size_t message_head(char *out, uint64_t p, uint64_t d, uint64_t s, uint64_t t)
{
    size_t n = put_text(out, "{\"p\":");
    n += put_uint(out + n, p);
    n += put_text(out + n, ",\"d\":");
    n += put_uint(out + n, d);
    n += put_text(out + n, ",\"s\":");
    n += put_uint(out + n, s);
    n += put_text(out + n, ",\"t\":");
    n += put_uint(out + n, t);
    return n + put_text(out + n, ",\"pad\":\"");
}

static void add_message(struct packet *pk, uint64_t p, uint64_t d, uint64_t s, uint64_t t)
{
    size_t n = message_head(pk->data + pk->len, p, d, s, t);
    pk->len += n;
    packet_add(pk, g.pad + pad_offset(p, d, s, t), (size_t)opt.size - n - 2);
    packet_add(pk, "\"}", 2);
}

struct message { uint64_t p, d, s, t; };

/* False: not a message of this bench, or not as it was sent. */
static bool parse_message(struct slice m, struct message *out)
{
    struct js_walk w = { m.p, m.end, false };
    struct slice k, v, pad = { NULL, NULL };
    char head[160];
    int rc, have = 0;
    while ((rc = js_member(&w, &k, &v)) == 1) {
        if (slice_is(k, "p") && js_uint(v, &out->p))
            have |= 1;
        else if (slice_is(k, "d") && js_uint(v, &out->d))
            have |= 2;
        else if (slice_is(k, "s") && js_uint(v, &out->s))
            have |= 4;
        else if (slice_is(k, "t") && js_uint(v, &out->t))
            have |= 8;
        else if (slice_is(k, "pad") && *v.p == '"' && v.end - v.p >= 2)
            pad = (struct slice){ v.p + 1, v.end - 1 };
        else
            return false;
    }
    if (rc != 0 || js_space(w.p, w.end) != w.end || have != 15 || !pad.p)
        return false;
    long want = opt.size - 2 - (long)message_head(head, out->p, out->d, out->s, out->t);
    return pad.end - pad.p == want &&
           memcmp(pad.p, g.pad + pad_offset(out->p, out->d, out->s, out->t), (size_t)want) == 0;
}

/* Mark a sequence number as delivered; false if it was already. */
static bool stream_mark(struct stream *x, uint64_t seq)
{
    size_t byte = seq >> 3;
    uint8_t bit = (uint8_t)(1u << (seq & 7));
    if (byte >= x->seen_cap) {
        size_t cap = x->seen_cap ? x->seen_cap * 2 : 64;
        while (cap <= byte)
            cap *= 2;
        x->seen = xrealloc(x->seen, cap);
        memset(x->seen + x->seen_cap, 0, cap - x->seen_cap);
        x->seen_cap = cap;
    }
    if (x->seen[byte] & bit)
        return false;
    x->seen[byte] |= bit;
    return true;
}

/* Send one message; t is its (intended) time since the start of the run. */
static void send_hop(struct pair *p, int dir, uint64_t t)
{
    struct session *s = p->side[dir];
    struct packet *pk = packet_new((size_t)opt.size + 160);
    uint64_t seq = ++p->stream[dir].sent;
    st.sent++;
    packet_add(pk, p->emit[dir], strlen(p->emit[dir]));
    add_message(pk, (uint64_t)p->id, (uint64_t)dir, seq, t);
    packet_add(pk, "}]", 2);
    session_queue(s, pk);
    session_flush(s);
}

static void count_hop(uint64_t now, uint64_t sent_at)
{
    uint64_t at = g.t0 + sent_at;
    bool sample = g.phase == PH_MEASURE;
    if (g.phase == PH_MEASURE)
        st.hops++;
    /* Open loop: what was due in the window counts, however late it came. */
    if (opt.mode != M_RELAY)
        sample = g.phase >= PH_MEASURE && at >= g.m_begin && (g.m_end == 0 || at < g.m_end);
    if (sample)
        hist_add(&st.latency, now > at ? now - at : 0);
}

/* A relayed message came in at s, where direction dir was expected. */
static void on_delivery(struct session *s, int dir, struct slice text)
{
    struct message m;
    uint64_t now = now_ns();
    if (!parse_message(text, &m)) {
        st.corrupted++;
        return;
    }
    if (!s->pair || (uint64_t)s->pair->id != m.p || m.d != (uint64_t)dir || s->side == dir) {
        st.misrouted++;
        return;
    }
    struct stream *x = &s->pair->stream[dir];
    if (m.s == 0 || m.s > x->sent) {    /* right in form, but never sent */
        st.corrupted++;
        return;
    }
    if (!stream_mark(x, m.s)) {
        st.duplicated++;
        return;
    }
    if (m.s < x->highest)
        st.out_of_order++;
    else
        x->highest = m.s;
    x->got++;
    st.delivered++;
    count_hop(now, m.t);
    if (opt.mode == M_RELAY && traffic_on() && !s->pair->broken)
        send_hop(s->pair, 1 - dir, now - g.t0);
}

/* -------------------------------------------------- Socket.IO / Engine.IO -- */

/* Put together what never changes in this session's requests. */
static void sio_prepare(struct session *s)
{
    for (int i = 0; i < 2; i++) {
        struct buf *h = i == 0 ? &s->poll.head : &s->post.head;
        h->len = 0;
        buf_fmt(h, "%s %s?EIO=4&transport=polling%s%s HTTP/1.1\r\n", i == 0 ? "GET" : "POST", opt.path,
                s->sid[0] ? "&sid=" : opt.together ? "&pollux=1" : "", s->sid);
        buf_add(h, g.head.p, g.head.len);
        buf_fmt(h, "%s", i == 0 ? "\r\n" : POST_FIELDS);
    }
    s->both.len = 0;
    buf_fmt(&s->both, "POST %s?EIO=4&transport=polling&wait=true&sid=%s HTTP/1.1\r\n", opt.path, s->sid);
    buf_add(&s->both, g.head.p, g.head.len);
    buf_fmt(&s->both, POST_FIELDS);
}

static void sio_get(struct session *s)
{
    struct conn *c = &s->poll;
    c->req.len = 0;
    buf_add(&c->req, c->head.p, c->head.len);
    st.polls++;
    conn_request(c);
}

/* POST on C, beginning with HEAD, as many queued packets as the server takes in one payload. */
static void sio_post(struct session *s, struct conn *c, const struct buf *head)
{
    size_t len = 0, n = 0;
    for (struct packet *p = s->q_head; p && (n == 0 || len + 1 + p->len <= s->max_payload); p = p->next)
        len += p->len + (n++ > 0);
    post_begin(c, head, len);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add(&c->req, &(char){ SEP }, 1);
        post_add(c, session_unqueue(s));
    }
    conn_request(c);
}

static void sio_flush(struct session *s)
{
    if (!s->post.busy && s->q_head && s->sid[0] && !s->taking)
        sio_post(s, &s->post, &s->post.head);
}

/* The next poll; with --together it carries what is to be sent. */
static void sio_poll_on(struct session *s)
{
    bool both = opt.together && s->q_head && !s->post.busy && s->st == S_CONNECTED;

    s->taking = false;
    if (both)
        sio_post(s, &s->poll, &s->both);
    else
        sio_get(s);
    sio_flush(s);
}

static void sio_emit_join(struct session *s)
{
    char text[96];
    if (s->side == 1)
        s->pair->join_sent = true;
    snprintf(text, sizeof text, "42[\"create or join\",\"%s-%d\"]", g.nonce, s->pair->id);
    session_send_text(s, text);
}

/* Engine.IO "open": take the session id and the limits. */
static void sio_on_open(struct session *s, const char *p, const char *end)
{
    uint64_t interval = 25000, timeout = 20000, payload = 1000000;
    struct js_walk w = { p, end, false };
    struct slice k, v;
    int rc;
    if (s->st != S_OPENING) {
        st.warnings++;
        return;
    }
    while ((rc = js_member(&w, &k, &v)) == 1) {
        size_t n = (size_t)(v.end - v.p);
        if (slice_is(k, "sid") && *v.p == '"' && n > 2 && n - 2 < sizeof s->sid) {
            memcpy(s->sid, v.p + 1, n - 2);
            s->sid[n - 2] = 0;
        } else if (slice_is(k, "pingInterval")) {
            js_uint(v, &interval);
        } else if (slice_is(k, "pingTimeout")) {
            js_uint(v, &timeout);
        } else if (slice_is(k, "maxPayload")) {
            js_uint(v, &payload);
        }
    }
    if (rc < 0 || !s->sid[0] || s->sid[strcspn(s->sid, " \\&#?\r\n\t")]) {
        session_fail(s, F_PROTOCOL, "bad Engine.IO handshake");
        return;
    }
    s->ping_limit = (interval + timeout) * MS;
    s->last_ping = now_ns();
    s->max_payload = (size_t)payload;
    s->st = S_CONNECTING;
    sio_prepare(s);
    session_send_text(s, "40");
}

static void sio_on_connect(struct session *s, const char *p, const char *end)
{
    struct js_walk w = { p, end, false };
    struct slice k, v;
    bool has_sid = false;
    if (s->st != S_CONNECTING) {
        st.warnings++;
        return;
    }
    while (js_member(&w, &k, &v) == 1)
        has_sid |= slice_is(k, "sid");
    if (!has_sid) {
        session_fail(s, F_PROTOCOL, "Socket.IO CONNECT without a sid");
        return;
    }
    s->st = S_CONNECTED;
    if (!s->pair)
        session_ready(s);
    else if (s->side == 0 || s->pair->created)
        sio_emit_join(s);
}

static void sio_on_created(struct session *s)
{
    struct pair *p = s->pair;
    if (s->side != 0 || p->created)
        return;
    p->created = true;
    session_ready(s);
    if (p->side[1]->st == S_CONNECTED)
        sio_emit_join(p->side[1]);
}

static void sio_on_event(struct session *s, const char *p, const char *end)
{
    struct event ev;
    if (!parse_event(p, end, &ev)) {
        session_fail(s, F_PROTOCOL, "malformed EVENT packet");
        return;
    }
    bool message = slice_is(ev.name, "message"), response = slice_is(ev.name, "response");
    if (message || response) {
        on_delivery(s, message ? 0 : 1, ev.has_arg ? ev.arg : (struct slice){ p, p });
    } else if (!s->pair) {
        return;
    } else if (slice_is(ev.name, "created")) {
        sio_on_created(s);
    } else if (slice_is(ev.name, "full")) {
        session_fail(s, F_PROTOCOL, "the channel is full");
    } else if (s->side == 0 && s->pair->join_sent && !s->pair->ready &&
               (slice_is(ev.name, "broadcast: joined") || slice_is(ev.name, "remotePeerJoining") ||
                slice_is(ev.name, "join") || slice_is(ev.name, "ready"))) {
        s->pair->ready = true;
        session_ready(s->pair->side[1]);
    }
}

static void sio_on_packet(struct session *s, const char *p, const char *end)
{
    char type = p < end ? *p : 0, sub = end - p > 1 ? p[1] : 0;
    if (type == '0') {
        sio_on_open(s, p + 1, end);
    } else if (type == '1') {
        session_fail(s, F_CLOSED, "closed by server (Engine.IO close)");
    } else if (type == '2') {
        st.pings++;
        st.pings_window += g.phase == PH_MEASURE;
        s->last_ping = now_ns();
        session_send_text(s, "3");
    } else if (type == '4' && sub == '2') {
        sio_on_event(s, p + 2, end);
    } else if (type == '4' && sub == '0') {
        sio_on_connect(s, p + 2, end);
    } else if (type == '4' && sub == '1') {
        session_fail(s, F_CLOSED, "closed by server (Socket.IO DISCONNECT)");
    } else if (type == '4' && sub == '4') {
        session_fail(s, F_PROTOCOL, "Socket.IO CONNECT_ERROR");
    } else if (type != '6') {
        st.warnings++;                  /* not a packet this client knows */
    }
}

static void sio_on_poll(struct session *s)
{
    struct conn *c = &s->poll;
    const char *p = resp_body(&c->r), *end = p + c->r.body_len;
    if (s->st == S_CLOSING)
        return;
    if (c->r.status != 200) {
        fail_status(c);
        return;
    }
    s->taking = opt.together;
    while (p <= end && s->st != S_DEAD) {
        const char *sep = memchr(p, SEP, (size_t)(end - p));
        if (!sep)
            sep = end;
        sio_on_packet(s, p, sep);
        p = sep + 1;
    }
    if (s->st == S_OPENING)
        session_fail(s, F_PROTOCOL, "no Engine.IO handshake in the first response");
    else if (s->st != S_DEAD)
        sio_poll_on(s);
}

static void sio_on_post(struct session *s)
{
    struct conn *c = &s->post;
    if (c->r.status != 200) {
        fail_status(c);
        return;
    }
    if (c->r.body_len != 2 || memcmp(resp_body(&c->r), "ok", 2) != 0)
        st.warnings++;
    if (s->q_head)
        sio_flush(s);
    else if (s->st == S_CLOSING)
        session_shut(s);
}

static void session_start(struct session *s)
{
    s->started = true;
    if (s->pair && s->pair->broken) {
        session_settle(s);
        return;
    }
    s->st = S_OPENING;
    sio_prepare(s);
    sio_get(s);
}

static void session_flush(struct session *s)
{
    if (s->st != S_DEAD)
        sio_flush(s);
}

static void on_response(struct conn *c)
{
    (c->is_poll ? sio_on_poll : sio_on_post)(c->s);
}

static void session_begin_close(struct session *s)
{
    if (s->st != S_CONNECTED) {
        session_shut(s);
        return;
    }
    while (s->q_head)
        free(session_unqueue(s));
    s->st = S_CLOSING;
    g.closing++;
    struct packet *a = packet_new(2), *b = packet_new(1);
    packet_add(a, "41", 2);
    packet_add(b, "1", 1);
    session_queue(s, a);
    session_queue(s, b);
    sio_flush(s);
}

/* ------------------------------------------------------- ramp and phases -- */

static void ramp_begin(int first, int end)
{
    g.ramp_first = g.ramp_next = first;
    g.ramp_end = end;
    g.ramp_settled = g.ramp_ready = 0;
    g.ramp_t0 = now_ns();
}

static void ramp_pump(void)
{
    double due = opt.ramp_rate > 0 ? 1 + opt.ramp_rate * (double)(now_ns() - g.ramp_t0) / 1e9 : 1e9;
    while (g.ramp_next < g.ramp_end && g.ramp_next - g.ramp_first - g.ramp_settled < opt.ramp &&
           g.ramp_next - g.ramp_first < due)
        session_start(&g.sess[g.ramp_next++]);
}

static bool ramp_over(void) { return g.ramp_settled == g.ramp_end - g.ramp_first; }

static struct ramp_result ramp_end(const char *what)
{
    struct ramp_result r = { g.ramp_end - g.ramp_first, g.ramp_ready,
                             (double)(now_ns() - g.ramp_t0) / 1e9 };
    say("%s: %d of %d sessions ready in %.3f s (%.0f/s)", what, r.ready, r.sessions, r.seconds,
        r.seconds > 0 ? r.ready / r.seconds : 0.0);
    return r;
}

/* Messages sent on unbroken pairs and not delivered yet. */
static uint64_t outstanding(void)
{
    uint64_t n = 0;
    for (int i = 0; i < g.npair; i++)
        for (int d = 0; d < 2 && !g.pair[i].broken; d++)
            n += g.pair[i].stream[d].sent - g.pair[i].stream[d].got;
    return n;
}

static void start_traffic(uint64_t now)
{
    g.next_send = (double)now;
    for (int i = 0; opt.mode == M_RELAY && i < g.nactive; i++)
        for (int w = 0; w < opt.window; w++)
            if (!g.pair[g.first_active + i].broken)
                send_hop(&g.pair[g.first_active + i], 0, now_ns() - g.t0);
}

static void pump_paced(uint64_t now)
{
    double gap = 1e9 / opt.rate;
    if (opt.mode == M_RELAY || g.nactive == 0 || !traffic_on())
        return;
    for (int n = 0; n < MAX_BURST && g.next_send <= (double)now; n++) {
        uint64_t i = g.send_index++, due = (uint64_t)g.next_send;
        struct pair *p = &g.pair[g.first_active + (int)(i % (uint64_t)g.nactive)];
        if (p->broken)
            st.skipped++;
        else
            send_hop(p, (int)(i / (uint64_t)g.nactive) & 1, due - g.t0);
        if (g.phase == PH_MEASURE) {
            uint64_t t = now_ns();
            hist_add(&st.lag, t > due ? t - due : 0);
        }
        if (opt.poisson) {
            g.rng = mix64(g.rng);
            g.next_send += -log(((double)(g.rng >> 11) + 1) / 9007199254740993.0) * gap;
        } else {
            g.next_send += gap;
        }
    }
}

static void go(enum phase ph, double seconds)
{
    g.phase = ph;
    g.phase_end = now_ns() + (uint64_t)(seconds * 1e9);
    if (ph <= PH_CLOSE)
        say("phase: %s", phase_name[ph]);
}

static void begin_measuring(void)
{
    go(PH_MEASURE, opt.seconds);
    read_cpu(0);
    g.m_begin = now_ns();
}

static void end_measuring(void)
{
    g.m_end = now_ns();
    read_cpu(1);
}

static void begin_close(void)
{
    go(PH_CLOSE, 3 + g.nsess / 500.0);
    g.close_next = 0;
}

static bool close_pump(void)            /* true when all are closed */
{
    while (g.closing < MAX_CLOSING && g.close_next < g.nsess) {
        struct session *s = &g.sess[g.close_next++];
        if (s->started && s->st != S_DEAD)
            session_begin_close(s);
    }
    return g.closing == 0 && g.close_next == g.nsess;
}

static void cut_short(void)             /* interrupted, or out of time */
{
    if (g.phase == PH_RAMP_IDLE)
        st.ramp_idle = ramp_end("idle ramp, unfinished");
    if (g.phase == PH_RAMP)
        st.ramp_active = ramp_end("ramp, unfinished");
    if (g.phase == PH_MEASURE)
        end_measuring();
    if (g.phase == PH_MEASURE || g.phase == PH_WARMUP)
        go(PH_DRAIN, opt.grace < 1 ? opt.grace : 1);
    else
        begin_close();
}

static void after_ramp(void)
{
    if (g.nactive)
        st.ramp_active = ramp_end("ramp");
    if (g.nactive && st.ramp_active.ready == 0) {
        say("no session came up: giving up");
        begin_close();
        return;
    }
    go(PH_WARMUP, opt.warmup);
    start_traffic(now_ns());
}

static void phase_step(uint64_t now)
{
    bool due = now >= g.phase_end;
    switch (g.phase) {
    case PH_PROBE:
        if (!ramp_over())
            break;
        if (g.ramp_ready)
            go(PH_PROBE_SETTLE, 1);
        else
            begin_close();
        break;
    case PH_PROBE_SETTLE:
        if (!due)
            break;
        watch_memory(SN_BEFORE);
        go(PH_RAMP_IDLE, 0);
        ramp_begin(1, 1 + opt.sessions);
        break;
    case PH_RAMP_IDLE:
        if (ramp_over()) {
            st.ramp_idle = ramp_end("idle ramp");
            go(PH_SETTLE, opt.settle);
        }
        break;
    case PH_SETTLE:
        if (!due)
            break;
        watch_memory(SN_STEADY);
        go(PH_RAMP, 0);
        ramp_begin(1 + opt.sessions, g.nsess);
        break;
    case PH_RAMP:
        if (ramp_over())
            after_ramp();
        break;
    case PH_WARMUP:
        if (due)
            begin_measuring();
        break;
    case PH_MEASURE:
        if (due) {
            end_measuring();
            go(PH_DRAIN, opt.grace);
        }
        break;
    case PH_DRAIN:
        if (due || outstanding() == 0)
            go(PH_LINGER, (double)LINGER_NS / 1e9);
        break;
    case PH_LINGER:
        if (!due)
            break;
        watch_memory(SN_END);
        begin_close();
        break;
    case PH_CLOSE:
        if (close_pump() || due) {
            for (int i = 0; i < g.nsess; i++)
                if (g.sess[i].st != S_DEAD)
                    session_shut(&g.sess[i]);
            go(PH_CLOSED, opt.nwatch ? 1 : 0);
        }
        break;
    case PH_CLOSED:
        if (due) {
            watch_memory(SN_CLOSED);
            go(PH_DONE, 0);
        }
        break;
    case PH_DONE:
        break;
    }
}

/* Time limits of one session. */
static void session_sweep(struct session *s, uint64_t now)
{
    uint64_t limit = (uint64_t)(opt.request_timeout * 1e9);
    if (!s->started || s->st == S_DEAD || s->st == S_CLOSING)
        return;
    if (s->post.busy && now > s->post.since + limit)
        session_fail(s, F_TIMEOUT, "post: no response within %g s", opt.request_timeout);
    else if (!s->ready && s->poll.busy && now > s->poll.since + limit)
        session_fail(s, F_TIMEOUT, "not ready within %g s", opt.request_timeout);
    else if (s->ping_limit && now > s->last_ping + s->ping_limit)
        session_fail(s, F_TIMEOUT, "no ping from the server within pingInterval + pingTimeout");
}

static void tick(uint64_t now)
{
    if (stop_signals && !g.interrupted) {
        g.interrupted = true;
        say("interrupted: finishing");
        if (g.phase < PH_DRAIN)
            cut_short();
    }
    if (now >= g.hard_end && !g.timed_out && g.phase < PH_CLOSE) {
        g.timed_out = true;
        say("the run took more than %g s: giving up", opt.timeout);
        cut_short();
    }
    if (now >= g.next_sweep) {
        g.next_sweep = now + SWEEP_NS;
        for (int i = 0; i < g.nsess && g.phase < PH_CLOSE; i++)
            session_sweep(&g.sess[i], now);
    }
    phase_step(now);
    g.next_tick = now + TICK_NS;
}

static void event_loop(void)
{
    static struct epoll_event ev[128];
    while (g.phase != PH_DONE) {
        uint64_t now = now_ns(), wake;
        pump_paced(now);
        if (now >= g.next_tick)
            tick(now);
        if (g.phase < PH_CLOSE)
            ramp_pump();
        wake = g.next_tick;
        if (opt.mode != M_RELAY && g.nactive && traffic_on() && g.next_send < (double)wake)
            wake = (uint64_t)g.next_send;
        now = now_ns();
        uint64_t left = wake > now ? wake - now : 0;
        struct timespec ts = { (time_t)(left / NS), (long)(left % NS) };
        int n = epoll_pwait2(g.ep, ev, 128, &ts, NULL);
        if (n < 0 && errno != EINTR)
            die(1, "epoll_pwait2: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            uint32_t id = (uint32_t)(ev[i].data.u64 >> 32);
            struct session *s = &g.sess[id / 2];
            struct conn *c = id & 1 ? &s->post : &s->poll;
            if (c->fd >= 0 && c->gen == (uint32_t)ev[i].data.u64)
                conn_event(c, ev[i].events);
        }
    }
}

/* ---------------------------------------------------------------- report -- */

struct figures {
    double window_s, hops_per_s, gen_user, gen_sys, gen_share, other, steal;
    uint64_t lost;
    bool ok;
};

static double tv(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static double per(double a, double b) { return b > 0 ? a / b : 0; }

static double cpu_s(const struct watch *w)
{
    return w->cpu[1].user + w->cpu[1].sys - w->cpu[0].user - w->cpu[0].sys;
}

static struct figures make_figures(void)
{
    struct figures f = { 0 };
    bool needs_hops = opt.mode != M_IDLE || opt.pairs > 0;
    if (g.m_end > g.m_begin)
        f.window_s = (double)(g.m_end - g.m_begin) / 1e9;
    f.hops_per_s = per((double)st.hops, f.window_s);
    f.gen_user = tv(g.ru[1].ru_utime) - tv(g.ru[0].ru_utime);
    f.gen_sys = tv(g.ru[1].ru_stime) - tv(g.ru[0].ru_stime);
    f.gen_share = per(f.gen_user + f.gen_sys, f.window_s);
    f.other = g.machine[1].busy - g.machine[0].busy - f.gen_user - f.gen_sys;
    for (int i = 0; i < opt.nwatch; i++)
        f.other -= cpu_s(&watches[i]);
    f.other = per(f.other > 0 ? f.other : 0, f.window_s);
    f.steal = per(g.machine[1].steal - g.machine[0].steal, f.window_s);
    f.lost = st.sent - st.delivered;
    f.ok = !f.lost && !st.duplicated && !st.out_of_order && !st.corrupted && !st.misrouted &&
           !st.failed && !st.pairs_broken && !st.skipped && !g.timed_out && !g.interrupted &&
           f.window_s > 0 && (!needs_hops || st.hops > 0);
    return f;
}

/* Growth from the warm-up session alone, in bytes for each session more. */
struct growth { bool known; double rss, pss, anon, fds; };

static struct growth growth(const struct watch *w, enum snap at)
{
    const struct memory *a = &w->mem[SN_BEFORE], *b = &w->mem[at];
    double n = opt.sessions + (at == SN_STEADY ? 0 : 2.0 * opt.pairs);
    if (opt.mode != M_IDLE || !a->taken || !b->taken)
        return (struct growth){ 0 };
    return (struct growth){ true, (double)(b->rss_kb - a->rss_kb) * 1024 / n,
                            (double)(b->pss_kb - a->pss_kb) * 1024 / n,
                            (double)(b->anon_kb - a->anon_kb) * 1024 / n, (b->fds - a->fds) / n };
}

static void text_memory(const struct watch *w)
{
    for (int i = 0; i < SNAPS; i++) {
        const struct memory *m = &w->mem[i];
        struct growth e = growth(w, (enum snap)i);
        if (!m->taken)
            continue;
        printf("            %-7s rss %8ld KiB   pss %8ld KiB   anon %8ld KiB   fds %5d", snap_name[i],
               m->rss_kb, m->pss_kb, m->anon_kb, m->fds);
        if (e.known && (i == SN_STEADY || i == SN_END))
            printf("   each session: rss %.0f  pss %.0f  anon %.0f B  fds %.2f", e.rss, e.pss, e.anon, e.fds);
        putchar('\n');
    }
}

static void text_watch(struct figures f)
{
    double total = 0;
    for (int i = 0; i < opt.nwatch; i++) {
        const struct watch *w = &watches[i];
        total += cpu_s(w);
        printf("watch       %s: %d process%s%s, cpu %.2f s = %.0f%% of a core (user %.2f sys %.2f), %.1f us/hop\n",
               opt.watch[i], w->n, w->n == 1 ? "" : "es", w->changed ? " (set changed!)" : "",
               cpu_s(w), 100 * per(cpu_s(w), f.window_s), w->cpu[1].user - w->cpu[0].user,
               w->cpu[1].sys - w->cpu[0].sys, 1e6 * per(cpu_s(w), (double)st.hops));
        text_memory(w);
    }
    if (opt.nwatch && st.hops > 0 && total <= 0)
        puts("            <- WHAT IS WATCHED DID NOTHING: IS IT THE SERVER?");
}

static void text_ramp(const char *name, struct ramp_result r)
{
    if (r.sessions)
        printf("%-11s %d of %d sessions ready in %.3f s (%.0f/s)\n", name, r.ready, r.sessions,
               r.seconds, per(r.ready, r.seconds));
}

static void text_report(struct figures f)
{
    printf("siobench    %s at %s:%d%s, %d pairs", mode_name[opt.mode], opt.host, opt.port, opt.path,
           opt.pairs);
    if (opt.mode == M_IDLE)
        printf(", %d idle sessions%s", opt.sessions, opt.join ? " (joined)" : "");
    if (opt.mode == M_RELAY)
        printf(", window %d", opt.window);
    else
        printf(", %g messages/s%s", opt.rate, opt.poisson ? " (Poisson)" : "");
    printf(", %d bytes\n", opt.size);
    text_ramp("idle ramp", st.ramp_idle);
    text_ramp("ramp", st.ramp_active);
    printf("throughput  %" PRIu64 " hops in %.3f s: %.1f hops/s\n", st.hops, f.window_s, f.hops_per_s);
    printf("latency     p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f  mean %.3f ms (%" PRIu64 " samples)\n",
           hist_ms(&st.latency, 50), hist_ms(&st.latency, 90), hist_ms(&st.latency, 99),
           hist_ms(&st.latency, 99.9), (double)st.latency.max / 1e6, hist_mean_ms(&st.latency), st.latency.n);
    printf("integrity   sent %" PRIu64 "  delivered %" PRIu64 "  lost %" PRIu64 "  duplicated %" PRIu64
           "  out of order %" PRIu64 "  corrupted %" PRIu64 "  misrouted %" PRIu64 "\n", st.sent,
           st.delivered, f.lost, st.duplicated, st.out_of_order, st.corrupted, st.misrouted);
    printf("sessions    failed %" PRIu64 "  abandoned %" PRIu64 "  pairs broken %" PRIu64 "\n", st.failed,
           st.abandoned, st.pairs_broken);
    for (int i = 0; i < st.nreasons; i++)
        printf("            %" PRIu64 " x %s\n", st.reason[i].n, st.reason[i].text);
    if (opt.mode == M_IDLE)
        printf("idle        lost %" PRIu64 " of %d  pings answered %" PRIu64 " (%" PRIu64 " in the window)\n",
               st.failed_idle, opt.sessions, st.pings, st.pings_window);
    printf("http        polls %" PRIu64 "  posts %" PRIu64 " (%.2f packets each)  connects %" PRIu64
           "  idle closes %" PRIu64 "  retries %" PRIu64 "  unsolicited %" PRIu64 "  warnings %" PRIu64 "\n",
           st.polls, st.posts, per((double)st.post_packets, (double)st.posts), st.connects, st.idle_closes,
           st.retries, st.unsolicited, st.warnings);
    text_watch(f);
    printf("generator   cpu %.2f s = %.0f%% of a core, %.1f us/hop", f.gen_user + f.gen_sys, 100 * f.gen_share,
           1e6 * per(f.gen_user + f.gen_sys, (double)st.hops));
    if (st.lag.n)
        printf(", sending lag p50 %.3f p99 %.3f max %.3f ms", hist_ms(&st.lag, 50), hist_ms(&st.lag, 99),
               (double)st.lag.max / 1e6);
    printf("%s\n", f.gen_share > 0.85 ? "   <- THE GENERATOR MAY BE THE BOTTLENECK" : "");
    printf("machine     other work %.0f%% of a core%s, stolen %.0f%%%s\n", 100 * f.other,
           opt.nwatch ? "" : " (the server's included: no --watch)", 100 * f.steal,
           opt.nwatch && f.other + f.steal > 0.15 ? "   <- THE MACHINE WAS NOT QUIET" : "");
    printf("result      %s%s%s\n", f.ok ? "ok" : "NOT OK", g.interrupted ? ", interrupted" : "",
           g.timed_out ? ", out of time" : "");
}

static void json_string(FILE *o, const char *s)
{
    fputc('"', o);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(o, "\\%c", *s);
        else if ((unsigned char)*s < 32)
            fprintf(o, "\\u%04x", (unsigned char)*s);
        else
            fputc(*s, o);
    }
    fputc('"', o);
}

static const char *json_bool(bool b) { return b ? "true" : "false"; }

static void json_hist(FILE *o, const char *name, const struct hist *h)
{
    fprintf(o, "  \"%s\": {\"samples\": %" PRIu64 ", \"mean\": %.6f, \"p50\": %.6f, \"p90\": %.6f, "
            "\"p99\": %.6f, \"p999\": %.6f, \"max\": %.6f},\n", name, h->n, hist_mean_ms(h),
            hist_ms(h, 50), hist_ms(h, 90), hist_ms(h, 99), hist_ms(h, 99.9), (double)h->max / 1e6);
}

static void json_ramp(FILE *o, const char *name, struct ramp_result r)
{
    fprintf(o, "  \"%s\": {\"sessions\": %d, \"ready\": %d, \"seconds\": %.6f, \"sessions_per_s\": %.3f},\n",
            name, r.sessions, r.ready, r.seconds, per(r.ready, r.seconds));
}

static void json_kinds(FILE *o, const char *name, const uint64_t *n)
{
    fprintf(o, "\"%s\": {", name);
    for (int i = 0; i < F_KINDS; i++)
        fprintf(o, "%s\"%s\": %" PRIu64, i ? ", " : "", fail_name[i], n[i]);
    fputs("}", o);
}

static void json_run(FILE *o)
{
    fprintf(o, "  \"tool\": \"siobench\", \"version\": \"%s\",\n  \"mode\": \"%s\", "
            "\"host\": \"%s\", \"port\": %d, \"path\": ", VERSION, mode_name[opt.mode], opt.host, opt.port);
    json_string(o, opt.path);
    fprintf(o, ",\n  \"pairs\": %d, \"idle_sessions\": %d, \"joined\": %s, \"window\": %d, \"rate\": %g, "
            "\"poisson\": %s, \"size\": %d, \"seed\": %" PRIu64 ", \"seconds\": %g, \"warmup\": %g, "
            "\"sources\": %d,\n", opt.pairs, opt.mode == M_IDLE ? opt.sessions : 0, json_bool(opt.join),
            opt.mode == M_RELAY ? opt.window : 0, opt.mode == M_RELAY ? 0 : opt.rate,
            json_bool(opt.poisson), opt.size, opt.seed, opt.seconds, opt.warmup, opt.sources);
}

static void json_failures(FILE *o)
{
    fprintf(o, "  \"sessions_failed\": %" PRIu64 ", \"sessions_abandoned\": %" PRIu64 ", \"pairs_broken\": %" PRIu64
            ",\n  ", st.failed, st.abandoned, st.pairs_broken);
    json_kinds(o, "failed_by_kind", st.failed_kind);
    fputs(",\n  \"failures\": [", o);
    for (int i = 0; i < st.nreasons; i++) {
        fputs(i ? ", {\"reason\": " : "{\"reason\": ", o);
        json_string(o, st.reason[i].text);
        fprintf(o, ", \"count\": %" PRIu64 "}", st.reason[i].n);
    }
    fputs("],\n", o);
    if (opt.mode != M_IDLE)
        return;
    fprintf(o, "  \"idle\": {\"sessions\": %d, \"ready\": %d, \"lost\": %" PRIu64 ", \"pings\": %" PRIu64
            ", \"pings_in_window\": %" PRIu64 ", ", opt.sessions, st.ramp_idle.ready, st.failed_idle,
            st.pings, st.pings_window);
    json_kinds(o, "lost_by_kind", st.failed_idle_kind);
    fputs("},\n", o);
}

static void json_growth(FILE *o, const char *name, struct growth e)
{
    if (e.known)
        fprintf(o, ", \"%s\": {\"rss_bytes\": %.1f, \"pss_bytes\": %.1f, \"anon_bytes\": %.1f, \"fds\": %.4f}",
                name, e.rss, e.pss, e.anon, e.fds);
}

static void json_one_watch(FILE *o, int i, struct figures f)
{
    const struct watch *w = &watches[i];
    fputs(i ? ", {\"name\": " : "{\"name\": ", o);
    json_string(o, opt.watch[i]);
    fprintf(o, ", \"processes\": %d, \"set_changed\": %s, \"cpu_user_s\": %.3f, \"cpu_sys_s\": %.3f, "
            "\"core_share\": %.4f, \"cpu_us_per_hop\": %.3f", w->n, json_bool(w->changed),
            w->cpu[1].user - w->cpu[0].user, w->cpu[1].sys - w->cpu[0].sys, per(cpu_s(w), f.window_s),
            1e6 * per(cpu_s(w), (double)st.hops));
    for (int k = 0; k < SNAPS; k++)
        if (w->mem[k].taken)
            fprintf(o, ", \"%s\": {\"rss_kb\": %ld, \"pss_kb\": %ld, \"anon_kb\": %ld, \"fds\": %d}",
                    snap_name[k], w->mem[k].rss_kb, w->mem[k].pss_kb, w->mem[k].anon_kb, w->mem[k].fds);
    json_growth(o, "per_idle_session", growth(w, SN_STEADY));
    json_growth(o, "per_session_at_end", growth(w, SN_END));
    fputc('}', o);
}

static void json_report(struct figures f)
{
    FILE *o = opt.json_file;
    fputs("{\n", o);
    json_run(o);
    fprintf(o, "  \"ok\": %s, \"interrupted\": %s, \"timed_out\": %s,\n", json_bool(f.ok),
            json_bool(g.interrupted), json_bool(g.timed_out));
    json_ramp(o, "idle_ramp", st.ramp_idle);
    json_ramp(o, "ramp", st.ramp_active);
    fprintf(o, "  \"window_s\": %.6f, \"hops\": %" PRIu64 ", \"hops_per_s\": %.3f,\n", f.window_s,
            st.hops, f.hops_per_s);
    json_hist(o, "latency_ms", &st.latency);
    json_hist(o, "send_lag_ms", &st.lag);
    fprintf(o, "  \"integrity\": {\"sent\": %" PRIu64 ", \"delivered\": %" PRIu64 ", \"lost\": %" PRIu64
            ", \"duplicated\": %" PRIu64 ", \"out_of_order\": %" PRIu64 ", \"corrupted\": %" PRIu64
            ", \"misrouted\": %" PRIu64 ", \"skipped\": %" PRIu64 "},\n", st.sent, st.delivered, f.lost,
            st.duplicated, st.out_of_order, st.corrupted, st.misrouted, st.skipped);
    json_failures(o);
    fprintf(o, "  \"http\": {\"polls\": %" PRIu64 ", \"posts\": %" PRIu64 ", \"packets_posted\": %" PRIu64
            ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"connects\": %" PRIu64
            ", \"idle_closes\": %" PRIu64 ", \"retries\": %" PRIu64 ", \"unsolicited\": %" PRIu64
            ", \"protocol_warnings\": %" PRIu64 "},\n", st.polls, st.posts, st.post_packets, st.bytes_in,
            st.bytes_out, st.connects, st.idle_closes, st.retries, st.unsolicited, st.warnings);
    fputs("  \"watch\": [", o);
    for (int i = 0; i < opt.nwatch; i++)
        json_one_watch(o, i, f);
    fprintf(o, "],\n  \"generator\": {\"cpu_user_s\": %.3f, \"cpu_sys_s\": %.3f, \"core_share\": %.4f, "
            "\"cpu_us_per_hop\": %.3f},\n", f.gen_user, f.gen_sys, f.gen_share,
            1e6 * per(f.gen_user + f.gen_sys, (double)st.hops));
    fprintf(o, "  \"machine\": {\"other_core_share\": %.4f, \"steal_core_share\": %.4f}\n}\n", f.other, f.steal);
    if (fclose(o) != 0)
        die(1, "%s: %s", opt.json, strerror(errno));
}

/* --------------------------------------------------------- command line -- */

static const char usage_text[] =
"usage: siobench [relay|paced|idle] [options]\n"
"  relay              closed loop: each pair keeps --window messages going round\n"
"  paced              open loop: --rate messages/s over all pairs\n"
"  idle               --sessions quiet long polls, with --pairs paced pairs beside them\n"
"options (default):\n"
"  --url URL          server, loopback only (http://127.0.0.1:8181)\n"
"  --path PATH        (/socket.io/)\n"
"  --together         as Pollux's own client file: what is sent at once leaves with the next poll\n"
"  --pairs P          active pairs (10; idle mode 0)\n"
"  --sessions N       idle sessions, idle mode (100)\n"
"  --join             idle mode: idle sessions join channels two by two\n"
"  --window W         relay mode: messages in flight for each pair (1)\n"
"  --rate R           paced and idle mode: messages/s over all pairs (1000)\n"
"  --poisson          paced and idle mode: exponential gaps instead of even ones\n"
"  --size BYTES       size of each message (200; least 96)\n"
"  --seconds S        measured window (10)\n"
"  --warmup S         traffic before the window (1)\n"
"  --settle S         idle mode: rest before the steady memory figure (3)\n"
"  --grace S          longest wait for messages still under way at the end (5)\n"
"  --ramp N           sessions being set up at one time (50)\n"
"  --ramp-rate R      sessions begun in a second, at most: their heartbeats come as spread (any)\n"
"  --request-timeout S  limit for a POST, and for each step of the set-up (30)\n"
"  --timeout S        limit for the whole run (by the other options)\n"
"  --sources K        local addresses to spread connections over (by need)\n"
"  --header LINE      extra request header, repeatable\n"
"  --watch WHO        pid or process name to read memory and CPU of, repeatable\n"
"  --seed N           (1)\n"
"  --json FILE        write all figures as one JSON object\n"
"  --quiet            no progress and no text report\n"
"exit status: 0 all well, 1 lost messages or sessions or a broken run, 2 usage\n";

enum { O_MODE = 256, O_URL, O_PATH, O_PAIRS, O_SESSIONS, O_JOIN, O_WINDOW, O_RATE, O_POISSON,
       O_SIZE, O_SECONDS, O_WARMUP, O_SETTLE, O_GRACE, O_RAMP, O_REQTIMEOUT, O_TIMEOUT, O_SOURCES,
       O_HEADER, O_WATCH, O_SEED, O_JSON, O_QUIET, O_TOGETHER, O_RAMPRATE, O_HELP };

static const struct option long_options[] = {
    { "mode", 1, 0, O_MODE }, { "url", 1, 0, O_URL }, { "path", 1, 0, O_PATH },
    { "pairs", 1, 0, O_PAIRS }, { "sessions", 1, 0, O_SESSIONS },
    { "join", 0, 0, O_JOIN }, { "window", 1, 0, O_WINDOW }, { "rate", 1, 0, O_RATE },
    { "poisson", 0, 0, O_POISSON }, { "size", 1, 0, O_SIZE }, { "seconds", 1, 0, O_SECONDS },
    { "warmup", 1, 0, O_WARMUP }, { "settle", 1, 0, O_SETTLE }, { "grace", 1, 0, O_GRACE },
    { "ramp", 1, 0, O_RAMP }, { "ramp-rate", 1, 0, O_RAMPRATE }, { "request-timeout", 1, 0, O_REQTIMEOUT },
    { "timeout", 1, 0, O_TIMEOUT }, { "sources", 1, 0, O_SOURCES }, { "header", 1, 0, O_HEADER },
    { "watch", 1, 0, O_WATCH }, { "seed", 1, 0, O_SEED }, { "json", 1, 0, O_JSON },
    { "quiet", 0, 0, O_QUIET }, { "together", 0, 0, O_TOGETHER }, { "help", 0, 0, O_HELP }, { 0, 0, 0, 0 },
};

static double number(const char *name, const char *text, double low, double high)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= low && v <= high))
        die(2, "--%s %s: expected a number from %g to %g", name, text, low, high);
    return v;
}

static int integer(const char *name, const char *text, int low, int high)
{
    double v = number(name, text, low, high);
    if (v != floor(v))
        die(2, "--%s %s: expected a whole number", name, text);
    return (int)v;
}

static int choice(const char *what, const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    die(2, "unknown %s: %s", what, text);
}

/* http://HOST[:PORT][/], HOST a loopback address. */
static void parse_url(const char *url)
{
    struct in_addr a;
    int port = 80, used = 0;
    if (strncmp(url, "http://", 7) != 0)
        die(2, "--url %s: expected http://127.0.0.1:PORT", url);
    const char *host = url + 7;
    if (*host == '[')
        die(2, "--url %s: only IPv4 loopback targets (127.0.0.0/8) are allowed", url);
    size_t n = strcspn(host, ":/");
    if (n == 0 || n >= sizeof opt.host)
        die(2, "--url %s: no host", url);
    memcpy(opt.host, host, n);
    opt.host[n] = 0;
    const char *rest = host + n;
    if (*rest == ':') {
        if (sscanf(rest, ":%d%n", &port, &used) != 1 || port < 1 || port > 65535)
            die(2, "--url %s: bad port", url);
        rest += used;
    }
    if (*rest == '/')
        rest++;
    if (*rest)
        die(2, "--url %s: give the path with --path", url);
    if (strcmp(opt.host, "localhost") == 0)
        strcpy(opt.host, "127.0.0.1");
    if (inet_pton(AF_INET, opt.host, &a) != 1 || ntohl(a.s_addr) >> 24 != 127)
        die(2, "--url %s: only loopback targets (127.0.0.0/8 or localhost) are allowed", url);
    opt.port = port;
    g.addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = a, .sin_port = htons((uint16_t)port) };
}

static void parse_option(int o, const char *v, const char *name)
{
    switch (o) {
    case O_MODE: opt.mode = (enum mode)choice("mode", v, mode_name, 3); break;
    case O_URL: parse_url(v); break;
    case O_PATH:
        if (v[0] != '/' || strlen(v) >= sizeof opt.path || v[strcspn(v, " ?#\r\n")])
            die(2, "--path %s: expected an absolute path without a query", v);
        strcpy(opt.path, v);
        break;
    case O_TOGETHER: opt.together = true; break;
    case O_PAIRS: opt.pairs = integer(name, v, 0, 100000); break;
    case O_SESSIONS: opt.sessions = integer(name, v, 1, 1000000); break;
    case O_JOIN: opt.join = true; break;
    case O_WINDOW: opt.window = integer(name, v, 1, 10000); break;
    case O_RATE: opt.rate = number(name, v, 0.01, 1e7); break;
    case O_POISSON: opt.poisson = true; break;
    case O_SIZE: opt.size = integer(name, v, MIN_SIZE, MAX_SIZE); break;
    case O_SECONDS: opt.seconds = number(name, v, 0.1, 86400); break;
    case O_WARMUP: opt.warmup = number(name, v, 0, 3600); break;
    case O_SETTLE: opt.settle = number(name, v, 0, 3600); break;
    case O_GRACE: opt.grace = number(name, v, 0, 3600); break;
    case O_RAMP: opt.ramp = integer(name, v, 2, 100000); break;
    case O_RAMPRATE: opt.ramp_rate = number(name, v, 1, 1e6); break;
    case O_REQTIMEOUT: opt.request_timeout = number(name, v, 0.1, 3600); break;
    case O_TIMEOUT: opt.timeout = number(name, v, 1, 100000); break;
    case O_SOURCES: opt.sources = integer(name, v, 1, 60000); break;
    case O_HEADER:
        if (!strchr(v, ':') || v[strcspn(v, "\r\n")])
            die(2, "--header %s: expected Name: value", v);
        buf_fmt(&opt.headers, "%s\r\n", v);
        break;
    case O_WATCH:
        if (opt.nwatch == MAX_WATCH)
            die(2, "more than %d --watch", MAX_WATCH);
        opt.watch[opt.nwatch++] = v;
        break;
    case O_SEED: opt.seed = strtoull(v, NULL, 0); break;
    case O_JSON: opt.json = v; break;
    case O_QUIET: opt.quiet = true; break;
    case O_HELP: fputs(usage_text, stdout); exit(0);
    default: fputs(usage_text, stderr); exit(2);
    }
}

static void parse_command_line(int argc, char **argv)
{
    int o, index = 0;
    parse_url("http://127.0.0.1:8181");
    while ((o = getopt_long(argc, argv, "", long_options, &index)) != -1)
        parse_option(o, optarg, o == '?' ? "" : long_options[index].name);
    if (optind < argc)
        opt.mode = (enum mode)choice("mode", argv[optind++], mode_name, 3);
    if (optind < argc)
        die(2, "unexpected argument: %s", argv[optind]);
    if (opt.json && !(opt.json_file = fopen(opt.json, "w")))
        die(2, "--json %s: %s", opt.json, strerror(errno));
    if (!opt.path[0])
        strcpy(opt.path, "/socket.io/");
    if (opt.pairs < 0)
        opt.pairs = opt.mode == M_IDLE ? 0 : 10;
    if (opt.pairs == 0 && opt.mode != M_IDLE)
        die(2, "--pairs 0: nothing to do in %s mode", mode_name[opt.mode]);
    if (opt.timeout == 0)
        opt.timeout = opt.seconds + opt.warmup + opt.grace + 60 +
                      (opt.mode == M_IDLE ? opt.settle + opt.sessions / 100.0 : 0) + opt.pairs / 50.0 +
                      (opt.ramp_rate > 0 ? (opt.sessions + 2 * opt.pairs) / opt.ramp_rate : 0);
}

/* ---------------------------------------------------------------- set-up -- */

static void init_conn(struct session *s, struct conn *c, bool is_poll)
{
    c->s = s;
    c->fd = -1;
    c->id = (uint32_t)s->id * 2 + !is_poll;
    c->is_poll = is_poll;
}

static void init_pair(int session)
{
    struct pair *p = &g.pair[g.npair];
    p->id = g.npair++;
    for (int d = 0; d < 2; d++)
        snprintf(p->emit[d], sizeof p->emit[d], "42[\"%s\",{\"channel\":\"%s-%d\",\"message\":",
                 d == 0 ? "message" : "response", g.nonce, p->id);
    for (int i = 0; i < 2; i++) {
        p->side[i] = &g.sess[session + i];
        p->side[i]->pair = p;
        p->side[i]->side = i;
    }
}

static void init_sessions(void)
{
    int idle = opt.mode == M_IDLE ? 1 + opt.sessions : 0;      /* with the probe */
    g.nsess = idle + 2 * opt.pairs;
    g.sess = xcalloc((size_t)g.nsess, sizeof *g.sess);
    g.pair = xcalloc((size_t)(g.nsess / 2 + 1), sizeof *g.pair);
    for (int i = 0; i < g.nsess; i++) {
        struct session *s = &g.sess[i];
        s->id = i;
        s->role = i >= idle ? R_ACTIVE : i == 0 ? R_PROBE : R_IDLE;
        s->q_tail = &s->q_head;
        s->max_payload = 1000000;
        init_conn(s, &s->poll, true);
        init_conn(s, &s->post, false);
    }
    for (int i = 1; opt.join && i + 1 < idle; i += 2)
        init_pair(i);
    g.first_active = g.npair;
    g.nactive = opt.pairs;
    for (int i = idle; i < g.nsess; i += 2)
        init_pair(i);
}

static void init_limits(void)
{
    struct rlimit rl;
    rlim_t need = (rlim_t)g.nsess * 2 + 32;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < need)
        die(2, "%d sessions need %llu open files, the limit is %llu", g.nsess,
            (unsigned long long)need, (unsigned long long)rl.rlim_cur);
    if (opt.sources == 0)
        opt.sources = 1 + g.nsess * 2 / 8000;
    prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
}

static void init_text(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .:;=/";
    struct timespec ts;
    uint64_t x = opt.seed;
    size_t n = PAD_MASK + 1 + (size_t)opt.size;
    clock_gettime(CLOCK_REALTIME, &ts);
    g.rng = mix64(opt.seed + 1);
    snprintf(g.nonce, sizeof g.nonce, "b%012" PRIx64,
             mix64(opt.seed ^ (uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 30 ^ (uint64_t)getpid() << 48) >> 16);
    g.pad = xcalloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        x = mix64(x);
        g.pad[i] = alphabet[x % (sizeof alphabet - 1)];
    }
    buf_fmt(&g.head, "Host: %s:%d\r\nUser-Agent: siobench/" VERSION "\r\nAccept: */*\r\n", opt.host, opt.port);
    if (opt.headers.len)
        buf_add(&g.head, opt.headers.p, opt.headers.len);
}

static void on_signal(int sig)
{
    (void)sig;
    if (++stop_signals > 1)
        _exit(1);
}

int main(int argc, char **argv)
{
    parse_command_line(argc, argv);
    init_text();
    init_sessions();
    init_limits();
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    watch_resolve(true);
    g.ep = epoll_create1(EPOLL_CLOEXEC);
    if (g.ep < 0)
        die(1, "epoll_create1: %s", strerror(errno));

    g.t0 = now_ns();
    g.hard_end = g.t0 + (uint64_t)(opt.timeout * 1e9);
    if (opt.mode == M_IDLE) {
        go(PH_PROBE, 0);
        ramp_begin(0, 1);
    } else {
        watch_memory(SN_BEFORE);
        go(PH_RAMP, 0);
        ramp_begin(0, g.nsess);
    }
    event_loop();

    struct figures f = make_figures();
    if (!opt.quiet)
        text_report(f);
    if (opt.json)
        json_report(f);
    return f.ok ? 0 : 1;
}
