/* figures.c - from counts to figures; see report.h. */
#include "report.h"
#include "run.h"

static double tv(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

double per(double a, double b) { return b > 0 ? a / b : 0; }

double cpu_s(const struct watch *w)
{
    return w->cpu[1].user + w->cpu[1].sys - w->cpu[0].user - w->cpu[0].sys;
}

struct figures figures_make(void)
{
    struct figures f = { 0 };
    bool needs_hops = opt.mode != M_IDLE || opt.pairs > 0;
    if (g.m_end > g.m_begin)
        f.window_s = (double)(g.m_end - g.m_begin) / 1e9;
    f.hops_per_s = per((double)st.hops, f.window_s);
    f.gen_user = tv(own_use[1].ru_utime) - tv(own_use[0].ru_utime);
    f.gen_sys = tv(own_use[1].ru_stime) - tv(own_use[0].ru_stime);
    f.gen_share = per(f.gen_user + f.gen_sys, f.window_s);
    f.other = machine_use[1].busy - machine_use[0].busy - f.gen_user - f.gen_sys;
    for (int i = 0; i < opt.nwatch; i++)
        f.other -= cpu_s(&watches[i]);
    f.other = per(f.other > 0 ? f.other : 0, f.window_s);
    f.steal = per(machine_use[1].steal - machine_use[0].steal, f.window_s);
    f.lost = st.sent - st.delivered;
    f.ok = !f.lost && !st.duplicated && !st.out_of_order && !st.corrupted && !st.misrouted &&
           !st.failed && !st.pairs_broken && !st.skipped && !g.timed_out && !g.interrupted &&
           f.window_s > 0 && (!needs_hops || st.hops > 0);
    return f;
}

struct growth growth(const struct watch *w, enum snap at)
{
    const struct memory *a = &w->mem[SN_BEFORE], *b = &w->mem[at];
    double n = opt.sessions + (at == SN_STEADY ? 0 : 2.0 * opt.pairs);
    if (opt.mode != M_IDLE || !a->taken || !b->taken)
        return (struct growth){ 0 };
    return (struct growth){ true, (double)(b->rss_kb - a->rss_kb) * 1024 / n,
                            (double)(b->pss_kb - a->pss_kb) * 1024 / n,
                            (double)(b->anon_kb - a->anon_kb) * 1024 / n, (b->fds - a->fds) / n };
}
