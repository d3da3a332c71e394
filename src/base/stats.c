/* stats.c - counters in a file that is mapped, locked with flock(2) while its process lives.
 *
 * flock, since a lock by fcntl(2) is lost when its process closes the file anywhere, as it does
 * after reading its own. What is mapped has its blocks before (as SQLite's -shm has), so that a
 * disk which is full later ends nobody. Readers do not map: a file that somebody cut short would
 * end them. */
#include "base/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "stats."
#define NAMESAKES_MOST 64               /* on one store, each in a namespace of its own */
#define LOCK_TRIES 20                   /* a reader may be looking at a file just begun */
#define LOCK_PAUSE_NS 1000000L
#define NS_PER_S UINT64_C(1000000000)

static const int statuses[STATS_STATUSES - 1] = { 200, 204, 400, 403, 404, 413, 429, 503 };
static const char *const status_names[STATS_STATUSES] = { "200", "204", "400", "403",  "404",
                                                          "413", "429", "503", "other" };

struct bound {
    uint64_t most;
    const char *name;
};

static const struct bound times[STATS_BUCKETS] = {
    { 100000, "0.0001" },   { 500000, "0.0005" }, { 1000000, "0.001" },  { 5000000, "0.005" },
    { 10000000, "0.01" },   { 50000000, "0.05" }, { 100000000, "0.1" },  { 500000000, "0.5" },
    { 1000000000, "1" },    { UINT64_MAX, "+Inf" },
}, batches[STATS_BUCKETS] = {
    { 0, "0" },   { 1, "1" },   { 2, "2" },     { 5, "5" },     { 10, "10" },
    { 20, "20" }, { 50, "50" }, { 100, "100" }, { 500, "500" }, { UINT64_MAX, "+Inf" },
};

/* ---- one's own file */

/* Open PATH locked. A reader may have taken it for a dead process's between the two, and removed
 * it: then once more. The descriptor, or -1 with errno. */
static int open_locked(const char *path)
{
    struct timespec pause = { 0, LOCK_PAUSE_NS };
    struct stat st;

    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file == -1)
            return -1;
        bool locked = flock(file, LOCK_EX | LOCK_NB) == 0;
        int error = errno;
        if (locked && fstat(file, &st) == 0 && st.st_nlink != 0)
            return file;
        close(file);
        errno = error;
        if (!locked && error != EWOULDBLOCK)
            return -1;
        nanosleep(&pause, NULL);
    }
    errno = EWOULDBLOCK;
    return -1;
}

static struct counters *map(int file, uint64_t nth)
{
    const struct counters fresh = { .format = STATS_FORMAT,
                                    .pid = (uint64_t)getpid(),
                                    .nth = nth };
    struct counters *at;

    errno = ENOSPC;                     /* for what is written in part */
    if (ftruncate(file, 0) == -1 || pwrite(file, &fresh, sizeof fresh, 0) != sizeof fresh)
        return NULL;
    at = mmap(NULL, sizeof fresh, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED)
        return NULL;
    return at;
}

/* Remove what the dead have left: where nobody ever reads, nobody else would. */
static void sweep(const char *dir)
{
    struct stats_list l = STATS_LIST_EMPTY;

    stats_read(&l, dir);
    stats_list_release(&l);
}

void stats_name(const struct counters *k, char out[STATS_NAME_MAX])
{
    if (k->nth == 0)
        snprintf(out, STATS_NAME_MAX, "%llu", (unsigned long long)k->pid);
    else
        snprintf(out, STATS_NAME_MAX, "%llu.%llu", (unsigned long long)k->pid,
                 (unsigned long long)k->nth);
}

/* Begin S's file in DIR, under the first name that no living process has. False, with errno. */
static bool begin(struct stats *s, const char *dir, char path[PATH_MAX])
{
    struct counters me = { .pid = (uint64_t)getpid() };
    char name[STATS_NAME_MAX];

    do {
        stats_name(&me, name);
        snprintf(path, PATH_MAX, "%s/" PREFIX "%s", dir, name);
        s->file = open_locked(path);
    } while (s->file == -1 && errno == EWOULDBLOCK && ++me.nth < NAMESAKES_MOST);
    return s->file != -1 && (s->path = strdup(path)) != NULL
           && (s->counters = map(s->file, me.nth)) != NULL;
}

int stats_open(struct stats *s, const char *dir, struct buf *why)
{
    char path[PATH_MAX];

    *s = (struct stats){ NULL, -1, NULL };
    if (begin(s, dir, path)) {
        sweep(dir);
        return 0;
    }
    buf_addf(why, "cannot count in %s: %s; see that this user may write there and what limits "
                  "there are",
             path, strerror(errno));
    stats_release(s);
    return -1;
}

