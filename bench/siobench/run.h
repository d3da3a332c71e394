/* run.h - how far the run is, and what has been counted in it. All files share the two: main.c
 * fills in the sessions, phases.c and load.c move the rest of g, everybody counts in st, the report
 * reads.
 */
#ifndef SIOBENCH_RUN_H
#define SIOBENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "hist.h"
#include "util.h"

struct session;
struct pair;

/* Idle mode begins with the first, the others with PH_RAMP. */
enum phase { PH_PROBE, PH_PROBE_SETTLE, PH_RAMP_IDLE, PH_SETTLE, PH_RAMP, PH_WARMUP,
             PH_MEASURE, PH_DRAIN, PH_LINGER, PH_CLOSE, PH_CLOSED, PH_DONE };

enum fail_kind { F_CONNECT, F_DROPPED, F_HTTP, F_PROTOCOL, F_CLOSED, F_TIMEOUT, F_KINDS };

#define MAX_REASONS 24
struct reason { char text[160]; uint64_t n; };

struct ramp_result { int sessions, ready; double seconds; };

extern struct run {
    int ep;                             /* of epoll */
    uint64_t t0;                        /* start of the run; message times count from it */
    uint64_t rng;                       /* for --poisson */
    char nonce[20];                     /* channels of this run begin with it */
    struct buf head;                    /* header lines common to all requests */

    struct session *sess;
    int nsess;
    struct pair *pair;
    int npair;
    int first_active, nactive;          /* range of active pairs */

    enum phase phase;
    uint64_t phase_end, hard_end, next_tick, next_sweep;
    int ramp_first, ramp_next, ramp_end, ramp_settled, ramp_ready;
    uint64_t ramp_t0;
    int close_next, closing;

    double next_send;                   /* paced: intended time of the next message */
    uint64_t send_index;

    uint64_t m_begin, m_end;            /* the measured window */
    bool timed_out, interrupted;
} g;

extern struct counts {
    uint64_t hops;                      /* in the measured window */
    uint64_t sent, delivered;           /* whole run */
    uint64_t duplicated, out_of_order, corrupted, misrouted;
    uint64_t polls, posts, post_packets, bytes_in, bytes_out;
    uint64_t connects, idle_closes, retries, unsolicited, warnings;
    uint64_t pings, pings_window, skipped;
    uint64_t failed, failed_idle, failed_kind[F_KINDS], failed_idle_kind[F_KINDS];
    uint64_t pairs_broken, abandoned;   /* abandoned: its partner failed in the ramp */
    struct reason reason[MAX_REASONS];
    int nreasons;
    struct ramp_result ramp_idle, ramp_active;
    struct hist latency, lag;
} st;

/* Are new messages sent in this phase? */
bool traffic_on(void);

/* Progress, on standard error, unless --quiet. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
