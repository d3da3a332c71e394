/* report_text.c - the report for people. */
#include <inttypes.h>
#include <stdio.h>

#include "report.h"
#include "run.h"

static void text_memory(const struct watch *w)
{
    for (int i = 0; i < SNAPS; i++) {
        const struct memory *m = &w->mem[i];
        struct growth e = growth(w, (enum snap)i);
        if (!m->taken)
            continue;
        printf("            %-7s rss %8ld KiB   pss %8ld KiB   anon %8ld KiB   fds %5d",
               snap_name[i],
               m->rss_kb, m->pss_kb, m->anon_kb, m->fds);
        if (e.known && (i == SN_STEADY || i == SN_END))
            printf("   each session: rss %.0f  pss %.0f  anon %.0f B  fds %.2f", e.rss, e.pss,
                   e.anon, e.fds);
        putchar('\n');
    }
}

static void text_watch(struct figures f)
{
    double total = 0;
    for (int i = 0; i < opt.nwatch; i++) {
        const struct watch *w = &watches[i];
        total += cpu_s(w);
        printf("watch       %s: %d process%s%s, cpu %.2f s = %.0f%% of a core (user %.2f sys "
               "%.2f), %.1f us/hop\n",
               opt.watch[i], w->n, w->n == 1 ? "" : "es", w->changed ? " (set changed!)" : "",
               cpu_s(w), 100 * per(cpu_s(w), f.window_s), w->cpu[1].user - w->cpu[0].user,
               w->cpu[1].sys - w->cpu[0].sys, 1e6 * per(cpu_s(w), (double)st.hops));
        text_memory(w);
    }
    if (opt.nwatch && st.hops > 0 && total <= 0)
        puts("            <- WHAT IS WATCHED DID NOTHING: IS IT THE SERVER?");
}

static void text_ramp(const char *name, struct ramp_result r)
{
    if (r.sessions)
        printf("%-11s %d of %d sessions ready in %.3f s (%.0f/s)\n", name, r.ready, r.sessions,
               r.seconds, per(r.ready, r.seconds));
}

void report_text(struct figures f)
{
    printf("siobench    %s at %s:%d%s, %d pairs", mode_name[opt.mode], opt.host, opt.port, opt.path,
           opt.pairs);
    if (opt.mode == M_IDLE)
        printf(", %d idle sessions%s", opt.sessions, opt.join ? " (joined)" : "");
    if (opt.mode == M_RELAY)
        printf(", window %d", opt.window);
    else
        printf(", %g messages/s%s", opt.rate, opt.poisson ? " (Poisson)" : "");
    printf(", %d bytes\n", opt.size);
    text_ramp("idle ramp", st.ramp_idle);
    text_ramp("ramp", st.ramp_active);
    printf("throughput  %" PRIu64 " hops in %.3f s: %.1f hops/s\n", st.hops, f.window_s,
           f.hops_per_s);
    printf("latency     p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f  mean %.3f ms "
           "(%" PRIu64 " samples)\n",
           hist_ms(&st.latency, 50), hist_ms(&st.latency, 90), hist_ms(&st.latency, 99),
           hist_ms(&st.latency, 99.9), (double)st.latency.max / 1e6, hist_mean_ms(&st.latency),
           st.latency.n);
    printf("integrity   sent %" PRIu64 "  delivered %" PRIu64 "  lost %" PRIu64 "  duplicated "
                                                                                "%" PRIu64
           "  out of order %" PRIu64 "  corrupted %" PRIu64 "  misrouted %" PRIu64 "\n", st.sent,
           st.delivered, f.lost, st.duplicated, st.out_of_order, st.corrupted, st.misrouted);
    printf("sessions    failed %" PRIu64 "  abandoned %" PRIu64 "  pairs broken %" PRIu64 "\n",
           st.failed,
           st.abandoned, st.pairs_broken);
    for (int i = 0; i < st.nreasons; i++)
        printf("            %" PRIu64 " x %s\n", st.reason[i].n, st.reason[i].text);
    if (opt.mode == M_IDLE)
        printf("idle        lost %" PRIu64 " of %d  pings answered %" PRIu64 " (%" PRIu64
               " in the window)\n", st.failed_idle, opt.sessions, st.pings, st.pings_window);
    printf("http        polls %" PRIu64 "  posts %" PRIu64 " (%.2f packets each)  connects %" PRIu64
           "  idle closes %" PRIu64 "  retries %" PRIu64 "  unsolicited %" PRIu64 "  warnings "
                                                                                  "%" PRIu64 "\n",
           st.polls, st.posts, per((double)st.post_packets, (double)st.posts), st.connects,
           st.idle_closes,
           st.retries, st.unsolicited, st.warnings);
    text_watch(f);
    printf("generator   cpu %.2f s = %.0f%% of a core, %.1f us/hop", f.gen_user + f.gen_sys,
           100 * f.gen_share,
           1e6 * per(f.gen_user + f.gen_sys, (double)st.hops));
    if (st.lag.n)
        printf(", sending lag p50 %.3f p99 %.3f max %.3f ms", hist_ms(&st.lag, 50),
               hist_ms(&st.lag, 99),
               (double)st.lag.max / 1e6);
    printf("%s\n", f.gen_share > 0.85 ? "   <- THE GENERATOR MAY BE THE BOTTLENECK" : "");
    printf("machine     other work %.0f%% of a core%s, stolen %.0f%%%s\n", 100 * f.other,
           opt.nwatch ? "" : " (the server's included: no --watch)", 100 * f.steal,
           opt.nwatch && f.other + f.steal > 0.15 ? "   <- THE MACHINE WAS NOT QUIET" : "");
    printf("result      %s%s%s\n", f.ok ? "ok" : "NOT OK", g.interrupted ? ", interrupted" : "",
           g.timed_out ? ", out of time" : "");
}
