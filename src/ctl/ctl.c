/* ctl.c - opens the store for polluxctl and explains what fails. The server may be running
 * all the while. */
#include "ctl/ctl.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/text.h"
#include "store/sqlite/format.h"

#define BUSY_MS 10000
#define LABEL_SHORT 6

static const char *const statements[] = {
#define X(name, sql) sql,
    SQL_CTL(X)
#undef X
};

/* ---- failing */

int ctl_fail(const char *format, ...)
{
    struct buf safe = BUF_EMPTY;
    char line[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    text_add_safe(&safe, span_of(line));
    for (char *p = line; !buf_ok(&safe) && *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';                   /* the poor man's safety */
    fprintf(stderr, "polluxctl: %s\n", buf_ok(&safe) ? buf_text(&safe) : line);
    buf_release(&safe);
    return CTL_FAILED;
}

static const char *advice(enum db_cause cause)
{
    switch (cause) {
    case DB_CAUSE_BUSY:
        return "another program keeps the database locked; try again when it has finished";
    case DB_CAUSE_FULL:
        return "free some space on that disk";
    case DB_CAUSE_READONLY:
        return "run this as the user that owns the store";
    case DB_CAUSE_CORRUPT:
        return "stop the server and restore the file, or remove it to start afresh";
    case DB_CAUSE_MEMORY:
        return "give the machine more memory";
    default:
        return "see whether the disk and its file system are well";
    }
}

int ctl_fail_db(struct ctl *c, const char *operation)
{
    enum db_cause cause = db_cause(c->db);

    if (cause == DB_CAUSE_NONE)         /* it was not the database that failed, so it was we */
        return ctl_fail("cannot %s in %s/pollux.db: out of memory; %s", operation, c->dir,
                        advice(DB_CAUSE_MEMORY));
    return ctl_fail("cannot %s in %s/pollux.db: %s; %s", operation, c->dir, db_error(c->db),
                    advice(cause));
}

int ctl_fail_store(struct ctl *c)
{
    ctl_fail("%s", store_why(c->store));
    store_rollback(c->store);
    return CTL_FAILED;
}

/* ---- opening */

/* SQLite says no more than "unable to open database file"; the kernel knows why. */
static int explain_access(const struct ctl *c, const char *path, bool write)
{
    struct stat st;

    if (stat(path, &st) == -1 && (errno == ENOENT || errno == ENOTDIR))
        return ctl_fail("cannot open %s: there is no such file; name the store directory with "
                        "--store DIR, POLLUX_STORE or "
                        "--config FILE, or start the server once",
                        path);
    if (access(path, write ? R_OK | W_OK : R_OK) == -1)
        return ctl_fail("cannot open %s: %s; run this as the user that owns the store", path,
                        strerror(errno));
    if (write && access(c->dir, W_OK | X_OK) == -1)
        return ctl_fail("cannot write to %s: %s; run this as the user that owns the store", c->dir,
                        strerror(errno));
    return CTL_OK;
}

static int check_version(struct ctl *c)
{
    int64_t version = db_scalar(c->db, "PRAGMA user_version", -1);
    int64_t owner = db_scalar(c->db, "PRAGMA application_id", -1);

    if (version == -1 || owner == -1)
        return ctl_fail_db(c, "read the database");
    if (version == 0)
        return ctl_fail("cannot use %s/pollux.db: it is empty or another program's database; name "
                        "the store directory with "
                        "--store DIR, or start the server once",
                        c->dir);
    if (owner != 0 && owner != STORE_APPLICATION_ID)
        return ctl_fail("cannot use %s/pollux.db: it is another program's database; name the store "
                        "directory with "
                        "--store DIR",
                        c->dir);
    if (version != STORE_VERSION)
        return ctl_fail("cannot use %s/pollux.db: %s version of Pollux wrote it (schema %lld, this "
                        "one knows %d); %s",
                        c->dir, version > STORE_VERSION ? "a newer" : "an older",
                        (long long)version, STORE_VERSION,
                        version > STORE_VERSION ? "run that version's polluxctl"
                                                : "start the server, which upgrades the file");
    return CTL_OK;
}

static int open_database(struct ctl *c, bool write)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/pollux.db", c->dir);
    if (explain_access(c, path, write) != CTL_OK)
        return CTL_FAILED;
    if (db_open(&c->db, path, DB_READ, BUSY_MS) == -1)
        return ctl_fail_db(c, "open the database");
    if (check_version(c) != CTL_OK)
        return CTL_FAILED;
    if (db_exec(c->db, "PRAGMA temp_store = MEMORY") == -1
        || db_prepare(c->db, statements, Q_COUNT) == -1)
        return ctl_fail_db(c, "prepare the statements");
    return CTL_OK;
}

int ctl_open(struct ctl *c)
{
    return open_database(c, false);
}

/* The store is created by the server alone: so first it is seen that it is there, and of this
 * version. */
int ctl_open_to_write(struct ctl *c)
{
    struct buf why = BUF_EMPTY;
    int status = open_database(c, true);

    c->writing = c->set;
    c->writing.store = c->dir;
    if (status == CTL_OK && store_open(&c->store, &c->writing, &why) == -1)
        status = ctl_fail("%s", buf_text(&why));
    buf_release(&why);
    return status;
}

void ctl_close_store(struct ctl *c)
{
    store_close(c->store);
    c->store = NULL;
    db_close(c->db);
    c->db = NULL;
}

/* ---- queries */

struct db_query *ctl_query(struct ctl *c, enum ctl_query n)
{
    return db_query(c->db, (size_t)n);
}

int ctl_begin(struct ctl *c)
{
    return db_run(ctl_query(c, Q_read_begin));
}

int ctl_end(struct ctl *c)
{
    int code = db_run(ctl_query(c, Q_end));

    if (code == -1 && db_in_transaction(c->db))
        db_exec(c->db, "ROLLBACK");
    return code;
}

int64_t ctl_number(struct ctl *c, enum ctl_query n)
{
    struct db_query *q = ctl_query(c, n);
    int64_t number = 0;

    if (db_next(q) == DB_ROW)
        number = db_int(q, 0);
    return db_done(q) == -1 ? -1 : number;
}

/* ---- labels */

static size_t common(struct span a, struct span b)
{
    size_t i = 0;

    while (i < a.len && i < b.len && a.p[i] == b.p[i])
        i++;
    return i;
}

/* As much of PUBLIC as tells it from its neighbours in the order of ids. */
static struct span shorten(struct span public, struct span before, struct span after)
{
    size_t same = common(public, before), other = common(public, after);
    size_t len = (same > other ? same : other) + 1;

    if (len < LABEL_SHORT)
        len = LABEL_SHORT;
    return (struct span){ public.p, len < public.len ? len : public.len };
}

static void look_up(struct ctl *c, struct label *label, int64_t socket)
{
    struct db_query *q = ctl_query(c, Q_socket_label);

    strcpy(label->text, "?");
    label->socket = socket;
    db_put_int(q, 1, socket);
    if (db_next(q) == DB_ROW) {
        struct span public = db_text(q, 0);
        if (!c->whole_ids)
            public = shorten(public, db_text(q, 1), db_text(q, 2));
        struct buf safe = BUF_EMPTY;
        text_add_safe(&safe, public);
        c->labels_failed = c->labels_failed || !buf_ok(&safe);
        if (!span_copy(buf_span(&safe), label->text, sizeof label->text))
            strcpy(label->text, "?");
        buf_release(&safe);
    }
    c->labels_failed = db_done(q) == -1 || c->labels_failed;
}

void ctl_label(struct ctl *c, int64_t socket, char out[LABEL_MAX])
{
    struct label *label = &c->labels[(uint64_t)socket % LABELS];

    if (label->socket != socket || socket == 0)
        look_up(c, label, socket);
    memcpy(out, label->text, LABEL_MAX);
}

int ctl_flush(struct ctl *c, struct buf *out)
{
    if (c->labels_failed)
        out->failed = true;
    return text_flush(out);
}
