/* cmd_diagram.c - polluxctl diagram: what was said in a channel as a Mermaid sequence diagram: the
 * first client, the server, then the others, an arrow a delivery.
 *
 *     A->>B: it arrived      A-->>B: it has not arrived yet      A-xB: it never will
 *
 * The participants must be known before the first arrow, so the arrows are collected first.
 * Payloads go into the labels, and whatever could mean something to Mermaid stands there as a
 * character's number.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "ctl/commands.h"
#include "ctl/gist.h"
#include "ctl/page.h"
#include "ctl/text.h"
#include "ctl/dates.h"
#include "wire/json.h"

#define SAID_WIDTH 48                   /* columns of a payload in a label */
#define SERVER ((size_t)-1)

struct participant {
    int64_t socket;
    char label[LABEL_MAX];
    char public[LABEL_MAX];             /* whole */
    const char *role;
    int64_t away_ms, gone_ms;           /* 0: not */
    bool left;                          /* that has been noted */
};

struct diagram {
    struct ctl *c;
    struct participant *list;
    size_t count, cap;
    struct buf arrows;
    struct gist gist;                   /* scratch */
    bool failed;                        /* a read: what was drawn is not whole */
};

/* ---- text that Mermaid takes as text */

static bool is_plain(unsigned char ch)
{
    return ch >= 0x80 || ascii_is_alnum((char)ch)
           || (ch != '\0' && strchr(" .,!?\"()[]{}=+-_/'|*", ch) != NULL);
}

/* Mermaid takes anything in a label but what ends it and what it reads itself, which are written
 * by number. A colon is among the latter only near the words "style", "classDef" and "wrap". */
static void add_escaped(struct buf *out, struct span text)
{
    if (text.len == 0)
        return;
    bool colon = memmem(text.p, text.len, "style", 5) == NULL
                 && memmem(text.p, text.len, "classDef", 8) == NULL
                 && memmem(text.p, text.len, "wrap", 4) == NULL;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char ch = (unsigned char)text.p[i];
        if (is_plain(ch) || (ch == ':' && colon))
            buf_add_char(out, (char)ch);
        else
            buf_addf(out, "#%u;", ch);
    }
}

static void add_text(struct buf *out, struct span text, size_t width)
{
    struct buf safe = BUF_EMPTY, cut = BUF_EMPTY;

    if (text.len > width * 8)
        /* a character cut in two comes out as U+FFFD, beyond what is shown */
        text.len = width * 8;
    text_add_safe(&safe, text);
    text_add_cut(&cut, buf_span(&safe), width);
    text_need(out, &safe);
    text_need(out, &cut);
    add_escaped(out, buf_span(&cut));
    buf_release(&safe);
    buf_release(&cut);
}

/* ---- participants */

static const char *known_role(struct span role)
{
    return span_is(role, "creator") ? "creator" : span_is(role, "joiner") ? "joiner" : NULL;
}

static void read_state(struct diagram *d, struct participant *p)
{
    struct db_query *q = ctl_query(d->c, Q_socket_state);

    db_put_int(q, 1, p->socket);
    db_put_text(q, 2, span_of(d->c->argument));
    if (db_next(q) == DB_ROW) {
        span_copy(db_text(q, 0), p->public, sizeof p->public);
        p->away_ms = db_int(q, 1);
        p->gone_ms = db_int(q, 2);
        p->role = known_role(db_text(q, 3));
    }
    d->failed = db_done(q) == -1 || d->failed;
}

/* The place of SOCKET in the list, where it is put if it is new. */
static size_t participant(struct diagram *d, int64_t socket)
{
    if (socket == 0)
        return SERVER;
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].socket == socket)
            return i;
    if (d->count == d->cap) {
        size_t cap = d->cap != 0 ? d->cap * 2 : 8;
        struct participant *list = realloc(d->list, cap * sizeof *list);
        if (list == NULL) {
            d->arrows.failed = true;
            return SERVER;
        }
        d->list = list;
        d->cap = cap;
    }
    struct participant *p = &d->list[d->count];
    *p = (struct participant){ .socket = socket };
    ctl_label(d->c, socket, p->label);
    read_state(d, p);
    return d->count++;
}

