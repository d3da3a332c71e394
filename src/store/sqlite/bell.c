/* bell.c - words between processes on one machine.
 *
 * A notice is a row, so that it is there when the message is, and not before. The bell is a file:
 * after the commit a pwrite to it is an inotify event in the others, which says only that there
 * may be notices. Rings may merge, and one's own is heard too. From one process to the next it
 * takes 68 microseconds, where sockets between processes get lost or refuse under load, and
 * watching SQLite's own files fires before the commit can be seen.
 */
#include "store/sqlite/lite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"

#define NOTICE_KEEP_S 60

static void bell_path(const struct engine *e, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/bell", e->set->store);
}

int bell_open(struct engine *e, struct buf *why)
{
    char path[PATH_MAX];

    bell_path(e, path);
    e->bell.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->bell.fd == -1) {
        buf_addf(why, "cannot open the bell %s: %s; make it writable for this user", path,
                 strerror(errno));
        return -1;
    }
    /* what was stored before concerns polls that this process does not hold */
    struct db_query *q = db_query(e->db, Q_notice_newest);
    if (db_next(q) == DB_ROW)
        e->bell.seen = db_int(q, 0);
    return db_done(q) == -1 ? lite_explain(e, "read the database", why) : 0;
}

void bell_close(struct engine *e)
{
    if (e->bell.fd != -1)
        close(e->bell.fd);
    if (e->bell.watch != -1)
        close(e->bell.watch);
}

void engine_looks(struct engine *e)
{
    e->bell.looks = true;
}

int engine_watch(struct engine *e)
{
    char path[PATH_MAX];

    if (e->bell.looks || e->bell.watch != -1)
        return e->bell.watch;
    bell_path(e, path);
    e->bell.watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (e->bell.watch != -1 && inotify_add_watch(e->bell.watch, path, IN_MODIFY) == -1) {
        close(e->bell.watch);
        e->bell.watch = -1;
    }
    if (e->bell.watch == -1)
        log_line(P130, NULL,
                 "cannot watch %s: %s; processes will notice each other's messages "
                 "late; raise fs.inotify.max_user_instances",
                 path, strerror(errno));
    return e->bell.watch;
}

/* ---- waking others */

void engine_notify(struct engine *e, int64_t session)
{
    struct db_query *q = db_query(e->db, Q_notice_insert);

    db_put_int(q, 1, session);
    lite_run(e, q, "store a notice");
    e->bell.ring = true;
}

/* ---- the commit, and what others have committed */

void bell_ring(struct engine *e)
{
    static const char stroke[8];

    if (!e->bell.ring)
        return;
    e->bell.ring = false;
    e->bell.rings++;
    if (pwrite(e->bell.fd, stroke, sizeof stroke, 0) == -1)
        log_often(P131, NULL, "cannot write to the bell file: %s; other processes notice late",
                  strerror(errno));
}

static void hear(const struct engine *e)
{
    char events[4096];

    while (e->bell.watch != -1 && read(e->bell.watch, events, sizeof events) > 0)
        ;
}

int engine_news(struct engine *e, int64_t *sessions, size_t most, size_t *count)
{
    hear(e);                            /* before looking: what comes meanwhile rings again */
    *count = 0;
    if (e->failure->failed)
        return -1;
    struct db_query *q = db_query(e->db, Q_notice_news);
    db_put_int(q, 1, e->bell.seen);
    db_put_int(q, 2, (int64_t)most);
    for (; *count < most && db_next(q) == DB_ROW; ++*count) {
        e->bell.seen = db_int(q, 0);
        sessions[*count] = db_int(q, 1);
    }
    if (db_done(q) == 0)
        return 0;
    lite_fail(e, "see whom others have woken");
    failure_over(e->failure);           /* the turn goes on without */
    return -1;
}

/* ---- tidying */

bool bell_has_old(struct engine *e)
{
    struct db_query *q = db_query(e->db, Q_notice_old);

    db_put_int(q, 1, NOTICE_KEEP_S);
    bool found = db_next(q) == DB_ROW;
    lite_check(e, db_done(q), "see what is old");
    return found && !e->failure->failed;
}

void bell_trim(struct engine *e, int64_t rows)
{
    struct db_query *q = db_query(e->db, Q_notice_trim);

    db_put_int(q, 1, NOTICE_KEEP_S);
    db_put_int(q, 2, rows);
    lite_check(e, db_run(q), "remove old notices");
}
