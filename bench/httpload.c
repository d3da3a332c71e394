/* httpload.c - the requests of a relayed message, at a server that relays nothing.
 *
 * Measures what bench/empty.c can do behind a web server. Sends what `siobench relay` sends, of the
 * same size and on as many connections: a pair is two clients, each with one connection for POSTs
 * and one for polls. The client whose turn it is sends a message in a POST and, behind it, its next
 * poll; when the poll is answered it is the other's turn. Nothing is looked at in an answer but
 * its status and its length. A turn counts as one hop. Prints the members of siobench's JSON report
 * that the two have in common. Loopback only.
 *
 *   httpload --port N [--pairs P] [--seconds S] [--warmup S] [--size BYTES] [--watch PID]...
 *
 * Exit status: 0 all well, 1 a request failed, 2 usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define WATCH_MAX 8
#define ANSWER_MAX 4096
#define STALL_MS 5000 /* no answer at all for so long: the server hangs */

enum { POLL, POST, KINDS };

struct client;

struct connection {
    struct client *client;
    int fd, kind;
    bool busy, answered; /* answered: at least once since it was opened */
    size_t len;
    char answer[ANSWER_MAX]; /* what has come of the answer */
};

struct client {
    struct connection connection[KINDS];
    struct client *peer;
    bool turn; /* its turn came while its last POST was not answered yet */
};

/* Clocks of the machine and of the processes, in seconds. */
struct clocks {
    double now, own_user, own_sys, busy, steal, watch[WATCH_MAX];
};

static struct {
    int port, pairs, size, watch_count;
    double seconds, warmup;
    const char *watch[WATCH_MAX];
} opt = { .port = 0, .pairs = 50, .size = 200, .seconds = 10, .warmup = 1 };

static struct {
    int epoll;
    char *request[KINDS];
    size_t request_len[KINDS];
    uint64_t requests, hops, reconnects, failed;
} load;

__attribute__((noreturn, format(printf, 2, 3))) static void fail(int status, const char *format,
                                                                 ...)
{
    va_list arguments;

    fputs("httpload: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(status);
}

/* ---- clocks */

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* First line of a file in /proc. False when there is none. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "r");
    bool got = f != NULL && fgets(line, (int)size, f) != NULL;

    if (f != NULL)
        fclose(f);
    return got;
}

static double process_cpu(const char *pid)
{
    char path[64], line[1024];
    unsigned long user, sys;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    const char *rest = read_line(path, line, sizeof line) ? strrchr(line, ')') : NULL;
    if (rest == NULL
        || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        fail(2, "--watch %s: no such process", pid);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static void machine_cpu(struct clocks *c)
{
    char line[512];
    unsigned long long user, nice, sys, irq, softirq, steal;

    if (!read_line("/proc/stat", line, sizeof line)
        || sscanf(line, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &sys, &irq,
                  &softirq, &steal)
               != 6)
        fail(1, "/proc/stat cannot be read");
    c->busy = (double)(user + nice + sys + irq + softirq) / (double)sysconf(_SC_CLK_TCK);
    c->steal = (double)steal / (double)sysconf(_SC_CLK_TCK);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct clocks read_clocks(void)
{
    struct clocks c = { .now = now_s() };
    struct rusage own;

    getrusage(RUSAGE_SELF, &own);
    c.own_user = seconds_of(own.ru_utime);
    c.own_sys = seconds_of(own.ru_stime);
    machine_cpu(&c);
    for (int i = 0; i < opt.watch_count; i++)
        c.watch[i] = process_cpu(opt.watch[i]);
    return c;
}

/* ---- requests */

static void make_requests(void)
{
    static const char head[] =
        "%s /socket.io/?EIO=4&transport=polling&sid=0123456789abcdefghij HTTP/1.1\r\n"
        "Host: 127.0.0.1:%d\r\nUser-Agent: siobench/1.0\r\nAccept: */*\r\n";
    static const char fields[] = "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ";
    /* what siobench puts around --size bytes */
    static const char before[] = "42[\"message\",{\"channel\":\"b0123456789ab-00\",\"message\":\"";
    static const char after[] = "\"}]";
    char get[256], post[256];

    snprintf(get, sizeof get, head, "GET", opt.port);
    snprintf(post, sizeof post, head, "POST", opt.port);
    if (asprintf(&load.request[POLL], "%s\r\n", get) == -1
        || asprintf(&load.request[POST], "%s%s%zu\r\n\r\n%s%0*d%s", post, fields,
                    sizeof before - 1 + (size_t)opt.size - 2 + sizeof after - 1, before,
                    opt.size - 2, 0, after)
               == -1)
        fail(1, "out of memory");
    for (int i = 0; i < KINDS; i++)
        load.request_len[i] = strlen(load.request[i]);
}

static void send_request(struct connection *c)
{
    /* Smaller than what an idle connection buffers: it goes whole, or the connection is gone,
     * which the next event tells. */
    c->len = 0;
    c->busy = true;
    (void)!send(c->fd, load.request[c->kind], load.request_len[c->kind], MSG_NOSIGNAL);
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)opt.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    int yes = 1;

    c->answered = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd == -1 || connect(c->fd, (struct sockaddr *)&to, sizeof to) == -1)
        fail(1, "127.0.0.1:%d: %s", opt.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e) == -1)
        fail(1, "epoll: %s", strerror(errno));
}

/* A request that was under way is sent again. */
static void reopen(struct connection *c)
{
    load.reconnects++;
    close(c->fd);
    open_connection(c);
    if (c->busy)
        send_request(c);
}

/* As siobench does: the message first, then the next poll. */
static void take_turn(struct client *a)
{
    a->turn = a->connection[POST].busy;
    if (a->turn)
        return;
    send_request(&a->connection[POST]);
    send_request(&a->connection[POLL]);
}

