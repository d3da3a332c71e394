/* ctl.h - what all commands of polluxctl share: the opened store, what was asked for, failing
 * in whole sentences.
 *
 * Reading is done in short transactions: ctl_begin(), some queries, ctl_end(), and only then is
 * anything printed, since a terminal or a pipe may be slow and an open read keeps the server from
 * shortening its write-ahead log.
 */
#ifndef POLLUX_CTL_CTL_H
#define POLLUX_CTL_CTL_H

#include "base/buf.h"
#include "base/settings.h"
#include "store/sqlite/db.h"
#include "store/store.h"
#include "sql_ctl.h"

enum ctl_query {
#define X(name, sql) Q_##name,
    SQL_CTL(X)
#undef X
    Q_COUNT
};

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

#define LABEL_MAX 64                    /* longest id as shown, with its NUL */
#define LABELS 1024

struct label {
    int64_t socket;                     /* 0: not in use */
    char text[LABEL_MAX];
};

struct ctl {
    struct settings set;
    bool has_settings;                  /* SET was read and is to be released */
    char *dir;                          /* the store directory; borrowed */
    struct settings writing;            /* SET with that directory; borrows from both */
    struct db *db;                      /* for reading */
    struct store *store;                /* for writing; NULL: not open for that */
    int64_t now_ms;

    /* What was asked for. Texts are borrowed from the command line. */
    const char *argument;               /* the channel or message; NULL: none */
    const char *nsp;                    /* NULL: any */
    bool all, follow, json, whole_ids, vacuum;
    int64_t since_ms, until_ms;         /* until: exclusive */
    int64_t lines;                      /* -1: all */

    /* How it is shown. */
    bool terminal, colour;
    size_t width;                       /* columns of the terminal; 0: unlimited */

    struct label labels[LABELS];        /* a cache, by socket.id modulo LABELS */
    bool labels_failed;                 /* one could not be found out, and is shown as "?" */
};

/* Open the database in C->dir to read; or the store besides, so that what is written is written as
 * the server writes it. CTL_OK, or CTL_FAILED once it has been said why. */
int ctl_open(struct ctl *c);
int ctl_open_to_write(struct ctl *c);
void ctl_close_store(struct ctl *c);

/* Several queries that see the same. ctl_end() returns 0, or -1 when one of them failed. */
int ctl_begin(struct ctl *c);
int ctl_end(struct ctl *c);

struct db_query *ctl_query(struct ctl *c, enum ctl_query n);

/* The one number that query N without parameters finds; 0: no row. -1 on failure. */
int64_t ctl_number(struct ctl *c, enum ctl_query n);

/* Say on standard error that something failed; return CTL_FAILED. OPERATION continues "cannot
 * ...". */
int ctl_fail_db(struct ctl *c, const char *operation);
int ctl_fail_store(struct ctl *c);      /* of C->store: why it failed */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Socket SOCKET's public id as people are shown it: whole if they asked for that, else its first
 * six characters, or as many more as tell it from all others. "?" for a socket that is no longer
 * known. */
void ctl_label(struct ctl *c, int64_t socket, char out[LABEL_MAX]);

/* Write OUT to standard output and clear it. 0; -1: it could not be written or is not whole, and
 * that has been said. */
int ctl_flush(struct ctl *c, struct buf *out);

#endif
