/* test_store.c - the store: every statement runs, what is too old goes and what is owed stays,
 * files of others are left alone. */
#include "rig.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite/format.h"
#include "store/sqlite/lite.h"
#include "store/work.h"

static const char *const names[] = {
#define X(name, sql) #name,
    SQL_QUERIES(X)
#undef X
};
static int64_t runs[Q_COUNT];

static void close_counting(struct rig *r)
{
    for (size_t i = 0; i < Q_COUNT; i++)
        runs[i] += db_runs(r->store->engine->db, i);
    rig_close(r);
}

static void write_sql(const struct rig *r, const char *sql)
{
    char path[128];
    struct db *db;

    snprintf(path, sizeof path, "%s/pollux.db", r->set.store);
    assert_int_equal(db_open(&db, path, DB_WRITE, 1000), 0);
    assert_int_equal(db_exec(db, sql), 0);
    db_close(db);
}

static void a_conversation(void **state)
{
    struct rig r;
    struct client a, b, c, again;
    char extra[128];

    (void)state;
    rig_open(&r, NULL);
    write_sql(&r, "INSERT INTO holder VALUES (1, 1, 0)");       /* one that has died */
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    r.now += 10;
    client_join(&c, &r, "room");        /* a roll call */
    client_post(&c, "42[\"create or join\",\"room\"]");
    client_hear(&a), client_hear(&b);
    rig_wait(&r, 50);
    write_sql(&r, "UPDATE session SET shim = 1");
    client_post(&c, "42[\"counted\"]");
    client_post(&c, "451-[\"file\",{\"_placeholder\":true,\"num\":0}]");
    client_post(&c, "bAQID");           /* in two halves */
    client_post(&c, "40/nowhere,");     /* a second socket in its session */
    client_hear(&c);
    snprintf(extra, sizeof extra, "42[\"offer\",{\"to\":\"%s\"}]", b.id);
    client_post(&a, extra);
    snprintf(extra, sizeof extra, "EIO=4&transport=polling&t=t%d&sid=%s", b.t - 1, b.sid);
    /* its poll again */
    assert_string_equal(rig_answer(&r, rig_send(&r, "GET", extra, "")), rig_answer(&r, b.poll));
    client_hear(&b);
    client_post(&b, "1");
    rig_wait(&r, 5000);                 /* it leaves, and goes back */
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
    client_connect(&again, &r, extra);
    client_post(&again, "1");
    client_hear(&a);
    rig_wait(&r, 20000);
    client_hear(&a);                    /* a heartbeat: its deadline is moved on when it comes */
    rig_wait(&r, 25000);
    client_hear(&a);
    rig_wait(&r, 125000);
    store_wake_others(r.store, 1);      /* a word to another process */
    rig_turn(&r, true);
    rig_wait(&r, 62000);
    close_counting(&r);
}

