/* wal.c - the write-ahead log, brought into the database by a process of its own: nobody
 * who has asked for something waits for the disk meanwhile. */
#include "store/sqlite/engine.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define LOOK_MS 250                     /* while nothing is stored */
#define BUSY_LOOK_MS 50
#define BUSY_MS 20                      /* how long those who store may have to wait for us */
#define PAGES_WORTH_IT 2000             /* 8 MB; each time the disk is waited for three times */
#define PASSES 2

/* What was removed from the database still stands in the log until that is written over. So that it is
 * nowhere soon, the log's file is emptied now and then. */
#define EMPTY_MS 10000

/* The log begins anew by itself when all of it has been copied before more is stored. Under a
 * steady load that never is: beyond so many pages, 32 MB, others wait for the rest of it. */
#define PAGES_MOST 8192

struct keeper {
    struct db *db;
    int index;                          /* the log's index, a file */
    uint32_t pages;                     /* in the log, as it was looked at last */
    int64_t empty_ms;                   /* empty it then */
};

/* How many pages the log has, and how many of them have been copied: two numbers in its index
 * (https://sqlite.org/walformat.html, 2.1). Changing or not there yet: none. */
static void look(const struct keeper *k, uint32_t *pages, uint32_t *copied)
{
    *pages = *copied = 0;
    if (pread(k->index, pages, sizeof *pages, 16) != sizeof *pages
        || pread(k->index, copied, sizeof *copied, 96) != sizeof *copied)
        *pages = *copied = 0;
}

/* Copy what can be copied while others read and store. Then, if the log is long all the same, the
 * rest, which is little by now. */
static void copy(struct keeper *k)
{
    int pages = 0, copied = 0;

    for (int i = 0; i < PASSES; i++)
        db_checkpoint(k->db, DB_PASSIVE, 0, &pages, &copied);
    if (pages > PAGES_MOST)
        db_checkpoint(k->db, DB_RESTART, BUSY_MS, &pages, &copied);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Let the log's file be empty, unless somebody reads or writes all the time: then it is tried again. */
static void empty(struct keeper *k)
{
    int pages = 0, copied = 0;

    copy(k);
    db_checkpoint(k->db, DB_EMPTY, BUSY_MS, &pages, &copied);
    if (pages == 0)
        k->empty_ms = now_ms() + EMPTY_MS;
}

/* Look once. How long nothing needs to be done, ms. */
static int keep_short(struct keeper *k)
{
    uint32_t pages, copied;

    look(k, &pages, &copied);
    if (pages != 0 && now_ms() >= k->empty_ms)
        empty(k);
    else if (pages - copied >= PAGES_WORTH_IT && pages > copied)
        copy(k);
    bool busy = pages != k->pages;
    k->pages = pages;
    return busy ? BUSY_LOOK_MS : LOOK_MS;
}

static int open_keeper(struct keeper *k, const struct settings *set)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/pollux.db", set->store);
    if (db_open(&k->db, path, false, false, BUSY_MS) == -1
        || db_exec(k->db, set->durability == DURABILITY_FULL ? "PRAGMA synchronous = FULL"
                                                             : "PRAGMA synchronous = NORMAL")
               == -1
        || db_scalar(k->db, "SELECT count(*) FROM sqlite_schema", -1) == -1)
        return -1;
    /* having been read from, it has an index; but for one without a write-ahead log */
    snprintf(path, sizeof path, "%s/pollux.db-shm", set->store);
    k->index = open(path, O_RDONLY | O_CLOEXEC);
    return 0;
}

int store_keep(const struct settings *set)
{
    struct keeper k = { .index = -1 };

    if (open_keeper(&k, set) == -1) {
        log_line(P121, NULL,
                 "cannot keep the write-ahead log in %s short: %s; it will be tried again",
                 set->store, db_error(k.db));
        db_close(k.db);
        return 1;
    }
    for (;;) {
        int ms = keep_short(&k);
        struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };
        nanosleep(&pause, NULL);
    }
}
