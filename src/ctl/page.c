/* page.c - walks the log. Prints nothing. */
#include "ctl/page.h"

#include <stdlib.h>

#include "wire/json.h"
#include "wire/sio.h"

#define WINDOW 4096                     /* ids looked at in one read */
#define PAGE_MESSAGES 256
#define PAGE_BYTES 4000000
#define STEP 64                         /* deliveries passed over before halving is quicker */

static void said_release(struct said *s)
{
    buf_release(&s->channel);
    buf_release(&s->name);
    buf_release(&s->body);
}

void page_release(struct page *p)
{
    for (size_t i = 0; i < p->cap; i++)
        said_release(&p->said[i]);
    free(p->said);
    free(p->heard);
    *p = (struct page){ 0 };
}

/* ---- room */

static struct said *add_said(struct page *p)
{
    if (p->count == p->cap) {
        size_t cap = p->cap != 0 ? p->cap * 2 : 32;
        struct said *said = realloc(p->said, cap * sizeof *said);
        if (said == NULL)
            return NULL;
        memset(said + p->cap, 0, (cap - p->cap) * sizeof *said);
        p->said = said;
        p->cap = cap;
    }
    struct said *s = &p->said[p->count++];
    buf_clear(&s->channel);
    buf_clear(&s->name);
    buf_clear(&s->body);
    s->first = s->count = 0;
    return s;
}

static struct heard *add_heard(struct page *p)
{
    if (p->heard_count == p->heard_cap) {
        size_t cap = p->heard_cap != 0 ? p->heard_cap * 2 : 64;
        struct heard *heard = realloc(p->heard, cap * sizeof *heard);
        if (heard == NULL)
            return NULL;
        p->heard = heard;
        p->heard_cap = cap;
    }
    return &p->heard[p->heard_count++];
}

/* ---- messages */

static bool read_said(struct page *p, struct db_query *q)
{
    struct said *s = add_said(p);

    if (s == NULL)
        return false;
    s->seq = db_int(q, 0);
    s->at_ms = db_int(q, 1);
    s->type = db_int(q, 2);
    s->sender = db_int(q, 3);
    s->has_channel = !db_is_null(q, 4);
    buf_add_span(&s->channel, db_text(q, 4));
    buf_add_span(&s->name, db_text(q, 5));
    s->size = db_int(q, 6);
    s->recipients = db_int(q, 7);
    s->attachments = db_int(q, 8);
    s->has_body = !db_is_null(q, 9);
    buf_add_span(&s->body, db_text(q, 9));
    return buf_ok(&s->channel) && buf_ok(&s->name) && buf_ok(&s->body);
}

/* What is asked for of the ids in (AFTER, UPTO], or all of them. */
enum filter { FILTER_ASKED, FILTER_NONE };

static void put_filter(const struct ctl *c, struct db_query *q, int64_t after, int64_t upto,
                       enum filter filter)
{
    bool any = filter == FILTER_NONE;

    db_put_int(q, 1, after);
    db_put_int(q, 2, upto);
    if (c->argument != NULL && !any)
        db_put_text(q, 3, span_of(c->argument));
    else
        db_put_null(q, 3);
    db_put_int(q, 4, any ? INT64_MIN : c->since_ms);
    db_put_int(q, 5, any ? INT64_MAX : c->until_ms);
    db_put_int(q, 6, any || c->all);
}

/* What passes the filter in (*AFTER, UPTO]; *AFTER becomes the last id looked at. */
static int read_window(struct ctl *c, struct page *p, int64_t *after, int64_t upto,
                       enum filter filter)
{
    struct db_query *q = ctl_query(c, Q_message_window);
    size_t bytes = 0;
    bool well = true;

    put_filter(c, q, *after, upto, filter);
    while (db_next(q) == DB_ROW && (well = read_said(p, q))) {
        struct said *s = &p->said[p->count - 1];
        bytes += s->body.len;
        if (p->count == PAGE_MESSAGES || bytes > PAGE_BYTES) {
            upto = s->seq;
            break;
        }
    }
    *after = upto;
    return db_done(q) == -1 || !well ? -1 : 0;
}

/* ---- deliveries */

/* The lowest id of a delivery of message SEQ or a later one, looked for in [LOW, HIGH]; HIGH if
 * there is none. -1 on failure. */
static int64_t find_delivery(struct ctl *c, int64_t seq, int64_t low, int64_t high)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        struct db_query *q = ctl_query(c, Q_delivery_from);
        db_put_int(q, 1, middle);
        bool earlier = db_next(q) == DB_ROW && db_int(q, 1) < seq;
        if (earlier)
            low = db_int(q, 0) + 1;
        else
            high = middle;
        if (db_done(q) == -1)
            return -1;
    }
    return low;
}

/* The deliveries of S among those from *AT on, which moves behind them. *AT is set to -1 when
 * they lie too far on. */
static int read_deliveries(struct ctl *c, struct page *p, struct said *s, int64_t *at)
{
    struct db_query *q = ctl_query(c, Q_delivery_from);
    int passed = 0;
    bool well = true;

    s->first = p->heard_count;
    db_put_int(q, 1, *at);
    while (db_next(q) == DB_ROW && db_int(q, 1) <= s->seq) {
        *at = db_int(q, 0) + 1;
        if (db_int(q, 1) < s->seq) {
            if (++passed < STEP)
                continue;
            *at = -1;
            break;
        }
        struct heard *h = add_heard(p);
        if (h == NULL) {
            well = false;
            break;
        }
        *h = (struct heard){ db_int(q, 2), db_int(q, 3), db_int(q, 4), !db_is_null(q, 4) };
        s->count++;
    }
    return db_done(q) == -1 || !well ? -1 : 0;
}