static void kept_without_addresses(void **state)
{
    static const char *const keys[] = { "POLLUX_KEEP_ADDRESSES=no", "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"message\",\"candidate 1 udp 192.0.2.7 and 2001:db8::7\"]");
    /* still owed */
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%192.0.2.7%'"), 1);
    assert_said(&b, "42[\"message\",\"candidate 1 udp 192.0.2.7 and 2001:db8::7\"]");
    assert_int_equal(
        rig_sql(&r,
                "SELECT count(*) FROM message WHERE body LIKE '%192.0.2%' OR body LIKE '%2001%'"),
        0);
    assert_int_equal(
        rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%candidate 1 udp%'"), 1);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM socket WHERE address <> ''"), 0);
    close_counting(&r);
}

static void kept_without_payloads(void **state)
{
    static const char *const keys[] = { "POLLUX_KEEP_PAYLOADS=no", "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"message\",\"secret\"]");
    assert_said(&b, "42[\"message\",\"secret\"]");
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%secret%'"), 0);
    assert_int_equal(rig_sql(&r, "SELECT size FROM message WHERE name = 'message'"), 20);
    close_counting(&r);
}

/* COUNT messages, one or AT_ONCE in a POST, to a client that hears none before all are said. */
static void say_many(struct client *from, struct client *to, int count, bool at_once)
{
    char body[2048] = "", expected[2048] = "", event[32];

    for (int i = 0; i < count; i++) {
        snprintf(event, sizeof event, "42[\"message\",%d]", i);
        strcat(strcat(expected, i != 0 ? "\n" : ""), event);
        if (at_once)
            strcat(strcat(body, i != 0 ? "\x1e" : ""), event);
        else
            assert_string_equal(client_post(from, event), "200 ok");
    }
    if (at_once)
        assert_string_equal(client_post(from, body), "200 ok");
    assert_said(to, expected);
}

/* Short queues are kept in memory, and in the turn in which they begin; long ones are not. */
static void queues_of_all_lengths_come_once_and_in_order(void **state)
{
    static const char *const kept[] = { "POLLUX_LOG_EVENTS=no", NULL };
    static const char *const blanked[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_KEEP_PAYLOADS=no",
                                           NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    for (int blank = 0; blank < 2; blank++) {
        rig_open(&r, blank ? blanked : kept);
        client_join(&a, &r, "room");
        client_join(&b, &r, "room");
        client_hear(&a), client_hear(&b);
        for (int count = 1; count <= 3 * QUEUE_SHORT; count++) {
            say_many(&a, &b, count, count % 2 != 0);
            say_many(&b, &a, count, count % 3 != 0);
            assert_int_equal(rig_sql(&r, "SELECT count(*) FROM delivery WHERE arrived_ms IS NULL"),
                             0);
        }
        assert_int_equal(rig_sql(&r, "SELECT count(*) FROM delivery WHERE sent_ms IS NULL"), 0);
        assert_int_equal(rig_sql(&r, "SELECT max(nth) FROM delivery") > 2 * QUEUE_SHORT, 1);
        if (blank)
            assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE name = 'message' "
                                         "AND body IS NOT NULL"), 0);
        close_counting(&r);
    }
}

static void old_goes_and_what_is_owed_stays(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_AGE_DAYS=1", "POLLUX_LOG_EVENTS=no",
                                        "POLLUX_RECOVERY_WINDOW_MS=86400000", NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"message\",\"heard\"]");
    client_hear(&b);
    client_post(&b, "1");
    client_post(&a, "42[\"message\",\"owed\"]");
    client_post(&a, "1");
    r.now += INT64_C(86400000) - 10000;         /* a clock set forward: nothing waits for it */
    rig_wait(&r, 5000);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE name = 'message'"), 2);
    r.now += 5001;
    write_sql(&r, "UPDATE socket SET away_ms = away_ms + 3600000 WHERE away_ms IS NOT NULL");
    rig_wait(&r, 5000);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%heard%'"), 0);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%owed%'"), 1);
    close_counting(&r);
}

/* A log of messages to nobody, to a few and to very many, some of them owed, some of a clock that
 * was ahead: row for row what stays is what has to. */
