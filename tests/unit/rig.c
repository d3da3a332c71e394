/* rig.c - see rig.h. */
#include "rig.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "core/turn.h"
#include "store/sqlite/db.h"
#include "host/script.h"
#include "run/loop.h"
#include "store/sqlite/lite.h"
#include "store/work.h"

int64_t rig_slice;

/* ---- the host's answers */

static void note_answer(void *arg, int n, struct span text)
{
    struct rig *r = arg;
    char status[4] = "200", *out;
    const char *body = NULL;

    assert_null(r->answers[n]);         /* once */
    if (text.len != 0 && r->begun[n]) {
        body = text.p;
    } else if (text.len != 0) {
        body = memmem(text.p, text.len, "\r\n\r\n", 4);
        assert_non_null(body);
        body += 4;
        if (span_starts(text, "Status: "))
            memcpy(status, text.p + 8, 3);
    }
    int len = body != NULL ? (int)(text.p + text.len - body) : 0;
    /* tests of lacking memory leave this allocation alone */
    assert_return_code(asprintf(&out, "%s %.*s", status, len, len != 0 ? body : ""), 0);
    r->answers[n] = out;
}

static void note_beginning(void *arg, int n, struct span text)
{
    struct rig *r = arg;

    assert_null(r->answers[n]);
    assert_false(r->begun[n]);          /* once */
    assert_memory_equal(text.p + text.len - 4, "\r\n\r\n", 4);
    assert_null(memmem(text.p, text.len, "Content-Length", 14));
    r->begun[n] = true;
}

/* ---- the rig */

static void start(struct rig *r)
{
    struct script_listener listener = { note_answer, note_beginning, r };
    struct buf why = BUF_EMPTY;

    assert_non_null(r->host = script_open(&listener));
    if (store_open(&r->store, &r->set, &why) == -1)
        fail_msg("%s", buf_text(&why));
    buf_release(&why);
    assert_non_null(r->core = core_new(r->store, &r->set));
    if (rig_slice != 0)
        r->core->slice = rig_slice;
}

static void stop(struct rig *r)
{
    core_free(r->core);
    store_close(r->store);
    host_close(r->host);
}

static void read_settings(struct rig *r, const char *const *keys)
{
    struct buf why = BUF_EMPTY;
    /* real time passes at another pace than the rig's clock */
    char store[96], *envp[32] = { store, (char *)(uintptr_t)"POLLUX_MAX_WORK_PERCENT=0" };
    size_t count = 2;

    snprintf(store, sizeof store, "POLLUX_STORE=%s/store", r->dir);
    for (; keys != NULL && *keys != NULL; keys++)
        envp[count++] = (char *)(uintptr_t)*keys;
    if (settings_read(&r->set, NULL, envp, &why) == -1)
        fail_msg("%s", buf_text(&why));
    buf_release(&why);
}

void rig_open(struct rig *r, const char *const *keys)
{
    const char *temporary = getenv("TMPDIR");

    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "%s/pollux-unit-XXXXXX",
             temporary != NULL && strlen(temporary) < 32 ? temporary : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    r->now = INT64_C(1700000000000);
    r->address = "192.0.2.1";
    read_settings(r, keys);
    start(r);
}

