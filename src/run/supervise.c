/* supervise.c - starts workers and a keeper, replaces those that die, ends them. Holds their
 * process ids, opens nothing, serves nobody.
 *
 *     the web server ── its socket ──▶ supervisor ─┬─ worker ... worker   answer requests
 *                                                  └─ keeper              does the store's chores
 *
 *     a worker dies      another takes its place: at once, or after a pause if it dies again and
 *                        again; what is asked meanwhile waits in the socket's queue
 *     TERM, INT, or the  all are told to end; they answer what they have, and the keeper goes first
 *     web server's end
 *     HUP                is the program's file, with its settings, one that would start? Then this
 *                        process becomes it, with the same process id, the same socket and the same
 *                        children; only when it has become it are the old workers told to end. Else
 *                        what runs goes on.
 *     it dies itself     each worker gets TERM from the kernel; the first of them has the program
 *                        started anew (takeover.h says why), and all answer what they have in hand,
 *                        and end
 */
#include "run/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/host.h"
#include "base/log.h"

#define WORKERS_MAX 64
#define KEEPER 0                /* its place in the crew; workers follow */
/* a worker that ends sooner than this, several times in a row, is replaced after a pause */
#define TOO_SOON_S 1
#define TOO_OFTEN 3
#define PAUSE_MS 1000
/* a parent that is gone by then was no web server, but a program that only starts others */
#define LAUNCH_S 2

struct worker {
    pid_t pid;                  /* 0: not running */
    time_t started;             /* monotonic, as all times here */
    int soon;                   /* times in a row that it ended too soon */
};

struct crew {
    struct program *program;
    int count;
    struct worker worker[1 + WORKERS_MAX];
    int (*work)(void *arg), (*keep)(void *arg);
    void *arg;
    sigset_t taken, before;     /* what is read from .signals; what was blocked before that */
    int signals;                /* readable: a signal came */
    int web_server;             /* readable: it has ended; -1: nobody to end with */
    time_t began;
};

static atomic_flag *heir_found; /* shared by a supervisor and its workers */
static pid_t supervisor;        /* of this worker */

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* ---- workers */

static void become_worker(struct crew *c, bool keeper)
{
    prctl(PR_SET_NAME, keeper ? "pollux-keeper" : "pollux.fcgi");
    close(c->signals);
    if (c->web_server != -1)
        close(c->web_server);
    signal(SIGHUP, SIG_IGN);            /* `pkill -HUP` reaches all and is for the supervisor */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigprocmask(SIG_SETMASK, &c->before, NULL);
    if (getppid() != supervisor)
        exit(0);
    exit(keeper ? c->keep(c->arg) : c->work(c->arg));
}

static void start(struct crew *c, struct worker *w)
{
    pid_t pid;

    supervisor = getpid();
    if ((pid = fork()) == 0)
        become_worker(c, w == &c->worker[KEEPER]);
    if (pid == -1)
        log_line(P401, NULL, "cannot start a worker: %s; it will be tried again", strerror(errno));
    w->pid = pid == -1 ? 0 : pid;
    w->soon += pid == -1;
    w->started = now_s();
}

static bool is_due(const struct worker *w)
{
    return w->pid == 0 && (w->soon < TOO_OFTEN || now_s() - w->started > TOO_SOON_S);
}

/* Start what is missing. How long to wait for the next time, in ms; -1: until something happens. */
static int start_missing(struct crew *c)
{
    int wait_ms = -1;

    for (int i = 0; i < c->count; i++) {
        if (is_due(&c->worker[i]))
            start(c, &c->worker[i]);
        if (c->worker[i].pid == 0)
            wait_ms = PAUSE_MS;
    }
    return wait_ms;
}

static void note_end(struct worker *w, const char *what, int status)
{
    const char *how = WIFSIGNALED(status) ? "was ended by signal" : "ended with status";

    int why = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);

    w->soon = now_s() - w->started <= TOO_SOON_S ? w->soon + 1 : 0;
    if (w->soon <= TOO_OFTEN)
        log_line(P402, NULL, "%s %ld %s %d; a new one takes its place", what, (long)w->pid, how,
                 why);
    else                                /* once a second, for as long as it lasts */
        log_often(P402, NULL, "%s %ld %s %d, like those before it; a new one takes its place",
                  what, (long)w->pid, how, why);
    w->pid = 0;
}

/* Take note of the workers that have ended. Others may: those of the program before an upgrade. */
static void reap(struct crew *c)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < c->count; i++)
            if (c->worker[i].pid == pid)
                note_end(&c->worker[i], i == KEEPER ? "keeper" : "worker", status);
}

static void tell_all(const struct crew *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->worker[i].pid != 0)
            kill(c->worker[i].pid, SIGTERM);
}

