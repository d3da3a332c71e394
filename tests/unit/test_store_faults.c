/* test_store_faults.c - the disk and the memory fail, call by call: nobody is told `ok` falsely,
 * nothing is heard twice, and it goes on by itself. And what was copied off a running store at any
 * moment is sound, and holds what had its `ok`.
 *
 * SQLite's file layer is stood in for by one that passes everything on but the call that is to
 * fail. POLLUX_TEST_COUNT=N tries up to N places of each kind of fault instead of a few, and
 * POLLUX_TEST_PART=I/N only the Ith of each N of them, for N programs side by side:
 * tests/faults. */
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"

#define PLACES 25
#define MESSAGES 8

/* ---- what fails, and when */

enum kind { KIND_IO, KIND_FULL, KIND_BUSY, KIND_SHORT, KIND_SYNC, KIND_MEMORY, KINDS };

static const char *const kind_names[] = { "I/O error", "disk full", "busy", "short read",
                                          "failed sync", "no memory" };

static struct {
    bool armed;
    enum kind kind;
    int64_t calls;                      /* of the kind, since it was armed */
    int64_t nth;                        /* fail this one; 0: only count */
    int64_t length;                     /* and those after it, so many in all */
    int64_t fired;
} fault;

static bool strikes(enum kind kind)
{
    if (!fault.armed || fault.kind != kind)
        return false;
    fault.calls++;
    if (fault.nth == 0 || fault.calls < fault.nth || fault.calls >= fault.nth + fault.length)
        return false;
    fault.fired++;
    return true;
}

/* ---- the file layer */

static sqlite3_vfs *real_vfs;

struct file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct file *)f)->real;
}

