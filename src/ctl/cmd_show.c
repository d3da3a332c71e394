/* cmd_show.c - polluxctl show: one message, whole. */
#include <stdlib.h>

#include "ctl/commands.h"
#include "ctl/gist.h"
#include "ctl/said_json.h"
#include "ctl/page.h"
#include "ctl/text.h"
#include "ctl/dates.h"
#include "ctl/why.h"
#include "store/attached.h"
#include "wire/json.h"

static const struct table_column columns[] = {
    { "RECIPIENT", false }, { "STATE", false }, { "SENT", false },
    { "ARRIVED", false },   { "TOOK", true },
};

static void add_field(struct ctl *c, struct buf *out, const char *name, struct span value)
{
    struct buf padded = BUF_EMPTY;

    buf_addf(&padded, "%-12s", name);
    text_need(out, &padded);
    text_add_tinted(out, buf_span(&padded), TINT_DIM, c->colour);
    text_add_safe(out, value);
    buf_add_char(out, '\n');
    buf_release(&padded);
}

static void add_head(struct ctl *c, struct buf *out, const struct said *s)
{
    struct buf value = BUF_EMPTY;
    char label[LABEL_MAX] = "the server";

    buf_addf(&value, "%lld", (long long)s->seq);
    add_field(c, out, "message", buf_span(&value));
    text_need(out, &value);
    buf_clear(&value);
    time_add(&value, s->at_ms);
    add_field(c, out, "said", buf_span(&value));
    text_need(out, &value);
    if (s->sender != 0)
        ctl_label(c, s->sender, label);
    add_field(c, out, "sender", span_of(label));
    if (s->has_channel)
        add_field(c, out, "channel", buf_span(&s->channel));
    add_field(c, out, "type", span_of(said_type(s)));
    if (said_is_event(s))
        add_field(c, out, "event", buf_span(&s->name));
    buf_clear(&value);
    text_add_bytes(&value, s->size);
    add_field(c, out, "size", buf_span(&value));
    text_need(out, &value);
    buf_release(&value);
}

static void add_body(struct buf *out, const struct said *s)
{
    if (!s->has_body && s->size == 0)
        return;
    buf_add_char(out, '\n');
    if (!s->has_body)
        buf_add_text(out, "What it said is not kept.");
    else if (json_check(buf_span(&s->body), NULL) == JSON_OK)
        text_add_json_pretty(out, buf_span(&s->body), 0);
    else
        text_add_safe(out, buf_span(&s->body));
    buf_add_char(out, '\n');
}

/* What it is about; a description line by line, with numbers by which one can speak of them. */
static void add_about(struct ctl *c, struct buf *out, const struct said *s)
{
    struct gist g = { 0 };
    struct buf text = BUF_EMPTY;
    struct span rest, line;

    if (s->has_body && said_is_event(s))
        gist_find(&g, buf_span(&s->name), said_arguments(s));
    if (g.kind != GIST_NONE) {
        gist_add(&text, &g);
        add_field(c, out, "about", buf_span(&text));
        text_need(out, &text);
    }
    rest = buf_span(&g.text);
    if (g.kind != GIST_NONE && g.kind != GIST_CANDIDATE && rest.len != 0)
        buf_add_char(out, '\n');
    for (int n = 1; g.kind != GIST_NONE && g.kind != GIST_CANDIDATE && gist_line(&rest, &line);
         n++) {
        buf_addf(out, "%4d  ", n);
        text_add_safe(out, line);
        buf_add_char(out, '\n');
    }
    buf_release(&text);
    gist_release(&g);
}

/* Bytes that LEN characters of base64 stand for. */
static int64_t decoded_size(struct span base64)
{
    while (base64.len != 0 && base64.p[base64.len - 1] == '=')
        base64.len--;
    return (int64_t)(base64.len * 3 / 4);
}

