/* wake.c - words between processes: whoever stored something for a session says so, and the process
 * that holds its poll looks.
 *
 *     store_wake(session)
 *       │
 *       ├ held here ──────▶ the list of this turn: store_woken()
 *       ├ held elsewhere ─▶ a notice, a row of the turn's transaction
 *       └ by nobody ──────▶ nothing: its next poll finds what there is
 *
 *     the commit ─▶ were there notices? one pwrite to the bell, a file ─▶ inotify in the others
 *                   ─▶ store_news() reads the notices beyond those that it has seen ─▶ store_woken()
 *
 * A notice is a row so that it is there when the message is, and not before; the bell says only that
 * there may be some. Rings may merge, and one's own is heard too. From one process to the next it takes 68
 * microseconds, where sockets between processes get lost or refuse under load, and watching SQLite's own
 * files fires before the commit can be seen.
 */
#include "store/sqlite/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"

#define NEWS_BATCH 256
#define NOTICE_KEEP_S 60

static void bell_path(const struct store *s, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/bell", s->set->store);
}

int store_open_bell(struct store *s, struct buf *why)
{
    char path[PATH_MAX];

    bell_path(s, path);
    s->wake.bell = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->wake.bell == -1) {
        buf_addf(why, "cannot open the bell %s: %s; make it writable for this user", path,
                 strerror(errno));
        return -1;
    }
    /* what was stored before concerns polls that this process does not hold */
    struct db_query *q = db_query(s->db, Q_notice_newest);
    if (db_next(q) == DB_ROW)
        s->wake.seen = db_int(q, 0);
    return db_done(q) == -1 ? store_explain(s, "read the database", why) : 0;
}

void store_close_bell(struct store *s)
{
    if (s->wake.bell != -1)
        close(s->wake.bell);
    if (s->wake.watch != -1)
        close(s->wake.watch);
    free(s->wake.woken);
}

int store_watch(struct store *s)
{
    char path[PATH_MAX];

    if (s->wake.watch != -1)
        return s->wake.watch;
    bell_path(s, path);
    s->wake.watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->wake.watch != -1 && inotify_add_watch(s->wake.watch, path, IN_MODIFY) == -1) {
        close(s->wake.watch);
        s->wake.watch = -1;
    }
    if (s->wake.watch == -1)
        log_line(P130, NULL,
                 "cannot watch %s: %s; processes will notice each other's messages "
                 "late; raise fs.inotify.max_user_instances",
                 path, strerror(errno));
    return s->wake.watch;
}

/* ---- waking */

static void wake_here(struct store *s, int64_t session)
{
    struct wake *w = &s->wake;

    if (w->count == w->cap) {
        size_t cap = w->cap != 0 ? w->cap * 2 : 64;
        int64_t *woken = realloc(w->woken, cap * sizeof *woken);
        if (woken == NULL) {
            store_lacks(s, "remember whom to wake: out of memory; give the machine more");
            return;
        }
        w->woken = woken;
        w->cap = cap;
    }
    w->woken[w->count++] = session;
}

void store_wake_others(struct store *s, int64_t session)
{
    if (!store_begin(s))
        return;
    struct db_query *q = db_query(s->db, Q_notice_insert);
    db_put_int(q, 1, session);
    store_check(s, db_run(q), "store a notice");
    s->wake.ring = true;
}

void store_wake(struct store *s, int64_t session)
{
    const struct session *object = session != 0 ? store_session_by_id(s, session) : NULL;
    int64_t holder = object != NULL ? store_holder(object) : 0;

    if (holder != 0 && store_is_self(s, holder))
        wake_here(s, session);
    else if (holder != 0)
        store_wake_others(s, session);
}

bool store_woken(struct store *s, int64_t *session)
{
    struct wake *w = &s->wake;

    if (w->next == w->count) {
        w->next = w->count = 0;
        return false;
    }
    *session = w->woken[w->next++];
    return true;
}

/* ---- the commit, and what others have committed */

void store_ring(struct store *s)
{
    static const char stroke[8];

    if (!s->wake.ring)
        return;
    s->wake.ring = false;
    s->wake.rings++;
    if (pwrite(s->wake.bell, stroke, sizeof stroke, 0) == -1)
        log_often(P131, NULL, "cannot write to the bell file: %s; other processes notice late",
                  strerror(errno));
}

static void hear_bell(const struct store *s)
{
    char events[4096];

    while (s->wake.watch != -1 && read(s->wake.watch, events, sizeof events) > 0)
        ;
}

int store_news(struct store *s)
{
    int64_t rows;

    hear_bell(s);                       /* before looking: what comes meanwhile rings again */
    if (s->failed)
        return -1;
    do {
        struct db_query *q = db_query(s->db, Q_notice_news);
        db_put_int(q, 1, s->wake.seen);
        db_put_int(q, 2, NEWS_BATCH);
        for (rows = 0; db_next(q) == DB_ROW; rows++) {
            s->wake.seen = db_int(q, 0);
            wake_here(s, db_int(q, 1));
        }
        if (db_done(q) == -1)
            return -1;
    } while (rows == NEWS_BATCH);
    return 0;
}

/* ---- tidying */

bool store_has_old_notices(struct store *s)
{
    struct db_query *q = db_query(s->db, Q_notice_old);

    db_put_int(q, 1, NOTICE_KEEP_S);
    bool found = db_next(q) == DB_ROW;
    store_check(s, db_done(q), "see what is old");
    return found && !s->failed;
}

void store_trim_notices(struct store *s, int64_t rows)
{
    struct db_query *q = db_query(s->db, Q_notice_trim);

    db_put_int(q, 1, NOTICE_KEEP_S);
    db_put_int(q, 2, rows);
    store_check(s, db_run(q), "remove old notices");
}
