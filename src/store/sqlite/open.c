/* open.c - the store in one SQLite file: opening and upgrading it, and the turn's transaction. */
#include "store/sqlite/engine.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "store/sqlite/format.h"
#include "sql_schema.h"
#include "sql_upgrade_1.h"
#include "sql_upgrade_2.h"
#include "sql_upgrade_3.h"
#include "sql_upgrade_4.h"
#include "sql_views.h"

/* how long a turn waits for another process: some clients lose what is answered 503 */
#define BUSY_MS 10000
#define WAL_LEFT (1 << 20)              /* bytes: some fifty requests, read in half a millisecond */
#define OPEN_TRIES 100                  /* 10 ms apart, besides SQLite's own waiting */

static const char *const statements[] = {
#define X(name, sql) sql,
    SQL_QUERIES(X)
#undef X
};

/* ---- failing */

static const char *advice(enum db_cause cause)
{
    switch (cause) {
    case DB_CAUSE_BUSY:
        return "another program keeps the database locked; close it or let it finish";
    case DB_CAUSE_FULL:
        return "free some space on that disk; it goes on by itself";
    case DB_CAUSE_READONLY:
        return "make the file, its directory and its file system writable for this user";
    case DB_CAUSE_CORRUPT:
        return "stop the server, look at it with `polluxctl check`, restore or remove the file";
    case DB_CAUSE_MEMORY:
        return "give the machine more memory or lower the limits";
    default:
        return "see whether the disk and its file system are well";
    }
}

void store_fail(struct store *s, const char *operation)
{
    if (s->failed)
        return;
    s->failed = true;
    snprintf(s->why, sizeof s->why, "cannot %s in %s/pollux.db: %s; %s", operation, s->set->store,
             db_error(s->db), advice(db_cause(s->db)));
    if (s->begun)
        db_refuse(s->db, true);
}

void store_check(struct store *s, int code, const char *operation)
{
    if (code == -1)
        store_fail(s, operation);
}

void store_lacks(struct store *s, const char *what)
{
    if (s->failed)
        return;
    s->failed = true;
    snprintf(s->why, sizeof s->why, "cannot %s", what);
}

void store_no_memory(struct store *s)
{
    store_lacks(s, "make a message: out of memory; give the machine more or lower the limits");
}

bool store_failed(const struct store *s)
{
    return s->failed;
}

const char *store_why(struct store *s)
{
    return s->why;
}

void store_put_id(struct db_query *q, int i, int64_t id)
{
    if (id != 0)
        db_put_int(q, i, id);
    else
        db_put_null(q, i);
}

/* ---- opening */

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

static int make_directory(const char *dir, struct buf *why)
{
    struct stat st;

    if (mkdir(dir, 0700) == 0)
        return 0;
    int error = errno;
    if (error != EEXIST) {
        buf_addf(why,
                 "cannot create the store directory %s: %s; create it, or name another with the "
                 "key `store`",
                 dir, strerror(error));
        return -1;
    }
    if (stat(dir, &st) == -1 || !S_ISDIR(st.st_mode)) {
        buf_addf(why,
                 "cannot use %s as the store directory: it is not a directory; remove it, or name "
                 "another "
                 "with the key `store`",
                 dir);
        return -1;
    }
    if (access(dir, W_OK | X_OK) == -1) {
        buf_addf(why,
                 "cannot write to the store directory %s: %s; make it writable for the user that "
                 "the web "
                 "server runs this program as (uid %ld)",
                 dir, strerror(errno), (long)geteuid());
        return -1;
    }
    return 0;
}

int store_explain(struct store *s, const char *operation, struct buf *why)
{
    s->failed = false;
    store_fail(s, operation);
    buf_clear(why);
    buf_add_text(why, s->why);
    return -1;
}

static int set_journal(struct store *s, struct buf *why)
{
    char mode[16] = "";
    bool network = on_network_file_system(s->set->store);

    /* The journal mode lasts in the file; asking for what it has already takes no lock. */
    if (!db_scalar_text(s->db,
                        network ? "PRAGMA journal_mode = TRUNCATE" : "PRAGMA journal_mode = WAL",
                        mode, sizeof mode))
        return store_explain(s, "open the database", why);
    if (strcmp(mode, "wal") != 0)
        log_line(P110, NULL,
                 "%s: no write-ahead log (journal mode %s%s): slower, and readers "
                 "may delay the server; use a local disk",
                 s->set->store, mode, network ? ", network file system" : "");
    return 0;
}

