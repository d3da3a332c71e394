/* bell.h - wakes the other processes on the same store, through a file that all of them watch.
 *
 * Ring after the commit; whoever hears it looks into the store. Rings may merge, and one's own is
 * heard too.
 */
#ifndef POLLUX_BELL_H
#define POLLUX_BELL_H

#include <stdbool.h>

#include "buf.h"

struct bell {
    int file;                   /* the bell file, for ringing */
    /* an inotify descriptor, readable when it rang; -1: only time will tell */
    int watch;
};

/* Open the bell in directory DIR, creating it. 0, or -1 with a sentence for the operator in WHY.
 * Without an inotify descriptor to be had it succeeds with watch -1 and says so in the log: then
 * look into the store now and then. */
int bell_open(struct bell *b, const char *dir, struct buf *why);
void bell_release(struct bell *b);
void bell_ring(struct bell *b);

/* Has it rung since the last call? */
bool bell_heard(struct bell *b);

#endif
