/* report.h - what is said of a run when it is over, for people and for bench/report.mjs. */
#ifndef SIOBENCH_REPORT_H
#define SIOBENCH_REPORT_H

#include "watch.h"

struct figures {
    double window_s, hops_per_s, gen_user, gen_sys, gen_share, other, steal;
    uint64_t lost;
    bool ok;
};

/* From what was counted; its OK is the program's exit status. */
struct figures figures_make(void);

/* Growth from the warm-up session alone, in bytes for each session more. */
struct growth { bool known; double rss, pss, anon, fds; };
struct growth growth(const struct watch *w, enum snap at);

double cpu_s(const struct watch *w);    /* that it used in the window */
double per(double a, double b);         /* A / B; 0 where B is */

/* On standard output; into --json's file, which is closed. */
void report_text(struct figures f);
void report_json(struct figures f);

#endif