static void exactly_what_is_old_goes(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_AGE_DAYS=7", "POLLUX_LOG_EVENTS=no", NULL };
    static const char log[] =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)"
        "INSERT INTO message (id, at_ms, type, name, body, size, recipients, unheard)"
        " SELECT i, CASE WHEN i > 2600 OR i IN (130, 131, 777, 1303, 1500) THEN %lld ELSE %lld END,"
        "        2, 'message', '[]', 2, 0, 0 FROM n;"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)"
        "INSERT INTO delivery (message, socket, nth, upto_bytes, arrived_ms)"
        " SELECT m.id, 99999, 1, 2,"
        "        CASE WHEN (m.id * 31 + i) %% 211 = 0 AND m.id NOT BETWEEN 400 AND 500 THEN NULL"
        "             ELSE (i %% 3) * 1000 END"
        "   FROM message m, n"
        "  WHERE i <= CASE WHEN m.id IN (450, 1499, 1500, 2000) THEN 1000"
        "                  WHEN m.id BETWEEN 600 AND 1400 THEN m.id %% 20 = 3"
        "                  ELSE m.id * 7 %% 5 END"
        "  ORDER BY m.id, i;"
        "CREATE TABLE staying_delivery AS SELECT id, message FROM delivery"
        "  WHERE arrived_ms IS NULL OR message > 2600 OR message IN (130, 131, 777, 1303, 1500);"
        "CREATE TABLE staying_message AS SELECT id FROM message"
        "  WHERE id > 2600 OR id IN (130, 131, 777, 1303, 1500)"
        "     OR id IN (SELECT message FROM staying_delivery)";
    char sql[sizeof log + 64];
    struct rig r;

    (void)state;
    rig_open(&r, keys);
    snprintf(sql, sizeof sql, log, (long long)r.now, (long long)r.now - 8 * INT64_C(86400000));
    write_sql(&r, sql);
    assert_in_range(rig_sql(&r, "SELECT count(*) FROM staying_delivery"), 400, 3000);
    rig_wait(&r, 20000);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM (SELECT id FROM staying_delivery "
                                 "EXCEPT SELECT id FROM delivery)"), 0);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM (SELECT id FROM staying_message "
                                 "EXCEPT SELECT id FROM message)"), 0);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM delivery"),
                     rig_sql(&r, "SELECT count(*) FROM staying_delivery"));
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message"),
                     rig_sql(&r, "SELECT count(*) FROM staying_message"));
    close_counting(&r);
}

static void file_over_its_size_loses_the_oldest(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_MAX_BYTES=1000000", "POLLUX_LOG_EVENTS=no",
                                        NULL };
    static char body[60000];
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    snprintf(body, sizeof body, "42[\"message\",\"%050000d\"]", 0);
    for (int i = 0; i < 40; i++) {
        client_post(&a, body);
        client_hear(&b);
    }
    rig_wait(&r, 5000);
    int64_t left = rig_sql(&r, "SELECT count(*) FROM message WHERE name = 'message'");
    assert_in_range(left, 1, 20);
    assert_int_equal(rig_sql(&r, "SELECT max(id) > 40 FROM message"), 1);
    close_counting(&r);
}

static void failed_turn_promises_nothing(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    assert_null(rig_answer(&r, b.poll));
    write_sql(&r, "CREATE TRIGGER trouble BEFORE INSERT ON delivery BEGIN SELECT raise(ABORT, 'no "
                  "more room'); END");
    const struct counters *k = core_counters(r.core);
    assert_starts(client_post(&a, "42[\"message\",1]"), "503 {\"code\":4");
    assert_int_equal(k->answers[STATS_STATUSES - 2], 1);
    assert_int_equal(k->hops, 0);
    assert_null(rig_answer(&r, b.poll));        /* held on */
    write_sql(&r, "DROP TRIGGER trouble");
    assert_string_equal(client_post(&a, "42[\"message\",2]"), "200 ok");
    assert_int_equal(k->hops, 1);
    assert_said(&b, "42[\"message\",2]");
    close_counting(&r);
}

/* A request of a failed turn may come again; those of before came. */
static void failed_turn_took_no_request(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    struct client a, b;
    int t;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    t = a.t;
    assert_string_equal(client_post(&a, "42[\"message\",1]"), "200 ok");
    assert_string_equal(client_post(&a, "3"), "200 ok");
    write_sql(&r, "CREATE TRIGGER trouble BEFORE INSERT ON request BEGIN "
                  "SELECT raise(ABORT, 'no more room'); END");
    assert_starts(client_post(&a, "42[\"message\",2]"), "503 {\"code\":4");
    write_sql(&r, "DROP TRIGGER trouble");
    for (int i = 0; i < 2; i++) {
        a.t = t;
        assert_string_equal(client_post(&a, "42[\"message\",1]"), "200 ok");
        a.t++;
        assert_string_equal(client_post(&a, "42[\"message\",2]"), "200 ok");
    }
    assert_said(&b, "42[\"message\",1]\n42[\"message\",2]");
    close_counting(&r);
}

