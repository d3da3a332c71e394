/* refuse.c - requests in, the same answer out. No store, no turn. */
#include "run/refuse.h"

#include "core/refusal.h"

#define AGAIN_MS 3000                   /* between two attempts to begin */
#define COMPLAIN_MS 10000               /* between two lines in the web server's error log */
#define LAUNCH_MS 2000                  /* what ends sooner was no web server, but started one */

struct refusing {
    struct host *h;
    struct buf answer, complaint;
    int64_t began_ms, again_ms, complain_ms;
};

/* Answer those that are there. Returns how many. */
static int answer_all(struct refusing *r, int64_t now)
{
    struct request rq;
    int count = 0;

    for (; host_next(r->h, &rq); count++) {
        if (now >= r->complain_ms) {
            host_complain(r->h, rq.conn, buf_span(&r->complaint));
            r->complain_ms = now + COMPLAIN_MS;
        }
        host_answer(r->h, rq.conn, false, buf_span(&r->answer));
    }
    return count;
}

bool refuse(struct host *h, enum log_code code, struct span why, int web_server,
            refuse_again *again, void *arg)
{
    struct host_events events = { false, false };
    struct refusing r = { .h = h, .answer = BUF_EMPTY, .complaint = BUF_EMPTY,
                          .began_ms = host_now() };
    bool begins = false;

    refusal_write(&r.answer, code);
    buf_addf(&r.complaint, "pollux.fcgi: %s %.*s\n", log_entry(code)->code, (int)why.len, why.p);
    if (web_server != -1)
        host_watch(h, web_server);
    r.again_ms = r.began_ms + AGAIN_MS;
    while (!begins && !events.stop && !host_finished(h)) {
        int64_t now = host_wait(h, INT64_MAX, &events);
        if (events.watched && now - r.began_ms >= LAUNCH_MS)
            break;
        if (answer_all(&r, now) != 0 && now >= r.again_ms) {
            begins = again(arg);
            r.again_ms = host_now() + AGAIN_MS;
        }
    }
    while (!host_idle(h) && !events.stop)
        host_wait(h, host_now() + AGAIN_MS, &events);
    buf_release(&r.answer);
    buf_release(&r.complaint);
    return begins;
}
