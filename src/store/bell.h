/* bell.h - wakes the other processes on the same store, through a file that all of them watch.
 *
 * Ring after the commit; whoever hears it looks into the store. Rings may merge, and one's own is
 * heard too.
 */
#ifndef POLLUX_STORE_BELL_H
#define POLLUX_STORE_BELL_H

#include <stdbool.h>

#include "base/buf.h"

struct bell {
    int file;                   /* the bell file, for ringing */
    /* an inotify descriptor, readable when it rang; -1: only time will tell */
    int watch;
    const char *dir;            /* borrowed: where it is */
};

/* Open the bell in directory DIR (borrowed until bell_release()), creating it, for ringing. 0, or -1
 * with a sentence for the operator in WHY. */
int bell_open(struct bell *b, const char *dir, struct buf *why);

/* Hear it from now on; what rang before is missed. Without an inotify descriptor to be had .watch
 * stays -1, and the log says so: then look into the store now and then. Not for who has nothing to
 * wait for: to stop hearing takes up to 20 ms, which the kernel waits for its other processors. */
void bell_listen(struct bell *b);
void bell_release(struct bell *b);
void bell_ring(struct bell *b);

/* Has it rung since the last call? */
bool bell_heard(struct bell *b);

#endif