/* Bytes of the answer that C has the beginning of; 0 while that cannot be told. */
static size_t answer_length(struct connection *c)
{
    static const char name[] = "\r\nContent-Length:";

    c->answer[c->len] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, name);
    if (end == NULL)
        return 0;
    if (length == NULL || length > end)
        fail(1, "an answer without Content-Length:\n%s", c->answer);
    return (size_t)(end + 4 - c->answer) + strtoul(length + sizeof name - 1, NULL, 10);
}

static void take_answer(struct connection *c)
{
    static const char ok[] = "HTTP/1.1 200";

    load.requests++;
    c->answered = true;
    if (strncmp(c->answer, ok, sizeof ok - 1) != 0)
        load.failed++;
    c->busy = false;
    if (strcasestr(c->answer, "\r\nConnection: close") != NULL)
        reopen(c);
    if (c->kind == POLL) {
        load.hops++;
        take_turn(c->client->peer);
    } else if (c->client->turn) {
        take_turn(c->client);
    }
}

static void read_answer(struct connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->len, ANSWER_MAX - 1 - c->len, MSG_DONTWAIT);

    if (got == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        /* Closed between two requests is any server's right; otherwise it was owed an answer. */
        if (!c->answered || c->len > 0)
            load.failed++;
        reopen(c);
        return;
    }
    c->len += (size_t)got;
    size_t length = answer_length(c);
    if (length > ANSWER_MAX - 1)
        fail(1, "an answer of %zu bytes: this is not the empty responder", length);
    if (length > 0 && c->len >= length)
        take_answer(c);
}

static void run_for(double seconds)
{
    struct epoll_event ready[EVENTS];
    double end = now_s() + seconds;

    while (now_s() < end) {
        int count = epoll_wait(load.epoll, ready, EVENTS, STALL_MS);
        if (count == 0)
            fail(1, "no answer for %d ms", STALL_MS);
        for (int i = 0; i < count; i++)
            read_answer(ready[i].data.ptr);
    }
}

/* ---- report */

static void report(struct clocks a, struct clocks b, uint64_t requests, uint64_t hops)
{
    double window = b.now - a.now, each = hops > 0 ? 1e6 / (double)hops : 0;
    double own = b.own_user + b.own_sys - a.own_user - a.own_sys;
    double other = b.busy - a.busy - own;

    printf("{\n  \"tool\": \"httpload\", \"mode\": \"ceiling\",\n  \"pairs\": %d, \"size\": %d,\n"
           "  \"ok\": %s,\n  \"window_s\": %.6f, \"requests\": %llu, \"requests_per_s\": %.3f,\n"
           "  \"hops\": %llu, \"hops_per_s\": %.3f,\n  \"failed\": %llu, \"reconnects\": %llu,\n"
           "  \"watch\": [",
           opt.pairs, opt.size, load.failed == 0 && hops > 0 ? "true" : "false", window,
           (unsigned long long)requests, (double)requests / window, (unsigned long long)hops,
           (double)hops / window,
           (unsigned long long)load.failed, (unsigned long long)load.reconnects);
    for (int i = 0; i < opt.watch_count; i++) {
        double cpu = b.watch[i] - a.watch[i];
        other -= cpu;
        printf("%s{\"name\": \"%s\", \"core_share\": %.4f, \"cpu_us_per_hop\": %.3f}",
               i == 0 ? "" : ", ", opt.watch[i], cpu / window, cpu * each);
    }
    printf("],\n  \"generator\": {\"core_share\": %.4f, \"cpu_us_per_hop\": %.3f},\n"
           "  \"machine\": {\"other_core_share\": %.4f, \"steal_core_share\": %.4f}\n}\n",
           own / window, own * each, other > 0 ? other / window : 0,
           (b.steal - a.steal) / window);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        { "port", 1, 0, 'p' },   { "pairs", 1, 0, 'P' }, { "seconds", 1, 0, 's' },
        { "warmup", 1, 0, 'w' }, { "size", 1, 0, 'b' },        { "watch", 1, 0, 'W' },
        { 0, 0, 0, 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (c) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'P':
            opt.pairs = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'w':
            opt.warmup = atof(optarg);
            break;
        case 'b':
            opt.size = atoi(optarg);
            break;
        case 'W':
            if (opt.watch_count == WATCH_MAX)
                fail(2, "--watch: %d at most", WATCH_MAX);
            opt.watch[opt.watch_count++] = optarg;
            break;
        default:
            exit(2);
        }
    if (opt.port < 1 || opt.port > 65535 || opt.pairs < 1 || opt.size < 3 || opt.size > 100000
        || opt.seconds <= 0 || optind != argc)
        fail(2, "--port is needed, and numbers must make sense");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    make_requests();
    if ((load.epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
        fail(1, "epoll: %s", strerror(errno));
    struct client *all = calloc((size_t)opt.pairs * 2, sizeof *all);
    if (all == NULL)
        fail(1, "out of memory");
    for (int i = 0; i < opt.pairs * 2; i++) {
        all[i].peer = &all[i ^ 1];
        for (int kind = 0; kind < KINDS; kind++) {
            all[i].connection[kind].client = &all[i];
            all[i].connection[kind].kind = kind;
            open_connection(&all[i].connection[kind]);
        }
    }
    for (int i = 0; i < opt.pairs * 2; i += 2)
        take_turn(&all[i]);

    run_for(opt.warmup);
    uint64_t requests = load.requests, hops = load.hops;
    struct clocks begin = read_clocks();
    run_for(opt.seconds);
    struct clocks end = read_clocks();
    report(begin, end, load.requests - requests, load.hops - hops);
    free(all);
    return load.failed == 0 ? 0 : 1;
}