static int set_up_connection(struct store *s, struct buf *why)
{
    if (db_exec(s->db, s->set->durability == DURABILITY_FULL ? "PRAGMA synchronous = FULL"
                                                             : "PRAGMA synchronous = NORMAL")
            == -1
        /* what is removed leaves no text behind, not even where a page was split before */
        || db_exec(s->db, "PRAGMA secure_delete = ON") == -1
        || db_exec(s->db, "PRAGMA temp_store = MEMORY") == -1)
        return store_explain(s, "set up the database", why);
    return 0;
}

static int write_version(struct store *s)
{
    char pragmas[96];

    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             STORE_APPLICATION_ID, STORE_VERSION);
    return db_exec(s->db, pragmas);
}

static int create(struct store *s, struct buf *why)
{
    if (db_scalar(s->db, "SELECT count(*) FROM sqlite_schema", -1) != 0) {
        buf_addf(
            why,
            "cannot use %s/pollux.db: it is another program's database; remove it, or name another "
            "directory with the key `store`",
            s->set->store);
        return -1;
    }
    if (db_exec(s->db, SQL_SCHEMA) == -1 || db_exec(s->db, SQL_VIEWS) == -1
        || write_version(s) == -1)
        return store_explain(s, "create the tables", why);
    return 0;
}

/* From VERSION to the next. */
static int upgrade_step(struct store *s, int64_t version, struct buf *why)
{
    static const char *const steps[STORE_VERSION] = { [1] = SQL_UPGRADE_1, [2] = SQL_UPGRADE_2,
                                                      [3] = SQL_UPGRADE_3, [4] = SQL_UPGRADE_4 };

    if (db_exec(s->db, steps[version]) == -1 || write_version(s) == -1)
        return store_explain(s, "upgrade the tables", why);
    return 0;
}

/* The file's version; -1: it cannot be used, and WHY says why. */
static int64_t read_version(struct store *s, struct buf *why)
{
    int64_t version = db_scalar(s->db, "PRAGMA user_version", -1);

    if (version == -1)
        return store_explain(s, "open the database", why);
    if (version > STORE_VERSION) {
        buf_addf(why,
                 "cannot use %s/pollux.db: a newer version of this program wrote it (schema %lld, "
                 "this one knows "
                 "%d); run that version, or name another directory with the key `store`",
                 s->set->store, (long long)version, STORE_VERSION);
        return -1;
    }
    return version;
}

/* Bring the file to STORE_VERSION. Several processes may try at once: the first does it. */
static int upgrade(struct store *s, struct buf *why)
{
    if (db_exec(s->db, "BEGIN IMMEDIATE") == -1)
        return store_explain(s, "open the database", why);
    int64_t version = read_version(s, why);
    int code = version == -1 ? -1 : version == 0 ? create(s, why) : 0;
    for (; code == 0 && version > 0 && version < STORE_VERSION; version++)
        code = upgrade_step(s, version, why);
    if (code == 0 && db_exec(s->db, "COMMIT") == -1)
        code = store_explain(s, "create the tables", why);
    if (code == -1)
        db_exec(s->db, "ROLLBACK");
    return code;
}

/* Make the file ready, whatever state it is in. A newer version's is not touched. */
static int prepare(struct store *s, struct buf *why)
{
    int64_t version = read_version(s, why);

    if (version == -1 || set_journal(s, why) == -1 || set_up_connection(s, why) == -1)
        return -1;
    return version == STORE_VERSION ? 0 : upgrade(s, why);
}

/* The same, patiently: another process that opens or leaves the file at this moment may lock it
 * without SQLite's waiting for it. */
static int prepare_patiently(struct store *s, struct buf *why)
{
    struct timespec pause = { 0, 10000000L };
    int code;

    for (int tries = 0;
         (code = prepare(s, why)) == -1 && db_cause(s->db) == DB_CAUSE_BUSY && tries < OPEN_TRIES;
         tries++)
        nanosleep(&pause, NULL);
    if (code == 0)
        buf_clear(why);
    return code;
}

int store_open(struct store **out, const struct settings *set, struct buf *why)
{
    char path[PATH_MAX];
    struct store *s = calloc(1, sizeof *s);

    *out = s;
    if (s == NULL) {
        buf_add_text(why, "cannot open the store: out of memory");
        return -1;
    }
    s->set = set;
    s->wake.bell = s->wake.watch = -1;
    s->rest.newer = s->rest.older = &s->rest;
    s->epoch = 1;
    if (getrandom(&s->seen.key, sizeof s->seen.key, 0) == -1)
        s->seen.key = (uint64_t)(uintptr_t)s;
    if (make_directory(set->store, why) == -1)
        goto fail;
    snprintf(path, sizeof path, "%s/pollux.db", set->store);
    if (db_open(&s->db, path, true, false, BUSY_MS) == -1) {
        store_explain(s, "open the database", why);
        goto fail;
    }
    if (prepare_patiently(s, why) == -1)
        goto fail;
    if (db_prepare(s->db, statements, Q_COUNT) == -1) {
        store_explain(s, "prepare the statements", why);
        goto fail;
    }
    if (store_open_bell(s, why) == -1)
        goto fail;
    s->failed = false;
    return 0;

fail:
    store_close(s);
    *out = NULL;
    return -1;
}

