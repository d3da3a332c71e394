/* park.h - the polls held by this process: whose, and when each must be answered at the latest.
 *
 * A poll that came twice (a retry) is held twice, under the same session. Finding, adding and
 * taking cost the same however many are held, but for the heap of deadlines, which is logarithmic.
 */
#ifndef POLLUX_CORE_PARK_H
#define POLLUX_CORE_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/host.h"

struct held {
    int64_t session;
    int64_t due_ms;             /* answer it then, be it with a ping */
    struct conn conn;
    int32_t poll;               /* the session's count of polls, low bits: which poll this is */
    bool shared;                /* another process may hold the same poll */
    bool begun;                 /* its answer has been begun: the packets follow, and no headers */
};

struct park;

/* NULL without memory. */
struct park *park_new(void);
void park_free(struct park *p);

/* Hold H (copied). False without memory: nothing changed. */
bool park_add(struct park *p, const struct held *h);

/* Take out one of SESSION's polls, or the one on the descriptor FD, or look at one; false: none is
 * held. */
bool park_take(struct park *p, int64_t session, struct held *out);
bool park_take_fd(struct park *p, int64_t session, int fd, struct held *out);
bool park_peek(const struct park *p, int64_t session, struct held *out);
bool park_has(const struct park *p, int64_t session);

/* One of SESSION's polls whose answer has not been begun, to be looked at; false: none. And its
 * answer was begun. */
bool park_unbegun(const struct park *p, int64_t session, struct held *out);
void park_begun(struct park *p, int64_t session, int fd);

/* The earliest due_ms; INT64_MAX when nothing is held. */
int64_t park_deadline(const struct park *p);

/* The session of a poll whose due_ms is not after NOW; false: none. It stays held. */
bool park_due(const struct park *p, int64_t now, int64_t *session);

/* Hold SESSION's polls until DUE_MS instead. */
void park_put_off(struct park *p, int64_t session, int64_t due_ms);

/* Any session that has a poll held; false: none. */
bool park_any(const struct park *p, int64_t *session);
size_t park_count(const struct park *p);

#endif