void rig_join(struct rig *second, const struct rig *first)
{
    char store[96], *envp[] = { store, (char *)(uintptr_t)"POLLUX_MAX_WORK_PERCENT=0", NULL };
    struct buf why = BUF_EMPTY;

    memset(second, 0, sizeof *second);
    snprintf(store, sizeof store, "POLLUX_STORE=%s", first->set.store);
    assert_int_equal(settings_read(&second->set, NULL, envp, &why), 0);
    second->now = first->now;
    second->address = first->address;
    start(second);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void rig_close(struct rig *r)
{
    stop(r);
    rig_forget(r);
    if (r->dir[0] != '\0')
        nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    settings_release(&r->set);
}

void rig_forget(struct rig *r)
{
    for (int i = 0; i < r->requests; i++) {
        free(r->answers[i]);
        r->answers[i] = NULL;
        r->begun[i] = false;
    }
    r->requests = 0;
}

void rig_restart(struct rig *r)
{
    stop(r);
    r->dies = RIG_LIVES;
    r->deaths++;
    start(r);
}

/* Did the turn wake other processes? It may have begun with RANG rings. */
static void note_rings(struct rig *r, size_t rang)
{
    r->rings = r->rings || r->store->engine->bell.rings != rang;
}

void rig_turn(struct rig *r, bool rang)
{
    size_t before = r->store->engine->bell.rings;

    script_set_behind(r->host, r->behind);
    loop_take(r->host, r->core, r->now, rang ? LOOP_NEWS : LOOP_NO_NEWS);
    if (r->dies == RIG_DIES_BEFORE) {
        rig_restart(r);
        return;
    }
    loop_end(r->host, r->core);         /* of one that dies, for the test to look at */
    note_rings(r, before);
    if (r->dies == RIG_DIES_AFTER)
        rig_restart(r);
    core_tidy(r->core, r->now);
}

int rig_give_bytes(struct rig *r, struct span method, struct span query, struct span body)
{
    const char *type = r->content_type != NULL ? r->content_type : "text/plain;charset=UTF-8";
    struct request rq = { .conn = { r->requests, 1 },
                          .method = method,
                          .path = span_of(r->set.path),
                          .query = query,
                          .body = body,
                          .address = span_of(r->address),
                          .forwarded = r->forwarded,
                          .software = span_of(r->software),
                          .port = r->port,
                          .again = r->again,
                          .cut = r->cut ? CUT_OFF : CUT_NOT,
                          .origin = span_of(r->origin),
                          .content_type = span_of(type),
                          .host = SPAN("here.example") };

    assert_true(r->requests < RIG_REQUESTS && script_give(r->host, &rq));
    return r->requests++;
}

int rig_give(struct rig *r, const char *method, const char *query, const char *body)
{
    return rig_give_bytes(r, span_of(method), span_of(query), span_of(body));
}

static bool is_postponed(const struct rig *r, int n)
{
    for (size_t i = 0; i < r->core->postponed_count; i++)
        if (r->core->postponed[i].conn.fd == n)
            return true;
    return false;
}

int rig_send(struct rig *r, const char *method, const char *query, const char *body)
{
    int n = rig_give(r, method, query, body);

    rig_turn(r, false);
    while (is_postponed(r, n))
        rig_turn(r, false);
    return n;
}

size_t rig_postponed(const struct rig *r)
{
    return r->core->postponed_count;
}

void rig_wait(struct rig *r, int64_t ms)
{
    int64_t until = r->now + ms;

    while (r->now < until) {
        int64_t due = core_deadline(r->core);
        r->now = due < until ? (due > r->now ? due : r->now + 1) : until;
        rig_turn(r, false);
    }
}

const char *rig_answer(const struct rig *r, int n)
{
    return r->answers[n];
}

int64_t rig_sql(const struct rig *r, const char *sql)
{
    char path[128];
    struct db *db;

    snprintf(path, sizeof path, "%s/pollux.db", r->set.store);
    assert_int_equal(db_open(&db, path, DB_READ, 1000), 0);
    int64_t value = db_scalar(db, sql, -1);
    db_close(db);
    return value;
}

/* ---- the client */

/* Copy the JSON string that follows KEY in TEXT. */
static void pick(const char *text, const char *key, char *out, size_t cap)
{
    const char *at = strstr(text, key);

    out[0] = '\0';
    if (at == NULL)
        return;
    at += strlen(key);
    snprintf(out, cap, "%.*s", (int)strcspn(at, "\""), at);
}

void client_open(struct client *c, struct rig *r)
{
    *c = (struct client){ .rig = r, .poll = -1 };
    const char *answer = rig_answer(r, rig_send(r, "GET", "EIO=4&transport=polling&t=a", ""));
    assert_memory_equal(answer, "200 0{", 6);
    pick(answer, "\"sid\":\"", c->sid, sizeof c->sid);
    assert_int_equal(strlen(c->sid), 20);
}

static int request(struct client *c, const char *method, const char *body)
{
    char query[128];

    snprintf(query, sizeof query, "EIO=4&transport=polling&t=t%d&sid=%s", c->t++, c->sid);
    return rig_send(c->rig, method, query, body);
}

const char *client_post(struct client *c, const char *body)
{
    return rig_answer(c->rig, request(c, "POST", body));
}

/* Keep the answer's packets for people: one a line, without the marker, which is remembered. */
static bool keep(struct client *c, const char *answer)
{
    char copy[1 << 16], *save = NULL;

    assert_memory_equal(answer, "200 ", 4);
    snprintf(copy, sizeof copy, "%s", answer + 4);
    for (char *p = strtok_r(copy, "\x1e", &save); p != NULL; p = strtok_r(NULL, "\x1e", &save)) {
        if (strncmp(p, "42[\"pollux\",", 12) == 0) {
            pick(p, "\"pollux\",\"", c->offset, sizeof c->offset);
            continue;
        }
        if (strcmp(p, "2") == 0)
            assert_string_equal(client_post(c, "3"), "200 ok");
        size_t len = strlen(c->heard);
        snprintf(c->heard + len, sizeof c->heard - len, "%s%s", len != 0 ? "\n" : "", p);
        if (strcmp(p, "1") == 0)
            return false;
    }
    return true;
}

const char *client_hear(struct client *c)
{
    c->heard[0] = '\0';
    if (c->poll == -1)
        c->poll = request(c, "GET", "");
    for (const char *answer; (answer = rig_answer(c->rig, c->poll)) != NULL;) {
        if (!keep(c, answer)) {
            c->poll = -1;
            break;
        }
        c->poll = request(c, "GET", "");
    }
    return c->heard;
}

void client_connect(struct client *c, struct rig *r, const char *extra)
{
    char body[256];

    client_open(c, r);
    snprintf(body, sizeof body, "40%s", extra);
    assert_string_equal(client_post(c, body), "200 ok");
    client_hear(c);
    const char *greeting = strstr(c->heard, "40{");
    assert_non_null(greeting);
    pick(greeting, "\"sid\":\"", c->id, sizeof c->id);
    pick(greeting, "\"pid\":\"", c->pid, sizeof c->pid);
}

void client_join(struct client *c, struct rig *r, const char *channel)
{
    char body[256];

    client_connect(c, r, "");
    snprintf(body, sizeof body, "42[\"create or join\",\"%s\"]", channel);
    assert_string_equal(client_post(c, body), "200 ok");
}

void client_use(const struct client *c, int64_t used_us)
{
    int64_t session = ask_of(c->rig, ASK_SESSION, c->sid);

    budget_spend(&c->rig->core->sessions, (uint64_t)session, c->rig->now,
                 10 * c->rig->set.max_work_percent, used_us);
}