/* What a failed turn found out about a channel that it opened itself is forgotten with it. */
static void failed_turn_leaves_no_channel_behind(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    write_sql(&r, "CREATE TRIGGER trouble BEFORE INSERT ON message WHEN new.body LIKE '%poison%' "
                  "BEGIN SELECT raise(ABORT, 'no more room'); END");
    assert_string_equal(client_post(&a, "42[\"message\",0]"), "200 ok");
    assert_starts(client_post(&a, "42[\"create or join\",\"new\"]\x1e"
                                  "42[\"message\",{\"channel\":\"new\",\"message\":\"poison\"}]"),
                  "503 ");
    client_post(&b, "42[\"create or join\",\"new\"]");
    assert_non_null(strstr(client_hear(&b), "[\"created\",\"new\""));
    client_post(&a, "42[\"create or join\",\"new\"]");
    assert_non_null(strstr(client_hear(&a), "[\"joined\",\"new\""));
    client_post(&a, "42[\"message\",{\"channel\":\"new\",\"message\":1}]");
    assert_non_null(strstr(client_hear(&b), "[\"message\",1]"));
    close_counting(&r);
}

/* Of two sockets in a session one leaves: what the other is owed stays its own. */
static void queues_stay_with_their_sockets(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_NAMESPACES=/chat", NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    for (struct client *c = &a;; c = &b) {
        client_post(c, "40/chat,");
        client_post(c, "42/chat,[\"create or join\",\"there\"]");
        if (c == &b)
            break;
    }
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"message\",1]");       /* its poll is answered; the rest waits */
    client_post(&a, "42/chat,[\"message\",2]");
    client_post(&a, "42/chat,[\"message\",3]");
    client_post(&b, "41");
    assert_starts(client_hear(&b), "42[\"message\",1]\n42/chat,[\"message\",2]\n42/chat,["
                                   "\"message\",3]\n42/chat,[\"pollux\"");
    assert_string_equal(client_hear(&b), "");
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM delivery JOIN socket k ON k.id = socket "
                                 "WHERE arrived_ms IS NULL AND k.nsp = '/chat'"), 0);
    close_counting(&r);
}

static void figures_are_what_there_is(void **state)
{
    struct store_figures f;
    struct rig r;
    struct client a, b, lost;

    (void)state;
    rig_open(&r, NULL);
    assert_int_equal(store_figures(r.store, &f), 0);
    assert_int_equal(f.sessions + f.sockets + f.channels + f.queued + f.log_rows, 0);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_connect(&lost, &r, "");
    client_hear(&b);
    assert_string_equal(client_post(&lost, "1"), "200 ok");     /* away now */
    assert_string_equal(client_post(&b, "42[\"message\",1]"), "200 ok");
    assert_int_equal(store_figures(r.store, &f), 0);
    assert_false(store_begun(r.store));
    assert_int_equal(f.sessions, 2);
    assert_int_equal(f.sockets, 3);
    assert_int_equal(f.channels, 1);
    assert_int_equal(f.queued, rig_sql(&r, "SELECT sum(arrived_ms IS NULL) FROM delivery"));
    assert_true(f.queued > 0);
    assert_int_equal(f.log_rows, rig_sql(&r, "SELECT count(*) FROM message"));
    assert_true(f.database_bytes > 0 && f.wal_bytes > 0);
    close_counting(&r);
}

/* As CGI programs come and go: the write-ahead log is passed on, does not grow for ever, and
 * nothing in it is missed. */
static void the_log_is_left_to_the_next(void **state)
{
    struct buf why = BUF_EMPTY;
    struct rig r;
    struct stat st;
    char path[128];
    int emptied = 0;

    (void)state;
    rig_open(&r, NULL);
    rig_restart(&r);
    snprintf(path, sizeof path, "%s/pollux.db-wal", r.set.store);
    store_close(r.store);
    assert_int_equal(stat(path, &st), -1);
    for (int i = 1; i <= 500; i++) {
        struct store *s;
        struct session new = { .address = "192.0.2.1", .due_ms = 1, .ping_ms = 1 };
        assert_int_equal(store_open(&s, &r.set, &why), 0);
        store_serves_once(s);
        assert_int_equal(store_session_count(s, ""), i - 1);
        assert_non_null(store_session_open(s, &new, 1));
        assert_int_equal(store_commit(s), 0);
        store_close(s);
        if (stat(path, &st) == -1)
            emptied++;
        else
            assert_in_range(st.st_size, 1, 2 << 20);
    }
    assert_in_range(emptied, 1, 50);
    assert_int_equal(store_open(&r.store, &r.set, &why), 0);
    buf_release(&why);
    close_counting(&r);
}