void stats_release(struct stats *s)
{
    if (s->counters != NULL)
        munmap(s->counters, sizeof *s->counters);
    if (s->path != NULL)
        unlink(s->path);                /* while it is locked, and so nobody else's */
    if (s->file != -1)
        close(s->file);
    free(s->path);
    *s = (struct stats){ NULL, -1, NULL };
}

/* ---- counting */

uint64_t stats_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void observe(struct histogram *h, const struct bound *bounds, uint64_t value)
{
    size_t i = 0;

    while (value > bounds[i].most)
        i++;
    h->counts[i]++;
    h->sum += value;
}

void stats_time(struct histogram *h, uint64_t ns)
{
    observe(h, times, ns);
}

void stats_batch(struct histogram *h, uint64_t count)
{
    observe(h, batches, count);
}

void stats_status(struct counters *k, int status)
{
    size_t i = 0;

    while (i < STATS_STATUSES - 1 && statuses[i] != status)
        i++;
    k->answers[i]++;
}

uint64_t stats_count(const struct histogram *h)
{
    uint64_t count = 0;

    for (size_t i = 0; i < STATS_BUCKETS; i++)
        count += h->counts[i];
    return count;
}

const char *stats_status_name(size_t n)
{
    return status_names[n];
}

const char *stats_bound(size_t n, bool time)
{
    const struct bound *bounds = time ? times : batches;

    return bounds[n].name;
}

/* ---- reading */

static int64_t size_of(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

void stats_sizes(struct store_figures *f, const char *dir)
{
    f->database_bytes = size_of(dir, "pollux.db");
    f->wal_bytes = size_of(dir, "pollux.db-wal");
    struct statvfs disk;
    f->disk_free_bytes =
        statvfs(dir, &disk) == 0 ? (int64_t)disk.f_bavail * (int64_t)disk.f_frsize : 0;
}

/* Remove NAME in FOLDER, whose lock is free: it is open as FILE. Alone, since of two readers that
 * do so the slower would remove what a new process of that number has begun meanwhile. Who may not
 * remove it leaves it to others. */
static void remove_dead(int folder, const char *name, int file)
{
    struct stat st;

    if (flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &st) == 0 && st.st_nlink != 0)
        unlinkat(folder, name, 0);
}

/* Read NAME in FOLDER. False: it is no living process's of this version; a dead one's is gone. */
static bool read_one(int folder, const char *name, struct counters *k)
{
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool lives = false;

    if (file == -1)
        return false;
    if (flock(file, LOCK_SH | LOCK_NB) == 0)
        remove_dead(folder, name, file);
    else if (errno == EWOULDBLOCK)
        lives = pread(file, k, sizeof *k, 0) == sizeof *k && k->format == STATS_FORMAT;
    close(file);
    return lives;
}

static bool is_stats_name(const char *name)
{
    int64_t number;

    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0)
        return false;
    name += sizeof PREFIX - 1;
    size_t len = strcspn(name, ".");
    return span_int((struct span){ name, len }, &number)
           && (name[len] == '\0' || span_int(span_of(name + len + 1), &number));
}

static bool add(struct stats_list *l, const struct counters *k)
{
    if (l->count == l->cap) {
        size_t cap = l->cap != 0 ? l->cap * 2 : 8;
        struct counters *list = realloc(l->list, cap * sizeof *list);
        if (list == NULL)
            return false;
        l->list = list;
        l->cap = cap;
    }
    l->list[l->count++] = *k;
    return true;
}

static int by_pid(const void *a, const void *b)
{
    const struct counters *x = a, *y = b;

    if (x->pid == y->pid)
        return (x->nth > y->nth) - (x->nth < y->nth);
    return (x->pid > y->pid) - (x->pid < y->pid);
}

int stats_read(struct stats_list *l, const char *dir)
{
    DIR *folder = opendir(dir);
    struct dirent *entry;
    struct counters k;
    int error = 0;

    l->count = 0;
    if (folder == NULL)
        return -1;
    while (error == 0 && (entry = readdir(folder)) != NULL)
        if (is_stats_name(entry->d_name) && read_one(dirfd(folder), entry->d_name, &k)
            && !add(l, &k))
            error = ENOMEM;
    closedir(folder);
    if (error != 0) {
        l->count = 0;
        errno = error;
        return -1;
    }
    if (l->count != 0)
        qsort(l->list, l->count, sizeof *l->list, by_pid);
    return 0;
}

