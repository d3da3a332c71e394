/* bell.c - one pwrite rings, inotify hears: 68 microseconds from one process to the next, where
 * sockets between processes get lost or refuse under load and watching SQLite's own files fires
 * before the commit can be seen. */
#include "store/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"

int bell_open(struct bell *b, const char *dir, struct buf *why)
{
    char path[PATH_MAX];

    *b = (struct bell){ -1, -1, dir };
    snprintf(path, sizeof path, "%s/bell", dir);
    b->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (b->file == -1) {
        buf_addf(why, "cannot open the bell %s: %s; make it writable for this user", path,
                 strerror(errno));
        return -1;
    }
    return 0;
}

void bell_listen(struct bell *b)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/bell", b->dir);
    b->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (b->watch != -1 && inotify_add_watch(b->watch, path, IN_MODIFY) == -1) {
        close(b->watch);
        b->watch = -1;
    }
    if (b->watch == -1)
        log_line(LOG_WARNING, "P130", "bell", NULL,
                 "cannot watch %s: %s; processes will notice each other's messages "
                 "late; raise fs.inotify.max_user_instances",
                 path, strerror(errno));
}

void bell_release(struct bell *b)
{
    if (b->file != -1)
        close(b->file);
    if (b->watch != -1)
        close(b->watch);
    *b = (struct bell){ -1, -1, NULL };
}

void bell_ring(struct bell *b)
{
    static const char stroke[8];

    if (pwrite(b->file, stroke, sizeof stroke, 0) == -1)
        log_line(LOG_WARNING, "P131", "bell", NULL,
                 "cannot write to the bell file: %s; other processes notice late", strerror(errno));
}

bool bell_heard(struct bell *b)
{
    char events[4096];
    bool heard = false;

    while (b->watch != -1 && read(b->watch, events, sizeof events) > 0)
        heard = true;
    return heard;
}