static void views_show_no_control_characters(void **state)
{
    static const char *const views[] = { "conversation", "who" };
    struct rig r;
    struct client a;
    char sql[256];

    (void)state;
    rig_open(&r, NULL);
    client_join(&a, &r, "\\u001b[2J");
    client_post(&a, "42[\"create or join\",\"\xc2\x9b" "2J\"]");
    for (size_t i = 0; i < 2; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE channel = '(control characters)'",
                 views[i]);
        assert_int_equal(rig_sql(&r, sql) > 1, 1);
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM %s WHERE channel LIKE '%%' || char(27) || '%%' "
                 "OR channel LIKE '%%' || char(155) || '%%'",
                 views[i]);
        assert_int_equal(rig_sql(&r, sql), 0);
    }
    rig_close(&r);
}

static void refuse(const struct rig *r, const char *expected)
{
    struct buf why = BUF_EMPTY;
    struct store *store = NULL;

    assert_int_equal(store_open(&store, &r->set, &why), -1);
    assert_null(store);
    if (strstr(buf_text(&why), expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", buf_text(&why), expected);
    buf_release(&why);
}

static void files_of_others_are_refused(void **state)
{
    struct rig r;
    int64_t version;

    (void)state;
    rig_open(&r, NULL);
    rig_restart(&r);
    version = rig_sql(&r, "PRAGMA user_version");
    write_sql(&r, "PRAGMA user_version = 9999");
    refuse(&r, "newer version");
    write_sql(&r, "PRAGMA user_version = 0");
    refuse(&r, "another program's database");
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", (int)version);
    write_sql(&r, sql);
    char path[128];
    snprintf(path, sizeof path, "%s/pollux.db", r.set.store);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    rig_close(&r);
}

/* What a file of schema 1 lacks, and what it has besides. */
#define HAD(name) "ALTER TABLE session ADD COLUMN " name ";"
#define SCHEMA_1 \
    "DROP TABLE request; ALTER TABLE socket DROP COLUMN greeting;" \
    HAD("posts BLOB") HAD("polls BLOB") HAD("partial BLOB") \
    HAD("ping_ms INTEGER NOT NULL DEFAULT 0") HAD("pinged INTEGER NOT NULL DEFAULT 0") \
    HAD("poll INTEGER NOT NULL DEFAULT 0") HAD("polled_ms INTEGER NOT NULL DEFAULT 0") \
    HAD("holder INTEGER NOT NULL DEFAULT 0") HAD("answer INTEGER NOT NULL DEFAULT 0") \
    HAD("rate_ms INTEGER NOT NULL DEFAULT 0") HAD("rate INTEGER NOT NULL DEFAULT 0") \
    HAD("nudge INTEGER NOT NULL DEFAULT 0") HAD("closing INTEGER NOT NULL DEFAULT 0") \
    "UPDATE session SET (ping_ms, poll, polled_ms) =" \
    "    (SELECT ping_ms, poll, polled_ms FROM polling WHERE session = id);" \
    "DROP TABLE polling; PRAGMA user_version = 1"

/* The columns of all tables and the indexes, by name; the caller's. */
static char *schema_of(const struct rig *r)
{
    char path[128], text[8192] = "";
    struct db *db;

    snprintf(path, sizeof path, "%s/pollux.db", r->set.store);
    assert_int_equal(db_open(&db, path, DB_READ, 1000), 0);
    assert_true(db_scalar_text(
        db,
        "SELECT group_concat(line, char(10)) FROM (SELECT m.name || ' ' || coalesce(c.name || ' ' "
        "||"
        " c.type, '') AS line FROM sqlite_schema m LEFT JOIN pragma_table_info(m.name) c"
        " WHERE m.type IN ('table', 'index', 'trigger') ORDER BY line)",
        text, sizeof text));
    db_close(db);
    return strdup(text);
}

/* What files of schemas 4, 3 and 2 lack. */
#define SCHEMA_4 "DROP TABLE holder; PRAGMA user_version = 4;"
#define SCHEMA_3 \
    SCHEMA_4 \
    "ALTER TABLE polling DROP COLUMN posting; ALTER TABLE polling DROP COLUMN posted;" \
    "PRAGMA user_version = 3;"
#define SCHEMA_2 \
    SCHEMA_3 \
    "DROP INDEX asking_channel; DROP INDEX asking_socket; DROP TABLE partial;" \
    "ALTER TABLE polling ADD COLUMN partial BLOB; DROP INDEX socket_leave; DROP TABLE former;" \
    "ALTER TABLE socket DROP COLUMN leave_ms;" \
    "ALTER TABLE polling DROP COLUMN ended_ms; ALTER TABLE polling DROP COLUMN ports;" \
    "ALTER TABLE session DROP COLUMN opened_t; ALTER TABLE polling DROP COLUMN overtaken;" \
    "ALTER TABLE polling DROP COLUMN watched; ALTER TABLE polling DROP COLUMN probe;" \
    "PRAGMA user_version = 2;"

static void an_older_file_is_upgraded(void **state)
{
    static const char *const older[] = { SCHEMA_2 SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4 };
    struct rig r;
    struct client c;

    (void)state;
    for (size_t i = 0; i < sizeof older / sizeof older[0]; i++) {
        rig_open(&r, NULL);
        char *made = schema_of(&r);
        client_connect(&c, &r, "");
        rig_restart(&r);
        write_sql(&r, older[i]);
        rig_restart(&r);
        assert_int_equal(rig_sql(&r, "PRAGMA user_version"), STORE_VERSION);
        assert_int_equal(rig_sql(&r, "SELECT count(*) FROM session"), 1);
        client_post(&c, "42[\"message\",\"still there\"]");
        assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE name = 'message'"), 1);
        char *upgraded = schema_of(&r);
        assert_string_equal(upgraded, made);
        free(made);
        free(upgraded);
        rig_close(&r);
    }
}

/* COUNT POSTs, MS milliseconds apart, of sessions that are never joined. */
static void post_many(struct rig *r, int count, int ms)
{
    struct client c;

    for (int i = 0; i < count; i++) {
        if (i % 100 == 0) {
            rig_forget(r);
            client_open(&c, r);
        }
        assert_string_equal(client_post(&c, "3"), "200 ok");
        r->now += ms;
    }
}

/* One row a turn, and few of them. */
static void requests_are_kept_for_a_while(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r, NULL);
    post_many(&r, 1000, 300);
    assert_in_range(rig_sql(&r, "SELECT count(*) FROM request"), SEEN_MS / 300,
                    SEEN_MS / 300 + 64 + 1);
    assert_int_equal(rig_sql(&r, "SELECT max(id) FROM request"), 1000);
    /* very many, by a clock that was wrong */
    write_sql(&r, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
                  "INSERT INTO request (at_ms, marks) SELECT 9e15, x'00' FROM n");
    rig_forget(&r);
    rig_restart(&r);
    r.now += SEEN_MS;
    post_many(&r, 1200, 1);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM request WHERE at_ms = 9e15"), 0);
    assert_in_range(rig_sql(&r, "SELECT count(*) FROM request"), 1200, 1300);
    close_counting(&r);
}

/* One who floods a room leaves room for what the others say. */
static void nobody_fills_a_queue_alone(void **state)
{
    static const char *const keys[] = { "POLLUX_MAX_QUEUED_MESSAGES=40", "POLLUX_CAPACITY=3",
                                        "POLLUX_LOG_EVENTS=no", NULL };
    struct rig r;
    struct client a, b, c;
    int taken = 0;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_join(&c, &r, "room");
    client_hear(&a), client_hear(&b), client_hear(&c);
    client_post(&a, "42[\"x\"]");       /* answers c's poll, and c is silent from now on */
    for (int i = 0; i < 100; i++) {
        client_post(&a, "427[\"x\"]");
        taken += strstr(client_hear(&a), "\"code\":\"queue_full\"") == NULL;
        client_hear(&b);
    }
    assert_in_range(taken, 19, 21);
    for (int i = 0; i < 10; i++) {
        client_post(&b, "427[\"y\"]");
        assert_null(strstr(client_hear(&b), "queue_full"));
        client_hear(&a);
    }
    close_counting(&r);
}

/* The settings have changed: what they do not want kept goes from what was stored before. */
static void what_is_not_to_be_kept_any_more_is_taken_out(void **state)
{
    struct rig r;
    struct client a, b;
    struct tidied t;

    (void)state;
    rig_open(&r, NULL);
    r.address = "192.0.2.1";
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"c\",\"candidate:1 1 udp 1 192.0.2.77 5000\"]");
    client_hear(&b);
    client_post(&b, "42[\"c\",\"192.0.2.78\"]");    /* which a has not heard yet */
    r.set.keep_addresses = false;
    while (store_reduce(r.store) == TIDY_MORE)
        ;
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%x.x.x.x%'"), 1);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM message WHERE body LIKE '%192.0.2%'"), 1);
    assert_int_equal(rig_sql(&r, "SELECT count(*) FROM socket WHERE address <> ''"), 0);
    r.set.keep_payloads = false;
    assert_int_equal(store_reduce(r.store), TIDY_DONE);         /* all of it was looked at */
    assert_int_equal(store_compact(r.store), 0);
    assert_int_equal(store_tidied(r.store, &t), 0);
    assert_int_equal(t.reduced, 1);
    assert_int_equal(t.unused, 0);
    assert_true(t.used > 0);
    close_counting(&r);
}