static void add_name(struct diagram *d, size_t who)
{
    if (who == SERVER)
        buf_add_text(&d->arrows, "Server");
    else
        buf_addf(&d->arrows, "P%zu", who + 1);
}

/* ---- arrows and notes */

static void add_note(struct diagram *d, size_t who, const char *text, int64_t at_ms)
{
    if (who == SERVER)
        return;
    buf_add_text(&d->arrows, "    Note over ");
    add_name(d, who);
    buf_addf(&d->arrows, ": %s", text);
    if (at_ms != 0) {
        buf_add_char(&d->arrows, ' ');
        time_add_clock(&d->arrows, at_ms);
    }
    buf_add_char(&d->arrows, '\n');
}

static void note_left(struct diagram *d, size_t who, const char *text, int64_t at_ms)
{
    if (who == SERVER || d->list[who].left)
        return;
    add_note(d, who, text, at_ms);
    d->list[who].left = true;
}

/* Who was gone before NOW, and has not been mentioned. */
static void note_gone(struct diagram *d, int64_t now_ms)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].gone_ms != 0 && d->list[i].gone_ms < now_ms)
            note_left(d, i, "left", d->list[i].gone_ms);
}

static void add_arrow(struct diagram *d, size_t from, size_t to, const char *arrow,
                      const struct said *s)
{
    struct span arguments = s->has_body ? said_arguments(s) : SPAN("(not kept)");
    struct buf about = BUF_EMPTY;

    if (s->has_body && said_is_event(s))
        gist_find(&d->gist, buf_span(&s->name), arguments);
    else
        d->gist.kind = GIST_NONE;
    if (d->gist.kind != GIST_NONE) {
        gist_add(&about, &d->gist);
        text_need(&d->arrows, &about);
        arguments = buf_span(&about);
    }

    buf_add_text(&d->arrows, "    ");
    add_name(d, from);
    buf_add_text(&d->arrows, arrow);
    add_name(d, to);
    buf_add_text(&d->arrows, ": ");
    add_text(&d->arrows, s->name.len != 0 ? buf_span(&s->name) : span_of(said_type(s)), SAID_WIDTH);
    if (arguments.len != 0) {
        buf_add_char(&d->arrows, ' ');
        add_text(&d->arrows, arguments, SAID_WIDTH);
    }
    if (s->attachments != 0)
        buf_addf(&d->arrows, " +%lld attachment%s", (long long)s->attachments,
                 s->attachments != 1 ? "s" : "");
    if (said_to_nobody(s))
        buf_add_text(&d->arrows, " (nobody was there)");
    buf_add_char(&d->arrows, '\n');
    buf_release(&about);
}

/* The server's "leave" names in its second argument who left. */
static size_t who_is_named(struct diagram *d, const struct said *s)
{
    struct span rest = json_trim(buf_span(&s->body)), item;
    char public[LABEL_MAX];

    if (json_check(rest, NULL) != JSON_OK || json_type(rest) != JSON_ARRAY)
        return SERVER;
    for (int i = 0; json_array_next(&rest, &item); i++)
        if (i == 2 && json_type(item) == JSON_STRING
            && json_string_decode(item, public, sizeof public) > 0)
            for (size_t k = 0; k < d->count; k++)
                if (strcmp(d->list[k].public, public) == 0)
                    return k;
    return SERVER;
}

static void give_role(struct diagram *d, size_t who, const char *role)
{
    if (who != SERVER && (d->list[who].role == NULL || strcmp(d->list[who].role, "refused") == 0))
        d->list[who].role = role;
}

