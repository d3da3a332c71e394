/* cache.c - sessions as objects. Those of the turn are lent to the rules, read once and
 * written once. Between turns the latest rest here, and are as good as their rows for as long as
 * no other process has stored anything. */
#include "store/work.h"

#include <stdlib.h>

/* Resting sessions: some 1.5 KB each. Those that talk are few; others come by once a heartbeat. */
#define REST_MOST 1024

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
    e->next_by_id = s->cache.by_id[by_id(e->session.id)];
    s->cache.by_id[by_id(e->session.id)] = e;
    e->next_by_sid = s->cache.by_sid[by_sid(e->session.sid)];
    s->cache.by_sid[by_sid(e->session.sid)] = e;
}

static void unlink_entry(struct store *s, const struct entry *e)
{
    struct entry **link = &s->cache.by_id[by_id(e->session.id)];

    while (*link != e)
        link = &(*link)->next_by_id;
    *link = e->next_by_id;
    link = &s->cache.by_sid[by_sid(e->session.sid)];
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
    s->cache.resting--;
}

static void join_turn(struct store *s, struct entry *e)
{
    e->next = s->cache.entries;
    s->cache.entries = e;
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
    e->older = s->cache.rest.older;
    e->newer = &s->cache.rest;
    e->older->newer = e;
    s->cache.rest.older = e;
    s->cache.resting++;
}

static void drop_oldest(struct store *s)
{
    struct entry *oldest = s->cache.rest.newer;

    leave_ring(s, oldest);
    drop(s, oldest);
}

/* Nothing is left of the turn but its sessions. */
static void end_turn(struct store *s)
{
    s->cache.entries = NULL;
    store_forget_woken(s);
    store_deliveries_over(s);
    store_said_over(s);
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

    for (struct entry *e = s->cache.entries; e != NULL; e = next) {
        next = e->next;
        age_queues(e);
        if (e->session.ended || e->session.partial.len != 0)
            drop(s, e);
        else
            rest(s, e);
    }
    end_turn(s);
    while (s->cache.resting > REST_MOST)
        drop_oldest(s);
}

static void drop_resting(struct store *s)
{
    while (s->cache.resting != 0)
        drop_oldest(s);
}

void store_forget(struct store *s)
{
    struct entry *next;

    drop_resting(s);
    for (struct entry *e = s->cache.entries; e != NULL; e = next) {
        next = e->next;
        drop(s, e);
    }
    store_forget_numbers(s);
    s->known.epoch++;
    end_turn(s);
}

void store_forget_resting(struct store *s)
{
    drop_resting(s);
    store_forget_numbers(s);
    s->requests.are_read = false;
    s->known.epoch++;
}

/* ---- objects */

struct entry *store_remember(struct store *s, int64_t id, const char *sid)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL) {
        store_no_memory(s, "read a session");
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
    struct entry *e = s->cache.by_id[by_id(id)];

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
        e = s->cache.by_sid[by_sid(text)];
    while (e != NULL && memcmp(e->session.sid, text, ID_LEN) != 0)
        e = e->next_by_sid;
    if (e != NULL)
        wake(s, e);
    return e;
}