static void see_poll(void *arg, const struct poll *p)
{
    int64_t *seen = arg;

    seen[0]++;
    seen[1] += p->held;
}

static void the_polls_of_all_are_seen(void **state)
{
    struct rig r;
    struct client a, b;
    int64_t seen[2] = { 0, 0 };

    (void)state;
    rig_open(&r, NULL);
    client_join(&a, &r, "room");
    client_hear(&a);
    client_open(&b, &r);                /* which has not polled */
    assert_int_equal(store_polls(r.store, see_poll, seen), 1);
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[1], 1);
    close_counting(&r);
}

static void every_statement_has_run(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < Q_COUNT; i++)
        if (runs[i] == 0) {
            print_error("%s never ran\n", names[i]);
            all = false;
        }
    assert_true(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation),
        cmocka_unit_test(kept_without_addresses),
        cmocka_unit_test(kept_without_payloads),
        cmocka_unit_test(queues_of_all_lengths_come_once_and_in_order),
        cmocka_unit_test(old_goes_and_what_is_owed_stays),
        cmocka_unit_test(exactly_what_is_old_goes),
        cmocka_unit_test(file_over_its_size_loses_the_oldest),
        cmocka_unit_test(failed_turn_promises_nothing),
        cmocka_unit_test(failed_turn_took_no_request),
        cmocka_unit_test(failed_turn_leaves_no_channel_behind),
        cmocka_unit_test(queues_stay_with_their_sockets),
        cmocka_unit_test(figures_are_what_there_is),
        cmocka_unit_test(the_polls_of_all_are_seen),
        cmocka_unit_test(the_log_is_left_to_the_next),
        cmocka_unit_test(views_show_no_control_characters),
        cmocka_unit_test(files_of_others_are_refused),
        cmocka_unit_test(an_older_file_is_upgraded),
        cmocka_unit_test(requests_are_kept_for_a_while),
        cmocka_unit_test(nobody_fills_a_queue_alone),
        cmocka_unit_test(what_is_not_to_be_kept_any_more_is_taken_out),
        cmocka_unit_test(every_statement_has_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
