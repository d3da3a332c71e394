/* work.c - the turn: its transaction, what it writes and when, and why it fails. What the objects
 * of a turn have changed is written at its end; what the rules decide about sockets and channels
 * at once. */
#include "store/work.h"

#include <stdlib.h>
#include <sys/random.h>

/* ---- opening */

int store_open(struct store **out, const struct settings *set, struct buf *why)
{
    struct store *s = calloc(1, sizeof *s);

    *out = s;
    if (s == NULL) {
        buf_add_text(why, "cannot open the store: out of memory");
        return -1;
    }
    s->set = set;
    s->cache.rest.newer = s->cache.rest.older = &s->cache.rest;
    s->known.epoch = 1;
    if (getrandom(&s->requests.seen.key, sizeof s->requests.seen.key, 0) == -1)
        s->requests.seen.key = (uint64_t)(uintptr_t)s;
    if (engine_open(&s->engine, set, &s->failure, why) == 0)
        return 0;
    store_close(s);
    *out = NULL;
    return -1;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    store_forget(s);
    store_forget_requests(s);
    store_release_known(s);
    store_release_woken(s);
    free(s->deliveries.list);
    free(s->said.list);
    buf_release(&s->requests.marks);
    buf_release(&s->said.words);
    buf_release(&s->said.heard);
    buf_release(&s->said.scratch);
    engine_close(s->engine);
    free(s);
}

int store_probe(const struct settings *set, struct buf *why)
{
    return engine_probe(set, why);
}

const char *store_library(void)
{
    return engine_library();
}

bool store_is_on_network(const struct settings *set)
{
    return engine_is_on_network(set);
}

bool store_is_newer(const struct settings *set)
{
    return engine_is_newer(set);
}

void store_looks(struct store *s)
{
    engine_looks(s->engine);
}

void store_serves_once(struct store *s)
{
    engine_serves_once(s->engine);
}

int store_has_keeper(struct store *s, struct buf *why)
{
    return engine_has_keeper(s->engine, why);
}

void store_keep(const struct settings *set)
{
    engine_keep(set);
}

/* ---- failing */

void store_no_memory(struct store *s, const char *operation)
{
    failure_note(&s->failure,
                 "cannot %s: out of memory; give the machine more or lower the limits", operation);
}

bool store_failed(const struct store *s)
{
    return s->failure.failed;
}

const char *store_why(struct store *s)
{
    return s->failure.why;
}

/* ---- the turn's transaction */

bool store_begin(struct store *s)
{
    if (s->failure.failed)
        return false;
    if (!s->begun) {
        s->begun = engine_begin(s->engine);
        if (s->begun && engine_has_changed(s->engine))
            store_forget_resting(s);
    }
    return s->begun && !s->failure.failed;
}

int store_commit(struct store *s)
{
    if (s->begun || s->failure.failed) {
        store_write_deliveries(s);
        store_write_sessions(s);
        store_write_requests(s);
        if (s->failure.failed || !engine_commit(s->engine))
            return -1;
        s->begun = false;
    }
    store_rest(s);
    return 0;
}

bool store_begun(const struct store *s)
{
    return s->begun;
}

void store_rollback(struct store *s)
{
    engine_rollback(s->engine);
    s->begun = false;
    failure_over(&s->failure);
    store_forget(s);
    store_forget_requests(s);
}

int64_t store_written(struct store *s)
{
    return engine_written(s->engine) + (int64_t)(s->deliveries.count - s->deliveries.rows);
}

/* ---- what the engine alone knows */

int store_figures(struct store *s, struct store_figures *f)
{
    return engine_figures(s->engine, f);
}

bool store_is_full(const struct store *s)
{
    return engine_is_full(s->engine);
}

enum tidy store_tidy(struct store *s, int64_t now)
{
    return s->failure.failed || s->begun ? TIDY_DONE : engine_tidy(s->engine, now);
}