static int read_all_deliveries(struct ctl *c, struct page *p)
{
    int64_t low = ctl_number(c, Q_delivery_first), high = ctl_number(c, Q_delivery_newest) + 1,
            at = -1;

    p->heard_count = 0;
    if (low == -1 || high == 0)
        return -1;
    for (size_t i = 0; i < p->count; i++) {
        struct said *s = &p->said[i];
        if (at != -1 && read_deliveries(c, p, s, &at) == -1)
            return -1;
        if (at != -1)
            continue;
        if ((at = find_delivery(c, s->seq, low, high)) == -1 || read_deliveries(c, p, s, &at) == -1)
            return -1;
    }
    return 0;
}

/* ---- pages */

static int page_next_within(struct ctl *c, struct page *p, int64_t *after)
{
    int64_t newest = ctl_number(c, Q_message_newest);
    int64_t upto = *after + WINDOW < newest ? *after + WINDOW : newest;

    p->count = 0;
    p->heard_count = 0;
    if (newest == -1)
        return -1;
    if (newest <= *after)
        return 0;
    if (read_window(c, p, after, upto, FILTER_ASKED) == -1
        || (p->count != 0 && read_all_deliveries(c, p) == -1))
        return -1;
    return *after < newest;
}

int page_next(struct ctl *c, struct page *p, int64_t *after)
{
    if (ctl_begin(c) == -1)
        return -1;
    int code = page_next_within(c, p, after);
    return ctl_end(c) == -1 ? -1 : code;
}

int page_one(struct ctl *c, struct page *p, int64_t seq)
{
    int64_t after = seq - 1;

    p->count = 0;
    if (ctl_begin(c) == -1)
        return -1;
    int code = read_window(c, p, &after, seq, FILTER_NONE);
    if (code == 0 && p->count != 0)
        code = read_all_deliveries(c, p);
    return ctl_end(c) == -1 || code == -1 ? -1 : p->count != 0;
}

/* ---- where to begin */

/* The id before the first message that may be of C->since_ms or later. Times may lag by the
 * length of a turn, hence the minute that is taken off. */
static int64_t skip_early(struct ctl *c, int64_t low, int64_t high)
{
    int64_t since_ms = c->since_ms - 60000;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        struct db_query *q = ctl_query(c, Q_message_time);
        db_put_int(q, 1, middle);
        if (db_next(q) == DB_ROW && db_int(q, 1) < since_ms)
            low = db_int(q, 0) + 1;
        else
            high = middle;
        if (db_done(q) == -1)
            return -1;
    }
    return low - 1;
}

int64_t page_start(struct ctl *c)
{
    int64_t first = ctl_number(c, Q_message_first), newest = ctl_number(c, Q_message_newest);

    if (first == -1 || newest == -1)
        return -1;
    if (c->since_ms > 0)
        return skip_early(c, first, newest + 1);
    return first > 0 ? first - 1 : 0;
}

int64_t page_last(struct ctl *c, int64_t n)
{
    int64_t start = page_start(c), at = ctl_number(c, Q_message_newest);

    if (start == -1 || at == -1)
        return -1;
    while (n > 0 && at > start) {
        int64_t from = at - WINDOW > start ? at - WINDOW : start;
        struct db_query *q = ctl_query(c, Q_message_window_back);
        put_filter(c, q, from, at, FILTER_ASKED);
        while (n > 0 && db_next(q) == DB_ROW)
            if (--n == 0)
                from = db_int(q, 0) - 1;
        if (db_done(q) == -1)
            return -1;
        at = from;
    }
    return at;
}

/* ---- what was read */

const char *heard_state(const struct heard *h)
{
    return h->settled       ? (h->arrived_ms > 0 ? "arrived" : "never")
           : h->sent_ms > 0 ? "sent"
                            : "waiting";
}

struct span said_arguments(const struct said *s)
{
    struct span body = buf_span(&s->body);

    if (json_check(body, NULL) != JSON_OK || json_type(json_trim(body)) != JSON_ARRAY)
        return body;
    return said_is_event(s) ? sio_event_args(json_trim(body)) : body;
}

bool said_is_event(const struct said *s)
{
    return s->type == SIO_EVENT || s->type == SIO_BINARY_EVENT;
}

/* What is for the server is not stored with recipients, even if it was told others something. */
bool said_to_server(const struct said *s)
{
    static const char *const names[] = { "create or join", "leave", "Bye", "Ack" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (s->sender != 0 && s->recipients == 0 && span_is(buf_span(&s->name), names[i]))
            return true;
    return s->sender != 0 && s->recipients == 0 && !said_is_event(s);
}

bool said_to_nobody(const struct said *s)
{
    return s->sender != 0 && s->recipients == 0 && !said_to_server(s);
}

const char *said_type(const struct said *s)
{
    static const char *const names[] = { "connect",       "disconnect",   "event",     "ack",
                                         "connect error", "binary event", "binary ack" };

    return s->type >= 0 && s->type < (int64_t)(sizeof names / sizeof names[0]) ? names[s->type]
                                                                               : "unknown";
}
