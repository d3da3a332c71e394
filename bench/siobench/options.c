/* options.c - the command line: its manual, and how it is read; see options.h. */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SIZE 96
#define MAX_SIZE 500000

const char *const mode_name[] = { "relay", "paced", "idle" };

struct options opt = {
    .mode = M_RELAY, .host = "127.0.0.1", .port = 8181,
    .pairs = -1, .sessions = 100, .window = 1, .size = 200, .ramp = 50,
    .seconds = 10, .warmup = 1, .rate = 1000, .grace = 5, .settle = 3,
    .request_timeout = 30, .seed = 1,
};

static const char usage_text[] =
"usage: siobench [relay|paced|idle] [options]\n"
"  relay              closed loop: each pair keeps --window messages going round\n"
"  paced              open loop: --rate messages/s over all pairs\n"
"  idle               --sessions quiet long polls, with --pairs paced pairs beside them\n"
"options (default):\n"
"  --url URL          server, loopback only (http://127.0.0.1:8181)\n"
"  --path PATH        (/socket.io/)\n"
"  --together         as Pollux's own client file: what is sent at once leaves with the next poll\n"
"  --pairs P          active pairs (10; idle mode 0)\n"
"  --sessions N       idle sessions, idle mode (100)\n"
"  --join             idle mode: idle sessions join channels two by two\n"
"  --window W         relay mode: messages in flight for each pair (1)\n"
"  --rate R           paced and idle mode: messages/s over all pairs (1000)\n"
"  --poisson          paced and idle mode: exponential gaps instead of even ones\n"
"  --size BYTES       size of each message (200; least 96)\n"
"  --seconds S        measured window (10)\n"
"  --warmup S         traffic before the window (1)\n"
"  --settle S         idle mode: rest before the steady memory figure (3)\n"
"  --grace S          longest wait for messages still under way at the end (5)\n"
"  --ramp N           sessions being set up at one time (50)\n"
"  --ramp-rate R      sessions begun in a second, at most: their heartbeats come as spread (any)\n"
"  --request-timeout S  limit for a POST, and for each step of the set-up (30)\n"
"  --timeout S        limit for the whole run (by the other options)\n"
"  --sources K        local addresses to spread connections over (by need)\n"
"  --header LINE      extra request header, repeatable\n"
"  --watch WHO        pid or process name to read memory and CPU of, repeatable\n"
"  --seed N           (1)\n"
"  --json FILE        write all figures as one JSON object\n"
"  --quiet            no progress and no text report\n"
"exit status: 0 all well, 1 lost messages or sessions or a broken run, 2 usage\n";

enum { O_MODE = 256, O_URL, O_PATH, O_PAIRS, O_SESSIONS, O_JOIN, O_WINDOW, O_RATE, O_POISSON,
       O_SIZE, O_SECONDS, O_WARMUP, O_SETTLE, O_GRACE, O_RAMP, O_REQTIMEOUT, O_TIMEOUT, O_SOURCES,
       O_HEADER, O_WATCH, O_SEED, O_JSON, O_QUIET, O_TOGETHER, O_RAMPRATE, O_HELP };

static const struct option long_options[] = {
    { "mode", 1, 0, O_MODE }, { "url", 1, 0, O_URL }, { "path", 1, 0, O_PATH },
    { "pairs", 1, 0, O_PAIRS }, { "sessions", 1, 0, O_SESSIONS },
    { "join", 0, 0, O_JOIN }, { "window", 1, 0, O_WINDOW }, { "rate", 1, 0, O_RATE },
    { "poisson", 0, 0, O_POISSON }, { "size", 1, 0, O_SIZE }, { "seconds", 1, 0, O_SECONDS },
    { "warmup", 1, 0, O_WARMUP }, { "settle", 1, 0, O_SETTLE }, { "grace", 1, 0, O_GRACE },
    { "ramp", 1, 0, O_RAMP }, { "ramp-rate", 1, 0, O_RAMPRATE },
    { "request-timeout", 1, 0, O_REQTIMEOUT },
    { "timeout", 1, 0, O_TIMEOUT }, { "sources", 1, 0, O_SOURCES }, { "header", 1, 0, O_HEADER },
    { "watch", 1, 0, O_WATCH }, { "seed", 1, 0, O_SEED }, { "json", 1, 0, O_JSON },
    { "quiet", 0, 0, O_QUIET }, { "together", 0, 0, O_TOGETHER }, { "help", 0, 0, O_HELP },
    { 0, 0, 0, 0 },
};

static double number(const char *name, const char *text, double low, double high)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= low && v <= high))
        die(2, "--%s %s: expected a number from %g to %g", name, text, low, high);
    return v;
}

static int integer(const char *name, const char *text, int low, int high)
{
    double v = number(name, text, low, high);
    if (v != floor(v))
        die(2, "--%s %s: expected a whole number", name, text);
    return (int)v;
}

static int choice(const char *what, const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    die(2, "unknown %s: %s", what, text);
}

