/* main.c - pollux.fcgi: reads its options and settings, and does what they say. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/places.h"
#include "run/doctor.h"
#include "run/listen.h"
#include "run/serve.h"
#include "store/store.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

struct options {
    const char *config;                 /* an INI file, or NULL: see places.h */
    const char *socket;                 /* where to listen, or NULL: standard input is the socket */
    bool check, print, doctor;
};

static const char usage[] =
    "Usage: pollux.fcgi [--config FILE] [--socket PATH]\n"
    "                   [--check-config | --print-config | --doctor]\n"
    "\n"
    "A signaling server for WebRTC pages: Socket.IO over HTTP long-polling, as a FastCGI or CGI "
    "program.\n"
    "A web server starts it; started by hand it needs --socket.\n"
    "\n"
    "  -c, --config FILE    read settings from FILE (also: POLLUX_CONFIG); else from the first of\n"
    "                       pollux.conf beside this program, pollux.conf in this user's home,\n"
    "                       /etc/pollux.conf\n"
    "  -s, --socket PATH    listen on the unix socket PATH for FastCGI\n"
    "      --check-config   say whether the settings are right and the store can be used, and "
    "exit\n"
    "      --doctor         look for what stands in the way of serving here, and exit\n"
    "      --print-config   print all settings as a configuration file, and exit\n"
    "  -V, --version        print the version and exit\n"
    "  -h, --help           print this and exit\n"
    "\n"
    "Each setting can also be given in the environment: `capacity` as POLLUX_CAPACITY, and so on.\n"
    "See pollux.fcgi(8) and pollux.conf(5).\n";

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
    enum { CHECK = 256, PRINT, DOCTOR };
    static const struct option known[] = {
        { "config", required_argument, NULL, 'c' },
        { "socket", required_argument, NULL, 's' },
        { "check-config", no_argument, NULL, CHECK },
        { "print-config", no_argument, NULL, PRINT },
        { "doctor", no_argument, NULL, DOCTOR },
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
        case DOCTOR: o->doctor = true; break;
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

/* --check-config: the settings were read; can the store be used? */
static int check(const struct settings *set, struct buf *why)
{
    if (store_probe(set, why) == -1)
        return 1;
    printf("The settings are right, and the store can be used.\n  settings  %s\n  store     %s\n",
           set->file != NULL ? set->file : "(the defaults)", set->store);
    return fflush(stdout) == 0 ? 0 : 1;
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

/* The settings are wrong, as WHY says: let those know who ask, if it is a web server that started
 * us. */
static int run_wrong(struct server *server, const struct options *o, struct buf *why)
{
    struct buf unknown = BUF_EMPTY;
    bool asked = o->socket == NULL && listen_find(&server->program, NULL, &unknown) == 0;

    buf_release(&unknown);
    return asked ? serve_refusal(server, P002, why) : 1;
}

static int run(struct server *server, const struct options *o, struct buf *why)
{
    return listen_find(&server->program, o->socket, why) == -1
               ? 1
               : serve(server, o->socket != NULL, why);
}

/* Do what the options say. Returns the exit status; what went wrong is in WHY, or was logged. */
static int start(struct server *server, const struct options *o, struct buf *why)
{
    char *found = o->config == NULL ? places_config() : NULL;
    bool right = settings_read(&server->set, o->config != NULL ? o->config : found, environ,
                               why) == 0;

    free(found);
    if (right)
        log_set_level((enum log_level)server->set.log_level);
    if (o->doctor) {
        int status = doctor(&server->set, right ? NULL : buf_text(why));
        buf_clear(why);
        return status;
    }
    if (right && o->print)
        return print(&server->set, why);
    if (right && o->check)
        return settings_place(&server->set, why) == -1 ? 1 : check(&server->set, why);
    if (o->print || o->check)
        return 1;
    return right ? run(server, o, why) : run_wrong(server, o, why);
}

int main(int argc, char **argv)
{
    struct server server = { .program = { .argv = argv, .listen = -1 } };
    struct options options;
    struct buf why = BUF_EMPTY;

    takeover_look(&server.program);
    read_options(argc, argv, &options);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    int status = start(&server, &options, &why);
    if (why.len != 0)
        fprintf(stderr, "pollux.fcgi: %s\n", buf_text(&why));
    if (options.socket != NULL && server.program.listen != -1)
        unlink(options.socket);
    settings_release(&server.set);
    buf_release(&why);
    return status;
}
