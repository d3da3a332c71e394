/* cmd_check.c - polluxctl check: does everything in the store fit together? One snapshot for all
 * questions, so a running server cannot make them disagree. */
#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/text.h"

#define SHOWN 20                        /* findings of one kind that are printed */

static const struct check {
    enum ctl_query query;
    const char *what;
} checks[] = {
    { Q_check_file, "the database file" },
    { Q_check_member, "members" },
    { Q_check_channel, "channels" },
    { Q_check_asking, "newcomers" },
    { Q_check_socket, "sockets and sessions" },
    { Q_check_polling, "sessions and their polls" },
    { Q_check_limbo, "sockets that are neither here nor away" },
    { Q_check_secret, "sockets that have left" },
    { Q_check_delivery, "deliveries" },
    { Q_check_order, "the order of deliveries" },
    { Q_check_owed, "what is owed" },
    { Q_check_queue, "queues" },
    { Q_check_body, "payloads" },
    { Q_check_visitor, "counts of sessions" },
    { Q_check_visitor_missing, "addresses without a count" },
};

/* Append what CHECK finds to OUT. The number of findings, or -1. */
static int64_t run(struct ctl *c, const struct check *check, struct buf *out)
{
    struct db_query *q = ctl_query(c, check->query);
    int64_t found = 0;

    for (; db_next(q) == DB_ROW; found++)
        if (found < SHOWN) {
            text_add_safe(out, db_text(q, 0));
            buf_add_char(out, '\n');
        }
    if (found > SHOWN)
        buf_addf(out, "...and %lld more of these\n", (long long)(found - SHOWN));
    return db_done(q) == -1 ? -1 : found;
}

static int64_t run_all(struct ctl *c, struct buf *out)
{
    int64_t all = 0;

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        int64_t found = run(c, &checks[i], out);
        if (found == -1) {
            char operation[80];
            snprintf(operation, sizeof operation, "check %s", checks[i].what);
            ctl_fail_db(c, operation);
            return -1;
        }
        all += found;
        if (i == 0 && found != 0)
            break;                      /* a damaged file answers no further question reliably */
    }
    return all;
}

int ctl_check(struct ctl *c)
{
    struct buf out = BUF_EMPTY;

    if (ctl_begin(c) == -1)
        return ctl_fail_db(c, "begin to read");
    int64_t found = run_all(c, &out);
    if (ctl_end(c) == -1 && found != -1) {
        ctl_fail_db(c, "read the database");
        found = -1;
    }
    if (found == 0)
        buf_addf(&out, "%s/pollux.db is well\n", c->dir);
    else if (found > 0)
        buf_addf(&out, "%lld thing%s in %s/pollux.db do%s not fit together\n", (long long)found,
                 found != 1 ? "s" : "", c->dir, found != 1 ? "" : "es");
    if (ctl_flush(c, &out) == -1)
        found = -1;
    buf_release(&out);
    return found == 0 ? CTL_OK : CTL_FAILED;
}
