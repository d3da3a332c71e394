/* cmd_gc.c - polluxctl gc: remove what need not be kept any longer. The store does it, as in the
 * server when that has time: in small transactions, with a rest after each, so that a running
 * server gets in between. */
#include <time.h>

#include "ctl/commands.h"
#include "ctl/text.h"

#define REST_MS 2

static void rest(void)
{
    struct timespec pause = { 0, REST_MS * 1000000L };

    nanosleep(&pause, NULL);
}

/* Both to their end. 0 or -1. */
static int tidy(struct ctl *c)
{
    enum tidy done;

    while ((done = store_tidy(c->store, c->now_ms)) == TIDY_MORE)
        rest();
    if (done == TIDY_FAILED)
        return -1;
    while ((done = store_reduce(c->store)) == TIDY_MORE)
        rest();
    return done == TIDY_FAILED ? -1 : 0;
}

static void add_removed(struct buf *out, const struct tidied *t)
{
    buf_addf(out, "removed %lld message%s, %lld deliver%s, %lld socket%s", (long long)t->messages,
             t->messages != 1 ? "s" : "", (long long)t->deliveries,
             t->deliveries != 1 ? "ies" : "y", (long long)t->sockets, t->sockets != 1 ? "s" : "");
    if (t->reduced != 0)
        buf_addf(out, "; took what is not to be kept out of %lld message%s", (long long)t->reduced,
                 t->reduced != 1 ? "s" : "");
    buf_add_char(out, '\n');
}

static void add_size(struct buf *out, const struct tidied *t, bool vacuumed)
{
    buf_add_text(out, "the database holds ");
    text_add_bytes(out, t->used);
    if (t->unused != 0) {
        buf_add_text(out, ", and ");
        text_add_bytes(out, t->unused);
        buf_add_text(out, " of its file are free for reuse");
        if (!vacuumed && t->unused > t->used)
            buf_add_text(out, " (--vacuum gives them back)");
    }
    buf_add_char(out, '\n');
}

int ctl_gc(struct ctl *c)
{
    struct buf out = BUF_EMPTY;
    struct tidied t;

    if (tidy(c) == -1 || (c->vacuum && store_compact(c->store) == -1)
        || store_tidied(c->store, &t) == -1)
        return ctl_fail_store(c);
    add_removed(&out, &t);
    add_size(&out, &t, c->vacuum);
    int code = ctl_flush(c, &out);
    buf_release(&out);
    return code == -1 ? CTL_FAILED : CTL_OK;
}
