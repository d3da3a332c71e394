/* takeover.c - starting the program anew in place: what is handed over, what is not. */
#include "run/takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"

/* Set for the program that is started anew: the web server's process id, or 0; host_clock(). */
#define VARIABLE "POLLUX_TAKE_OVER"
#define ARGUMENTS_MAX 64

void takeover_look(struct program *p)
{
    const char *said = getenv(VARIABLE);
    char *rest;

    if (said == NULL)
        return;
    p->anew = true;
    p->web_server = (pid_t)strtol(said, &rest, 10);
    host_set_clock(strtoll(rest, NULL, 10));
    unsetenv(VARIABLE);
}

/* What this process has open is not for the one that comes: connections are not all marked
 * so. At execve() and not now: should that fail, this process goes on. */
static void keep_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > STDERR_FILENO)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (dir != NULL)
        closedir(dir);
}

/* Clean up behind this process's work, keeping the socket as standard input: the program that
 * comes is to find what a web server would give it. */
static int hand_over(const struct program *p)
{
    char said[48];
    sigset_t none;

    snprintf(said, sizeof said, "%ld %lld", (long)p->web_server, (long long)host_clock());
    if (setenv(VARIABLE, said, 1) == -1)
        return -1;
    if (p->listen != STDIN_FILENO && dup2(p->listen, STDIN_FILENO) == -1)
        return -1;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGHUP, SIG_DFL);
    keep_descriptors();
    return 0;
}

int takeover_start(const struct program *p)
{
    if (hand_over(p) == -1)
        return -1;
    execvp(p->argv[0], p->argv);
    execv("/proc/self/exe", p->argv);   /* the file has gone or was started by another name */
    unsetenv(VARIABLE);
    return -1;
}

static void check_only(const struct program *p)
{
    char *argv[ARGUMENTS_MAX];
    int n = 0, out = open("/dev/null", O_WRONLY | O_CLOEXEC);

    while (n < ARGUMENTS_MAX - 2 && p->argv[n] != NULL) {
        argv[n] = p->argv[n];
        n++;
    }
    argv[n] = "--check-config";
    argv[n + 1] = NULL;
    if (out != -1 && dup2(out, STDOUT_FILENO) != -1)
        execvp(argv[0], argv);
    _exit(127);
}

bool takeover_works(const struct program *p)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        check_only(p);
    while (pid != -1 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    return pid != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int takeover_watch(struct program *p)
{
    if (!p->anew && p->given)
        p->web_server = getppid();
    errno = 0;
    if (p->web_server <= 1)
        return -1;
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, p->web_server, 0);
#else
    errno = ENOSYS;
    return -1;
#endif
}
