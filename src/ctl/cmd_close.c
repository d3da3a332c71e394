/* cmd_close.c - polluxctl close: end a channel by disconnecting its members, as the server itself
 * would.
 *
 * All of it is one transaction: a DISCONNECT is owed to each member that has a session, which keeps
 * its session until it has heard it; who is away is marked gone. In other channels that they were
 * in, the others are told "leave". Then the bell is rung, and the processes that hold the polls
 * find the notices. Whoever was waiting to get in gets in after the roll call.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/commands.h"
#include "ctl/text.h"
#include "wire/json.h"
#include "wire/sio.h"

struct member {
    int64_t socket, session;            /* session 0: away */
    char public[LABEL_MAX];
};

struct closing {
    struct ctl *c;
    int64_t channel;
    struct member *list;
    size_t count, cap;
    size_t away;
};

/* ---- what is there */

/* The channel that C->argument names, of those in C->nsp if given. 0: found; else the exit
 * status, said why. */
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

/* The members of CHANNEL, into X->list. */
static int read_members(struct closing *x, int64_t channel)
{
    struct db_query *q = ctl_query(x->c, Q_member_sockets);
    bool well = true;

    x->count = 0;
    db_put_int(q, 1, channel);
    while (well && db_next(q) == DB_ROW) {
        if (x->count == x->cap) {
            size_t cap = x->cap != 0 ? x->cap * 2 : 8;
            struct member *list = realloc(x->list, cap * sizeof *list);
            if (list == NULL) {
                well = false;
                break;
            }
            x->list = list;
            x->cap = cap;
        }
        struct member *m = &x->list[x->count++];
        m->socket = db_int(q, 0);
        m->session = db_int(q, 1);
        span_copy(db_text(q, 2), m->public, sizeof m->public);
    }
    return db_done(q) == -1 || !well ? -1 : 0;
}

/* ---- small steps, each 0 or -1 */

/* Run N with one or two numbers. */
static int run(struct ctl *c, enum ctl_query n, int64_t first, int64_t second, bool both)
{
    struct db_query *q = ctl_query(c, n);

    db_put_int(q, 1, first);
    if (both)
        db_put_int(q, 2, second);
    return db_run(q);
}

static int insert_message(struct ctl *c, enum sio_type type, struct span channel, struct span name,
                          struct span body, size_t recipients)
{
    struct db_query *q = ctl_query(c, Q_message_insert);

    db_put_int(q, 1, c->now_ms);
    db_put_int(q, 2, type);
    if (channel.len != 0)
        db_put_text(q, 3, channel);
    else
        db_put_null(q, 3);
    db_put_text(q, 4, name);
    if (body.len != 0)
        db_put_text(q, 5, body);
    else
        db_put_null(q, 5);
    db_put_int(q, 6, (int64_t)body.len);
    db_put_int(q, 7, (int64_t)recipients);
    return db_run(q);
}

static int owe(struct ctl *c, int64_t seq, size_t size, const struct member *m)
{
    struct db_query *q = ctl_query(c, Q_delivery_insert);

    db_put_int(q, 1, seq);
    db_put_int(q, 2, (int64_t)size);
    db_put_int(q, 3, m->socket);
    if (db_run(q) == -1)
        return -1;
    return m->session == 0 ? 0 : run(c, Q_notice_insert, m->session, c->now_ms, true);
}

/* Tell those who remain in CHANNEL, named NAME, that the socket with id PUBLIC has left. */
static int tell_leave(struct ctl *c, int64_t channel, struct span name, const char *public)
{
    struct closing others = { .c = c };
    struct buf body = BUF_EMPTY;
    int code = read_members(&others, channel);

    if (code == 0 && others.count != 0) {
        buf_add_text(&body, "[\"leave\",");
        json_string_encode(&body, name);
        buf_add_char(&body, ',');
        json_string_encode(&body, span_of(public));
        buf_add_char(&body, ']');
        code = buf_ok(&body) ? insert_message(c, SIO_EVENT, name, SPAN("leave"), buf_span(&body),
                                              others.count)
                             : -1;
        int64_t seq = db_last_id(c->db);
        for (size_t i = 0; code == 0 && i < others.count; i++)
            code = owe(c, seq, body.len, &others.list[i]);
    }
    buf_release(&body);
    free(others.list);
    return code;
}

