/* cmd_who.c - polluxctl channels and polluxctl who: what exists right now. */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/commands.h"
#include "ctl/said_json.h"
#include "ctl/text.h"
#include "ctl/dates.h"

#define CHANNEL_COLUMNS 6
#define WHO_COLUMNS 8

static const struct table_column channel_columns[CHANNEL_COLUMNS] = {
    { "CHANNEL", false }, { "MEMBERS", true }, { "AWAY", true },
    { "ASKING", true },   { "OPENED", false }, { "NAMESPACE", false },
};

static const struct table_column who_columns[WHO_COLUMNS] = {
    { "CHANNEL", false }, { "MEMBER", false }, { "ROLE", false },    { "JOINED", false },
    { "STATE", false },   { "WAITING", true }, { "ADDRESS", false }, { "NAMESPACE", false },
};

/* What a command has read and not printed yet. */
struct listing {
    struct table table;
    struct buf json;
    int64_t rows;
};

static void channel_json(struct listing *l, struct db_query *q)
{
    cJSON *object = json_object();

    json_add_text(object, "channel", db_text(q, 0));
    json_add_text(object, "namespace", db_text(q, 1));
    json_add_ms(object, "opened_ms", db_int(q, 2));
    cJSON_AddNumberToObject(object, "members", (double)db_int(q, 3));
    cJSON_AddNumberToObject(object, "away", (double)db_int(q, 4));
    cJSON_AddNumberToObject(object, "asking", (double)db_int(q, 5));
    json_add_line(&l->json, object);
}

/* The cell that follows, or one that nobody sees when there is no memory: then L->json says so. */
static struct buf *cell(struct listing *l, enum tint tint)
{
    struct buf *b = table_cell(&l->table, tint);

    if (b == NULL)
        l->json.failed = true;
    return b != NULL ? b : &l->json;
}

static void channel_row(struct listing *l, struct db_query *q)
{
    text_add_safe(cell(l, TINT_BOLD), db_text(q, 0));
    buf_add_int(cell(l, TINT_NONE), db_int(q, 3));
    buf_add_int(cell(l, db_int(q, 4) != 0 ? TINT_WARN : TINT_NONE), db_int(q, 4));
    buf_add_int(cell(l, db_int(q, 5) != 0 ? TINT_WARN : TINT_NONE), db_int(q, 5));
    time_add(cell(l, TINT_NONE), db_int(q, 2));
    text_add_safe(cell(l, TINT_DIM), db_text(q, 1));
}

static void member_json(struct ctl *c, struct listing *l, struct db_query *q)
{
    cJSON *object = json_object();

    json_add_text(object, "channel", db_text(q, 0));
    json_add_text(object, "namespace", db_text(q, 1));
    json_add_socket(c, object, "socket", db_int(q, 2));
    json_add_text(object, "role", db_text(q, 3));
    json_add_ms(object, "joined_ms", db_int(q, 4));
    json_add_ms(object, "away_ms", db_int(q, 5));
    json_add_text(object, "address", db_text(q, 6));
    cJSON_AddNumberToObject(object, "waiting", (double)db_int(q, 7));
    json_add_line(&l->json, object);
}

static void member_row(struct ctl *c, struct listing *l, struct db_query *q)
{
    char label[LABEL_MAX];

    ctl_label(c, db_int(q, 2), label);
    text_add_safe(cell(l, TINT_BOLD), db_text(q, 0).len != 0 ? db_text(q, 0) : SPAN("-"));
    buf_add_text(cell(l, TINT_PEER), label);
    text_add_safe(cell(l, TINT_NONE), db_text(q, 3).len != 0 ? db_text(q, 3) : SPAN("-"));
    time_add(cell(l, TINT_NONE), db_int(q, 4));
    if (db_is_null(q, 5)) {
        buf_add_text(cell(l, TINT_NONE), "here");
    } else {
        struct buf *state = cell(l, TINT_WARN);
        buf_add_text(state, "away for ");
        text_add_duration(state, c->now_ms > db_int(q, 5) ? c->now_ms - db_int(q, 5) : 0);
    }
    buf_add_int(cell(l, TINT_NONE), db_int(q, 7));
    text_add_safe(cell(l, TINT_NONE), db_text(q, 6).len != 0 ? db_text(q, 6) : SPAN("-"));
    text_add_safe(cell(l, TINT_DIM), db_text(q, 1));
}

/* All rows of Q, with its parameters bound. Ends Q. */
enum rows { ROWS_CHANNELS, ROWS_MEMBERS };

static int read_rows(struct ctl *c, struct listing *l, struct db_query *q, enum rows rows)
{
    bool members = rows == ROWS_MEMBERS;


    for (; db_next(q) == DB_ROW; l->rows++)
        if (c->json && members)
            member_json(c, l, q);
        else if (c->json)
            channel_json(l, q);
        else if (members)
            member_row(c, l, q);
        else
            channel_row(l, q);
    return db_done(q);
}

static int print(struct ctl *c, struct listing *l, const char *nothing)
{
    if (!c->json && l->rows != 0)
        table_print(&l->table, &l->json, c->colour, 0);
    if (!c->json && l->rows == 0)
        fprintf(stderr, "polluxctl: %s\n", nothing);
    return ctl_flush(c, &l->json) == -1 ? CTL_FAILED : CTL_OK;
}

static void release(struct listing *l)
{
    table_release(&l->table);
    buf_release(&l->json);
}

int ctl_channels(struct ctl *c)
{
    struct listing l = { 0 };

    table_init(&l.table, channel_columns, CHANNEL_COLUMNS);
    int status = read_rows(c, &l, ctl_query(c, Q_channel_list), ROWS_CHANNELS) == -1
                     ? ctl_fail_db(c, "list the channels")
                     : print(c, &l, "there are no channels");
    release(&l);
    return status;
}

int ctl_who(struct ctl *c)
{
    struct listing l = { 0 };
    struct db_query *q = ctl_query(c, Q_member_list);
    int status = CTL_OK;

    table_init(&l.table, who_columns, WHO_COLUMNS);
    if (c->argument != NULL)
        db_put_text(q, 1, span_of(c->argument));
    else
        db_put_null(q, 1);
    if (read_rows(c, &l, q, ROWS_MEMBERS) == -1
        || (c->all && c->argument == NULL
            && read_rows(c, &l, ctl_query(c, Q_socket_alone), ROWS_MEMBERS) == -1))
        status = ctl_fail_db(c, "list the members");
    if (status == CTL_OK)
        status = print(
            c, &l, c->argument != NULL ? "nobody is in that channel" : "nobody is in any channel");
    release(&l);
    return status;
}
