/* serve.c - opens everything, and says to everybody who asks where that cannot be done. */
#include "run/serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/stats.h"
#include "core/core.h"
#include "host/host.h"
#include "run/loop.h"
#include "run/refuse.h"
#include "run/supervise.h"
#include "store/store.h"

/* of requests that are refused: read, and of no use */
#define REFUSED_BODY 65536
#define REFUSED_MS 10000

/* A held poll takes a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Let C count where others see it. A CGI process does not: it ends before anybody looks. */
static void count_openly(struct core *c, struct stats *stats, const struct server *server)
{
    struct buf why = BUF_EMPTY;

    if (server->program.how == SERVE_CGI)
        return;
    if (stats_open(stats, server->set.store, &why) == 0)
        core_count_in(c, stats->counters);
    else
        log_line(P140, NULL, "%s; this process is in no figures", buf_text(&why));
    buf_release(&why);
}

static int open_host(struct host **h, const struct server *server, int64_t max_body,
                     int64_t whole_ms, struct buf *why)
{
    return server->program.how == SERVE_CGI
               ? host_open_cgi(h, (size_t)max_body, whole_ms, why)
               : host_open_fcgi(h, server->program.listen, (size_t)max_body, whole_ms, why);
}

/* What an operator looks up who finds that the store cannot be opened. */
static enum log_code store_code(const struct settings *set)
{
    return store_is_newer(set) ? P007 : P003;
}

/* The store was opened: how this process goes about with it. */
static int share_store(struct store *store, const struct server *server, struct buf *why)
{
    if (server->program.how == SERVE_CGI)
        store_serves_once(store);
    if (server->program.how != SERVE_FCGI)
        store_looks(store);
    return server->program.how == SERVE_FCGI ? store_has_keeper(store, why) : 0;
}

/* Open everything, serve until told to stop. 0; or -1: something stands in the way, which WHY
 * explains, and *CODE is what it is. */
static int serve_store(struct server *server, enum log_code *code, struct buf *why)
{
    const struct settings *set = &server->set;
    struct stats stats = { NULL, -1, NULL };
    struct store *store = NULL;
    struct host *host = NULL;
    struct core *core = NULL;
    int status = -1;

    if (store_open(&store, set, why) == -1 || share_store(store, server, why) == -1) {
        *code = store_code(set);
        goto out;
    }
    *code = P005;
    if (open_host(&host, server, set->max_payload_bytes, set->request_timeout_ms, why) == -1)
        goto out;
    if ((core = core_new(store, set)) == NULL) {
        buf_add_text(why, "cannot serve: out of memory; give the machine more");
        goto out;
    }
    core_scarce(core, server->program.how == SERVE_ALONE ? SCARCE_COUNTED
                      : server->program.how == SERVE_CGI ? SCARCE_UNCOUNTED
                                                         : SCARCE_NOT);
    count_openly(core, &stats, server);
    loop_run(host, core);
    supervise_succeed(&server->program);
    loop_leave(host, core);
    status = 0;

out:
    core_free(core);
    stats_release(&stats);
    host_close(host);
    store_close(store);
    return status;
}

/* ---- and where it cannot */

static bool works(void *arg)
{
    return takeover_works(arg);
}

static bool opens(void *arg)
{
    struct buf why = BUF_EMPTY;
    bool can = store_probe(arg, &why) == 0;

    buf_release(&why);
    return can;
}

/* Answer all that is asked with CODE, until AGAIN(ARG). Returns whether that came. */
static bool refuse_all(struct server *server, enum log_code code, struct buf *why,
                       refuse_again *again, void *arg)
{
    struct server other = *server;
    struct buf trouble = BUF_EMPTY;
    struct host *host = NULL;
    bool begins = false;

    log_line(code, NULL, "%s", buf_text(why));
    other.program.listen = server->program.how == SERVE_CGI ? -1 : dup(server->program.listen);
    if (open_host(&host, &other, REFUSED_BODY, REFUSED_MS, &trouble) == -1) {
        log_line(P001, NULL, "%s", buf_text(&trouble));
    } else {
        int web_server = server->program.how == SERVE_FCGI ? takeover_watch(&server->program) : -1;
        begins = refuse(host, code, buf_span(why), web_server, again, arg);
        host_close(host);
        if (web_server != -1)
            close(web_server);
    }
    if (other.program.listen != -1)
        close(other.program.listen);
    buf_clear(why);
    buf_release(&trouble);
    return begins;
}

int serve_refusal(struct server *server, enum log_code code, struct buf *why)
{
    signal(SIGHUP, SIG_IGN);            /* it looks by itself */
    if (refuse_all(server, code, why, works, &server->program)) {
        takeover_start(&server->program);
        log_line(P407, NULL, "cannot start %s anew: %s", server->program.argv[0], strerror(errno));
    }
    return server->program.how == SERVE_CGI ? 0 : 1;
}

/* A worker. Where it cannot serve now it answers so, and another takes its place when that has
 * changed. */
static int work(void *arg)
{
    struct server *server = arg;
    struct buf why = BUF_EMPTY;
    enum log_code code;
    int status = serve_store(server, &code, &why);

    if (status == -1)
        refuse_all(server, code, &why, opens, &server->set);
    buf_release(&why);
    return status == -1;
}

static int keep(void *arg)
{
    struct server *server = arg;

    store_keep(&server->set);
    return 1;                           /* it does not end by itself */
}

/* ---- from the start */

/* Create or upgrade the store before there are workers that would all try, and all say the same
 * if it cannot be done. */
static int prepare_store(const struct settings *set, struct buf *why)
{
    struct store *store = NULL;
    int code = store_open(&store, set, why);

    store_close(store);
    return code;
}

int serve(struct server *server, bool by_hand, struct buf *why)
{
    bool fcgi = server->program.how == SERVE_FCGI;
    bool ready = settings_place(&server->set, why) == 0
                 && (!fcgi || prepare_store(&server->set, why) == 0);
    enum log_code code;

    raise_descriptor_limit();
    if (server->program.how == SERVE_ALONE)
        settings_fit_fcgid(&server->set);
    if (!ready && by_hand)
        return 1;
    if (!ready)
        return serve_refusal(server, store_code(&server->set), why);
    if (fcgi)
        return supervise(&server->program, (int)server->set.processes, work, keep, server);
    return serve_store(server, &code, why) == 0 ? 0 : serve_refusal(server, code, why);
}
