/* phases.c - from the first session to the last; see phases.h. */
#include "phases.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "load.h"
#include "options.h"
#include "sio.h"
#include "watch.h"

#define TICK_NS     (5 * MS)             /* how often phases are looked at */
#define SWEEP_NS    (250 * MS)           /* how often time limits are looked at */
#define LINGER_NS   (300 * MS)           /* after the drain, to catch late duplicates */
#define MAX_CLOSING 64                   /* sessions being closed at one time */

static const char *const phase_name[] = { "probe", "probe settle", "idle ramp", "settle",
    "ramp", "warm-up", "measure", "drain", "linger", "close", "closed", "done" };

volatile sig_atomic_t stop_signals;

static void ramp_begin(int first, int end)
{
    g.ramp_first = g.ramp_next = first;
    g.ramp_end = end;
    g.ramp_settled = g.ramp_ready = 0;
    g.ramp_t0 = now_ns();
}

static void ramp_pump(void)
{
    double due = opt.ramp_rate > 0 ? 1 + opt.ramp_rate * (double)(now_ns() - g.ramp_t0) / 1e9 : 1e9;
    while (g.ramp_next < g.ramp_end && g.ramp_next - g.ramp_first - g.ramp_settled < opt.ramp &&
           g.ramp_next - g.ramp_first < due)
        sio_open(&g.sess[g.ramp_next++]);
}

static bool ramp_over(void) { return g.ramp_settled == g.ramp_end - g.ramp_first; }

static struct ramp_result ramp_end(const char *what)
{
    struct ramp_result r = { g.ramp_end - g.ramp_first, g.ramp_ready,
                             (double)(now_ns() - g.ramp_t0) / 1e9 };
    say("%s: %d of %d sessions ready in %.3f s (%.0f/s)", what, r.ready, r.sessions, r.seconds,
        r.seconds > 0 ? r.ready / r.seconds : 0.0);
    return r;
}

static void go(enum phase ph, double seconds)
{
    g.phase = ph;
    g.phase_end = now_ns() + (uint64_t)(seconds * 1e9);
    if (ph <= PH_CLOSE)
        say("phase: %s", phase_name[ph]);
}

static void begin_measuring(void)
{
    go(PH_MEASURE, opt.seconds);
    watch_cpu(0);
    g.m_begin = now_ns();
}

static void end_measuring(void)
{
    g.m_end = now_ns();
    watch_cpu(1);
}

static void begin_close(void)
{
    go(PH_CLOSE, 3 + g.nsess / 500.0);
    g.close_next = 0;
}

static bool close_pump(void)            /* true when all are closed */
{
    while (g.closing < MAX_CLOSING && g.close_next < g.nsess) {
        struct session *s = &g.sess[g.close_next++];
        if (s->started && s->st != S_DEAD)
            sio_close(s);
    }
    return g.closing == 0 && g.close_next == g.nsess;
}

static void cut_short(void)             /* interrupted, or out of time */
{
    if (g.phase == PH_RAMP_IDLE)
        st.ramp_idle = ramp_end("idle ramp, unfinished");
    if (g.phase == PH_RAMP)
        st.ramp_active = ramp_end("ramp, unfinished");
    if (g.phase == PH_MEASURE)
        end_measuring();
    if (g.phase == PH_MEASURE || g.phase == PH_WARMUP)
        go(PH_DRAIN, opt.grace < 1 ? opt.grace : 1);
    else
        begin_close();
}

static void after_ramp(void)
{
    if (g.nactive)
        st.ramp_active = ramp_end("ramp");
    if (g.nactive && st.ramp_active.ready == 0) {
        say("no session came up: giving up");
        begin_close();
        return;
    }
    go(PH_WARMUP, opt.warmup);
    load_start(now_ns());
}

