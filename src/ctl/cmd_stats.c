/* cmd_stats.c - polluxctl stats: how much there is in the store, and what each living process of
 * the server has counted. */
#include <errno.h>
#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/said_json.h"
#include "ctl/text.h"
#include "base/stats.h"

#define PROCESS_COLUMNS 8
#define NS_PER_S 1e9

static const struct table_column figure_columns[] = { { NULL, false }, { NULL, true } };

static const struct table_column process_columns[PROCESS_COLUMNS] = {
    { "PROCESS", true }, { "HELD", true }, { "HOPS", true },  { "REQUESTS", true },
    { "ERRORS", true },  { "TURN", true }, { "BATCH", true }, { "COMMIT", true },
};

static int read_figures(struct ctl *c, struct store_figures *f)
{
    struct db_query *q = ctl_query(c, Q_store_figures);

    *f = (struct store_figures){ 0 };
    if (db_next(q) == DB_ROW)
        *f = (struct store_figures){ .sessions = db_int(q, 0),
                                     .sockets = db_int(q, 1),
                                     .channels = db_int(q, 2),
                                     .queued = db_int(q, 3),
                                     .log_rows = db_int(q, 4) };
    stats_sizes(f, c->dir);
    return db_done(q);
}

/* ---- JSON */

static void add_count(cJSON *object, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(object, name, (double)value);
}

static void figures_json(struct buf *out, const struct store_figures *f)
{
    cJSON *object = json_object();

    json_add_text(object, "kind", SPAN("store"));
    add_count(object, "sessions", (uint64_t)f->sessions);
    add_count(object, "sockets", (uint64_t)f->sockets);
    add_count(object, "channels", (uint64_t)f->channels);
    add_count(object, "queued", (uint64_t)f->queued);
    add_count(object, "log_rows", (uint64_t)f->log_rows);
    add_count(object, "database_bytes", (uint64_t)f->database_bytes);
    add_count(object, "wal_bytes", (uint64_t)f->wal_bytes);
    json_add_line(out, object);
}

/* As on the page: each bucket holds those before it. */
enum measure { MEASURE_TIME, MEASURE_COUNT };

static void add_histogram(cJSON *object, const char *name, const struct histogram *h,
                          enum measure measure)
{
    bool time = measure == MEASURE_TIME;
    cJSON *histogram = cJSON_AddObjectToObject(object, name);
    cJSON *buckets = cJSON_AddObjectToObject(histogram, "buckets");
    uint64_t below = 0;

    for (size_t n = 0; n < STATS_BUCKETS; n++)
        add_count(buckets, stats_bound(n, time), below += h->counts[n]);
    cJSON_AddNumberToObject(histogram, "sum", time ? (double)h->sum / NS_PER_S : (double)h->sum);
    add_count(histogram, "count", below);
}

static void process_json(struct buf *out, const struct counters *k)
{
    cJSON *object = json_object();

    json_add_text(object, "kind", SPAN("process"));
    add_count(object, "pid", k->pid);
    if (k->nth != 0)
        add_count(object, "nth", k->nth);
    add_count(object, "held_polls", k->held);
    add_count(object, "hops", k->hops);
    add_count(object, "requests", k->requests);
    cJSON *answers = cJSON_AddObjectToObject(object, "answers");
    for (size_t n = 0; n < STATS_STATUSES; n++)
        add_count(answers, stats_status_name(n), k->answers[n]);
    add_histogram(object, "turn_seconds", &k->turn, MEASURE_TIME);
    add_histogram(object, "turn_requests", &k->batch, MEASURE_COUNT);
    add_histogram(object, "commit_seconds", &k->commit, MEASURE_TIME);
    json_add_line(out, object);
}

/* ---- text */

/* The cell that follows, or one that nobody sees when there is no memory: then OUT says so. */
static struct buf *cell(struct table *t, struct buf *out, enum tint tint)
{
    struct buf *b = table_cell(t, tint);

    if (b == NULL)
        out->failed = true;
    return b != NULL ? b : out;
}

static void add_bytes_row(struct table *t, struct buf *out, const char *name, int64_t bytes)
{
    buf_add_text(cell(t, out, TINT_NONE), name);
    text_add_bytes(cell(t, out, TINT_NONE), bytes);
}

