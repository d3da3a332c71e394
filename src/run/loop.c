/* loop.c - the turn: all requests that arrived while the last turn ran, in one transaction. The
 * busier, the cheaper. */
#include "run/loop.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

#define FAREWELL_MS 2000                /* for answers that a web server is slow to take */
/* look for other processes' news that often, heard or not */
#define LOOK_MS 1000
#define LOOK_DEAF_MS 30                 /* where none can be heard */

size_t loop_take(struct host *h, struct core *c, int64_t now, enum loop_news news)
{
    struct request rq;
    size_t count = 0;
    int64_t gone;
    int fd;

    while (host_gone(h, &gone, &fd))
        core_gone(c, gone, fd, now);
    for (; !core_busy(c) && host_next(h, &rq); count++)
        core_take(c, h, &rq, now);      /* parse, session, rules, store; polls are held */
    count += core_resume(c, h, now);    /* what is much work, a slice a turn */
    if (news == LOOP_NEWS)
        core_news(c);                   /* what other processes stored */
    /* heartbeats, sessions and windows that are over */
    core_time(c, now, core_busy(c) || host_behind(h));
    core_wake(c, now);                  /* whoever has something to hear gets its poll filled */
    return count;
}

void loop_end(struct host *h, struct core *c)
{
    if (core_commit(c) == -1)           /* one transaction a turn */
        core_fail_turn(c, h);
    core_send(c, h);                    /* bytes leave only here */
}

/* One turn. Returns how many requests it took. */
static size_t turn(struct host *h, struct core *c, int64_t now, enum loop_news news)
{
    struct counters *counters = core_counters(c);
    uint64_t from = stats_clock();
    size_t count = loop_take(h, c, now, news);

    loop_end(h, c);
    stats_batch(&counters->batch, count);
    stats_time(&counters->turn, stats_clock() - from);
    return count;
}

/* Hear from now on when other processes have stored something. Returns how often to look
 * besides. */
static int64_t listen_for(struct host *h, struct core *c)
{
    int fd = core_watch(c);

    if (fd == -1)
        return LOOK_DEAF_MS;
    if (host_watch(h, fd) == 0)
        return LOOK_MS;
    log_line(P132, NULL,
             "cannot wait for other processes: %s; they will notice each other's messages late; "
             "see "
             "what limits there are",
             strerror(errno));
    return LOOK_DEAF_MS;
}

void loop_run(struct host *h, struct core *c)
{
    struct host_events events = { false, false };
    int64_t look_ms = 0, look = 0;      /* 0: others are not heard yet */

    while (!events.stop && !host_finished(h)) {
        int64_t deadline = core_deadline(c);
        /* the only place that sleeps */
        int64_t now = host_wait(h, deadline < look ? deadline : look, &events);
        enum loop_news news = events.watched || now >= look ? LOOP_NEWS : LOOP_NO_NEWS;
        if (now >= look)
            look = now + look_ms;
        turn(h, c, now, news);
        core_tidy(c, now);
        /* CGI for a request that was answered at once has ended by now, and need not listen. */
        if (look_ms == 0 && !host_finished(h)) {
            look_ms = listen_for(h, c);
            look = 0;                   /* what came before was not heard */
        }
    }
}

void loop_leave(struct host *h, struct core *c)
{
    struct host_events events;
    int64_t now = host_now(), until = now + FAREWELL_MS;

    core_leave(c, now);
    loop_end(h, c);
    while (!host_finished(h) && turn(h, c, now, LOOP_NO_NEWS) != 0 && now < until)
        now = host_wait(h, now, &events);
    core_give_up(c, h);
    host_stop(h);
    while (!host_idle(h) && host_now() < until)
        host_wait(h, until, &events);
}