static void phase_step(uint64_t now)
{
    bool due = now >= g.phase_end;
    switch (g.phase) {
    case PH_PROBE:
        if (!ramp_over())
            break;
        if (g.ramp_ready)
            go(PH_PROBE_SETTLE, 1);
        else
            begin_close();
        break;
    case PH_PROBE_SETTLE:
        if (!due)
            break;
        watch_memory(SN_BEFORE);
        go(PH_RAMP_IDLE, 0);
        ramp_begin(1, 1 + opt.sessions);
        break;
    case PH_RAMP_IDLE:
        if (ramp_over()) {
            st.ramp_idle = ramp_end("idle ramp");
            go(PH_SETTLE, opt.settle);
        }
        break;
    case PH_SETTLE:
        if (!due)
            break;
        watch_memory(SN_STEADY);
        go(PH_RAMP, 0);
        ramp_begin(1 + opt.sessions, g.nsess);
        break;
    case PH_RAMP:
        if (ramp_over())
            after_ramp();
        break;
    case PH_WARMUP:
        if (due)
            begin_measuring();
        break;
    case PH_MEASURE:
        if (due) {
            end_measuring();
            go(PH_DRAIN, opt.grace);
        }
        break;
    case PH_DRAIN:
        if (due || load_outstanding() == 0)
            go(PH_LINGER, (double)LINGER_NS / 1e9);
        break;
    case PH_LINGER:
        if (!due)
            break;
        watch_memory(SN_END);
        begin_close();
        break;
    case PH_CLOSE:
        if (close_pump() || due) {
            for (int i = 0; i < g.nsess; i++)
                if (g.sess[i].st != S_DEAD)
                    session_shut(&g.sess[i]);
            go(PH_CLOSED, opt.nwatch ? 1 : 0);
        }
        break;
    case PH_CLOSED:
        if (due) {
            watch_memory(SN_CLOSED);
            go(PH_DONE, 0);
        }
        break;
    case PH_DONE:
        break;
    }
}

/* Time limits of one session. */
static void session_sweep(struct session *s, uint64_t now)
{
    uint64_t limit = (uint64_t)(opt.request_timeout * 1e9);
    if (!s->started || s->st == S_DEAD || s->st == S_CLOSING)
        return;
    if (s->post.busy && now > s->post.since + limit)
        session_fail(s, F_TIMEOUT, "post: no response within %g s", opt.request_timeout);
    else if (!s->ready && s->poll.busy && now > s->poll.since + limit)
        session_fail(s, F_TIMEOUT, "not ready within %g s", opt.request_timeout);
    else if (s->ping_limit && now > s->last_ping + s->ping_limit)
        session_fail(s, F_TIMEOUT, "no ping from the server within pingInterval + pingTimeout");
}

static void tick(uint64_t now)
{
    if (stop_signals && !g.interrupted) {
        g.interrupted = true;
        say("interrupted: finishing");
        if (g.phase < PH_DRAIN)
            cut_short();
    }
    if (now >= g.hard_end && !g.timed_out && g.phase < PH_CLOSE) {
        g.timed_out = true;
        say("the run took more than %g s: giving up", opt.timeout);
        cut_short();
    }
    if (now >= g.next_sweep) {
        g.next_sweep = now + SWEEP_NS;
        for (int i = 0; i < g.nsess && g.phase < PH_CLOSE; i++)
            session_sweep(&g.sess[i], now);
    }
    phase_step(now);
    g.next_tick = now + TICK_NS;
}

static void begin_run(void)
{
    g.t0 = now_ns();
    g.hard_end = g.t0 + (uint64_t)(opt.timeout * 1e9);
    if (opt.mode == M_IDLE) {
        go(PH_PROBE, 0);
        ramp_begin(0, 1);
    } else {
        watch_memory(SN_BEFORE);
        go(PH_RAMP, 0);
        ramp_begin(0, g.nsess);
    }
}

void phases_run(void)
{
    static struct epoll_event ev[128];
    begin_run();
    while (g.phase != PH_DONE) {
        uint64_t now = now_ns(), wake;
        load_pump(now);
        if (now >= g.next_tick)
            tick(now);
        if (g.phase < PH_CLOSE)
            ramp_pump();
        wake = load_due(g.next_tick);
        now = now_ns();
        uint64_t left = wake > now ? wake - now : 0;
        struct timespec ts = { (time_t)(left / NS), (long)(left % NS) };
        int n = epoll_pwait2(g.ep, ev, 128, &ts, NULL);
        if (n < 0 && errno != EINTR)
            die(1, "epoll_pwait2: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            uint32_t id = (uint32_t)(ev[i].data.u64 >> 32);
            struct session *s = &g.sess[id / 2];
            struct conn *c = id & 1 ? &s->post : &s->poll;
            if (c->fd >= 0 && c->gen == (uint32_t)ev[i].data.u64)
                conn_event(c, ev[i].events);
        }
    }
}
