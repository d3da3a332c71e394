/* hold.c - who holds a session's poll, and whether it lives.
 *
 * A process that holds polls goes by a number of its own, drawn by chance when it takes the first one, and
 * keeps one byte of a file locked, the one at that place. The kernel frees the byte when the process
 * ends, however it ends, and before anybody could have its process id. So nothing is mistaken for a
 * living holder: neither a zombie, nor another program to which the id was given since, nor after the machine
 * was started anew, nor a process of the same id in another pid namespace, as containers on one
 * volume have them. A row says besides, for people, which process each number was.
 *
 * The life of a poll:
 *
 *     comes ──▶ HERE ───────── answered ───────────────────────▶ NOBODY
 *                │ the process dies              ▲
 *                ▼                               │ the other answers
 *              LOST ── comes again here ─▶ HERE ─┘
 *
 *     seen from the other processes: HERE is ELSEWHERE
 *
 * A poll that comes again to another process (a proxy asked twice, or the client's connection was
 * lost) while the first still has it is a twin: both hold it, since nobody knows which of the two the
 * client waits for. The one that it came to last is the holder; who answers wakes the other, which
 * then answers the same.
 */
#include "store/sqlite/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* Rows of dead holders that are looked for when another one begins. */
#define NEIGHBOURS 16

bool store_is_self(const struct store *s, int64_t holder)
{
    return holder == s->hold.self;
}

/* A lock of this file's description, not of this process: forks and other stores do not share it. */
static struct flock place_of(int64_t holder)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = holder, .l_len = 1 };
}

/* Should that not be known, it lives: what it holds is then answered late, and nothing twice. */
static bool lives(const struct store *s, int64_t holder)
{
    struct flock lock = place_of(holder);

    return fcntl(s->wake.bell, F_OFD_GETLK, &lock) == -1 || lock.l_type != F_UNLCK;
}

/* ---- this process as a holder */

/* Draw a number and lock its place. False: the store has failed. */
static bool become_holder(struct store *s)
{
    int64_t self = 0;

    while (self <= 0 || self == INT64_MAX) {
        if (getrandom(&self, sizeof self, 0) != sizeof self) {
            store_lacks(s, "hold a poll: the kernel gives no random numbers");
            return false;
        }
        self &= INT64_MAX;
    }
    struct flock lock = place_of(self);
    if (fcntl(s->wake.bell, F_OFD_SETLK, &lock) == -1) {
        char why[200];
        snprintf(why, sizeof why, "lock a place in %.100s/bell: %s; use a local disk",
                 s->set->store, strerror(errno));
        store_lacks(s, why);
        return false;
    }
    s->hold.self = self;
    return true;
}

/* Put those that have died among the rows beyond AFTER into DEAD, which has COUNT. Returns how many it has
 * then. */
static size_t find_dead(struct store *s, int64_t after, int64_t dead[NEIGHBOURS], size_t count)
{
    struct db_query *q = db_query(s->db, Q_holder_neighbours);

    db_put_int(q, 1, after);
    db_put_int(q, 2, (int64_t)(NEIGHBOURS - count));
    while (db_next(q) == DB_ROW) {
        int64_t id = db_int(q, 0);
        if (!store_is_self(s, id) && !lives(s, id))
            dead[count++] = id;
    }
    store_check(s, db_done(q), "see which processes live");
    return count;
}

/* Remove the rows of some that have died: the next ones, in a ring. Numbers are drawn by chance, so each
 * is looked at some time. */
static void bury(struct store *s)
{
    int64_t dead[NEIGHBOURS];
    size_t count = find_dead(s, s->hold.self, dead, 0);

    count = find_dead(s, 0, dead, count);
    while (count != 0 && !s->failed) {
        struct db_query *q = db_query(s->db, Q_holder_delete);
        db_put_int(q, 1, dead[--count]);
        store_check(s, db_run(q), "forget a process");
    }
}

static void write_holder(struct store *s)
{
    struct db_query *q = db_query(s->db, Q_holder_insert);

    db_put_int(q, 1, s->hold.self);
    db_put_int(q, 2, getpid());
    store_check(s, db_run(q), "note that this process holds polls");
    bury(s);
    s->hold.noted = s->hold.noting = !s->failed;
}

void store_hold_committed(struct store *s)
{
    s->hold.noting = false;
}

void store_hold_undone(struct store *s)
{
    if (s->hold.noting)
        s->hold.noted = false;
    s->hold.noting = false;
}

/* ---- sessions */

int64_t store_holder(const struct session *session)
{
    return ((const struct entry *)session)->holder;
}

enum hold store_hold(const struct store *s, const struct session *session)
{
    int64_t holder = store_holder(session);

    if (holder == 0)
        return HOLD_NOBODY;
    if (store_is_self(s, holder))
        return HOLD_HERE;
    return lives(s, holder) ? HOLD_ELSEWHERE : HOLD_LOST;
}

void store_hold_here(struct store *s, struct session *session)
{
    if (!store_begin(s) || (s->hold.self == 0 && !become_holder(s)))
        return;
    if (!s->hold.noted)
        write_holder(s);
    store_entry(session)->holder = s->hold.self;
    session->changed = true;
}

void store_hold_over(struct session *session)
{
    store_entry(session)->holder = 0;
    session->changed = true;
}
