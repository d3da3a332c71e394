/* wal.c - the write-ahead log: what was stored, until it is brought into the database. Who does
 * that, and when:
 *
 *     the keeper, a process of its own    when there is much, so that nobody who has asked for
 *                                         something waits for the disk; if there is one, SQLite's
 *                                         own way, at a commit, is switched off
 *     a program that serves alone         SQLite at a commit; now and then its file is emptied
 *     one that answers once and ends      nobody, while it is short: whoever opens the store next
 *                                         reads it
 *     any, between turns                  when its file has grown beyond all bounds
 */
#include "store/sqlite/lite.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define LOOK_MS 250                     /* while nothing is stored */
#define BUSY_LOOK_MS 50
#define KEEPER_BUSY_MS 20               /* how long those who store may have to wait for us */
#define PAGES_WORTH_IT 2000             /* 8 MB; each time the disk is waited for three times */
#define PASSES 2

/* What was removed from the database still stands in the log until that is written over. So that
 * it is nowhere soon, the log's file is emptied now and then. */
#define EMPTY_MS 10000

/* The log begins anew by itself when all of it has been copied before more is stored. Under a
 * steady load that never is: beyond so many pages, 32 MB, others wait for the rest of it. */
#define PAGES_MOST 8192

#define WAL_LEFT (1 << 20)              /* bytes: some fifty requests, read in half a millisecond */
#define WAL_MOST 64000000               /* bytes; twice what the keeper lets it have */
#define WAL_PATIENCE_MS 50

/* ---- having one */

/* SQLite's WAL needs memory shared between processes, which these cannot give. */
static bool on_network_file_system(const char *dir)
{
    static const unsigned long network[] = { 0x6969 /* NFS */, 0x517b /* SMB */,
                                             0xfe534d42 /* SMB2 */, 0xff534d42 /* CIFS */,
                                             0x01021997 /* 9P */ };
    struct statfs fs;

    if (statfs(dir, &fs) == -1)
        return false;
    for (size_t i = 0; i < sizeof network / sizeof network[0]; i++)
        if ((unsigned long)fs.f_type == network[i])
            return true;
    return false;
}

bool engine_is_on_network(const struct settings *set)
{
    return on_network_file_system(set->store);
}

int wal_begin(struct engine *e, struct buf *why)
{
    char mode[16] = "";
    bool network = on_network_file_system(e->set->store);

    /* The journal mode lasts in the file; asking for what it has already takes no lock. */
    if (!db_scalar_text(e->db,
                        network ? "PRAGMA journal_mode = TRUNCATE" : "PRAGMA journal_mode = WAL",
                        mode, sizeof mode))
        return lite_explain(e, "open the database", why);
    if (strcmp(mode, "wal") != 0)
        log_line(P110, NULL,
                 "%s: no write-ahead log (journal mode %s%s): slower, and readers "
                 "may delay the server; use a local disk",
                 e->set->store, mode, network ? ", network file system" : "");
    return 0;
}

static off_t wal_bytes(const struct engine *e)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/pollux.db-wal", e->set->store);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* ---- by those who serve */

/* Not where less is kept than was said: the log has all of it. */
void engine_serves_once(struct engine *e)
{
    e->wal.leave = e->set->keep_payloads && e->set->keep_addresses;
}

void wal_end(struct engine *e)
{
    off_t bytes = e->wal.leave ? wal_bytes(e) : -1;

    if (bytes >= 0 && bytes <= WAL_LEFT)
        db_leave_wal(e->db);
}

int engine_has_keeper(struct engine *e, struct buf *why)
{
    e->wal.has_keeper = true;
    return db_exec(e->db, "PRAGMA wal_autocheckpoint = 0") == 0
               ? 0
               : lite_explain(e, "set up the database", why);
}

/* SQLite begins its write-ahead log anew when it has been copied and nobody reads. While several
 * processes are busy somebody always does, and the log would grow for as long. */
static void bound_wal(struct engine *e)
{
    int pages, copied;

    if (wal_bytes(e) > WAL_MOST)
        db_checkpoint(e->db, DB_EMPTY, WAL_PATIENCE_MS, &pages, &copied);
}

/* Where no other process keeps the log short, what was removed is taken out of it here; not by
 * those that answer and end. */
static void empty_wal(struct engine *e, int64_t now)
{
    int pages = 0, copied = 0;

    if (e->wal.empty_ms == 0)
        e->wal.empty_ms = now + EMPTY_MS;
    if (e->wal.has_keeper || now < e->wal.empty_ms)
        return;
    db_checkpoint(e->db, DB_EMPTY, WAL_PATIENCE_MS, &pages, &copied);
    if (pages == 0)
        e->wal.empty_ms = now + EMPTY_MS;
}

void wal_tend(struct engine *e, int64_t now)
{
    bound_wal(e);
    empty_wal(e, now);
}

/* ---- by the keeper */

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
        db_checkpoint(k->db, DB_RESTART, KEEPER_BUSY_MS, &pages, &copied);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Let the log's file be empty, unless somebody reads or writes all the time: then it is tried
 * again. */
static void empty(struct keeper *k)
{
    int pages = 0, copied = 0;

    copy(k);
    db_checkpoint(k->db, DB_EMPTY, KEEPER_BUSY_MS, &pages, &copied);
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
    if (db_open(&k->db, path, DB_WRITE, KEEPER_BUSY_MS) == -1
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

/* Until it can be done: whoever started this process would only start another one. */
static void open_patiently(struct keeper *k, const struct settings *set)
{
    struct timespec pause = { 1, 0 };

    while (open_keeper(k, set) == -1) {
        log_often(P121, NULL,
                  "cannot keep the write-ahead log in %s short: %s; it will be tried again",
                  set->store, db_error(k->db));
        db_close(k->db);
        nanosleep(&pause, NULL);
    }
}

void engine_keep(const struct settings *set)
{
    struct keeper k = { .index = -1 };

    open_patiently(&k, set);
    for (;;) {
        int ms = keep_short(&k);
        struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };
        nanosleep(&pause, NULL);
    }
}