/* Take M out of the channels that it is in besides the one being closed. */
static int leave_elsewhere(struct closing *x, const struct member *m)
{
    for (;;) {
        struct db_query *q = ctl_query(x->c, Q_member_elsewhere);
        struct buf name = BUF_EMPTY;
        int64_t channel = 0;

        db_put_int(q, 1, m->socket);
        db_put_int(q, 2, x->channel);
        if (db_next(q) == DB_ROW) {
            channel = db_int(q, 0);
            buf_add_span(&name, db_text(q, 1));
        }
        int code = db_done(q) == -1 || !buf_ok(&name) ? -1 : 0;
        if (code == 0 && channel != 0)
            code = run(x->c, Q_member_delete, channel, m->socket, true);
        if (code == 0 && channel != 0)
            code = tell_leave(x->c, channel, buf_span(&name), m->public);
        if (code == 0 && channel != 0)
            code = run(x->c, Q_channel_delete_empty, channel, 0, false);
        buf_release(&name);
        if (code == -1 || channel == 0)
            return code;
    }
}

/* What the socket is owed will never be heard. */
static int abandon(struct ctl *c, int64_t socket)
{
    bool kept = c->set.keep_payloads && c->set.keep_addresses;

    return run(c, Q_message_settle, socket, 0, false) == -1
                   || (!kept && run(c, Q_message_blank, socket, 0, false) == -1)
                   || run(c, Q_delivery_abandon, socket, 0, false) == -1
               ? -1
               : 0;
}

static int dismiss(struct closing *x, const struct member *m)
{
    struct ctl *c = x->c;

    if (leave_elsewhere(x, m) == -1 || run(c, Q_member_delete, x->channel, m->socket, true) == -1 ||
        run(c, Q_asking_delete_socket, m->socket, 0, false) == -1 ||
        run(c, Q_former_delete, m->socket, 0, false) == -1 ||
        run(c, Q_socket_gone, m->socket, c->now_ms, true) == -1)
        return -1;
    if (m->session == 0) {
        x->away++;
        return abandon(c, m->socket);
    }
    if (insert_message(c, SIO_DISCONNECT, SPAN(""), SPAN(""), SPAN(""), 1) == -1)
        return -1;
    return owe(c, db_last_id(c->db), 0, m);
}

/* ---- the whole */

static int close_channel(struct closing *x)
{
    if (read_members(x, x->channel) == -1)
        return -1;
    for (size_t i = 0; i < x->count; i++)
        if (dismiss(x, &x->list[i]) == -1)
            return -1;
    return run(x->c, Q_channel_delete_empty, x->channel, 0, false);
}

static void report(const struct closing *x)
{
    struct buf safe = BUF_EMPTY;
    size_t here = x->count - x->away;

    text_add_safe(&safe, span_of(x->c->argument));
    printf("closed %s: %zu member%s disconnected", buf_ok(&safe) ? buf_text(&safe) : "the channel",
           here, here != 1 ? "s" : "");
    if (x->away != 0)
        printf(", %zu away and now gone", x->away);
    printf("\n");
    buf_release(&safe);
}

int ctl_close(struct ctl *c)
{
    struct closing x = { .c = c };

    if (ctl_begin(c, true) == -1)
        return ctl_fail_db(c, "begin to write");
    int status = find_channel(c, &x.channel);
    if (status == CTL_OK && close_channel(&x) == -1)
        status = ctl_fail_db(c, "close the channel");
    if (ctl_end(c, status == CTL_OK) == -1 && status == CTL_OK)
        status = ctl_fail_db(c, "close the channel");
    if (status == CTL_OK) {
        ctl_ring(c);
        report(&x);
    }
    free(x.list);
    return status;
}
