/* test_power.c - the power fails: of what was written and not synced, the disk has anything or
 * nothing.
 *
 * SQLite's file layer is stood in for by one that notes each write, each sync and each `ok` of a
 * conversation. From these notes the files are made as a disk might have them when the power fails
 * at some moment: all that was synced, and of the rest nothing, all, some of it in any order, or
 * the beginning with its last write torn. Each is opened with SQLite's own file layer and looked
 * at. POLLUX_TEST_COUNT=N tries N moments of each kind instead of a few, from POLLUX_TEST_SEED
 * on. */
#include "rig.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "store/sqlite/lite.h"
#include "store/work.h"

#define MESSAGES 120
#define MOMENTS 40
#define SECTOR 512
#define OPS 20000
#define IMAGE_MAX (16 << 20)

/* ---- what happened, in order */

enum op_kind { OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_OK };
enum which { DATABASE, LOG_FILE, FILES };

static struct op {
    enum op_kind kind;
    enum which file;
    int64_t at;                         /* of an `ok`: how many messages have had theirs */
    int len;
    char *data;
} ops[OPS];
static size_t op_count;
static bool noting;

static void note(struct op op, const void *data)
{
    if (!noting)
        return;
    assert_true(op_count < OPS);
    if (op.len != 0) {
        op.data = malloc((size_t)op.len);
        assert_non_null(op.data);
        memcpy(op.data, data, (size_t)op.len);
    }
    ops[op_count++] = op;
}

static void forget_ops(void)
{
    while (op_count != 0)
        free(ops[--op_count].data);
}

/* ---- the file layer: the real one, with three of its functions watched */

static sqlite3_vfs *real_vfs;
static const sqlite3_io_methods *real_methods[FILES];
static sqlite3_io_methods watched[FILES];
static sqlite3_file *log_file;          /* all others that are watched are the database */

static enum which which(const sqlite3_file *f)
{
    return f == log_file ? LOG_FILE : DATABASE;
}

static int w_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    note((struct op){ OP_WRITE, which(f), at, len, NULL }, data);
    return real_methods[which(f)]->xWrite(f, data, len, at);
}

static int w_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    note((struct op){ OP_TRUNCATE, which(f), size, 0, NULL }, NULL);
    return real_methods[which(f)]->xTruncate(f, size);
}

static int w_sync(sqlite3_file *f, int flags)
{
    note((struct op){ OP_SYNC, which(f), 0, 0, NULL }, NULL);
    return real_methods[which(f)]->xSync(f, flags);
}

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    int code = real_vfs->xOpen(real_vfs, name, f, flags, out);

    (void)v;
    if (code != SQLITE_OK || !noting || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        return code;
    if (flags & SQLITE_OPEN_WAL)
        log_file = f;
    enum which file = which(f);
    real_methods[file] = f->pMethods;
    watched[file] = *f->pMethods;
    watched[file].xWrite = w_write;
    watched[file].xTruncate = w_truncate;
    watched[file].xSync = w_sync;
    f->pMethods = &watched[file];
    return code;
}

static void register_vfs(void)
{
    static sqlite3_vfs vfs;

    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "noting";
    vfs.xOpen = v_open;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- the conversation */

/* SQL is done to the store before. The store is opened while noting, so that nothing is missing. */
static void converse(const char *durability, const char *sql)
{
    const char *const keys[] = { "POLLUX_LOG_EVENTS=no", durability, NULL };
    struct rig r;
    struct client a, b;
    char body[512];

    forget_ops();
    log_file = NULL;
    noting = true;
    rig_open(&r, keys);
    assert_int_equal(db_exec(r.store->engine->db, "PRAGMA wal_autocheckpoint = 40"), 0);
    if (sql != NULL)
        assert_int_equal(db_exec(r.store->engine->db, sql), 0);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    for (int i = 1; i <= MESSAGES; i++) {
        snprintf(body, sizeof body, "42[\"message\",%d,\"%0*d\"]", i, 10 + i % 7 * 60, 0);
        assert_string_equal(client_post(&a, body), "200 ok");
        note((struct op){ OP_OK, DATABASE, i, 0, NULL }, NULL);
        client_hear(&b);
        r.now += 10;
    }
    noting = false;
    rig_close(&r);
}

/* ---- what the disk has */

enum rest { NOTHING, ALL, SOME, TORN, RESTS };  /* of what was not synced */

static struct image {
    char *data;
    int64_t len;
} images[FILES];

static void apply(struct image *image, const struct op *op, int len)
{
    if (op->kind == OP_TRUNCATE) {
        if (op->at < image->len)
            image->len = op->at;
        return;
    }
    assert_true(op->at + len <= IMAGE_MAX);
    if (op->at > image->len)
        memset(image->data + image->len, 0, (size_t)(op->at - image->len));
    memcpy(image->data + op->at, op->data, (size_t)len);
    if (op->at + len > image->len)
        image->len = op->at + len;
}

/* Make FILE as it may be when the power fails before operation MOMENT. */
static void make_image(enum which file, size_t moment, enum rest rest)
{
    struct image *image = &images[file];
    size_t synced = 0, last = 0;

    image->len = 0;
    for (size_t i = 0; i < moment; i++)
        if (ops[i].file == file && ops[i].kind == OP_SYNC)
            synced = i;
    if (rest == TORN && moment > synced)
        last = synced + (size_t)random() % (moment - synced);
    for (size_t i = 0; i < moment; i++) {
        const struct op *op = &ops[i];
        if (op->file != file || (op->kind != OP_WRITE && op->kind != OP_TRUNCATE))
            continue;
        if (i > synced
            && (rest == NOTHING || (rest == SOME && random() % 2 == 0)
                || (rest == TORN && i > last)))
            continue;
        int sectors = op->len / SECTOR;
        bool torn = i > synced && rest == TORN && i == last && sectors > 0;
        apply(image, op, torn ? (int)(random() % sectors) * SECTOR : op->len);
    }
}

static void write_image(const char *path, const struct image *image)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(image->data, 1, (size_t)image->len, f), image->len);
    assert_int_equal(fclose(f), 0);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    int64_t value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK
        && sqlite3_step(stmt) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        value = text != NULL && strcmp(text, "ok") == 0 ? 1 : sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return value;
}