static int add_attachments(struct ctl *c, struct buf *out, const struct said *s)
{
    struct db_query *q = ctl_query(c, Q_message_attached);
    int64_t n = 0;

    db_put_int(q, 1, s->seq);
    if (db_next(q) == DB_ROW && !db_is_null(q, 0)) {
        struct span rest = db_text(q, 0);
        buf_add_char(out, '\n');
        for (struct span base64; attached_next(&rest, &base64);) {
            buf_addf(out, "attachment %lld: ", (long long)n++);
            text_add_bytes(out, decoded_size(base64));
            buf_add_char(out, '\n');
        }
    } else if (s->attachments != 0) {
        buf_addf(out, "\n%lld attachment%s, not kept\n", (long long)s->attachments,
                 s->attachments != 1 ? "s" : "");
    }
    return db_done(q);
}

static void fill_row(struct ctl *c, struct table *t, struct buf *out, const struct said *s,
                     const struct heard *h)
{
    enum tint tint = h->settled ? (h->arrived_ms > 0 ? TINT_NONE : TINT_SERVER) : TINT_WARN;
    char label[LABEL_MAX];

    ctl_label(c, h->socket, label);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        struct buf *cell = table_cell(t, i == 1 ? tint : TINT_NONE);
        if (cell == NULL) {
            out->failed = true;
            return;
        }
        if (i == 0)
            buf_add_text(cell, label);
        else if (i == 1)
            buf_add_text(cell, heard_state(h));
        else if (i == 2 && h->sent_ms > 0)
            time_add_clock(cell, h->sent_ms);
        else if (i == 3 && h->arrived_ms > 0)
            time_add_clock(cell, h->arrived_ms);
        else if (i == 4 && h->arrived_ms > 0)
            text_add_duration(cell, h->arrived_ms - s->at_ms);
    }
}

static void add_recipients(struct ctl *c, struct buf *out, const struct page *p,
                           const struct said *s)
{
    struct table t;

    buf_add_char(out, '\n');
    if (s->count == 0) {
        if (said_to_nobody(s)) {
            buf_add_text(out, "It reached nobody: ");
            why_nobody(c, out, s);
            buf_add_text(out, ".\n");
            return;
        }
        buf_add_text(out, s->recipients == 0 ? "It was for the server alone.\n"
                                             : "Who its recipients were is not kept any longer.\n");
        return;
    }
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < s->count; i++)
        fill_row(c, &t, out, s, &p->heard[s->first + i]);
    table_print(&t, out, c->colour, 0);
    table_release(&t);
}

static int show(struct ctl *c, struct buf *out, const struct page *p)
{
    const struct said *s = &p->said[0];

    if (c->json) {
        json_add_line(out, json_said(c, p, s));
        return ctl_flush(c, out) == -1 ? CTL_FAILED : CTL_OK;
    }
    add_head(c, out, s);
    add_about(c, out, s);
    add_body(out, s);
    if (add_attachments(c, out, s) == -1)
        return ctl_fail_db(c, "read the attachments");
    add_recipients(c, out, p, s);
    return ctl_flush(c, out) == -1 ? CTL_FAILED : CTL_OK;
}

int ctl_show(struct ctl *c)
{
    struct span number = span_of(c->argument);
    struct buf out = BUF_EMPTY;
    struct page p = { 0 };
    int status = CTL_FAILED;
    int64_t seq;

    if (span_starts(number, "#"))
        number = (struct span){ number.p + 1, number.len - 1 };
    if (!span_int(number, &seq) || seq == 0) {
        ctl_fail("%s is no message; give the number that polluxctl log shows, such as 12",
                 c->argument);
        return CTL_USAGE;
    }
    c->whole_ids = true;
    int found = page_one(c, &p, seq);
    if (found == -1)
        ctl_fail_db(c, "read the message");
    else if (found == 0)
        ctl_fail(
            "there is no message %lld: it has been removed, or was never stored; see polluxctl log",
            (long long)seq);
    else
        status = show(c, &out, &p);
    page_release(&p);
    buf_release(&out);
    return status;
}
