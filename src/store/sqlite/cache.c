/* cache.c - sessions as objects. Those of the turn are lent to the rules, read once and
 * written once. Between turns the latest rest here, and are as good as their rows for as long as
 * no other process has stored anything. */
#include "store/sqlite/engine.h"

#include <stdio.h>
#include <stdlib.h>

/* Resting sessions: some 1.5 KB each. Those that talk are few; others come by once a heartbeat. */
#define REST_MOST 1024
#define WORDS_KEPT (1 << 20)            /* bytes of room for what a turn's messages say */

static size_t by_id(int64_t id)
{
    return (uint64_t)id % SESSION_BUCKETS;
}

/* A sid is random already. */
static size_t by_sid(const char *sid)
{
    uint32_t bits;

    memcpy(&bits, sid, sizeof bits);
    return (bits ^ bits >> 16) % SESSION_BUCKETS;
}

static void link_entry(struct store *s, struct entry *e)
{
    e->next_by_id = s->by_id[by_id(e->session.id)];
    s->by_id[by_id(e->session.id)] = e;
    e->next_by_sid = s->by_sid[by_sid(e->session.sid)];
    s->by_sid[by_sid(e->session.sid)] = e;
}

static void unlink_entry(struct store *s, const struct entry *e)
{
    struct entry **link = &s->by_id[by_id(e->session.id)];

    while (*link != e)
        link = &(*link)->next_by_id;
    *link = e->next_by_id;
    link = &s->by_sid[by_sid(e->session.sid)];
    while (*link != e)
        link = &(*link)->next_by_sid;
    *link = e->next_by_sid;
}

static void drop(struct store *s, struct entry *e)
{
    unlink_entry(s, e);
    buf_release(&e->session.partial);
    free(e->session.sockets);
    free(e->queues);
    free(e);
}

/* ---- resting, in a ring from the latest to the oldest */

static void leave_ring(struct store *s, struct entry *e)
{
    e->newer->older = e->older;
    e->older->newer = e->newer;
    e->rests = false;
    s->resting--;
}

static void join_turn(struct store *s, struct entry *e)
{
    e->next = s->entries;
    s->entries = e;
}

static void wake(struct store *s, struct entry *e)
{
    if (!e->rests)
        return;
    leave_ring(s, e);
    join_turn(s, e);
}

static void rest(struct store *s, struct entry *e)
{
    e->rests = true;
    e->older = s->rest.older;
    e->newer = &s->rest;
    e->older->newer = e;
    s->rest.older = e;
    s->resting++;
}

static void drop_oldest(struct store *s)
{
    struct entry *oldest = s->rest.newer;

    leave_ring(s, oldest);
    drop(s, oldest);
}

/* Nothing is left of the turn but its sessions. */
static void end_turn(struct store *s)
{
    s->entries = NULL;
    s->wake.count = s->wake.next = 0;
    s->delivery_count = s->delivery_rows = s->said_count = 0;
    if (s->words.cap > WORDS_KEPT)
        buf_release(&s->words);
    buf_clear(&s->words);
}

/* The turn's deliveries are rows like others. */
static void age_queues(struct entry *e)
{
    for (size_t i = 0; i < e->session.socket_count; i++)
        for (size_t j = 0; j < e->queues[i].count; j++)
            e->queues[i].places[j].fresh = 0;
}

void store_rest(struct store *s)
{
    struct entry *next;

    for (struct entry *e = s->entries; e != NULL; e = next) {
        next = e->next;
        age_queues(e);
        if (e->session.ended || e->session.partial.len != 0)
            drop(s, e);
        else
            rest(s, e);
    }
    end_turn(s);
    while (s->resting > REST_MOST)
        drop_oldest(s);
}

static void drop_resting(struct store *s)
{
    while (s->resting != 0)
        drop_oldest(s);
}

void store_forget(struct store *s)
{
    struct entry *next;

    drop_resting(s);
    for (struct entry *e = s->entries; e != NULL; e = next) {
        next = e->next;
        drop(s, e);
    }
    s->newest_delivery = 0;
    s->epoch++;
    end_turn(s);
}

void store_check_cache(struct store *s)
{
    int64_t version = 0;
    struct db_query *q = db_query(s->db, Q_store_version);

    if (db_next(q) == DB_ROW)
        version = db_int(q, 0);
    store_check(s, db_done(q), "see whether others have stored anything");
    if (version != s->version || s->failed) {
        drop_resting(s);
        s->newest_delivery = 0;
        s->requests_read = false;
        s->epoch++;
    }
    s->version = version;
}

/* ---- objects */

struct entry *store_remember(struct store *s, int64_t id, const char *sid)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL) {
        store_lacks(s, "read a session: out of memory; give the machine more");
        return NULL;
    }
    e->session.id = id;
    memcpy(e->session.sid, sid, sizeof e->session.sid);
    join_turn(s, e);
    link_entry(s, e);
    return e;
}

struct entry *store_recall(struct store *s, int64_t id)
{
    struct entry *e = s->by_id[by_id(id)];

    while (e != NULL && e->session.id != id)
        e = e->next_by_id;
    if (e != NULL)
        wake(s, e);
    return e;
}

struct entry *store_recall_sid(struct store *s, struct span sid)
{
    char text[ID_LEN + 1];
    struct entry *e = NULL;

    if (sid.len == ID_LEN && span_copy(sid, text, sizeof text))
        e = s->by_sid[by_sid(text)];
    while (e != NULL && memcmp(e->session.sid, text, ID_LEN) != 0)
        e = e->next_by_sid;
    if (e != NULL)
        wake(s, e);
    return e;
}
