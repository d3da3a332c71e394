/* cmd_gc.c - polluxctl gc: remove what need not be kept any longer, as the server does by itself
 * when it has time. Small transactions with a rest after each, so that a running server gets in
 * between. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/commands.h"
#include "ctl/text.h"
#include "store/mask.h"

#define ROWS 200                        /* looked at in one transaction */
#define REST_MS 2
#define NOTICE_KEEP_MS 60000
#define DAY_MS INT64_C(86400000)

struct gc {
    struct ctl *c;
    int64_t messages, deliveries, sockets, reduced;
};

static void rest(void)
{
    struct timespec pause = { 0, REST_MS * 1000000L };

    nanosleep(&pause, NULL);
}

/* Run N on at most ROWS rows of before BEFORE; AFTER: a third parameter, or -1. Adds what it
 * removed to *REMOVED. */
static int trim(struct ctl *c, enum ctl_query n, int64_t before, int64_t after, int64_t *removed)
{
    struct db_query *q = ctl_query(c, n);

    db_put_int(q, 1, before);
    db_put_int(q, 2, ROWS);
    if (after != -1)
        db_put_int(q, 3, after);
    if (db_run(q) == -1)
        return -1;
    *removed += db_changes(c->db);
    return 0;
}

/* Bytes in use, and free inside of the file. */
static int measure(struct ctl *c, int64_t *used, int64_t *unused)
{
    struct db_query *q = ctl_query(c, Q_store_size);

    if (db_next(q) == DB_ROW) {
        *used = db_int(q, 0);
        *unused = db_int(q, 1);
    }
    return db_done(q);
}

/* One transaction's worth of old messages with their deliveries. 1: there may be more; 0: done;
 * -1 on failure. */
static int trim_log(struct gc *g, int64_t before)
{
    int64_t had = g->messages + g->deliveries, notices = 0;

    if (ctl_begin(g->c, true) == -1)
        return -1;
    int code =
        trim(g->c, Q_delivery_trim, before, -1, &g->deliveries) == -1
                || trim(g->c, Q_message_trim, before, -1, &g->messages) == -1
                || trim(g->c, Q_notice_trim, g->c->now_ms - NOTICE_KEEP_MS, -1, &notices) == -1
            ? -1
            : 0;
    if (ctl_end(g->c, code == 0) == -1)
        return -1;
    return g->messages + g->deliveries > had || notices == ROWS;
}

static int trim_by_age(struct gc *g)
{
    int64_t before = g->c->now_ms - g->c->set.log_age_days * DAY_MS;
    int more;

    while ((more = trim_log(g, before)) == 1)
        rest();
    return more;
}

static int trim_by_size(struct gc *g)
{
    int64_t used = 0, unused = 0;
    int more = 1;

    while (more == 1) {
        if (measure(g->c, &used, &unused) == -1)
            return -1;
        if (used <= g->c->set.log_max_bytes)
            return 0;
        more = trim_log(g, g->c->now_ms);
        rest();
    }
    return more;
}

static int trim_sockets(struct gc *g)
{
    int64_t newest = ctl_number(g->c, Q_socket_newest);
    int64_t before = g->c->now_ms - g->c->set.log_age_days * DAY_MS;

    for (int64_t after = 0; after < newest; after += ROWS) {
        if (trim(g->c, Q_socket_trim, before, after, &g->sockets) == -1)
            return -1;
        if (!g->c->set.keep_addresses) {
            struct db_query *q = ctl_query(g->c, Q_address_forget);
            db_put_int(q, 1, after);
            db_put_int(q, 2, ROWS);
            if (db_run(q) == -1)
                return -1;
        }
        rest();
    }
    return newest == -1 ? -1 : 0;
}

/* ---- payloads that the configuration does not want kept */

struct bodies {
    int64_t ids[ROWS];
    struct buf texts[ROWS];             /* what is to stay; empty: nothing */
    size_t count;
};