static int f_close(sqlite3_file *f)
{
    sqlite3_file *real = real_of(f);

    return real->pMethods != NULL ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int f_read(sqlite3_file *f, void *out, int len, sqlite3_int64 at)
{
    if (strikes(KIND_IO))
        return SQLITE_IOERR_READ;
    if (strikes(KIND_SHORT)) {
        memset(out, 0, (size_t)len);
        return SQLITE_IOERR_SHORT_READ;
    }
    return real_of(f)->pMethods->xRead(real_of(f), out, len, at);
}

static int f_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    if (strikes(KIND_IO))
        return SQLITE_IOERR_WRITE;
    if (strikes(KIND_FULL)) {           /* some of it went in */
        real_of(f)->pMethods->xWrite(real_of(f), data, len / 2, at);
        return SQLITE_FULL;
    }
    return real_of(f)->pMethods->xWrite(real_of(f), data, len, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return strikes(KIND_IO) ? SQLITE_IOERR_TRUNCATE
                            : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int f_sync(sqlite3_file *f, int flags)
{
    return strikes(KIND_IO) || strikes(KIND_SYNC) ? SQLITE_IOERR_FSYNC
                                                  : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int f_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return strikes(KIND_IO) ? SQLITE_IOERR_FSTAT
                            : real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int f_lock(sqlite3_file *f, int level)
{
    return strikes(KIND_IO)     ? SQLITE_IOERR_LOCK
           : strikes(KIND_BUSY) ? SQLITE_BUSY
                                : real_of(f)->pMethods->xLock(real_of(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int f_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int f_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return strikes(KIND_IO) ? SQLITE_IOERR_SHMMAP
                            : real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    if (flags & SQLITE_SHM_LOCK) {
        if (strikes(KIND_IO))
            return SQLITE_IOERR_SHMLOCK;
        if (strikes(KIND_BUSY))
            return SQLITE_BUSY;
    }
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int f_shm_unmap(sqlite3_file *f, int delete)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static const sqlite3_io_methods methods = {
    2,         f_close,    f_read,    f_write,  f_truncate, f_sync,    f_size,     f_lock,
    f_unlock,  f_reserved, f_control, f_sector, f_device,   f_shm_map, f_shm_lock, f_shm_barrier,
    f_shm_unmap, NULL, NULL
};

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct file *file = (struct file *)f;

    (void)v;
    file->base.pMethods = NULL;
    if (strikes(KIND_IO))
        return SQLITE_CANTOPEN;
    file->real = (sqlite3_file *)(file + 1);
    int code = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
    if (code == SQLITE_OK)
        file->base.pMethods = &methods;
    return code;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v;
    return strikes(KIND_IO) ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
}

static void register_vfs(void)
{
    static sqlite3_vfs vfs;

    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
    vfs.xOpen = v_open;
    vfs.xDelete = v_delete;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- memory: ours, and SQLite's */

static sqlite3_mem_methods real_memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    return strikes(KIND_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return strikes(KIND_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return strikes(KIND_MEMORY) ? NULL : __real_realloc(p, size);
}

static void *lite_malloc(int size)
{
    return strikes(KIND_MEMORY) ? NULL : real_memory.xMalloc(size);
}

static void *lite_realloc(void *p, int size)
{
    return strikes(KIND_MEMORY) ? NULL : real_memory.xRealloc(p, size);
}

static void hook_memory(void)
{
    sqlite3_mem_methods hooked;

    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    hooked = real_memory;
    hooked.xMalloc = lite_malloc;
    hooked.xRealloc = lite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &hooked), SQLITE_OK);
}

/* ---- a conversation whose clients repeat what fails */

struct talker {
    struct rig *rig;
    char sid[32], id[32], pid[32], offset[32];
    int t, poll, poll_t;
    int heard[64], heard_count;
};

static bool failed(const char *answer)
{
    return strncmp(answer, "503 ", 4) == 0 || strcmp(answer, "200 ") == 0;
}

/* Ask until it works; after the second failure the fault is mended. Returns the request. */
static int send(struct talker *k, const char *method, const char *body)
{
    char query[128];
    int n = -1;

    snprintf(query, sizeof query, "EIO=4&transport=polling&t=t%d%s%s", k->t++,
             k->sid[0] != '\0' ? "&sid=" : "", k->sid);
    for (int tries = 0; tries < 6; tries++) {
        n = rig_send(k->rig, method, query, body);
        const char *answer = rig_answer(k->rig, n);
        if (answer == NULL || !failed(answer))
            return n;
        if (tries == 1)
            fault.armed = false;
        rig_wait(k->rig, 300);
    }
    fail_msg("it does not go on by itself: %s", rig_answer(k->rig, n));
    return n;
}

static void pick(const char *text, const char *key, char *out)
{
    const char *at = strstr(text, key);

    if (at != NULL)
        snprintf(out, 32, "%.*s", (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

static void post(struct talker *k, const char *body)
{
    assert_string_equal(rig_answer(k->rig, send(k, "POST", body)), "200 ok");
}

static void note(struct talker *k, const char *answer)
{
    int number;
    char quote;

    pick(answer, "40{\"sid\":\"", k->id);
    pick(answer, "\"pid\":\"", k->pid);
    for (const char *at = answer; (at = strstr(at, "\"m")) != NULL; at += 2)
        if (sscanf(at, "\"m%d%c", &number, &quote) == 2 && quote == '"') {   /* no id */
            assert_true(k->heard_count < 64);
            k->heard[k->heard_count++] = number;
        }
    for (const char *at = answer; (at = strstr(at, "[\"pollux\"")) != NULL; at += 2)
        pick(at, "\"pollux\",\"", k->offset);
}

/* Poll until a poll is held; a poll that was held through a failing turn may have been refused. */
static void hear(struct talker *k)
{
    for (int i = 0; i < 50; i++) {
        if (k->poll == -1) {
            k->poll_t = k->t;
            k->poll = send(k, "GET", "");
        }
        const char *answer = rig_answer(k->rig, k->poll);
        if (answer == NULL) {
            rig_turn(k->rig, true);
            if (rig_answer(k->rig, k->poll) == NULL)
                return;
            continue;
        }
        if (failed(answer)) {           /* the same poll again */
            int t = k->t;
            k->t = k->poll_t;
            k->poll = send(k, "GET", "");
            k->t = t;
            continue;
        }
        note(k, answer);
        k->poll = -1;
    }
    fail_msg("polling does not end");
}

static void connect(struct talker *k, struct rig *r)
{
    char body[128];

    k->rig = r;
    k->poll = -1;
    k->sid[0] = '\0';
    const char *answer = rig_answer(r, send(k, "GET", ""));
    assert_starts(answer, "200 0{");
    pick(answer, "\"sid\":\"", k->sid);
    snprintf(body, sizeof body, k->pid[0] != '\0' ? "40{\"pid\":\"%s\",\"offset\":\"%s\"}" : "40",
             k->pid, k->offset);
    post(k, body);
}

/* The chapter, and a recovery. All that got its ok is heard, once and in order. */
static void converse(enum kind kind, int64_t nth, int64_t length, const char *durability)
{
    const char *const keys[] = { "POLLUX_LOG_LEVEL=error", durability, NULL };
    struct rig r;
    struct talker a = { .t = 0 }, b = { .t = 1000 };
    char body[96], id[32];
    int next = 0;

    fault.armed = false;
    rig_open(&r, keys);
    fault.kind = kind;
    fault.nth = nth;
    fault.length = length;
    fault.calls = fault.fired = 0;
    fault.armed = true;
    connect(&a, &r);
    hear(&a);
    post(&a, "42[\"create or join\",\"room\"]");
    connect(&b, &r);
    hear(&b);
    post(&b, "42[\"create or join\",\"room\"]");
    hear(&a);
    hear(&b);
    for (; next < MESSAGES / 2; next++) {
        snprintf(body, sizeof body, "42[\"message\",{\"channel\":\"room\",\"message\":\"m%d\"}]",
                 next);
        post(&a, body);
        if (next % 2 == 0)
            hear(&b);
    }
    hear(&a);
    /* b is lost with an answer unseen, and comes back */
    strcpy(id, b.id);
    post(&b, "1");
    connect(&b, &r);
    hear(&b);
    assert_string_equal(b.id, id);
    for (; next < MESSAGES; next++) {
        snprintf(body, sizeof body, "42[\"chat\",\"m%d\"]", next);
        post(&a, body);
    }
    rig_wait(&r, 1100);
    hear(&b);
    fault.armed = false;
    rig_wait(&r, 300);
    hear(&b);
    if (b.heard_count != MESSAGES)
        print_error("%s, call %lld and %lld in all: heard %d\n", kind_names[kind], (long long)nth,
                    (long long)length, b.heard_count);
    for (int i = 0; i < b.heard_count && b.heard_count != MESSAGES; i++)
        print_error("m%d ", b.heard[i]);
    assert_int_equal(b.heard_count, MESSAGES);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(b.heard[i], i);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE name IN ('message', 'chat')"),
                     MESSAGES);
    rig_close(&r);
}

static int64_t places(void)
{
    const char *value = getenv("POLLUX_TEST_COUNT");

    return value != NULL && *value != '\0' ? strtoll(value, NULL, 10) : PLACES;
}

/* Is the next place one of this program's? */
static bool is_mine(void)
{
    static int64_t places_seen;
    const char *value = getenv("POLLUX_TEST_PART");
    int part, parts;

    if (value == NULL || sscanf(value, "%d/%d", &part, &parts) != 2 || parts < 1)
        return true;
    return places_seen++ % parts == part % parts;
}

static int64_t total, struck;

static void fail_in_turn(enum kind kind, int64_t length, const char *durability)
{
    converse(kind, 0, 0, durability);
    int64_t calls = fault.calls, most = places();
    int64_t step = calls > most ? calls / most : 1;

    for (int64_t nth = 1; nth <= calls; nth += step) {
        if (!is_mine())
            continue;
        converse(kind, nth, length, durability);
        total++;
        struck += fault.fired != 0;
    }
    print_message("%s, %lld calls, one in %lld failed%s: nothing lost, nothing doubled\n",
                  kind_names[kind], (long long)calls, (long long)step,
                  length > 1 ? " with those after it" : "");
}

#define NORMAL "POLLUX_DURABILITY=normal"
#define FULL "POLLUX_DURABILITY=full"
#define FOREVER INT64_C(1000000000)

static void one_call_fails(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        fail_in_turn((enum kind)kind, 1, kind == KIND_SYNC ? FULL : NORMAL);
}

static void all_calls_fail_until_mended(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        fail_in_turn((enum kind)kind, kind == KIND_BUSY ? 8 : FOREVER,
                     kind == KIND_SYNC ? FULL : NORMAL);
}

/* Opening either works or says why; then it works. */
static void opening_fails_with_a_reason(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        int64_t calls = INT64_MAX, most = places() * 2;
        for (int64_t nth = 1; nth <= calls; nth += calls > most && nth > 1 ? calls / most : 1) {
            struct rig r;
            struct buf why = BUF_EMPTY;
            struct store *s = NULL;
            struct settings set;
            char path[96];
            fault.armed = false;
            rig_open(&r, NULL);
            snprintf(path, sizeof path, "%s/other", r.dir);
            set = r.set;
            set.store = path;
            fault.kind = (enum kind)kind;
            fault.nth = nth;
            fault.length = kind == KIND_BUSY ? 3 : 1;
            fault.calls = fault.fired = 0;
            fault.armed = true;
            int code = store_open(&s, &set, &why);
            fault.armed = false;
            if (code == -1 && kind != KIND_MEMORY)
                assert_true(why.len != 0);
            if (code == 0)
                store_close(s);
            buf_clear(&why);
            if (store_open(&s, &set, &why) == -1)
                fail_msg("%s at call %lld: %s", kind_names[kind], (long long)nth, buf_text(&why));
            store_close(s);
            buf_release(&why);
            rig_close(&r);
            total++;
            if (fault.fired == 0)
                break;                  /* beyond the last call */
            if (nth == 1)
                calls = 400;
        }
    }
}

/* ---- copies of a running store */

/* Say numbered messages, and put each number into PIPE once it has its ok. */
static void write_forever(struct rig *r, int pipe_end)
{
    struct client a, b;
    char body[600];

    client_join(&a, r, "room");
    client_join(&b, r, "room");
    client_hear(&a), client_hear(&b);
    for (int i = 1;; i++) {
        snprintf(body, sizeof body, "42[\"message\",\"m%d %0*d\"]", i, 1 + i * 37 % 400, 0);
        if (strcmp(client_post(&a, body), "200 ok") != 0 || write(pipe_end, &i, sizeof i) == -1)
            _exit(1);
        if (i % 5 == 0)
            client_hear(&b);
        r->now += 10;
        if (r->requests > RIG_REQUESTS - 64)
            _exit(0);
    }
}

static void copy(const char *from, const char *to)
{
    static char data[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t len;

    assert_true(out != -1);
    while (in != -1 && (len = read(in, data, sizeof data)) > 0)
        assert_int_equal(write(out, data, (size_t)len), len);
    close(in);
    close(out);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0
                        ? 1 : sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static void examine(const char *dir, const char *store, int acknowledged)
{
    char from[160], to[160], sql[160];
    sqlite3 *db;

    for (int wal = 0; wal < 2; wal++) {
        snprintf(from, sizeof from, "%s/pollux.db%s", store, wal ? "-wal" : "");
        snprintf(to, sizeof to, "%s/copy.db%s", dir, wal ? "-wal" : "");
        copy(from, to);
    }
    snprintf(to, sizeof to, "%s/copy.db", dir);
    assert_int_equal(sqlite3_open(to, &db), SQLITE_OK);
    assert_int_equal(number(db, "PRAGMA integrity_check"), 1);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM message WHERE name = 'message' AND "
             "CAST(substr(body, 14) AS INTEGER) BETWEEN 1 AND %d", acknowledged);
    assert_int_equal(number(db, sql), acknowledged);
    sqlite3_close(db);
    snprintf(to, sizeof to, "%s/copy.db-shm", dir);
    unlink(to);
}

static void copies_of_a_running_store_are_sound(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    int ends[2], acknowledged = 0, copies = 0, status;

    (void)state;
    fault.armed = false;
    rig_open(&r, keys);
    /* the writer opens the store itself: SQLite's connections do not survive a fork */
    core_free(r.core);
    store_close(r.store);
    assert_int_equal(pipe(ends), 0);
    pid_t writer = fork();
    if (writer == 0) {
        struct buf why = BUF_EMPTY;
        close(ends[0]);
        if (store_open(&r.store, &r.set, &why) == -1
            || (r.core = core_new(r.store, &r.set)) == NULL)
            _exit(1);
        write_forever(&r, ends[1]);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    srandom(7);
    for (;;) {
        usleep((useconds_t)(random() % 12000));
        kill(writer, SIGSTOP);
        pid_t changed = waitpid(writer, &status, WUNTRACED);
        assert_int_equal(changed, writer);
        int seen;
        while (read(ends[0], &seen, sizeof seen) == sizeof seen)
            acknowledged = seen;
        examine(r.dir, r.set.store, acknowledged);
        copies++;
        if (!WIFSTOPPED(status))
            break;
        kill(writer, SIGCONT);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ends[0]);
    print_message("%d copies at random moments of %d messages\n", copies, acknowledged);
    struct buf why = BUF_EMPTY;
    assert_int_equal(store_open(&r.store, &r.set, &why), 0);
    r.core = core_new(r.store, &r.set);
    rig_close(&r);
}

static void count_up(void **state)
{
    (void)state;
    print_message("%lld conversations and openings under a fault, struck in %lld conversations\n",
                  (long long)total, (long long)struck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_fails),
        cmocka_unit_test(all_calls_fail_until_mended),
        cmocka_unit_test(opening_fails_with_a_reason),
        cmocka_unit_test(copies_of_a_running_store_are_sound),
        cmocka_unit_test(count_up),
    };

    hook_memory();
    register_vfs();
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
