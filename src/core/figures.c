/* figures.c - the page of figures, for those who may see it: of the store, and of all processes
 * whichever of them is asked. */
#include "core/turn.h"

#define PLAIN "text/plain; charset=UTF-8"
#define PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"

/* ADDRESS as it is without IPv6 around it, if it is one of IPv4. */
static struct span unmapped(struct span address)
{
    static const struct span prefix = { "::ffff:", 7 };

    if (span_starts(address, prefix.p) && memchr(address.p, '.', address.len) != NULL)
        return (struct span){ address.p + prefix.len, address.len - prefix.len };
    return address;
}

/* Does WORD of metrics_allow mean ADDRESS? A proxy on this machine that passes on what others ask
 * is not the machine itself. */
static bool means(struct span word, struct span address, bool forwarded)
{
    if (span_is(word, "*"))
        return true;
    if (span_is(word, "loopback"))
        return !forwarded && (span_starts(address, "127.") || span_is(address, "::1"));
    return address.len != 0 && span_equals(unmapped(word), address);
}

/* May RQ see the page? ALLOW: words apart by one space. */
bool core_request_allowed(const char *allow, const struct request *rq)
{
    struct span address = unmapped(rq->address);

    while (*allow != '\0') {
        size_t len = strcspn(allow, " ");
        if (means((struct span){ allow, len }, address, rq->forwarded))
            return true;
        allow += len + (allow[len] == ' ');
    }
    return false;
}

static void answer_page(struct call *call)
{
    struct core *c = call->c;
    struct stats_list processes = STATS_LIST_EMPTY;
    struct store_figures figures;
    struct buf page = BUF_EMPTY;

    bool known = store_figures(c->store, &figures) == 0
                 && stats_read(&processes, c->set->store) == 0;
    if (known)
        stats_page(&page, &figures, &processes);
    if (known && buf_ok(&page))
        core_answer_plain(call, 200, PROMETHEUS, buf_span(&page));
    else
        core_answer_plain(call, 503, PLAIN, SPAN("Service unavailable: nothing can be counted\n"));
    buf_release(&page);
    stats_list_release(&processes);
}

bool core_stats(struct call *call)
{
    const struct settings *set = call->c->set;

    if (set->metrics_path[0] == '\0' || !span_is(call->rq->path, set->metrics_path)
        || http_method(call->rq->method) != HTTP_GET)
        return false;
    if (core_request_allowed(set->metrics_allow, call->rq))
        answer_page(call);
    else
        core_answer_plain(call, 403, PLAIN, SPAN("Forbidden: see metrics_allow\n"));
    return true;
}
