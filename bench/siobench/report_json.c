/* report_json.c - all figures as one JSON object. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "run.h"

static const char *const fail_name[] = { "connect_error", "connection_lost", "http_error",
                                         "protocol_error", "closed_by_server", "timeout" };

static void json_string(FILE *o, const char *s)
{
    fputc('"', o);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(o, "\\%c", *s);
        else if ((unsigned char)*s < 32)
            fprintf(o, "\\u%04x", (unsigned char)*s);
        else
            fputc(*s, o);
    }
    fputc('"', o);
}

static const char *json_bool(bool b) { return b ? "true" : "false"; }

static void json_hist(FILE *o, const char *name, const struct hist *h)
{
    fprintf(o, "  \"%s\": {\"samples\": %" PRIu64 ", \"mean\": %.6f, \"p50\": %.6f, \"p90\": %.6f, "
            "\"p99\": %.6f, \"p999\": %.6f, \"max\": %.6f},\n", name, h->n, hist_mean_ms(h),
            hist_ms(h, 50), hist_ms(h, 90), hist_ms(h, 99), hist_ms(h, 99.9), (double)h->max / 1e6);
}

static void json_ramp(FILE *o, const char *name, struct ramp_result r)
{
    fprintf(o, "  \"%s\": {\"sessions\": %d, \"ready\": %d, \"seconds\": %.6f, \"sessions_per_s\": "
               "%.3f},\n",
            name, r.sessions, r.ready, r.seconds, per(r.ready, r.seconds));
}

static void json_kinds(FILE *o, const char *name, const uint64_t *n)
{
    fprintf(o, "\"%s\": {", name);
    for (int i = 0; i < F_KINDS; i++)
        fprintf(o, "%s\"%s\": %" PRIu64, i ? ", " : "", fail_name[i], n[i]);
    fputs("}", o);
}

static void json_run(FILE *o)
{
    fprintf(o, "  \"tool\": \"siobench\", \"version\": \"%s\",\n  \"mode\": \"%s\", "
            "\"host\": \"%s\", \"port\": %d, \"path\": ", VERSION, mode_name[opt.mode], opt.host,
            opt.port);
    json_string(o, opt.path);
    fprintf(o, ",\n  \"pairs\": %d, \"idle_sessions\": %d, \"joined\": %s, \"window\": %d, "
               "\"rate\": %g, "
            "\"poisson\": %s, \"size\": %d, \"seed\": %" PRIu64 ", \"seconds\": %g, \"warmup\": "
                                                                "%g, "
            "\"sources\": %d,\n", opt.pairs, opt.mode == M_IDLE ? opt.sessions : 0,
            json_bool(opt.join),
            opt.mode == M_RELAY ? opt.window : 0, opt.mode == M_RELAY ? 0 : opt.rate,
            json_bool(opt.poisson), opt.size, opt.seed, opt.seconds, opt.warmup, opt.sources);
}

static void json_failures(FILE *o)
{
    fprintf(o, "  \"sessions_failed\": %" PRIu64 ", \"sessions_abandoned\": %" PRIu64
            ", \"pairs_broken\": %" PRIu64 ",\n  ", st.failed, st.abandoned, st.pairs_broken);
    json_kinds(o, "failed_by_kind", st.failed_kind);
    fputs(",\n  \"failures\": [", o);
    for (int i = 0; i < st.nreasons; i++) {
        fputs(i ? ", {\"reason\": " : "{\"reason\": ", o);
        json_string(o, st.reason[i].text);
        fprintf(o, ", \"count\": %" PRIu64 "}", st.reason[i].n);
    }
    fputs("],\n", o);
    if (opt.mode != M_IDLE)
        return;
    fprintf(o, "  \"idle\": {\"sessions\": %d, \"ready\": %d, \"lost\": %" PRIu64 ", \"pings\": "
                                                                                  "%" PRIu64
            ", \"pings_in_window\": %" PRIu64 ", ", opt.sessions, st.ramp_idle.ready,
            st.failed_idle,
            st.pings, st.pings_window);
    json_kinds(o, "lost_by_kind", st.failed_idle_kind);
    fputs("},\n", o);
}

static void json_growth(FILE *o, const char *name, struct growth e)
{
    if (e.known)
        fprintf(o, ", \"%s\": {\"rss_bytes\": %.1f, \"pss_bytes\": %.1f, \"anon_bytes\": %.1f, "
                   "\"fds\": %.4f}",
                name, e.rss, e.pss, e.anon, e.fds);
}

static void json_one_watch(FILE *o, int i, struct figures f)
{
    const struct watch *w = &watches[i];
    fputs(i ? ", {\"name\": " : "{\"name\": ", o);
    json_string(o, opt.watch[i]);
    fprintf(o, ", \"processes\": %d, \"set_changed\": %s, \"cpu_user_s\": %.3f, \"cpu_sys_s\": "
               "%.3f, "
            "\"core_share\": %.4f, \"cpu_us_per_hop\": %.3f", w->n, json_bool(w->changed),
            w->cpu[1].user - w->cpu[0].user, w->cpu[1].sys - w->cpu[0].sys,
            per(cpu_s(w), f.window_s),
            1e6 * per(cpu_s(w), (double)st.hops));
    for (int k = 0; k < SNAPS; k++)
        if (w->mem[k].taken)
            fprintf(o, ", \"%s\": {\"rss_kb\": %ld, \"pss_kb\": %ld, \"anon_kb\": %ld, \"fds\": "
                       "%d}",
                    snap_name[k], w->mem[k].rss_kb, w->mem[k].pss_kb, w->mem[k].anon_kb,
                    w->mem[k].fds);
    json_growth(o, "per_idle_session", growth(w, SN_STEADY));
    json_growth(o, "per_session_at_end", growth(w, SN_END));
    fputc('}', o);
}

void report_json(struct figures f)
{
    FILE *o = opt.json_file;
    fputs("{\n", o);
    json_run(o);
    fprintf(o, "  \"ok\": %s, \"interrupted\": %s, \"timed_out\": %s,\n", json_bool(f.ok),
            json_bool(g.interrupted), json_bool(g.timed_out));
    json_ramp(o, "idle_ramp", st.ramp_idle);
    json_ramp(o, "ramp", st.ramp_active);
    fprintf(o, "  \"window_s\": %.6f, \"hops\": %" PRIu64 ", \"hops_per_s\": %.3f,\n", f.window_s,
            st.hops, f.hops_per_s);
    json_hist(o, "latency_ms", &st.latency);
    json_hist(o, "send_lag_ms", &st.lag);
    fprintf(o, "  \"integrity\": {\"sent\": %" PRIu64 ", \"delivered\": %" PRIu64 ", \"lost\": "
                                                                                  "%" PRIu64
            ", \"duplicated\": %" PRIu64 ", \"out_of_order\": %" PRIu64 ", \"corrupted\": %" PRIu64
            ", \"misrouted\": %" PRIu64 ", \"skipped\": %" PRIu64 "},\n", st.sent, st.delivered,
            f.lost,
            st.duplicated, st.out_of_order, st.corrupted, st.misrouted, st.skipped);
    json_failures(o);
    fprintf(o, "  \"http\": {\"polls\": %" PRIu64 ", \"posts\": %" PRIu64 ", \"packets_posted\": "
                                                                          "%" PRIu64
            ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"connects\": %" PRIu64
            ", \"idle_closes\": %" PRIu64 ", \"retries\": %" PRIu64 ", \"unsolicited\": %" PRIu64
            ", \"protocol_warnings\": %" PRIu64 "},\n", st.polls, st.posts, st.post_packets,
            st.bytes_in,
            st.bytes_out, st.connects, st.idle_closes, st.retries, st.unsolicited, st.warnings);
    fputs("  \"watch\": [", o);
    for (int i = 0; i < opt.nwatch; i++)
        json_one_watch(o, i, f);
    fprintf(o, "],\n  \"generator\": {\"cpu_user_s\": %.3f, \"cpu_sys_s\": %.3f, \"core_share\": "
               "%.4f, "
            "\"cpu_us_per_hop\": %.3f},\n", f.gen_user, f.gen_sys, f.gen_share,
            1e6 * per(f.gen_user + f.gen_sys, (double)st.hops));
    fprintf(o, "  \"machine\": {\"other_core_share\": %.4f, \"steal_core_share\": %.4f}\n}\n",
            f.other, f.steal);
    if (fclose(o) != 0)
        die(1, "%s: %s", opt.json, strerror(errno));
}