static void add_row(struct table *t, struct buf *out, const char *name, int64_t value)
{
    buf_add_text(cell(t, out, TINT_NONE), name);
    buf_add_int(cell(t, out, TINT_NONE), value);
}

static void print_figures(struct ctl *c, struct buf *out, const struct store_figures *f)
{
    struct table t;

    table_init(&t, figure_columns, 2);
    add_row(&t, out, "sessions", f->sessions);
    add_row(&t, out, "sockets", f->sockets);
    add_row(&t, out, "channels", f->channels);
    add_row(&t, out, "deliveries waiting", f->queued);
    add_row(&t, out, "messages in the log", f->log_rows);
    add_bytes_row(&t, out, "database", f->database_bytes);
    add_bytes_row(&t, out, "write-ahead log", f->wal_bytes);
    table_print(&t, out, c->colour, 0);
    table_release(&t);
}

/* On average; "-": nothing yet. */
static void add_mean(struct buf *out, const struct histogram *h, enum measure measure)
{
    bool time = measure == MEASURE_TIME;
    uint64_t count = stats_count(h);
    double mean = count != 0 ? (double)h->sum / (double)count : 0;

    if (count == 0)
        buf_add_char(out, '-');
    else if (time)
        buf_addf(out, "%.3f ms", mean / 1e6);
    else
        buf_addf(out, "%.2f", mean);
}

static void process_row(struct table *t, struct buf *out, const struct counters *k)
{
    char process[STATS_NAME_MAX];
    uint64_t errors = 0;

    for (size_t n = 0; n < STATS_STATUSES; n++)
        if (stats_status_name(n)[0] != '2')
            errors += k->answers[n];
    stats_name(k, process);
    buf_add_text(cell(t, out, TINT_BOLD), process);
    buf_add_int(cell(t, out, TINT_NONE), (int64_t)k->held);
    buf_add_int(cell(t, out, TINT_NONE), (int64_t)k->hops);
    buf_add_int(cell(t, out, TINT_NONE), (int64_t)k->requests);
    buf_add_int(cell(t, out, errors != 0 ? TINT_WARN : TINT_NONE), (int64_t)errors);
    add_mean(cell(t, out, TINT_NONE), &k->turn, MEASURE_TIME);
    add_mean(cell(t, out, TINT_NONE), &k->batch, MEASURE_COUNT);
    add_mean(cell(t, out, TINT_NONE), &k->commit, MEASURE_TIME);
}

static void print_processes(struct ctl *c, struct buf *out, const struct stats_list *l)
{
    struct table t;

    table_init(&t, process_columns, PROCESS_COLUMNS);
    for (size_t i = 0; i < l->count; i++)
        process_row(&t, out, &l->list[i]);
    if (l->count != 0) {
        buf_add_char(out, '\n');
        table_print(&t, out, c->colour, 0);
    }
    table_release(&t);
}

/* ---- all of it */

static void print(struct ctl *c, struct buf *out, const struct store_figures *f,
                  const struct stats_list *l)
{
    if (!c->json) {
        print_figures(c, out, f);
        print_processes(c, out, l);
        return;
    }
    figures_json(out, f);
    for (size_t i = 0; i < l->count; i++)
        process_json(out, &l->list[i]);
}

int ctl_stats(struct ctl *c)
{
    struct stats_list processes = STATS_LIST_EMPTY;
    struct store_figures figures;
    struct buf out = BUF_EMPTY;
    int status = CTL_OK;

    if (read_figures(c, &figures) == -1)
        return ctl_fail_db(c, "count what there is");
    if (stats_read(&processes, c->dir) == -1)
        status = ctl_fail("cannot read what processes count in %s: %s; run this as the user that "
                          "owns the store",
                          c->dir, strerror(errno));
    if (status == CTL_OK) {
        print(c, &out, &figures, &processes);
        status = ctl_flush(c, &out) == -1 ? CTL_FAILED : CTL_OK;
    }
    if (status == CTL_OK && !c->json && processes.count == 0)
        fprintf(stderr, "polluxctl: no process of the server is running\n");
    stats_list_release(&processes);
    buf_release(&out);
    return status;
}
