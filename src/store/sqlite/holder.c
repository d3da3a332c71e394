/* holder.c - this process as a holder of polls, and which other holders live.
 *
 * A process that holds polls goes by a number of its own, drawn by chance when it takes the first
 * one, and keeps one byte of a file locked, the one at that place. The kernel frees the byte when
 * the process ends, however it ends, and before anybody could have its process id. So nothing is
 * mistaken for a living holder: neither a zombie, nor another program to which the id was given
 * since, nor after the machine was started anew, nor a process of the same id in another pid
 * namespace, as containers on one volume have them. A row says besides, for people, which process
 * each number was.
 */
#include "store/sqlite/lite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* Rows of dead holders that are looked for when another one begins. */
#define NEIGHBOURS 16

bool engine_is_self(const struct engine *e, int64_t holder)
{
    return holder == e->holder.self;
}

/* A lock of this file's description, not of this process: forks and other stores do not share
 * it. */
static struct flock place_of(int64_t holder)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = holder, .l_len = 1 };
}

/* Should that not be known, it lives: what it holds is then answered late, and nothing twice. */
bool engine_lives(const struct engine *e, int64_t holder)
{
    struct flock lock = place_of(holder);

    return fcntl(e->bell.fd, F_OFD_GETLK, &lock) == -1 || lock.l_type != F_UNLCK;
}

/* ---- this process as a holder */

/* Draw a number and lock its place. False: the store has failed. */
static bool become_holder(struct engine *e)
{
    int64_t self = 0;

    while (self <= 0 || self == INT64_MAX) {
        if (getrandom(&self, sizeof self, 0) != sizeof self) {
            failure_note(e->failure, "cannot hold a poll: the kernel gives no random numbers");
            return false;
        }
        self &= INT64_MAX;
    }
    struct flock lock = place_of(self);
    if (fcntl(e->bell.fd, F_OFD_SETLK, &lock) == -1) {
        failure_note(e->failure, "cannot lock a place in %s/bell: %s; use a local disk",
                     e->set->store, strerror(errno));
        return false;
    }
    e->holder.self = self;
    return true;
}

/* Put those that have died among the rows beyond AFTER into DEAD, which has COUNT. Returns how
 * many it has then. */
static size_t find_dead(struct engine *e, int64_t after, int64_t dead[NEIGHBOURS], size_t count)
{
    struct db_query *q = db_query(e->db, Q_holder_neighbours);

    db_put_int(q, 1, after);
    db_put_int(q, 2, (int64_t)(NEIGHBOURS - count));
    while (db_next(q) == DB_ROW) {
        int64_t id = db_int(q, 0);
        if (!engine_is_self(e, id) && !engine_lives(e, id))
            dead[count++] = id;
    }
    lite_check(e, db_done(q), "see which processes live");
    return count;
}

/* Remove the rows of some that have died: the next ones, in a ring. Numbers are drawn by chance,
 * so each is looked at some time. */
static void bury(struct engine *e)
{
    int64_t dead[NEIGHBOURS];
    size_t count = find_dead(e, e->holder.self, dead, 0);

    count = find_dead(e, 0, dead, count);
    while (count != 0 && !e->failure->failed) {
        struct db_query *q = db_query(e->db, Q_holder_delete);
        db_put_int(q, 1, dead[--count]);
        lite_check(e, db_run(q), "forget a process");
    }
}

static void write_holder(struct engine *e)
{
    struct db_query *q = db_query(e->db, Q_holder_insert);

    db_put_int(q, 1, e->holder.self);
    db_put_int(q, 2, getpid());
    lite_check(e, db_run(q), "note that this process holds polls");
    bury(e);
    e->holder.noted = e->holder.noting = !e->failure->failed;
}

void holder_committed(struct engine *e)
{
    e->holder.noting = false;
}

void holder_undone(struct engine *e)
{
    if (e->holder.noting)
        e->holder.noted = false;
    e->holder.noting = false;
}

/* ---- for the working set */

int64_t engine_hold(struct engine *e)
{
    if (e->holder.self == 0 && !become_holder(e))
        return 0;
    if (!e->holder.noted)
        write_holder(e);
    return e->failure->failed ? 0 : e->holder.self;
}

bool engine_counts(const struct engine *e)
{
    return e->holder.noted;
}

/* ---- all of them */

struct cursor *engine_polls(struct engine *e)
{
    return (struct cursor *)db_query(e->db, Q_polling_all);
}

bool engine_next_poll(struct engine *e, struct cursor *c, struct poll *out)
{
    enum { SESSION, HOLDER, POLLED, NUMBER, SHIM, OVER };
    struct db_query *q = (struct db_query *)c;

    if (db_next(q) != DB_ROW)
        return false;
    int64_t holder = db_int(q, HOLDER);
    *out = (struct poll){ .session = db_int(q, SESSION),
                          .number = db_int(q, NUMBER),
                          .polled_ms = db_int(q, POLLED),
                          .held = holder != 0
                                  && (engine_is_self(e, holder) || engine_lives(e, holder)),
                          .shim = db_int(q, SHIM) != 0,
                          .over = db_int(q, OVER) != 0 };
    return true;
}

int64_t engine_holders(struct engine *e)
{
    struct db_query *q = db_query(e->db, Q_holder_ids);
    int64_t count = 0;

    while (db_next(q) == DB_ROW)
        count += engine_is_self(e, db_int(q, 0)) || engine_lives(e, db_int(q, 0));
    lite_check(e, db_done(q), "see which processes live");
    return e->failure->failed ? 0 : count;
}