/* What an event of the server to WHO tells about who WHO is. */
static void learn(struct diagram *d, size_t who, const struct said *s)
{
    struct span name = buf_span(&s->name);

    if (span_is(name, "created"))
        give_role(d, who, "creator");
    else if (span_is(name, "joined"))
        give_role(d, who, "joiner");
    else if (span_is(name, "full"))
        give_role(d, who, "refused");
}

static void note_after(struct diagram *d, const struct page *p, const struct said *s, size_t from)
{
    struct span name = buf_span(&s->name);

    if (s->sender == 0 && span_is(name, "full"))
        for (size_t i = 0; i < s->count; i++)
            add_note(d, participant(d, p->heard[s->first + i].socket),
                     "refused, the channel is full", 0);
    else if (s->sender == 0 && span_is(name, "leave"))
        note_left(d, who_is_named(d, s), "left", s->at_ms);
    else if (s->sender != 0
             && (span_is(name, "Bye") || span_is(name, "Ack") || span_is(name, "leave")))
        note_left(d, from, "left", s->at_ms);
}

static void add_said(struct diagram *d, const struct page *p, const struct said *s)
{
    size_t from = participant(d, s->sender);

    note_gone(d, s->at_ms);
    if (from != SERVER)
        d->list[from].left = false;
    if (s->count == 0 && s->sender != 0)
        add_arrow(d, from, SERVER, said_to_nobody(s) ? "-x" : "->>", s);
    for (size_t i = 0; i < s->count; i++) {
        const struct heard *h = &p->heard[s->first + i];
        size_t to = participant(d, h->socket);
        if (s->sender == 0)
            learn(d, to, s);
        add_arrow(d, from, to, !h->settled ? "-->>" : h->arrived_ms > 0 ? "->>" : "-x", s);
    }
    note_after(d, p, s, from);
}

/* ---- the whole */

static void add_participant(struct buf *out, const struct diagram *d, size_t i)
{
    const struct participant *p = &d->list[i];

    buf_addf(out, "    participant P%zu as %s ", i + 1, p->role != NULL ? p->role : "client");
    add_escaped(out, span_of(p->label));
    buf_add_char(out, '\n');
}

static int print(struct diagram *d)
{
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].gone_ms != 0)
            note_left(d, i, "left", d->list[i].gone_ms);
        else if (d->list[i].away_ms != 0)
            add_note(d, i, "away since", d->list[i].away_ms);
    buf_add_text(&out, "sequenceDiagram\n");
    if (d->count != 0)
        add_participant(&out, d, 0);
    buf_add_text(&out, "    participant Server\n");
    for (size_t i = 1; i < d->count; i++)
        add_participant(&out, d, i);
    buf_add_span(&out, buf_span(&d->arrows));
    if (!buf_ok(&d->arrows))
        out.failed = true;
    int code = ctl_flush(d->c, &out);
    buf_release(&out);
    return code == -1 ? CTL_FAILED : CTL_OK;
}

static int draw(struct diagram *d, struct page *p)
{
    struct ctl *c = d->c;
    int64_t after = c->lines >= 0 ? page_last(c, c->lines) : page_start(c), drawn = 0;
    int more = after == -1 ? -1 : 1;

    while (more == 1) {
        more = page_next(c, p, &after);
        for (size_t i = 0; more != -1 && i < p->count; i++)
            add_said(d, p, &p->said[i]);
        drawn += (int64_t)p->count;
    }
    if (more == -1 || d->failed)
        return ctl_fail_db(c, "read the log");
    if (drawn == 0)
        return ctl_fail("cannot draw channel %s: nothing that is kept was said in it; see "
                        "polluxctl log for what there is",
                        c->argument);
    return print(d);
}

int ctl_diagram(struct ctl *c)
{
    struct diagram d = { .c = c };
    struct page p = { 0 };
    int status = draw(&d, &p);

    page_release(&p);
    buf_release(&d.arrows);
    gist_release(&d.gist);
    free(d.list);
    return status;
}
