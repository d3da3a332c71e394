/* cmd_log.c - polluxctl log: who said what to whom, a line a message, to the end or for as long
 * as somebody watches. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/commands.h"
#include "ctl/gist.h"
#include "ctl/said_json.h"
#include "ctl/page.h"
#include "ctl/text.h"
#include "ctl/dates.h"
#include "ctl/why.h"

#define POLL_MS 200
#define NAMED 2                         /* recipients named in a line; the others are counted */
#define NAME_WIDTH 32                   /* columns of a channel's or event's name */
#define UNKEPT "(%lld bytes, not kept)"

#define SORTS 6                         /* of candidates, told apart in a run */

struct lines {
    struct table table;
    struct buf out, date;               /* date: that of the last line */
    int64_t printed;
    struct gist gist, next;             /* scratch */
};

/* Messages that follow one another and make one line: one; or several candidates of one sender to
 * the same recipients; or what the server said to the same ones in one breath. */
struct run {
    size_t first, count;                /* in the page */
    struct { char sort[GIST_SORT_MAX]; size_t count; } sorts[SORTS];
    size_t sort_count;
};

static const struct table_column columns[] = {
    { NULL, false }, { NULL, true },  { NULL, false }, { NULL, false },
    { NULL, true },  { NULL, false }, { NULL, false },
};

/* "12 ms"; of several deliveries the slowest's. What is not there yet or never will be counts
 * more. */
static void add_state(struct buf *out, const struct page *p, const struct run *r)
{
    int64_t slowest = -1, counts[3] = { 0 };
    size_t all = 0;
    static const char *const states[] = { "never", "waiting", "sent" };

    for (size_t n = r->first; n < r->first + r->count; n++) {
        const struct said *s = &p->said[n];
        all += s->count;
        for (size_t i = 0; i < s->count; i++) {
            const struct heard *h = &p->heard[s->first + i];
            if (h->arrived_ms > 0 && h->arrived_ms - s->at_ms > slowest)
                slowest = h->arrived_ms - s->at_ms;
            for (size_t k = 0; k < 3; k++)
                counts[k] += strcmp(heard_state(h), states[k]) == 0;
        }
    }
    for (size_t k = 0; k < 3; k++)
        if (counts[k] != 0) {
            buf_add_text(out, states[k]);
            if (all > 1)
                buf_addf(out, " %lld/%zu", (long long)counts[k], all);
            return;
        }
    if (slowest >= 0)
        text_add_duration(out, slowest);
}

static void add_parties(struct ctl *c, struct buf *out, const struct page *p, const struct said *s)
{
    char label[LABEL_MAX] = "server";

    if (s->sender != 0)
        ctl_label(c, s->sender, label);
    buf_addf(out, "%s →", label);
    for (size_t i = 0; i < s->count && i < NAMED; i++) {
        ctl_label(c, p->heard[s->first + i].socket, label);
        buf_addf(out, "%s %s", i != 0 ? "," : "", label);
    }
    if (s->count > NAMED)
        buf_addf(out, " +%zu", s->count - NAMED);
    if (s->count == 0)
        buf_add_text(out, s->recipients != 0 ? " ?" : said_to_server(s) ? " server" : " nobody");
}

/* Names are short, as a rule. One that is not would push all else off the line. */
static void add_name(struct ctl *c, struct buf *out, struct span name)
{
    struct buf safe = BUF_EMPTY;

    text_add_safe(&safe, name);
    text_need(out, &safe);
    text_add_cut(out, buf_span(&safe), c->whole_ids ? SIZE_MAX : NAME_WIDTH);
    buf_release(&safe);
}

/* On a terminal only the beginning of a long payload is of use; working through a megabyte for
 * it is not. */
static void add_payload(struct ctl *c, struct buf *out, const struct said *s)
{
    struct span text = said_arguments(s);
    struct buf line = BUF_EMPTY;
    size_t enough = c->width * 8;

    if (!s->has_body) {
        if (s->size != 0)
            buf_addf(out, UNKEPT, (long long)s->size);
        return;
    }
    if (c->width != 0 && text.len > enough)
        text.len = enough;
    text_add_json_line(&line, text, JSON_LINE_AS_IS);
    text_need(out, &line);
    text_add_safe(out, buf_span(&line));
    buf_release(&line);
    if (s->attachments != 0)
        buf_addf(out, " +%lld attachment%s", (long long)s->attachments,
                 s->attachments != 1 ? "s" : "");
}

