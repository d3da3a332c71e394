/* main.c - pollux.fcgi: reads its options and settings, finds out how it was started, and runs
 * the loop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/core.h"
#include "host/host.h"
#include "base/log.h"
#include "run/loop.h"
#include "base/settings.h"
#include "base/stats.h"
#include "store/store.h"
#include "run/supervise.h"
#include "run/takeover.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define BACKLOG 4096                    /* a full one makes lighttpd answer 500 */

enum how { SERVE_FCGI, SERVE_CGI };

struct options {
    const char *config;                 /* an INI file, or NULL */
    const char *socket;                 /* where to listen, or NULL: standard input is the socket */
    bool check, print;
};

struct server {
    struct settings set;
    enum how how;
    struct program program;
};

static const char usage[] =
    "Usage: pollux.fcgi [--config FILE] [--socket PATH] [--check-config | --print-config]\n"
    "\n"
    "A signaling server for WebRTC pages: Socket.IO over HTTP long-polling, as a FastCGI or CGI "
    "program.\n"
    "A web server starts it; started by hand it needs --socket.\n"
    "\n"
    "  -c, --config FILE    read settings from FILE (also: POLLUX_CONFIG)\n"
    "  -s, --socket PATH    listen on the unix socket PATH for FastCGI\n"
    "      --check-config   say whether the settings are right and the store can be used, and "
    "exit\n"
    "      --print-config   print all settings as a configuration file, and exit\n"
    "  -V, --version        print the version and exit\n"
    "  -h, --help           print this and exit\n"
    "\n"
    "Each setting can also be given in the environment: `capacity` as POLLUX_CAPACITY, and so on.\n"
    "See pollux.fcgi(8) and pollux.conf(5).\n";

/* ---- options */

/* Web servers hand the words of a query without `=` to a CGI program as its arguments (RFC 3875,
 * 4.4): what a visitor wrote is no option. */
static bool arguments_are_a_visitors(void)
{
    const char *query = getenv("QUERY_STRING");

    return getenv("REQUEST_METHOD") != NULL && query != NULL && query[0] != '\0'
           && strchr(query, '=') == NULL;
}