/* It goes before the workers, so that the last of these to close the database tidies up. */
static void end_keeper(struct crew *c)
{
    struct worker *keeper = &c->worker[KEEPER];

    if (keeper->pid == 0)
        return;
    kill(keeper->pid, SIGTERM);
    while (waitpid(keeper->pid, NULL, 0) == -1 && errno == EINTR)
        ;
    keeper->pid = 0;
}

static int end_all(struct crew *c)
{
    /* Whoever starts the web server again at once is not to find somebody who listens. */
    close(c->program->listen);
    end_keeper(c);
    tell_all(c);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    return 0;
}

/* ---- the program anew */

/* Fork a process that ends the workers once this one has become another program: then the
 * descriptor that is returned closes by itself. A byte written to it says that nothing came of it.
 * -1 on failure. */
static int end_workers_later(const struct crew *c)
{
    int ends[2];
    char word;

    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        if (read(ends[0], &word, 1) == 0)
            tell_all(c);
        _exit(0);
    }
    close(ends[0]);
    if (pid == -1) {
        close(ends[1]);
        return -1;
    }
    return ends[1];
}

static void renew(struct crew *c)
{
    if (!takeover_works(c->program)) {
        log_line(P404, NULL,
                 "cannot start the program anew: %s --check-config fails; what runs goes on",
                 c->program->argv[0]);
        return;
    }
    int later = end_workers_later(c);
    if (later != -1) {
        log_line(P403, NULL, "the program is started anew");
        takeover_start(c->program);
    }
    log_line(P407, NULL, "cannot start %s anew: %s; what runs goes on", c->program->argv[0],
             strerror(errno));
    if (later != -1 && write(later, "", 1) == 1)
        close(later);
    sigprocmask(SIG_BLOCK, &c->taken, NULL);
}

void supervise_succeed(const struct program *program)
{
    if (supervisor == 0 || getppid() == supervisor || atomic_flag_test_and_set(heir_found))
        return;
    log_line(P405, NULL, "the supervisor has died; there will be another");
    if (fork() == 0) {
        takeover_start(program);
        log_line(P408, NULL, "cannot start %s anew: %s; restart the web server", program->argv[0],
                 strerror(errno));
        _exit(1);
    }
}

/* ---- waiting */

/* Watch the web server that started the program, if it was one. False: it has ended already. */
static bool watch_web_server(struct crew *c)
{
    c->web_server = takeover_watch(c->program);
    return c->web_server != -1 || errno != ESRCH || !c->program->anew;
}

/* True: it is time to end. */
static bool web_server_ended(struct crew *c)
{
    bool launcher = !c->program->anew && now_s() - c->began < LAUNCH_S;

    close(c->web_server);
    c->web_server = -1;
    c->program->web_server = 0;
    return !launcher;
}

static bool take_signal(struct crew *c)
{
    struct signalfd_siginfo info;

    if (read(c->signals, &info, sizeof info) != sizeof info)
        return false;
    if (info.ssi_signo == SIGCHLD)
        reap(c);
    if (info.ssi_signo == SIGHUP)
        renew(c);
    return info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
}

/* Wait until something happens. True: it is time to end. */
static bool wait_for(struct crew *c, int wait_ms)
{
    struct pollfd wait[] = { { c->signals, POLLIN, 0 }, { c->web_server, POLLIN, 0 } };

    if (poll(wait, 2, wait_ms) <= 0)
        return false;
    if (wait[1].revents != 0 && web_server_ended(c))
        return true;
    return wait[0].revents != 0 && take_signal(c);
}

static int listen_to_signals(struct crew *c)
{
    sigemptyset(&c->taken);
    sigaddset(&c->taken, SIGTERM);
    sigaddset(&c->taken, SIGINT);
    sigaddset(&c->taken, SIGHUP);
    sigaddset(&c->taken, SIGCHLD);
    signal(SIGHUP, SIG_DFL);
    sigprocmask(SIG_BLOCK, &c->taken, &c->before);
    return c->signals = signalfd(-1, &c->taken, SFD_NONBLOCK | SFD_CLOEXEC);
}

int supervise(struct program *program, int count, int (*work)(void *arg), int (*keep)(void *arg),
              void *arg)
{
    struct crew c = { .program = program,
                      .count = 1 + (count < WORKERS_MAX ? count : WORKERS_MAX),
                      .work = work,
                      .keep = keep,
                      .arg = arg,
                      .began = now_s() };

    if (listen_to_signals(&c) == -1) {
        log_line(P406, NULL, "cannot watch for signals: %s", strerror(errno));
        return 1;
    }
    heir_found = mmap(NULL, sizeof *heir_found, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (heir_found == MAP_FAILED) {
        log_line(P406, NULL, "cannot share memory with workers: %s", strerror(errno));
        return 1;
    }
    host_clock();                       /* one clock for all workers */
    reap(&c);                           /* of the program before, who ended unheard */
    prctl(PR_SET_NAME, "pollux-super");
    if (watch_web_server(&c))
        while (!wait_for(&c, start_missing(&c)))
            ;
    return end_all(&c);
}