/* http://HOST[:PORT][/], HOST a loopback address. */
static void parse_url(const char *url)
{
    struct in_addr a;
    int port = 80, used = 0;
    if (strncmp(url, "http://", 7) != 0)
        die(2, "--url %s: expected http://127.0.0.1:PORT", url);
    const char *host = url + 7;
    if (*host == '[')
        die(2, "--url %s: only IPv4 loopback targets (127.0.0.0/8) are allowed", url);
    size_t n = strcspn(host, ":/");
    if (n == 0 || n >= sizeof opt.host)
        die(2, "--url %s: no host", url);
    memcpy(opt.host, host, n);
    opt.host[n] = 0;
    const char *rest = host + n;
    if (*rest == ':') {
        if (sscanf(rest, ":%d%n", &port, &used) != 1 || port < 1 || port > 65535)
            die(2, "--url %s: bad port", url);
        rest += used;
    }
    if (*rest == '/')
        rest++;
    if (*rest)
        die(2, "--url %s: give the path with --path", url);
    if (strcmp(opt.host, "localhost") == 0)
        strcpy(opt.host, "127.0.0.1");
    if (inet_pton(AF_INET, opt.host, &a) != 1 || ntohl(a.s_addr) >> 24 != 127)
        die(2, "--url %s: only loopback targets (127.0.0.0/8 or localhost) are allowed", url);
    opt.port = port;
    opt.addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = a,
                                     .sin_port = htons((uint16_t)port) };
}

static void parse_option(int o, const char *v, const char *name)
{
    switch (o) {
    case O_MODE: opt.mode = (enum mode)choice("mode", v, mode_name, 3); break;
    case O_URL: parse_url(v); break;
    case O_PATH:
        if (v[0] != '/' || strlen(v) >= sizeof opt.path || v[strcspn(v, " ?#\r\n")])
            die(2, "--path %s: expected an absolute path without a query", v);
        strcpy(opt.path, v);
        break;
    case O_TOGETHER: opt.together = true; break;
    case O_PAIRS: opt.pairs = integer(name, v, 0, 100000); break;
    case O_SESSIONS: opt.sessions = integer(name, v, 1, 1000000); break;
    case O_JOIN: opt.join = true; break;
    case O_WINDOW: opt.window = integer(name, v, 1, 10000); break;
    case O_RATE: opt.rate = number(name, v, 0.01, 1e7); break;
    case O_POISSON: opt.poisson = true; break;
    case O_SIZE: opt.size = integer(name, v, MIN_SIZE, MAX_SIZE); break;
    case O_SECONDS: opt.seconds = number(name, v, 0.1, 86400); break;
    case O_WARMUP: opt.warmup = number(name, v, 0, 3600); break;
    case O_SETTLE: opt.settle = number(name, v, 0, 3600); break;
    case O_GRACE: opt.grace = number(name, v, 0, 3600); break;
    case O_RAMP: opt.ramp = integer(name, v, 2, 100000); break;
    case O_RAMPRATE: opt.ramp_rate = number(name, v, 1, 1e6); break;
    case O_REQTIMEOUT: opt.request_timeout = number(name, v, 0.1, 3600); break;
    case O_TIMEOUT: opt.timeout = number(name, v, 1, 100000); break;
    case O_SOURCES: opt.sources = integer(name, v, 1, 60000); break;
    case O_HEADER:
        if (!strchr(v, ':') || v[strcspn(v, "\r\n")])
            die(2, "--header %s: expected Name: value", v);
        buf_fmt(&opt.headers, "%s\r\n", v);
        break;
    case O_WATCH:
        if (opt.nwatch == MAX_WATCH)
            die(2, "more than %d --watch", MAX_WATCH);
        opt.watch[opt.nwatch++] = v;
        break;
    case O_SEED: opt.seed = strtoull(v, NULL, 0); break;
    case O_JSON: opt.json = v; break;
    case O_QUIET: opt.quiet = true; break;
    case O_HELP: fputs(usage_text, stdout); exit(0);
    default: fputs(usage_text, stderr); exit(2);
    }
}

void options_read(int argc, char **argv)
{
    int o, index = 0;
    parse_url("http://127.0.0.1:8181");
    while ((o = getopt_long(argc, argv, "", long_options, &index)) != -1)
        parse_option(o, optarg, o == '?' ? "" : long_options[index].name);
    if (optind < argc)
        opt.mode = (enum mode)choice("mode", argv[optind++], mode_name, 3);
    if (optind < argc)
        die(2, "unexpected argument: %s", argv[optind]);
    if (opt.json && !(opt.json_file = fopen(opt.json, "w")))
        die(2, "--json %s: %s", opt.json, strerror(errno));
    if (!opt.path[0])
        strcpy(opt.path, "/socket.io/");
    if (opt.pairs < 0)
        opt.pairs = opt.mode == M_IDLE ? 0 : 10;
    if (opt.pairs == 0 && opt.mode != M_IDLE)
        die(2, "--pairs 0: nothing to do in %s mode", mode_name[opt.mode]);
    if (opt.timeout == 0)
        opt.timeout = opt.seconds + opt.warmup + opt.grace + 60 +
                      (opt.mode == M_IDLE ? opt.settle + opt.sessions / 100.0
                       : 0) + opt.pairs / 50.0 +
                      (opt.ramp_rate > 0 ? (opt.sessions + 2 * opt.pairs) / opt.ramp_rate : 0);
}
