/* conn.h - one keep-alive connection: it opens itself, carries one request at a time, and is opened
 * anew, with the request sent once more, when the server ended it before it answered.
 *
 * What comes of a request goes upward: sio_on_response() (sio.h) when its response is complete,
 * session_fail() (session.h) when there will be none. Either may close or reuse the connection.
 */
#ifndef SIOBENCH_CONN_H
#define SIOBENCH_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "response.h"

struct session;

struct conn {
    struct session *s;
    int fd;                     /* -1: not connected */
    uint32_t id, gen;           /* gen tells stale epoll events apart */
    bool is_poll;
    bool connecting;
    bool busy;                  /* a request is outstanding */
    bool retried;               /* that request was sent a second time already */
    struct buf head;            /* what all requests on it begin with */
    struct buf req;             /* the request under way */
    size_t sent;
    uint64_t since;             /* when it began */
    struct response r;
};

/* Send the request that was put together in c->req. */
void conn_request(struct conn *c);

/* epoll has told of EVENTS. */
void conn_event(struct conn *c, uint32_t events);

void conn_close(struct conn *c);

#endif