int store_probe(const struct settings *set, struct buf *why)
{
    char path[PATH_MAX];
    struct stat st;
    struct store s = { .set = set };
    int code = 0;

    if (stat(set->store, &st) == -1 && errno == ENOENT) {
        snprintf(path, sizeof path, "%s", set->store);
        if (access(dirname(path), W_OK | X_OK) == 0)
            return 0;                   /* it will be created */
    }
    if (make_directory(set->store, why) == -1)
        return -1;
    snprintf(path, sizeof path, "%s/pollux.db", set->store);
    if (stat(path, &st) == -1 && errno == ENOENT)
        return 0;
    if (access(path, W_OK) == -1) {
        buf_addf(why, "cannot write to %s: %s; make it writable for this user (uid %ld)", path,
                 strerror(errno), (long)geteuid());
        return -1;
    }
    if (db_open(&s.db, path, false, true, BUSY_MS) == -1)
        code = store_explain(&s, "open the database", why);
    else if (read_version(&s, why) == -1)
        code = -1;
    db_close(s.db);
    return code;
}

/* What is left in the write-ahead log is read by whoever opens the store next. */
static bool is_wal_short(const struct store *s)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/pollux.db-wal", s->set->store);
    return stat(path, &st) == 0 && st.st_size <= WAL_LEFT;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    if (s->leave_wal && is_wal_short(s))
        db_leave_wal(s->db);
    store_forget(s);
    store_release_rooms(s);
    store_close_bell(s);
    free(s->deliveries);
    free(s->said);
    seen_clear(&s->seen);
    buf_release(&s->marks);
    buf_release(&s->words);
    buf_release(&s->scratch);
    db_close(s->db);
    free(s);
}

int store_is_kept(struct store *s, struct buf *why)
{
    s->kept = true;
    return db_exec(s->db, "PRAGMA wal_autocheckpoint = 0") == 0
               ? 0
               : store_explain(s, "set up the database", why);
}

void store_leave_wal(struct store *s)
{
    s->leave_wal = s->set->keep_payloads && s->set->keep_addresses;
}

/* ---- the turn's transaction */

bool store_begin(struct store *s)
{
    if (s->failed)
        return false;
    if (!s->begun) {
        /* where there was no memory for rolling back either */
        if (db_in_transaction(s->db))
            store_check(s, db_run(db_query(s->db, Q_turn_rollback)), "end a failed transaction");
        if (!s->failed)
            store_check(s, db_run(db_query(s->db, Q_turn_begin)), "begin a transaction");
        s->begun = !s->failed;
        if (s->begun)
            store_check_cache(s);
    }
    return s->begun && !s->failed;
}

int store_commit(struct store *s)
{
    if (!s->begun && !s->failed) {
        store_rest(s);
        return 0;
    }
    store_write_deliveries(s);
    store_write_sessions(s);
    store_write_requests(s);
    if (!s->failed)
        store_check(s, db_run(db_query(s->db, Q_turn_commit)), "commit a transaction");
    if (s->failed)
        return -1;
    s->begun = false;
    store_hold_committed(s);
    store_rest(s);
    store_ring(s);
    return 0;
}

bool store_begun(const struct store *s)
{
    return s->begun;
}

void store_rollback(struct store *s)
{
    db_refuse(s->db, false);
    if (s->begun && db_in_transaction(s->db))
        db_run(db_query(s->db, Q_turn_rollback));
    s->begun = false;
    s->failed = false;
    s->wake.ring = false;
    store_hold_undone(s);
    store_forget(s);
    store_forget_requests(s);
}

int64_t store_written(struct store *s)
{
    return db_total_changes(s->db) + (int64_t)(s->delivery_count - s->delivery_rows);
}

/* ---- figures */

int store_figures(struct store *s, struct store_figures *f)
{
    struct db_query *q = db_query(s->db, Q_store_figures);

    *f = (struct store_figures){ 0 };
    if (db_next(q) == DB_ROW)
        *f = (struct store_figures){ .sessions = db_int(q, 0),
                                     .sockets = db_int(q, 1),
                                     .channels = db_int(q, 2),
                                     .queued = db_int(q, 3),
                                     .log_rows = db_int(q, 4) };
    stats_sizes(f, s->set->store);
    int code = db_done(q);
    if (s->begun)
        store_check(s, code, "count what there is");
    return code;
}