static void read_options(int argc, char **argv, struct options *o)
{
    enum { CHECK = 256, PRINT };
    static const struct option known[] = {
        { "config", required_argument, NULL, 'c' },
        { "socket", required_argument, NULL, 's' },
        { "check-config", no_argument, NULL, CHECK },
        { "print-config", no_argument, NULL, PRINT },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    *o = (struct options){ .config = getenv("POLLUX_CONFIG") };
    if (arguments_are_a_visitors())
        return;
    while ((c = getopt_long(argc, argv, "c:s:Vh", known, NULL)) != -1)
        switch (c) {
        case 'c': o->config = optarg; break;
        case 's': o->socket = optarg; break;
        case CHECK: o->check = true; break;
        case PRINT: o->print = true; break;
        case 'V': puts("pollux.fcgi " PACKAGE_VERSION); exit(0);
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs("Try `pollux.fcgi --help`.\n", stderr); exit(2);
        }
    if (optind < argc) {
        fprintf(stderr, "pollux.fcgi: unexpected argument `%s`\nTry `pollux.fcgi --help`.\n",
                argv[optind]);
        exit(2);
    }
}

/* ---- how it was started */

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

static int find_host(struct server *server, const struct options *o, struct buf *why)
{
    struct program *p = &server->program;

    server->how = SERVE_FCGI;
    p->listen = STDIN_FILENO;
    p->given = o->socket == NULL;
    if (!p->given && !p->anew)
        return (p->listen = open_socket(o->socket, why)) == -1 ? -1 : 0;
    if (is_listening(STDIN_FILENO))
        return 0;
    if (getenv("GATEWAY_INTERFACE") != NULL || getenv("REQUEST_METHOD") != NULL) {
        server->how = SERVE_CGI;
        return 0;
    }
    buf_add_text(why, "cannot serve: started neither by a web server (no FastCGI socket on "
                      "standard input, no CGI variables) nor "
                      "with --socket PATH; let a web server start it, or give it a socket");
    return -1;
}

/* A held poll takes a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- serving */

/* Let C count where others see it. A CGI process does not: it ends before anybody looks. */
static void count_openly(struct core *c, struct stats *stats, const struct server *server)
{
    struct buf why = BUF_EMPTY;

    if (server->how == SERVE_CGI)
        return;
    if (stats_open(stats, server->set.store, &why) == 0)
        core_count_in(c, stats->counters);
    else
        log_line(P140, NULL, "%s; this process is in no figures", buf_text(&why));
    buf_release(&why);
}

/* Open everything, serve until told to stop. Returns the exit status. */
static int serve(void *arg)
{
    struct server *server = arg;
    const struct settings *set = &server->set;
    struct buf why = BUF_EMPTY;
    struct stats stats = { NULL, -1, NULL };
    struct store *store = NULL;
    struct host *host = NULL;
    struct core *core = NULL;
    int status = 1, opened = -1;

    if (store_open(&store, set, &why) == -1)
        goto out;
    if (server->how == SERVE_CGI)
        store_serves_once(store);
    else if (store_has_keeper(store, &why) == -1)
        goto out;
    opened = server->how == SERVE_CGI
                 ? host_open_cgi(&host, (size_t)set->max_payload_bytes, set->request_timeout_ms,
                                 &why)
                 : host_open_fcgi(&host, server->program.listen, (size_t)set->max_payload_bytes,
                                  set->request_timeout_ms, &why);
    if (opened == -1)
        goto out;
    if ((core = core_new(store, set)) == NULL) {
        buf_add_text(&why, "cannot serve: out of memory; give the machine more");
        goto out;
    }
    count_openly(core, &stats, server);
    loop_run(host, core);
    supervise_succeed(&server->program);
    loop_leave(host, core);
    status = 0;

out:
    if (status != 0)
        log_line(P001, NULL, "%s", buf_text(&why));
    core_free(core);
    stats_release(&stats);
    host_close(host);
    store_close(store);
    buf_release(&why);
    return status;
}

static int keep(void *arg)
{
    struct server *server = arg;

    store_keep(&server->set);
    return 1;                           /* it does not end by itself */
}

/* --check-config: the settings were read; can the store be used? */
static int check(const struct settings *set, struct buf *why)
{
    if (store_probe(set, why) == -1)
        return 1;
    puts("The settings are right, and the store can be used.");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Create or upgrade the store before there are workers that would all try, and all say the same
 * if it cannot be done. */
static int prepare_store(const struct settings *set, struct buf *why)
{
    struct store *store = NULL;
    int code = store_open(&store, set, why);

    store_close(store);
    return code;
}

/* --print-config: all of it, or not 0; half a file would be taken for a whole one. */
static int print(const struct settings *set, struct buf *why)
{
    struct buf text = BUF_EMPTY;

    settings_print(set, &text);
    bool whole = buf_ok(&text);
    bool out = whole && fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    if (!out)
        buf_addf(why, "cannot print the settings: %s; what was printed is not all of them",
                 whole ? strerror(errno) : "out of memory");
    buf_release(&text);
    return out ? 0 : 1;
}

static int run(struct server *server, const struct options *o, struct buf *why)
{
    if (o->print)
        return print(&server->set, why);
    if (o->check)
        return check(&server->set, why);
    if (find_host(server, o, why) == -1)
        return 1;
    raise_descriptor_limit();
    if (server->how == SERVE_CGI)
        return serve(server);
    if (prepare_store(&server->set, why) == -1)
        return 1;
    return supervise(&server->program, (int)server->set.processes, serve, keep, server);
}

int main(int argc, char **argv)
{
    struct server server = { .program = { .argv = argv, .listen = -1 } };
    struct options options;
    struct buf why = BUF_EMPTY;
    int status = 1;

    takeover_look(&server.program);
    read_options(argc, argv, &options);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    if (settings_read(&server.set, options.config, environ, &why) == 0) {
        log_set_level((enum log_level)server.set.log_level);
        status = run(&server, &options, &why);
    }
    if (why.len != 0)
        fprintf(stderr, "pollux.fcgi: %s\n", buf_text(&why));
    if (options.socket != NULL && server.program.listen != -1)
        unlink(options.socket);
    settings_release(&server.set);
    buf_release(&why);
    return status;
}
