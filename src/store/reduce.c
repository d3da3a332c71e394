/* reduce.c - what was kept, and is not to be any more since the settings have changed: payloads,
 * addresses. A walk through all messages and sockets, a window at a time, between which others get
 * in.
 */
#include "store/work.h"

#include <stdlib.h>

#define ROWS 200                        /* looked at in one transaction */

struct window {
    int64_t seqs[ROWS];
    struct buf bodies[ROWS];
};

/* Take out of one message what is not to be kept of it. */
static void reduce_message(struct store *s, int64_t seq, const struct buf *body)
{
    struct span kept = store_reduced(s, buf_span(body));

    if (s->set->keep_payloads && span_equals(kept, buf_span(body)))
        return;
    engine_reduce_message(s->engine, seq, kept);
    s->reducing.reduced++;
}

static bool reduce_messages(struct store *s, struct window *w)
{
    bool more = false, whole = true;
    size_t count = engine_settled(s->engine, &s->reducing.message, w->seqs, w->bodies, ROWS, &more);

    for (size_t i = 0; i < count && whole; i++) {
        if ((whole = buf_ok(&w->bodies[i])))
            reduce_message(s, w->seqs[i], &w->bodies[i]);
        else
            store_no_memory(s, "read what is kept");         /* what could not be read is to stay */
    }
    return more;
}

static void window_free(struct window *w)
{
    for (size_t i = 0; i < ROWS; i++)
        buf_release(&w->bodies[i]);
    free(w);
}

/* Both walks, a window each. True: there is more. */
static bool step(struct store *s, struct window *w)
{
    bool more = !store_keeps_all(s) && reduce_messages(s, w);

    if (!s->set->keep_addresses)
        more = engine_forget_addresses(s->engine, &s->reducing.socket, ROWS) || more;
    return more;
}

enum tidy store_reduce(struct store *s)
{
    struct reducing before = s->reducing;
    struct window *w = calloc(1, sizeof *w);
    bool more = false;

    if (w == NULL)
        store_no_memory(s, "read what is kept");
    else if (store_begin(s))
        more = step(s, w);
    if (w != NULL)
        window_free(w);
    if (store_commit(s) == 0)
        return more ? TIDY_MORE : TIDY_DONE;
    store_rollback(s);
    s->reducing = before;
    return TIDY_FAILED;
}

int store_tidied(struct store *s, struct tidied *t)
{
    *t = (struct tidied){ .reduced = s->reducing.reduced };
    return engine_tidied(s->engine, t);
}

int store_compact(struct store *s)
{
    return engine_compact(s->engine);
}
