/* postpone.c - whoever asks for much waits for it, not the others.
 *
 * What a POST or a handshake costs is charged to its session and to its client's address. A request of
 * one who has used more than its share is postponed: it waits, whole, until those that came with it
 * are done. So does the rest of any POST that is much work, however little its client has used, since
 * a turn keeps all others waiting:
 *
 *     requests ──▶ light ───────────────────────▶ one slice, answered in this turn
 *                    │  heavy, or behind its own      │ more than a slice
 *                    ▼                                ▼
 *                 postponed ◀────────────────── where it stopped
 *                    │  whoever has used least goes first; what one session asks stays in its order
 *                    ▼
 *                 one slice a turn, after the others; of the heavy at most half of the time
 *
 * How far a POST has come is stored with what it did. Should its process die, or its client ask again,
 * it goes on from there: nothing is done twice. None is refused but where too many wait already.
 */
#include "core/turn.h"
#include "base/log.h"

#define BRIM_MS 200                     /* a moment's burst: a share of so long */
/* times a session's share, for the address; behind a proxy there are many */
#define ADDRESS_SHARE 2
#define PROXY_SHARE 8
/* What may wait, in all and of one visitor. */
#define WAITING_BYTES ((size_t)64 << 20)
#define WAITING_SHARE 4

/* ---- who has used how much */

/* Microseconds a millisecond are tenths of a percent. 0: nobody is held to it. */
static int64_t session_rate(const struct core *c)
{
    return 10 * c->set->max_work_percent;
}

/* Whose work the call is, as far as its address says. */
static struct worker worker_of(const struct call *call, const struct session *session)
{
    char address[ADDRESS_MAX];
    struct worker w = { .session = session != NULL ? session->id : 0, .share = ADDRESS_SHARE };

    core_visitor(call->rq->address, address);
    w.address = seen_hash(span_of(address));
    if (call->rq->forwarded) {
        w.address = ~w.address;
        w.share = PROXY_SHARE;
    }
    return w;
}

/* How many bursts W has used, in thousandths, by its session or its address, whichever is more. */
static int64_t used(const struct core *c, const struct worker *w, int64_t now)
{
    int64_t per_ms = session_rate(c), mine = 0;

    if (per_ms == 0)
        return 0;
    if (w->session != 0)
        mine = budget_used(&c->sessions, (uint64_t)w->session, now, per_ms) * 1000
               / (per_ms * BRIM_MS);
    per_ms *= w->share;
    int64_t all = budget_used(&c->addresses, w->address, now, per_ms) * 1000 / (per_ms * BRIM_MS);
    return mine > all ? mine : all;
}

static bool is_heavy(const struct core *c, const struct worker *w, int64_t now)
{
    return used(c, w, now) >= 1000;
}

static void charge(struct core *c, const struct worker *w, int64_t now, int64_t used_us)
{
    int64_t per_ms = session_rate(c);

    if (w->session != 0)
        budget_spend(&c->sessions, (uint64_t)w->session, now, per_ms, used_us);
    budget_spend(&c->addresses, w->address, now, per_ms * w->share, used_us);
}

/* ---- what waits */

bool core_has_postponed(const struct core *c, int64_t session)
{
    for (size_t i = 0; i < c->postponed_count; i++)
        if (c->postponed[i].worker.session == session)
            return true;
    return false;
}

/* May SIZE bytes of W's wait? */
static bool has_room(const struct core *c, const struct worker *w, size_t size)
{
    size_t count = 0, bytes = size, all = size;

    for (size_t i = 0; i < c->postponed_count; i++) {
        const struct postponed *p = &c->postponed[i];
        all += p->bytes;
        if (p->worker.address != w->address)
            continue;
        count++;
        bytes += p->bytes;
    }
    return c->postponed_count < HOST_POSTPONED_MAX && count < HOST_POSTPONED_MAX / WAITING_SHARE
           && all <= WAITING_BYTES && bytes <= WAITING_BYTES / WAITING_SHARE;
}

