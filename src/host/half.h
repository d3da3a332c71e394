/* half.h - the requests of which only a part has come: which there are, how long they may take, and
 * how many and how large they may be, in all and of one visitor, so that none takes the room of the
 * others. Knows no sockets but their numbers, and reads no clock.
 */
#ifndef POLLUX_HOST_HALF_H
#define POLLUX_HOST_HALF_H

#include "host/record.h"

#define HALF_MAX 1024                   /* in all, and a share of it for one visitor's */
#define HALF_BYTES_MAX (INT64_C(64) << 20)
#define HALF_SHARE 16

/* How long the variables may take. The whole request may take longer: see halves_init(). */
#define HALF_HEAD_MS 10000

struct half {
    struct records in;
    int fd;
    bool kept;                          /* its connection had a request before */
    int64_t begun_ms;
    bool admitted;                      /* VISITOR is known */
    unsigned char visitor[16];          /* the network of the client's address; zeros: unknown */
    size_t bytes;                       /* of IN, as they were counted last */
};

struct halves {
    struct half *slot[HALF_MAX];        /* NULL: free */
    size_t count, bytes, bytes_max;
    size_t body_max;
    int64_t whole_ms;
};

/* A whole request may take WHOLE_MS from its first byte, and its body BODY_MAX bytes. */
void halves_init(struct halves *all, size_t body_max, int64_t whole_ms);

/* Keep what has come in *IN on FD. It is given and empty afterwards, unless it is at rest: then
 * nothing has come, and *IN keeps its memory. Returns the slot, or -1 when there is no room or no
 * memory; *IN is as it was then. */
int halves_add(struct halves *all, struct records *in, int fd, bool kept, int64_t now);

/* More has come of the one in SLOT; ADDRESS is its client's once its head is whole, else empty.
 * False: there is no room for it. */
bool halves_grown(struct halves *all, int slot, struct span address);

/* The slot of one whose time is over at NOW, or -1. */
int halves_late(const struct halves *all, int64_t now);

/* Forget the one in SLOT. What came of it goes to *IN, whose own memory is given back. */
void halves_take(struct halves *all, int slot, struct records *in);

/* Forget the one in SLOT and what came of it. */
void halves_drop(struct halves *all, int slot);

/* Give back the memory of all. */
void halves_release(struct halves *all);

#endif
