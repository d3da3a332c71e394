/* watch.h - what the processes named by --watch use: memory at four moments, CPU in the window.
 * Also what this program uses, and the machine as a whole, so that a disturbed run shows.
 */
#ifndef SIOBENCH_WATCH_H
#define SIOBENCH_WATCH_H

#include <stdbool.h>
#include <sys/resource.h>

#include "options.h"

#define MAX_PIDS 64
enum snap { SN_BEFORE, SN_STEADY, SN_END, SN_CLOSED, SNAPS };
extern const char *const snap_name[];

struct memory { bool taken; long rss_kb, pss_kb, anon_kb; int fds; };
struct cpu { double user, sys; };               /* seconds */
struct machine { double busy, steal; };         /* seconds, over all cores */

extern struct watch {
    int pid[MAX_PIDS], n;
    bool changed;               /* the set of processes changed during the run */
    struct memory mem[SNAPS];
    struct cpu cpu[2];
} watches[MAX_WATCH];

/* At the ends of the window. */
extern struct rusage own_use[2];
extern struct machine machine_use[2];

/* Find the processes. The FIRST time there has to be one of each name; else the program ends. */
void watch_resolve(bool first);

/* Read their memory; their CPU, and the others': 0 at the start of the window, 1 at its end. */
void watch_memory(enum snap which);
void watch_cpu(int which);

#endif