static void refuse(struct call *call, const struct session *session)
{
    log_often(LOG_WARNING, "P318", "core", core_who(call, session),
              "a request is refused: too many of its client's wait already, since they take more "
              "time than max_work_percent (%lld) allows",
              (long long)call->c->set->max_work_percent);
    core_answer_error(call, 429, EIO_FORBIDDEN, "Too much work at a time: slow down");
}

/* Put P at PLACE, or at the end. */
static void insert(struct core *c, const struct postponed *p, size_t place)
{
    if (place > c->postponed_count)
        place = c->postponed_count;
    memmove(&c->postponed[place + 1], &c->postponed[place],
            (c->postponed_count - place) * sizeof *p);
    c->postponed[place] = *p;
    c->postponed_count++;
}

static struct postponed take(struct core *c, size_t place)
{
    struct postponed p = c->postponed[place];

    c->postponed_count--;
    memmove(&c->postponed[place], &c->postponed[place + 1],
            (c->postponed_count - place) * sizeof p);
    return p;
}

void core_postpone(struct call *call, const struct session *session, const struct progress *done)
{
    struct core *c = call->c;
    struct postponed p = { .worker = worker_of(call, session),
                           .conn = call->rq->conn,
                           .bytes = call->rq->body.len,
                           .done = *done };
    /* one that waited before has room */
    bool room = call->resumed || has_room(c, &p.worker, p.bytes);

    if (!room || (p.ticket = host_postpone(call->h, p.conn)) == -1)
        refuse(call, session);
    else
        insert(c, &p, call->resumed ? call->place : SIZE_MAX);
}

/* ---- doing it */

void core_work(struct call *call, struct session *session)
{
    static const struct progress nothing = { .mark = 0 };
    struct core *c = call->c;
    struct worker w = worker_of(call, session);

    if (!call->resumed
        && (is_heavy(c, &w, call->now) || (session != NULL && core_has_postponed(c, w.session)))) {
        core_postpone(call, session, &nothing);
        return;
    }
    uint64_t from = stats_clock();
    if (session != NULL)
        core_post(call, session);
    else
        core_open(call);
    charge(c, &w, call->now, (int64_t)((stats_clock() - from) / 1000));
}

/* The place of the request that is next: the first of the session, or the address, that has used
 * least. */
static size_t next_place(const struct core *c, int64_t now)
{
    int64_t least = INT64_MAX;
    size_t best = 0, first = 0;

    for (size_t i = 0; i < c->postponed_count; i++) {
        int64_t has_used = used(c, &c->postponed[i].worker, now);
        if (has_used < least) {
            least = has_used;
            best = i;
        }
    }
    int64_t session = c->postponed[best].worker.session;
    while (session != 0 && c->postponed[first].worker.session != session)
        first++;
    return session != 0 ? first : best;
}

size_t core_resume(struct core *c, struct host *h, int64_t now)
{
    int64_t until = core_worked(c) + c->slice;
    uint64_t from = c->postponed_count != 0 ? stats_clock() : 0;
    bool heavy = false;
    size_t count = 0;

    if (now < c->resume_ms || now < c->retry_ms)
        return 0;
    while (c->postponed_count != 0 && core_worked(c) + (int64_t)count < until) {
        size_t place = next_place(c, now);
        struct postponed p = take(c, place);
        struct request rq;
        heavy = heavy || is_heavy(c, &p.worker, now);
        host_resume(h, p.ticket, &rq);
        core_take_again(c, h, &rq, now, &p.done, place);
        count++;
    }
    if (heavy && !c->leaving)           /* half of the time is for others, and for other processes */
        c->resume_ms = now + 2 * (int64_t)((stats_clock() - from) / 1000000);
    return count;
}

void core_give_up(struct core *c, struct host *h)
{
    struct request rq;

    while (c->postponed_count != 0) {
        struct postponed p = take(c, 0);
        host_resume(h, p.ticket, &rq);
        core_answer_unavailable(c, h, rq.conn);
    }
}