/* ---- what it is about */

/* Lines that are not to be cut show what was said as it was said. */
static void find_gist(const struct ctl *c, struct gist *g, const struct said *s)
{
    g->kind = GIST_NONE;
    if (!c->whole_ids && s->has_body && said_is_event(s))
        gist_find(g, buf_span(&s->name), said_arguments(s));
}

static bool count_sort(struct run *r, const struct gist *g)
{
    char sort[GIST_SORT_MAX];
    size_t i = 0;

    gist_sort(g, sort);
    while (i < r->sort_count && strcmp(r->sorts[i].sort, sort) != 0)
        i++;
    if (i == SORTS)
        return false;
    if (i == r->sort_count)
        memcpy(r->sorts[r->sort_count++].sort, sort, sizeof sort);
    r->sorts[i].count++;
    return true;
}

/* Are B's sender, channel and recipients A's? */
static bool goes_along(const struct page *p, const struct said *a, const struct said *b)
{
    bool same = a->sender == b->sender && a->count == b->count && a->recipients == b->recipients
                && span_equals(buf_span(&a->channel), buf_span(&b->channel));

    for (size_t i = 0; same && i < a->count; i++)
        same = p->heard[a->first + i].socket == p->heard[b->first + i].socket;
    return same;
}

/* R begins with a candidate, which is in l->gist: the others that go along with it. */
static void add_candidates(const struct ctl *c, struct lines *l, const struct page *p,
                           struct run *r)
{
    const struct said *s = &p->said[r->first], *next;

    count_sort(r, &l->gist);
    for (; r->first + r->count < p->count; r->count++) {
        next = &p->said[r->first + r->count];
        if (!goes_along(p, s, next) || !span_equals(buf_span(&s->name), buf_span(&next->name)))
            return;
        find_gist(c, &l->next, next);
        if (l->next.kind != GIST_CANDIDATE || !count_sort(r, &l->next))
            return;
    }
}

/* R begins with what the server said: what it said to the same ones in the same turn. */
static void add_breath(const struct page *p, struct run *r)
{
    const struct said *s = &p->said[r->first], *next;

    for (; r->first + r->count < p->count; r->count++) {
        next = &p->said[r->first + r->count];
        if (!goes_along(p, s, next) || next->at_ms != s->at_ms || !said_is_event(next))
            return;
    }
}

/* The line that begins with P's FIRST; what that is about is in l->gist. */
static struct run begin_run(const struct ctl *c, struct lines *l, const struct page *p,
                            size_t first)
{
    const struct said *s = &p->said[first];
    struct run r = { .first = first, .count = 1 };

    find_gist(c, &l->gist, s);
    if (l->gist.kind == GIST_CANDIDATE)
        add_candidates(c, l, p, &r);
    else if (s->sender == 0 && s->count != 0 && said_is_event(s) && !c->whole_ids)
        add_breath(p, &r);
    return r;
}

/* "8 candidates: 4 host udp, 4 srflx udp" */
static void add_run(struct buf *out, const struct run *r)
{
    buf_addf(out, "%zu candidates:", r->count);
    for (size_t i = 0; i < r->sort_count; i++)
        buf_addf(out, "%s %zu %s", i != 0 ? "," : "", r->sorts[i].count, r->sorts[i].sort);
}

/* "room", and join, broadcast: joined */
static void add_others(struct ctl *c, struct buf *out, const struct page *p, const struct run *r)
{
    add_payload(c, out, &p->said[r->first]);
    for (size_t i = 1; i < r->count; i++) {
        buf_add_text(out, i == 1 ? ", and " : ", ");
        add_name(c, out, buf_span(&p->said[r->first + i].name));
    }
}

static void add_about(struct ctl *c, struct buf *out, struct lines *l, const struct page *p,
                      const struct run *r)
{
    const struct said *s = &p->said[r->first];

    if (said_to_nobody(s)) {
        why_nobody(c, out, s);
        buf_add_text(out, ": ");
    }
    if (r->count > 1 && r->sort_count == 0)
        add_others(c, out, p, r);
    else if (r->count > 1)
        add_run(out, r);
    else if (l->gist.kind != GIST_NONE)
        gist_add(out, &l->gist);
    else
        add_payload(c, out, s);
}

