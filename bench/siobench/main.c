/*
 * siobench - load generator for Socket.IO servers over HTTP long-polling
 *            (Engine.IO v4, Socket.IO protocol v5).
 *
 * One thread, one edge-triggered epoll set.  Every simulated client is one
 * session with two keep-alive connections, as a browser has: one that carries
 * the outstanding long-poll GET and one for POSTs.  See ../README.md.
 *
 * main.c sets everything up.  The walk of a run:
 *
 *     main ── phases ── load     who begins, what is sent when
 *                       sio      what a client says; joins, polls, POSTs
 *                       session  its queue, its end
 *                       conn     bytes, as response reads them
 *     watch                      what the server uses meanwhile
 *     figures, report_...        what is said of it afterwards
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "message.h"
#include "options.h"
#include "phases.h"
#include "report.h"

static void init_conn(struct session *s, struct conn *c, bool is_poll)
{
    c->s = s;
    c->fd = -1;
    c->id = (uint32_t)s->id * 2 + !is_poll;
    c->is_poll = is_poll;
}

static void init_pair(int session)
{
    struct pair *p = &g.pair[g.npair];
    p->id = g.npair++;
    for (int d = 0; d < 2; d++)
        snprintf(p->emit[d], sizeof p->emit[d], "42[\"%s\",{\"channel\":\"%s-%d\",\"message\":",
                 d == 0 ? "message" : "response", g.nonce, p->id);
    for (int i = 0; i < 2; i++) {
        p->side[i] = &g.sess[session + i];
        p->side[i]->pair = p;
        p->side[i]->side = i;
    }
}

static void init_sessions(void)
{
    int idle = opt.mode == M_IDLE ? 1 + opt.sessions : 0;      /* with the probe */
    g.nsess = idle + 2 * opt.pairs;
    g.sess = xcalloc((size_t)g.nsess, sizeof *g.sess);
    g.pair = xcalloc((size_t)(g.nsess / 2 + 1), sizeof *g.pair);
    for (int i = 0; i < g.nsess; i++) {
        struct session *s = &g.sess[i];
        s->id = i;
        s->role = i >= idle ? R_ACTIVE : i == 0 ? R_PROBE : R_IDLE;
        s->q_tail = &s->q_head;
        s->max_payload = 1000000;
        init_conn(s, &s->poll, true);
        init_conn(s, &s->post, false);
    }
    for (int i = 1; opt.join && i + 1 < idle; i += 2)
        init_pair(i);
    g.first_active = g.npair;
    g.nactive = opt.pairs;
    for (int i = idle; i < g.nsess; i += 2)
        init_pair(i);
}

static void init_limits(void)
{
    struct rlimit rl;
    rlim_t need = (rlim_t)g.nsess * 2 + 32;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < need)
        die(2, "%d sessions need %llu open files, the limit is %llu", g.nsess,
            (unsigned long long)need, (unsigned long long)rl.rlim_cur);
    if (opt.sources == 0)
        opt.sources = 1 + g.nsess * 2 / 8000;
    prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
}

static void init_text(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    g.rng = mix64(opt.seed + 1);
    snprintf(g.nonce, sizeof g.nonce, "b%012" PRIx64,
             mix64(opt.seed ^ (uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 30
                   ^ (uint64_t)getpid() << 48) >> 16);
    message_init();
    buf_fmt(&g.head, "Host: %s:%d\r\nUser-Agent: siobench/" VERSION "\r\nAccept: */*\r\n", opt.host,
            opt.port);
    if (opt.headers.len)
        buf_add(&g.head, opt.headers.p, opt.headers.len);
}

static void on_signal(int sig)
{
    (void)sig;
    if (++stop_signals > 1)
        _exit(1);
}

int main(int argc, char **argv)
{
    options_read(argc, argv);
    init_text();
    init_sessions();
    init_limits();
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    watch_resolve(true);
    g.ep = epoll_create1(EPOLL_CLOEXEC);
    if (g.ep < 0)
        die(1, "epoll_create1: %s", strerror(errno));

    phases_run();

    struct figures f = figures_make();
    if (!opt.quiet)
        report_text(f);
    if (opt.json)
        report_json(f);
    return f.ok ? 0 : 1;
}