/* Find what is to be reduced among ids beyond AFTER up to AFTER + ROWS. */
static int find_bodies(struct ctl *c, struct bodies *b, int64_t after)
{
    struct db_query *q = ctl_query(c, Q_body_kept);
    bool well = true;                   /* what cannot be masked for lack of memory is to stay */

    b->count = 0;
    db_put_int(q, 1, after);
    db_put_int(q, 2, after + ROWS);
    while (well && b->count < ROWS && db_next(q) == DB_ROW) {
        struct buf *text = &b->texts[b->count];
        buf_clear(text);
        if (c->set.keep_payloads) {
            mask_addresses(text, db_text(q, 1));
            well = buf_ok(text);
            if (span_equals(buf_span(text), db_text(q, 1)))
                continue;
        }
        b->ids[b->count++] = db_int(q, 0);
    }
    return db_done(q) == -1 || !well ? -1 : 0;
}

static int reduce(struct gc *g, struct bodies *b, int64_t after)
{
    if (find_bodies(g->c, b, after) == -1)
        return -1;
    for (size_t i = 0; i < b->count; i++) {
        struct db_query *q = ctl_query(g->c, Q_body_reduce);
        db_put_int(q, 1, b->ids[i]);
        if (g->c->set.keep_payloads)
            db_put_text(q, 2, buf_span(&b->texts[i]));
        else
            db_put_null(q, 2);
        if (db_run(q) == -1)
            return -1;
    }
    g->reduced += (int64_t)b->count;
    return 0;
}

static int reduce_all(struct gc *g)
{
    int64_t after = ctl_number(g->c, Q_message_first) - 1,
            newest = ctl_number(g->c, Q_message_newest);
    int code = newest == -1 || after == -2 ? -1 : 0;

    if (g->c->set.keep_payloads && g->c->set.keep_addresses)
        return code;
    struct bodies *b = calloc(1, sizeof *b);
    if (b == NULL)
        return -1;
    if (after < 0)
        after = 0;
    for (; code == 0 && after < newest; after += ROWS) {
        if (ctl_begin(g->c, true) == -1) {
            code = -1;
            break;
        }
        code = reduce(g, b, after);
        if (ctl_end(g->c, code == 0) == -1)
            code = -1;
        rest();
    }
    for (size_t i = 0; i < ROWS; i++)
        buf_release(&b->texts[i]);
    free(b);
    return code;
}

/* ---- the whole */

static int report(struct gc *g)
{
    int64_t used = 0, unused = 0;
    struct buf out = BUF_EMPTY;

    if (measure(g->c, &used, &unused) == -1)
        return ctl_fail_db(g->c, "measure the database");
    buf_addf(&out, "removed %lld message%s, %lld deliver%s, %lld socket%s", (long long)g->messages,
             g->messages != 1 ? "s" : "", (long long)g->deliveries,
             g->deliveries != 1 ? "ies" : "y", (long long)g->sockets, g->sockets != 1 ? "s" : "");
    if (g->reduced != 0)
        buf_addf(&out, "; took what is not to be kept out of %lld message%s", (long long)g->reduced,
                 g->reduced != 1 ? "s" : "");
    buf_add_text(&out, "\nthe database holds ");
    text_add_bytes(&out, used);
    if (unused != 0) {
        buf_add_text(&out, ", and ");
        text_add_bytes(&out, unused);
        buf_add_text(&out, " of its file are free for reuse");
        if (!g->c->vacuum && unused > used)
            buf_add_text(&out, " (--vacuum gives them back)");
    }
    buf_add_char(&out, '\n');
    int code = ctl_flush(g->c, &out);
    buf_release(&out);
    return code == -1 ? CTL_FAILED : CTL_OK;
}

int ctl_gc(struct ctl *c)
{
    struct gc g = { .c = c };

    if (trim_by_age(&g) == -1 || trim_by_size(&g) == -1 || trim_sockets(&g) == -1)
        return ctl_fail_db(c, "remove what is old");
    if (reduce_all(&g) == -1)
        return ctl_fail_db(c, "take out what is not to be kept");
    if (c->vacuum && db_exec(c->db, "VACUUM") == -1)
        return ctl_fail_db(c, "vacuum the database");
    return report(&g);
}
