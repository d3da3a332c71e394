/* stats.h - what each process has done since it began, kept where the others and polluxctl can
 * read it; and the page that shows all of it.
 *
 * A process counts in a small file of its own, stats.PID in the store's directory, which it maps
 * into its memory and keeps locked for as long as it lives: counting is adding to a number. A file
 * whose lock is free was left by a process that died; whoever reads it removes it. Where one of
 * the same number in another pid namespace lives on the same store, it is stats.PID.1, and so on.
 */
#ifndef POLLUX_BASE_STATS_H
#define POLLUX_BASE_STATS_H

#include "base/buf.h"

#define STATS_STATUSES 9                /* that are counted apart; the last is all others */
#define STATS_BUCKETS 10                /* the last has no bound */

/* How often a value was within each bucket, and not within the one before; and the sum of all. */
struct histogram {
    uint64_t counts[STATS_BUCKETS];
    uint64_t sum;                       /* nanoseconds; or what is counted */
};

/* The file, from its first byte: 64-bit numbers, written by one process alone. */
struct counters {
    uint64_t format;                    /* STATS_FORMAT; else it is another version's */
    uint64_t pid;
    uint64_t nth;                       /* of several that have this pid, in namespaces; from 0 */
    uint64_t held;                      /* polls that wait here now */
    uint64_t hops;                      /* messages relayed, once for each recipient */
    uint64_t requests;
    uint64_t answers[STATS_STATUSES];   /* by stats_status() */
    struct histogram turn;              /* how long each turn took */
    struct histogram batch;             /* requests in each turn */
    struct histogram commit;            /* how long each transaction took to be committed */
};

/* Grows with every change of the layout. */
#define STATS_FORMAT UINT64_C(0x506f6c6c75780002)

/* This process's file. */
struct stats {
    struct counters *counters;          /* where to count; NULL: not open */
    int file;
    char *path;
};

/* Begin a file in the directory DIR, and remove what the dead have left there. 0; or -1 with a
 * sentence for the operator in WHY, and *S as after stats_release(). */
int stats_open(struct stats *s, const char *dir, struct buf *why);

/* Remove the file. Nothing may count there any more. */
void stats_release(struct stats *s);

/* ---- counting */

/* Nanoseconds since some moment; never goes back. */
uint64_t stats_clock(void);
void stats_time(struct histogram *h, uint64_t ns);
void stats_batch(struct histogram *h, uint64_t count);
void stats_status(struct counters *k, int status);      /* one answer more of that status */

/* ---- reading */

/* What there is in the store now. */
struct store_figures {
    int64_t sessions, sockets, channels;
    int64_t queued;                     /* deliveries that have not arrived */
    int64_t log_rows;                   /* messages that are kept */
    int64_t database_bytes, wal_bytes;
    int64_t disk_free_bytes;            /* for this user */
};

/* Set the sizes of the files in DIR, 0 for one that does not exist, and what is free beside
 * them. */
void stats_sizes(struct store_figures *f, const char *dir);

/* How a process is told from others: its pid, and where that is not enough ".1", ".2"... */
#define STATS_NAME_MAX 48
void stats_name(const struct counters *k, char out[STATS_NAME_MAX]);

/* The counters of all living processes, by pid. Start with STATS_LIST_EMPTY. */
struct stats_list {
    struct counters *list;
    size_t count, cap;
};

#define STATS_LIST_EMPTY { NULL, 0, 0 }

/* Read what is in DIR into L (overwritten), and remove what the dead have left. 0; -1 with errno:
 * L is empty. */
int stats_read(struct stats_list *l, const char *dir);
void stats_list_release(struct stats_list *l);

uint64_t stats_count(const struct histogram *h);        /* of all values */

/* The Nth status that is counted apart, "200"; "other" for the last. The Nth bound, "0.001" seconds
 * for times and "20" for batches; "+Inf" for the last. */
const char *stats_status_name(size_t n);
const char *stats_bound(size_t n, bool time);

/* Append the page: text for Prometheus, version 0.0.4. */
void stats_page(struct buf *out, const struct store_figures *f, const struct stats_list *l);

#endif
