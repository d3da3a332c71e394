/* listen.c - a socket of one's own, or who started the program: a web server, by FastCGI or CGI. */
#include "run/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096                    /* a full one makes lighttpd answer 500 */

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0;
}

static int explain(struct buf *why, const char *operation, const char *object, const char *advice)
{
    buf_addf(why, "cannot %s %s: %s; %s", operation, object, strerror(errno), advice);
    return -1;
}

/* Listen on the unix socket PATH. What a dead server left there is removed, a live one's is not. */
static int open_socket(const char *path, struct buf *why)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat st;
    int fd;

    if (!span_copy(span_of(path), address.sun_path, sizeof address.sun_path)) {
        buf_addf(why,
                 "cannot listen on %s: the path is longer than the %zu bytes that a unix socket "
                 "may have; choose a shorter one",
                 path, sizeof address.sun_path - 1);
        return -1;
    }
    if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
        return explain(why, "create the socket", path, "see what limits there are");
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)
            || connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            buf_addf(why, "cannot listen on %s: %s; choose another path", path,
                     S_ISSOCK(st.st_mode) ? "another server does" : "it is no socket");
            close(fd);
            return -1;
        }
        unlink(path);
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1 || listen(fd, BACKLOG) == -1) {
        explain(why, "listen on", path, "see that its directory exists and may be written to");
        close(fd);
        return -1;
    }
    return fd;
}

/* Does the process above this one go by such a name? */
static bool is_started_by(const char *name)
{
    char path[40], comm[32] = "";

    snprintf(path, sizeof path, "/proc/%ld/comm", (long)getppid());
    FILE *f = fopen(path, "re");
    bool known = f != NULL && fgets(comm, sizeof comm, f) != NULL;
    if (f != NULL)
        fclose(f);
    return known && span_starts(span_of(comm), name);
}

/* mod_fcgid leaves nothing in the environment that would tell. It is Apache, which starts no other
 * FastCGI program by itself; or, where other users' processes are hidden, its sockets are in a
 * folder that is called after it. */
static bool is_started_by_fcgid(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNSPEC };
    socklen_t len = sizeof address - 1;

    if (getsockname(STDIN_FILENO, (struct sockaddr *)&address, &len) == 0
        && address.sun_family == AF_UNIX && strstr(address.sun_path, "fcgid") != NULL)
        return true;
    return is_started_by("apache2") || is_started_by("httpd");
}

int listen_find(struct program *p, const char *socket, struct buf *why)
{
    p->how = SERVE_FCGI;
    p->listen = STDIN_FILENO;
    p->given = socket == NULL;
    if (!p->given && !p->anew)
        return (p->listen = open_socket(socket, why)) == -1 ? -1 : 0;
    if (is_listening(STDIN_FILENO)) {
        if (is_started_by_fcgid())
            p->how = SERVE_ALONE;
        return 0;
    }
    if (getenv("GATEWAY_INTERFACE") != NULL || getenv("REQUEST_METHOD") != NULL) {
        p->how = SERVE_CGI;
        return 0;
    }
    buf_add_text(why, "cannot serve: started neither by a web server (no FastCGI socket on "
                      "standard input, no CGI variables) nor "
                      "with --socket PATH; let a web server start it, or give it a socket");
    return -1;
}