/* What is wrong with the store that the power left; NULL: nothing. ACKNOWLEDGED messages had their
 * ok, and all of them have to be there if NONE_MISSING. */
static const char *examine(const char *dir, int64_t acknowledged, bool none_missing)
{
    char path[128];
    sqlite3 *db;
    const char *wrong = NULL;

    snprintf(path, sizeof path, "%s/pollux.db", dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    int64_t tables = number(db, "SELECT count(*) FROM sqlite_schema");
    int64_t count = tables <= 0 ? 0
        : number(db, "SELECT count(*) FROM message WHERE name = 'message'");
    int64_t last = count <= 0 ? 0 : number(db, "SELECT max(json_extract(body, '$[1]')) FROM message"
                                               " WHERE name = 'message'");
    if (number(db, "PRAGMA integrity_check") != 1)
        wrong = "the file is not sound";
    else if (count != last)
        wrong = "something in between is missing";
    else if (none_missing && count < acknowledged)
        wrong = "something acknowledged is missing";
    sqlite3_close(db);
    return wrong;
}

/* The program opens what is left as any other store. */
static bool opens(const char *dir)
{
    char store[128], *envp[] = { store, NULL };
    struct buf why = BUF_EMPTY;
    struct settings set;
    struct store *s;

    snprintf(store, sizeof store, "POLLUX_STORE=%s", dir);
    assert_int_equal(settings_read(&set, NULL, envp, &why), 0);
    bool opened = store_open(&s, &set, &why) == 0;
    if (!opened)
        print_error("%s\n", buf_text(&why));
    store_close(s);
    settings_release(&set);
    buf_release(&why);
    return opened;
}

static int64_t acknowledged_before(size_t moment)
{
    int64_t count = 0;

    for (size_t i = 0; i < moment; i++)
        if (ops[i].kind == OP_OK)
            count = ops[i].at;
    return count;
}

static long setting(const char *name, long fallback)
{
    const char *value = getenv(name);

    return value != NULL ? strtol(value, NULL, 10) : fallback;
}

/* Let the power fail at many moments. Returns how often something was wrong. */
static int fail_power(bool none_missing, bool quiet)
{
    char dir[] = "/tmp/pollux-power-XXXXXX", path[96];
    static const char *const names[FILES] = { "pollux.db", "pollux.db-wal" };
    long moments = setting("POLLUX_TEST_COUNT", MOMENTS);
    int wrongs = 0;

    assert_non_null(mkdtemp(dir));
    srandom((unsigned)setting("POLLUX_TEST_SEED", 1));
    for (long n = 0; n < moments * RESTS; n++) {
        size_t moment = 1 + (size_t)random() % op_count;
        for (int file = 0; file < FILES; file++) {
            make_image((enum which)file, moment, (enum rest)(n % RESTS));
            snprintf(path, sizeof path, "%s/%s", dir, names[file]);
            write_image(path, &images[file]);
        }
        snprintf(path, sizeof path, "%s/pollux.db-shm", dir);
        unlink(path);
        const char *wrong = examine(dir, acknowledged_before(moment), none_missing);
        if (wrong == NULL && n % 16 < RESTS && !opens(dir))
            wrong = "the program does not open it";
        if (wrong != NULL && !quiet)
            print_error("moment %zu of %zu, rest %ld: %s\n", moment, op_count, n % RESTS, wrong);
        wrongs += wrong != NULL;
    }
    for (int file = 0; file < FILES; file++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[file]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/pollux.db-shm", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/bell", dir);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
    return wrongs;
}

static void with_full_durability_nothing_acknowledged_is_missing(void **state)
{
    (void)state;
    converse("POLLUX_DURABILITY=full", NULL);
    assert_int_equal(fail_power(true, false), 0);
}

static void with_normal_durability_the_file_is_sound_and_one_tail_is_missing(void **state)
{
    (void)state;
    converse("POLLUX_DURABILITY=normal", NULL);
    assert_int_equal(fail_power(false, false), 0);
    assert_true(fail_power(true, true) > 0);            /* that is what full is for */
}

/* What this test is worth: a store that never syncs loses much. */
static void without_syncs_losses_are_found(void **state)
{
    (void)state;
    converse("POLLUX_DURABILITY=full", "PRAGMA synchronous = OFF");
    assert_true(fail_power(true, true) > 0);
    assert_true(fail_power(false, true) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_full_durability_nothing_acknowledged_is_missing),
        cmocka_unit_test(with_normal_durability_the_file_is_sound_and_one_tail_is_missing),
        cmocka_unit_test(without_syncs_losses_are_found),
    };

    register_vfs();
    log_set_level(LOG_ERROR);
    for (int file = 0; file < FILES; file++)
        assert_non_null(images[file].data = malloc(IMAGE_MAX));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    forget_ops();
    for (int file = 0; file < FILES; file++)
        free(images[file].data);
    return failed;
}
