/* watch.c - reads /proc for the processes that are watched; see watch.h. */
#include "watch.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const snap_name[] = { "before", "steady", "end", "closed" };

struct watch watches[MAX_WATCH];
struct rusage own_use[2];
struct machine machine_use[2];

static bool read_line(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    bool ok = fgets(out, (int)cap, f) != NULL;
    fclose(f);
    if (ok)
        out[strcspn(out, "\n")] = 0;
    return ok;
}

static bool comm_matches(const char *path, const char *name)
{
    char comm[32];
    return read_line(path, comm, sizeof comm) && strncmp(comm, name, 15) == 0;
}

/* Does the process, or any thread of it, have this name? */
static bool process_matches(int pid, const char *name)
{
    char path[64], task[384];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    if (comm_matches(path, name))
        return true;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && !found && (e = readdir(d)) != NULL; ) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(task, sizeof task, "%s/%s/comm", path, e->d_name);
        found = comm_matches(task, name);
    }
    if (d)
        closedir(d);
    return found;
}

/* What follows the name in /proc/PID/stat: "S 1 ..."; NULL if there is no such
 * process, or only what is left of one that ended. */
static const char *process_stat(int pid, char *line, size_t cap)
{
    char path[64], *p;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_line(path, line, cap) || !(p = strrchr(line, ')')) || strlen(p) < 3)
        return NULL;
    return p[2] == 'Z' || p[2] == 'X' ? NULL : p + 2;
}

static int find_pids(const char *spec, int *pid)
{
    char line[1024];
    bool by_number = spec[strspn(spec, "0123456789")] == 0;
    int n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && n < MAX_PIDS && (e = readdir(d)) != NULL; ) {
        int p = atoi(e->d_name);
        bool match = by_number ? strcmp(e->d_name, spec) == 0
                               : p > 0 && p != getpid() && process_matches(p, spec);
        if (match && process_stat(p, line, sizeof line))
            pid[n++] = p;
    }
    if (d)
        closedir(d);
    return n;
}

void watch_resolve(bool first)
{
    for (int i = 0; i < opt.nwatch; i++) {
        struct watch *w = &watches[i];
        int old[MAX_PIDS], n = w->n;
        memcpy(old, w->pid, sizeof old);
        w->n = find_pids(opt.watch[i], w->pid);
        if (first && w->n == 0)
            die(2, "--watch %s: no such process", opt.watch[i]);
        if (!first && (w->n != n || memcmp(old, w->pid, (size_t)n * sizeof(int)) != 0))
            w->changed = true;
    }
}

static void add_memory(int pid, struct memory *m)
{
    char path[64], line[256];
    long kb;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "Rss: %ld", &kb) == 1)
            m->rss_kb += kb;
        else if (sscanf(line, "Pss: %ld", &kb) == 1)
            m->pss_kb += kb;
        else if (sscanf(line, "Anonymous: %ld", &kb) == 1)
            m->anon_kb += kb;
    }
    if (f)
        fclose(f);
    else
        m->taken = false;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL; )
        m->fds += e->d_name[0] != '.';
    if (d)
        closedir(d);
}

void watch_memory(enum snap which)
{
    watch_resolve(false);
    for (int i = 0; i < opt.nwatch; i++) {
        struct memory *m = &watches[i].mem[which];
        *m = (struct memory){ .taken = watches[i].n > 0 };
        for (int k = 0; k < watches[i].n; k++)
            add_memory(watches[i].pid[k], m);
    }
}

static struct cpu pid_cpu(int pid)
{
    char line[1024];
    unsigned long long u = 0, s = 0;
    double hz = (double)sysconf(_SC_CLK_TCK);
    const char *p = process_stat(pid, line, sizeof line);
    if (p)
        sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &u, &s);
    return (struct cpu){ (double)u / hz, (double)s / hz };
}

/* What all cores did: tells whether something else disturbed the run. */
static struct machine machine_cpu(void)
{
    char line[512];
    unsigned long long v[8] = { 0 };
    double hz = (double)sysconf(_SC_CLK_TCK);
    if (read_line("/proc/stat", line, sizeof line))
        sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &v[6], &v[7]);
    return (struct machine){ (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / hz, (double)v[7] / hz };
}

void watch_cpu(int which)
{
    if (which == 0)
        watch_resolve(false);
    machine_use[which] = machine_cpu();
    for (int i = 0; i < opt.nwatch; i++) {
        struct cpu *c = &watches[i].cpu[which];
        *c = (struct cpu){ 0, 0 };
        for (int k = 0; k < watches[i].n; k++) {
            struct cpu one = pid_cpu(watches[i].pid[k]);
            c->user += one.user;
            c->sys += one.sys;
        }
    }
    getrusage(RUSAGE_SELF, &own_use[which]);
}
