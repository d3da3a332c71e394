/* page.h - the log by the page: some messages with their deliveries, read at once and then free
 * of the database.
 *
 * There is no index by channel or by message, as each would cost every event that is stored. So the
 * log is walked by id, a window at a time; and since deliveries are stored in the order of their
 * messages, a message's deliveries are found by halving the range of their ids.
 */
#ifndef POLLUX_CTL_PAGE_H
#define POLLUX_CTL_PAGE_H

#include "ctl/ctl.h"

/* One message. */
struct said {
    int64_t seq, at_ms, type, size, recipients, attachments;
    int64_t sender;                     /* socket.id; 0: the server */
    bool has_channel, has_body;
    struct buf channel, name, body;
    size_t first, count;                /* its deliveries: page.heard[first], ... */
};

/* One delivery. */
struct heard {
    int64_t socket;
    int64_t sent_ms;                    /* 0: not yet */
    int64_t arrived_ms;                 /* 0: not yet, or never */
    bool settled;                       /* it arrived, or never will */
};

struct page {
    struct said *said;
    size_t count, cap;
    struct heard *heard;
    size_t heard_count, heard_cap;
};

void page_release(struct page *p);

/* The id that no message of the log is at or before. -1 on failure. */
int64_t page_start(struct ctl *c);

/* The id after which the last N messages begin that are in channel C->argument and in C's range
 * of time. -1 on failure. */
int64_t page_last(struct ctl *c, int64_t n);

/* Read some of what follows *AFTER into P (overwritten) and move *AFTER on. 1: there is more to
 * look at (P may be empty all the same); 0: that was the end, for now; -1 on failure. */
int page_next(struct ctl *c, struct page *p, int64_t *after);

/* Read message SEQ into P, whatever its channel, type and time. 1; 0: there is none; -1 on
 * failure. */
int page_one(struct ctl *c, struct page *p, int64_t seq);

/* What became of a delivery: "arrived", "never", "sent" or "waiting". */
const char *heard_state(const struct heard *h);

/* The arguments of an event: its body without brackets and name. The whole body if it is not as
 * expected. Lent from S. */
struct span said_arguments(const struct said *s);

/* Is this an event of a client or of the server? Else it is another kind of packet. */
bool said_is_event(const struct said *s);

/* Did a client say it to the server, which alone is meant by it; or to others, of whom nobody was
 * there? */
bool said_to_server(const struct said *s);
bool said_to_nobody(const struct said *s);

/* "event", "ack" and so on. */
const char *said_type(const struct said *s);

#endif
