/* cmd_close.c - polluxctl close: end a channel by disconnecting its members. The rules do that, in
 * one transaction, as they would in the server; its processes hear of it, and answer the polls
 * that they hold. Whoever was waiting to get in gets in after the roll call.
 */
#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/text.h"
#include "rules/signaling.h"

/* The channel that C->argument names, of those in C->nsp if given. CTL_OK: found; else it was said
 * why not. */
static int find_channel(struct ctl *c, int64_t *channel)
{
    struct db_query *q = ctl_query(c, Q_channel_named);
    struct buf spaces = BUF_EMPTY;
    int found = 0;

    db_put_text(q, 1, span_of(c->argument));
    if (c->nsp != NULL)
        db_put_text(q, 2, span_of(c->nsp));
    else
        db_put_null(q, 2);
    for (; db_next(q) == DB_ROW; found++) {
        *channel = db_int(q, 0);
        buf_add_text(&spaces, found != 0 ? ", " : "");
        buf_add_span(&spaces, db_text(q, 1));
    }
    int status = CTL_OK;
    if (db_done(q) == -1)
        status = ctl_fail_db(c, "find the channel");
    else if (found == 0)
        status = ctl_fail(
            "cannot close channel %s: there is no such channel%s%s; see polluxctl channels",
            c->argument, c->nsp != NULL ? " in namespace " : "", c->nsp != NULL ? c->nsp : "");
    else if (found > 1)
        status = ctl_fail("cannot close channel %s: there is one in each of these namespaces: %s; "
                          "name one with --namespace",
                          c->argument, buf_text(&spaces));
    buf_release(&spaces);
    return status;
}

static void report(const struct ctl *c, const struct closed *closed)
{
    struct buf safe = BUF_EMPTY;

    text_add_safe(&safe, span_of(c->argument));
    printf("closed %s: %zu member%s disconnected", buf_ok(&safe) ? buf_text(&safe) : "the channel",
           closed->disconnected, closed->disconnected != 1 ? "s" : "");
    if (closed->away != 0)
        printf(", %zu away and now gone", closed->away);
    printf("\n");
    buf_release(&safe);
}

/* A channel that ends between the two has no members, and none is disconnected. */
int ctl_close(struct ctl *c)
{
    struct signaling g;
    int64_t channel = 0;

    if (find_channel(c, &channel) != CTL_OK)
        return CTL_FAILED;
    signaling_init(&g, c->store, &c->writing);
    g.now = c->now_ms;
    struct closed closed = signaling_close_channel(&g, channel);
    signaling_release(&g);
    if (store_commit(c->store) == -1)
        return ctl_fail_store(c);
    report(c, &closed);
    return CTL_OK;
}
