/* supervise.c - starts workers, replaces those that die, ends them. Holds their process ids,
 * opens nothing, serves nobody. */
#include "supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define WORKERS_MAX 64
/* a worker that ends sooner than this is replaced after a pause */
#define TOO_SOON_S 1

struct crew {
    int count;
    pid_t pid[WORKERS_MAX];             /* 0: not running */
    time_t started[WORKERS_MAX];
    int (*work)(void *arg);
    void *arg;
    sigset_t waited;                    /* blocked here, taken by sigwaitinfo() */
    sigset_t before;                    /* what was blocked before: the workers' mask */
};

static void start(struct crew *c, int i)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &c->before, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        exit(getppid() == parent ? c->work(c->arg) : 0);
    }
    if (pid == -1)
        log_line(LOG_ERROR, "P401", "main", NULL,
                 "cannot start a worker: %s; it will be tried again", strerror(errno));
    c->pid[i] = pid == -1 ? 0 : pid;
    c->started[i] = time(NULL);
}

static void start_missing(struct crew *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->pid[i] == 0)
            start(c, i);
}

/* Take note of the workers that have ended. True if one ended so soon that replacing it at once
 * would only spin. */
static bool reap(struct crew *c)
{
    bool soon = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < c->count; i++) {
            if (c->pid[i] != pid)
                continue;
            c->pid[i] = 0;
            soon = soon || time(NULL) - c->started[i] <= TOO_SOON_S;
            if (WIFSIGNALED(status))
                log_line(LOG_WARNING, "P402", "main", NULL,
                         "worker %ld was ended by signal %d; a new one takes its place", (long)pid,
                         WTERMSIG(status));
            else
                log_line(LOG_WARNING, "P402", "main", NULL,
                         "worker %ld ended with status %d; a new one takes its place", (long)pid,
                         WEXITSTATUS(status));
        }
    return soon;
}

static int end_all(struct crew *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->pid[i] != 0)
            kill(c->pid[i], SIGTERM);
    for (int i = 0; i < c->count; i++)
        if (c->pid[i] != 0)
            waitpid(c->pid[i], NULL, 0);
    return 0;
}

int supervise(int count, int (*work)(void *arg), void *arg)
{
    struct crew c = { .count = count < WORKERS_MAX ? count : WORKERS_MAX,
                      .work = work,
                      .arg = arg };
    struct timespec pause = { TOO_SOON_S, 0 };
    int taken = 0;

    sigemptyset(&c.waited);
    sigaddset(&c.waited, SIGTERM);
    sigaddset(&c.waited, SIGINT);
    sigaddset(&c.waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &c.waited, &c.before);
    while (taken != SIGTERM && taken != SIGINT) {
        if (reap(&c) && (taken = sigtimedwait(&c.waited, NULL, &pause)) != -1)
            continue;                   /* told to end, or another one died: look again */
        start_missing(&c);
        taken = sigwaitinfo(&c.waited, NULL);
    }
    return end_all(&c);
}
