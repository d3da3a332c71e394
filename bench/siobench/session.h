/* session.h - what there is of each simulated client: two connections as a browser has, what it has
 * yet to send, and the pair that it is one side of. How sessions end, and what the ramp hears of
 * them; what they say to the server is sio.h's.
 */
#ifndef SIOBENCH_SESSION_H
#define SIOBENCH_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "run.h"

/* A packet that waits for a POST. */
struct packet { struct packet *next; size_t len; char data[]; };

enum role { R_PROBE, R_IDLE, R_ACTIVE };
enum sess_state { S_NEW, S_OPENING, S_CONNECTING, S_CONNECTED, S_CLOSING, S_DEAD };

struct session {
    int id, side;               /* side: 0 creates the channel, 1 joins it */
    enum role role;
    enum sess_state st;
    bool started, settled;      /* settled: the ramp need not wait for it any more */
    bool ready, failed;
    struct conn poll, post;
    struct buf both;            /* --together: what a POST that waits begins with */
    /* an answer is being looked at: what is sent may leave with a poll */
    bool taking;
    struct pair *pair;          /* NULL: in no channel */
    struct packet *q_head, **q_tail;
    char sid[128];
    uint64_t last_ping, ping_limit;
    size_t max_payload;
};

struct stream {                 /* one direction of a pair */
    uint64_t sent, got, highest;
    uint8_t *seen;              /* one bit for each sequence number */
    size_t seen_cap;
};

struct pair {
    int id;
    struct session *side[2];
    struct stream stream[2];    /* 0: "message", creator to joiner; 1: "response" */
    bool created, join_sent, ready, broken;
    char emit[2][80];           /* how the event packet of each direction begins */
};

/* A packet with room for CAP bytes; append to it. */
struct packet *packet_new(size_t cap);
void packet_add(struct packet *p, const char *data, size_t n);

/* Give P to the queue of S; take the first one out, to be freed. */
void session_queue(struct session *s, struct packet *p);
struct packet *session_unqueue(struct session *s);

/* It has come as far as the ramp wants it; or the ramp need not wait for it any longer. */
void session_ready(struct session *s);
void session_settle(struct session *s);

/* Drop everything; sends nothing. */
void session_shut(struct session *s);

/* It failed: counted with the reason, shut, and its pair is broken. While all are leaving it is
 * shut and nothing more. */
void session_fail(struct session *s, enum fail_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As session_fail(), with the status of C's response and the start of its body. */
void fail_status(struct conn *c);

#endif
