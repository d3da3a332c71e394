/* ask.c - see ask.h: of a store in SQLite's file. */
#include "ask.h"

#include "rig.h"

#include <stdio.h>

#include "store/seen.h"
#include "store/sqlite/db.h"

#define COUNT(table) "SELECT count(*) FROM " table

enum { MEMBERS = ASKS + ASKS_OF, MARKS, READ, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [ASK_SESSIONS] = COUNT("session"),
    [ASK_POLLINGS] = COUNT("polling"),
    [ASK_NEXT_PING] = "SELECT max(ping_ms) FROM polling",
    [ASK_VISITORS] = COUNT("visitor WHERE sessions <> 0"),
    [ASK_VISITING] = "SELECT sessions FROM visitor WHERE address = ''",
    [ASK_HOLDERS] = COUNT("holder"),
    [ASK_HELD] = COUNT("polling JOIN holder ON holder = holder.id"),
    [ASK_PIECES] = COUNT("partial"),
    [ASK_PIECES_EVER] = "SELECT max(id) FROM partial",
    [ASK_PIECE_BYTES] = "SELECT sum(length(piece)) FROM partial",
    [ASK_SOCKETS] = COUNT("socket"),
    [ASK_STAYING] = COUNT("socket WHERE gone_ms IS NULL"),
    [ASK_AWAY] = COUNT("socket WHERE away_ms IS NOT NULL AND gone_ms IS NULL"),
    [ASK_HEARD] = "SELECT heard FROM socket",
    [ASK_GREETINGS] = COUNT("socket WHERE greeting <> 0"),
    [ASK_CHANNELS] = COUNT("channel"),
    [ASK_MEMBERS] = COUNT("member"),
    [ASK_ASKING] = COUNT("asking"),
    [ASK_FORMERS] = COUNT("former"),
    [ASK_OWED] = COUNT("delivery WHERE arrived_ms IS NULL"),
    [ASK_OWED_AND_LOST] = COUNT("delivery d WHERE arrived_ms IS NULL AND NOT EXISTS "
                                "(SELECT 1 FROM message WHERE id = d.message)"),
    [ASK_LOG_ROWS] = "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM delivery)",
    [ASK_LAST_SEQ] = "SELECT max(id) FROM message",
    [ASK_ACKS] = COUNT("message WHERE type = 3"),
    [ASK_LONGEST_NAME] = "SELECT max(length(name)) FROM message",
    [ASK_KEPT_BYTES] = "SELECT sum(length(body)) FROM message",
    [ASK_BROKEN] = COUNT("message WHERE body IS NOT NULL AND body <> '' AND NOT json_valid(body)"),
    [ASK_BYTES] = "SELECT (page_count - freelist_count) * page_size "
                  "FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",

    [ASKS + ASK_SESSION] = "SELECT id FROM session WHERE sid = ?1",
    [ASKS + ASK_SOCKET_ROWS] = COUNT("socket WHERE public = ?1"),
    [ASKS + ASK_OWED_TO] = COUNT("delivery d JOIN socket k ON k.id = d.socket "
                                 "WHERE d.arrived_ms IS NULL AND k.public = ?1"),
    [ASKS + ASK_SOCKETS_FROM] = COUNT("socket WHERE address = ?1"),
    [ASKS + ASK_VISITORS_FROM] = COUNT("visitor WHERE address LIKE ?1 || '%'"),
    [ASKS + ASK_CHANNELS_NAMED] = COUNT("channel WHERE name = ?1"),
    [ASKS + ASK_SAID] = COUNT("message WHERE name = ?1"),
    [ASKS + ASK_FIRST_SAID] = "SELECT min(id) FROM message WHERE name = ?1",
    [ASKS + ASK_LAST_SAID] = "SELECT max(id) FROM message WHERE name = ?1",
    [ASKS + ASK_SAID_IN_ORDER] =
        COUNT("(SELECT body, row_number() OVER (ORDER BY id) AS nth FROM message WHERE name = ?1) "
              "WHERE body = '[\"' || ?1 || '\",' || (nth - 1) || ']'"),
    [ASKS + ASK_REFUSALS] = COUNT("message WHERE name = 'error' AND body LIKE '%' || ?1 || '%'"),

    [MEMBERS] = "SELECT k.public FROM member m JOIN channel c ON c.id = m.channel "
                "JOIN socket k ON k.id = m.socket WHERE c.name = ?1",
    [MARKS] = "SELECT marks FROM request ORDER BY id DESC",
    [READ] = "BEGIN; SELECT count(*) FROM message",
};

struct asker *asker_open(const struct rig *r)
{
    char path[128];
    struct db *db;

    snprintf(path, sizeof path, "%s/pollux.db", r->set.store);
    assert_int_equal(db_open(&db, path, DB_READ, 1000), 0);
    assert_int_equal(db_prepare(db, statements, STATEMENTS), 0);
    return (struct asker *)db;
}

void asker_close(struct asker *a)
{
    db_close((struct db *)a);
}

/* The number that statement N gives about TEXT, if it is about one. */
static int64_t number(struct asker *a, size_t n, const char *text)
{
    struct db_query *q = db_query((struct db *)a, n);
    int64_t found = -1;

    if (text != NULL)
        db_put_text(q, 1, span_of(text));
    if (db_next(q) == DB_ROW)
        found = db_int(q, 0);
    assert_int_equal(db_done(q), 0);
    return found;
}

int64_t asker_ask(struct asker *a, enum ask what)
{
    return number(a, what, NULL);
}

int64_t ask(const struct rig *r, enum ask what)
{
    struct asker *a = asker_open(r);
    int64_t found = asker_ask(a, what);

    asker_close(a);
    return found;
}

int64_t ask_of(const struct rig *r, enum ask_of what, const char *text)
{
    struct asker *a = asker_open(r);
    int64_t found = number(a, ASKS + (size_t)what, text);

    asker_close(a);
    return found;
}

void asker_members(struct asker *a, const char *channel,
                   void (*each)(void *arg, const char *public),
                   void *arg)
{
    struct db_query *q = db_query((struct db *)a, MEMBERS);
    char public[32];

    db_put_text(q, 1, span_of(channel));
    while (db_next(q) == DB_ROW) {
        assert_true(span_copy(db_text(q, 0), public, sizeof public));
        each(arg, public);
    }
    assert_int_equal(db_done(q), 0);
}

static bool has_mark(struct span row, const struct mark *mark)
{
    for (size_t at = 0; at < row.len; at += sizeof *mark)
        if (memcmp(row.p + at, mark, sizeof *mark) == 0)
            return true;
    return false;
}

bool asker_has_post(struct asker *a, const char *sid, uint64_t mark)
{
    int64_t session = number(a, ASKS + ASK_SESSION, sid);
    struct mark wanted = { (uint64_t)session * 2, mark };
    struct db_query *q = db_query((struct db *)a, MARKS);
    bool found = false;

    while (session != -1 && !found && db_next(q) == DB_ROW)
        found = has_mark(db_text(q, 0), &wanted);
    assert_int_equal(db_done(q), 0);
    return found;
}

struct asker *asker_begin_reading(const struct rig *r)
{
    struct asker *a = asker_open(r);

    assert_int_equal(db_exec((struct db *)a, statements[READ]), 0);
    return a;
}

void asker_end_reading(struct asker *a)
{
    assert_int_equal(db_exec((struct db *)a, "COMMIT"), 0);
    asker_close(a);
}