static bool add_line(struct ctl *c, struct lines *l, const struct page *p, const struct run *r)
{
    const struct said *s = &p->said[r->first];
    enum tint tint = s->sender == 0 ? TINT_SERVER : TINT_PEER;
    struct buf *cells[7];

    for (size_t i = 0; i < 7; i++) {
        enum tint own = i == 2 || i == 3 || i == 6 ? tint : i == 5 ? TINT_BOLD : TINT_DIM;
        if ((cells[i] = table_cell(&l->table, own)) == NULL)
            return false;
        if (i == 0)
            time_add_clock(cells[i], s->at_ms);
        else if (i == 1 && r->count > 1)
            buf_addf(cells[i], "#%lld…%lld", (long long)s->seq,
                     (long long)p->said[r->first + r->count - 1].seq);
        else if (i == 1)
            buf_addf(cells[i], "#%lld", (long long)s->seq);
        else if (i == 2)
            add_parties(c, cells[i], p, s);
        else if (i == 3)
            add_name(c, cells[i], c->argument == NULL ? buf_span(&s->channel) : SPAN(""));
        else if (i == 4)
            add_state(cells[i], p, r);
        else if (i == 5 && !said_is_event(s))
            buf_addf(cells[i], "(%s)", said_type(s));
        else if (i == 5)
            add_name(c, cells[i], buf_span(&s->name));
        else
            add_about(c, cells[i], l, p, r);
    }
    return true;
}

/* A line of its own for each new day, above what was said on it. */
static void begin_day(struct ctl *c, struct lines *l, const struct said *s)
{
    struct buf date = BUF_EMPTY;

    time_add_date(&date, s->at_ms);
    if (!span_equals(buf_span(&date), buf_span(&l->date))) {
        table_print(&l->table, &l->out, c->colour, c->whole_ids ? 0 : c->width);
        text_add_tinted(&l->out, buf_span(&date), TINT_BOLD, c->colour);
        buf_add_char(&l->out, '\n');
        buf_clear(&l->date);
        buf_add_span(&l->date, buf_span(&date));
        text_need(&l->out, &l->date);
    }
    text_need(&l->out, &date);
    buf_release(&date);
}

static int print_page(struct ctl *c, struct lines *l, const struct page *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (c->json) {
            json_add_line(&l->out, json_said(c, p, &p->said[i]));
            continue;
        }
        struct run r = begin_run(c, l, p, i);
        begin_day(c, l, &p->said[i]);
        if (!add_line(c, l, p, &r)) {
            l->out.failed = true;
            break;
        }
        i += r.count - 1;
    }
    if (!c->json)
        table_print(&l->table, &l->out, c->colour, c->whole_ids ? 0 : c->width);
    l->printed += (int64_t)p->count;
    return ctl_flush(c, &l->out);
}

static void pause_ms(long ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&pause, NULL);
}

static void say_nothing_found(const struct ctl *c)
{
    struct buf safe = BUF_EMPTY;

    text_add_safe(&safe, span_of(c->argument));
    fprintf(stderr, "polluxctl: nothing that is kept was said%s%s%s\n",
            c->argument != NULL ? " in " : "", buf_text(&safe),
            c->since_ms > 0 || c->until_ms != INT64_MAX ? " at that time" : "");
    buf_release(&safe);
}

static int print_log(struct ctl *c, struct lines *l, struct page *p)
{
    int64_t after = c->lines >= 0 ? page_last(c, c->lines) : page_start(c);
    int more;

    if (after == -1)
        return ctl_fail_db(c, "read the log");
    for (;;) {
        if ((more = page_next(c, p, &after)) == -1)
            return ctl_fail_db(c, "read the log");
        if (p->count != 0 && print_page(c, l, p) == -1)
            return CTL_FAILED;
        if (!more && !c->follow)
            break;
        if (!more)
            pause_ms(POLL_MS);
    }
    if (l->printed == 0 && !c->json)
        say_nothing_found(c);
    return CTL_OK;
}

int ctl_log(struct ctl *c)
{
    struct lines l = { 0 };
    struct page p = { 0 };

    table_init(&l.table, columns, sizeof columns / sizeof columns[0]);
    int status = print_log(c, &l, &p);
    table_release(&l.table);
    buf_release(&l.out);
    buf_release(&l.date);
    gist_release(&l.gist);
    gist_release(&l.next);
    page_release(&p);
    return status;
}
