/* script.c - see script.h. Holds requests that were given and those that are postponed, and no
 * answers.
 */
#include "host/script.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/kind.h"

/* A request, and what it says, one piece behind the other. */
struct line {
    struct request rq;
    char *pieces;                       /* NULL: there is none */
};

struct script {
    struct host host;
    struct script_listener listener;
    struct line given[SCRIPT_GIVEN_MAX];
    size_t count, next;
    struct line postponed[HOST_POSTPONED_MAX];  /* without pieces the ticket is free */
    struct line resumed;                /* lent until the next */
    bool behind, stopped;
};

/* ---- requests */

static void drop(struct line *line)
{
    free(line->pieces);
    *line = (struct line){ .rq = { .conn = { .fd = -1 } } };
}

/* Put PIECE at *END, a NUL behind it, and move on. */
static void put(struct span *piece, char **end)
{
    if (piece->len != 0)
        memcpy(*end, piece->p, piece->len);
    piece->p = *end;
    *end += piece->len;
    *(*end)++ = '\0';
}

/* LINE is a copy of RQ with pieces of its own. By asprintf(): those who let malloc() fail mean the
 * program's, and not the script's. */
static bool take_over(struct line *line, const struct request *rq)
{
    int len = (int)(rq->method.len + rq->query.len + rq->body.len) + 3;
    char *pieces, *end;

    if (asprintf(&pieces, "%*s", len, "") == -1)
        return false;
    *line = (struct line){ *rq, pieces };
    end = pieces;
    put(&line->rq.method, &end);
    put(&line->rq.query, &end);
    put(&line->rq.body, &end);
    return true;
}

static void drop_given(struct script *s)
{
    for (size_t i = 0; i < s->count; i++)
        drop(&s->given[i]);
    s->count = s->next = 0;
}

bool script_give(struct host *h, const struct request *rq)
{
    struct script *s = (struct script *)h;

    if (s->count == SCRIPT_GIVEN_MAX || !take_over(&s->given[s->count], rq))
        return false;
    s->count++;
    return true;
}

size_t script_waiting(const struct host *h)
{
    const struct script *s = (const struct script *)h;

    return s->count - s->next;
}

void script_set_behind(struct host *h, bool behind)
{
    ((struct script *)h)->behind = behind;
}

/* ---- as a host */

static void script_close(struct host *h)
{
    struct script *s = (struct script *)h;

    drop_given(s);
    for (size_t i = 0; i < HOST_POSTPONED_MAX; i++)
        drop(&s->postponed[i]);
    drop(&s->resumed);
    free(s);
}

static int script_watch(struct host *h, int fd)
{
    (void)h, (void)fd;
    return 0;
}

static void script_wait(struct host *h, int timeout_ms, struct host_events *events)
{
    (void)h, (void)timeout_ms, (void)events;
}

static bool script_next(struct host *h, struct request *rq)
{
    struct script *s = (struct script *)h;

    if (s->next == s->count) {
        drop_given(s);
        return false;
    }
    *rq = s->given[s->next++].rq;
    return true;
}

/* The request on C, which was lent last. */
static const struct request *lent(const struct script *s, struct conn c)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->given[i].rq.conn.fd == c.fd)
            return &s->given[i].rq;
    return s->resumed.rq.conn.fd == c.fd ? &s->resumed.rq : NULL;
}

/* As a real host, which keeps it where it was or moves it: what was lent is copied. */
static int script_postpone(struct host *h, struct conn c)
{
    struct script *s = (struct script *)h;
    const struct request *rq = lent(s, c);
    int ticket = 0;

    while (ticket < HOST_POSTPONED_MAX && s->postponed[ticket].pieces != NULL)
        ticket++;
    if (rq == NULL || ticket == HOST_POSTPONED_MAX || !take_over(&s->postponed[ticket], rq))
        return -1;
    return ticket;
}

static void script_resume(struct host *h, int ticket, struct request *rq)
{
    struct script *s = (struct script *)h;

    drop(&s->resumed);
    s->resumed = s->postponed[ticket];
    s->postponed[ticket] = (struct line){ .rq = { .conn = { .fd = -1 } } };
    *rq = s->resumed.rq;
}

static void script_park(struct host *h, struct conn c, int64_t key)
{
    (void)h, (void)c, (void)key;
}

static bool script_gone(struct host *h, int64_t *key, int *fd)
{
    (void)h;
    *key = 0;
    *fd = -1;
    return false;
}

static bool script_behind(const struct host *h)
{
    return ((const struct script *)h)->behind;
}

static void script_answer(struct host *h, struct conn c, bool parked, struct span text)
{
    const struct script_listener *l = &((struct script *)h)->listener;

    (void)parked;
    l->answered(l->arg, c.fd, text);
}

static bool script_begin(struct host *h, struct conn c, struct span text)
{
    const struct script_listener *l = &((struct script *)h)->listener;

    l->begun(l->arg, c.fd, text);
    return true;
}

static void script_complain(struct host *h, struct conn c, struct span text)
{
    (void)h, (void)c, (void)text;
}

static void script_stop(struct host *h)
{
    ((struct script *)h)->stopped = true;
}

static bool script_idle(const struct host *h)
{
    (void)h;
    return true;
}

static bool script_finished(const struct host *h)
{
    return ((const struct script *)h)->stopped;
}

struct host *script_open(const struct script_listener *listener)
{
    static const struct host_engine engine = { .close = script_close,
                                               .watch = script_watch,
                                               .wait = script_wait,
                                               .next = script_next,
                                               .postpone = script_postpone,
                                               .resume = script_resume,
                                               .park = script_park,
                                               .gone = script_gone,
                                               .behind = script_behind,
                                               .answer = script_answer,
                                               .begin = script_begin,
                                               .complain = script_complain,
                                               .stop = script_stop,
                                               .idle = script_idle,
                                               .finished = script_finished };
    struct script *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->host.engine = &engine;
    s->listener = *listener;
    s->resumed.rq.conn.fd = -1;
    return &s->host;
}