void stats_list_release(struct stats_list *l)
{
    free(l->list);
    *l = (struct stats_list)STATS_LIST_EMPTY;
}

/* ---- the page */

static void add_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP pollux_%s %s\n# TYPE pollux_%s %s\n", name, help, name, type);
}

static void add_figure(struct buf *out, const char *name, const char *help, int64_t value)
{
    add_head(out, name, "gauge", help);
    buf_addf(out, "pollux_%s %lld\n", name, (long long)value);
}

/* One number of each process, which stands AT bytes behind the beginning of its counters. */
static void add_number(struct buf *out, const struct stats_list *l, const char *name,
                       const char *type, const char *help, size_t at)
{
    char process[STATS_NAME_MAX];
    uint64_t value;

    add_head(out, name, type, help);
    for (size_t i = 0; i < l->count; i++) {
        memcpy(&value, (const char *)&l->list[i] + at, sizeof value);
        stats_name(&l->list[i], process);
        buf_addf(out, "pollux_%s{pid=\"%s\"} %llu\n", name, process, (unsigned long long)value);
    }
}

static void add_answers(struct buf *out, const struct stats_list *l)
{
    char process[STATS_NAME_MAX];

    add_head(out, "answers_total", "counter", "Requests answered, by status.");
    for (size_t i = 0; i < l->count; i++) {
        stats_name(&l->list[i], process);
        for (size_t n = 0; n < STATS_STATUSES; n++)
            buf_addf(out, "pollux_answers_total{pid=\"%s\",code=\"%s\"} %llu\n", process,
                     status_names[n], (unsigned long long)l->list[i].answers[n]);
    }
}

/* NAME of the process P. Its count is that of the buckets, so that the two always agree. */
static void add_one_histogram(struct buf *out, const struct histogram *h, const char *name,
                              const char *p, bool time)
{
    unsigned long long below = 0, sum = h->sum;

    for (size_t n = 0; n < STATS_BUCKETS; n++) {
        below += h->counts[n];
        buf_addf(out, "pollux_%s_bucket{pid=\"%s\",le=\"%s\"} %llu\n", name, p,
                 stats_bound(n, time), below);
    }
    if (time)
        buf_addf(out, "pollux_%s_sum{pid=\"%s\"} %llu.%09llu\n", name, p, sum / NS_PER_S,
                 sum % NS_PER_S);
    else
        buf_addf(out, "pollux_%s_sum{pid=\"%s\"} %llu\n", name, p, sum);
    buf_addf(out, "pollux_%s_count{pid=\"%s\"} %llu\n", name, p, below);
}

static void add_histogram(struct buf *out, const struct stats_list *l, const char *name,
                          const char *help, size_t at, bool time)
{
    char process[STATS_NAME_MAX];
    struct histogram h;

    add_head(out, name, "histogram", help);
    for (size_t i = 0; i < l->count; i++) {
        memcpy(&h, (const char *)&l->list[i] + at, sizeof h);
        stats_name(&l->list[i], process);
        add_one_histogram(out, &h, name, process, time);
    }
}

void stats_page(struct buf *out, const struct store_figures *f, const struct stats_list *l)
{
    add_figure(out, "sessions", "Engine.IO sessions.", f->sessions);
    add_figure(out, "sockets", "Socket.IO sockets, those away included.", f->sockets);
    add_figure(out, "channels", "Channels.", f->channels);
    add_figure(out, "queued_deliveries", "Deliveries that have not arrived yet.", f->queued);
    add_figure(out, "log_rows", "Messages kept in the log.", f->log_rows);
    add_figure(out, "database_bytes", "Size of the database file.", f->database_bytes);
    add_figure(out, "wal_bytes", "Size of the write-ahead log.", f->wal_bytes);
    add_figure(out, "disk_free_bytes", "Room that is left beside them.", f->disk_free_bytes);
    add_number(out, l, "held_polls", "gauge", "Polls that wait.", offsetof(struct counters, held));
    add_number(out, l, "hops_total", "counter",
               "Messages relayed from client to client, once for each recipient.",
               offsetof(struct counters, hops));
    add_number(out, l, "requests_total", "counter", "Requests taken.",
               offsetof(struct counters, requests));
    add_answers(out, l);
    add_histogram(out, l, "turn_seconds", "How long each turn took.",
                  offsetof(struct counters, turn), true);
    add_histogram(out, l, "turn_requests", "Requests in each turn.",
                  offsetof(struct counters, batch), false);
    add_histogram(out, l, "commit_seconds", "How long each transaction took to be committed.",
                  offsetof(struct counters, commit), true);
}
