/* postpone.c - whoever asks for much waits for it, not the others.
 *
 * What a POST or a handshake costs is charged to its session and to its client's address. A
 * request of one who has used more than its share is postponed: it waits, whole, until those that
 * came with it are done. So does the rest of any POST that is much work, however little its client
 * has used, since a turn keeps all others waiting:
 *
 *     requests ──▶ light ───────────────────────▶ one slice, answered in this turn
 *                    │  heavy, or behind its own      │ more than a slice
 *                    ▼                                ▼
 *                 postponed ◀────────────────── where it stopped
 *                    │  whoever has used least goes first; what one session asks stays in its order
 *                    ▼
 *                 one slice a turn, after the others; of the heavy at most half of the time
 *
 * How far a POST has come is stored with what it did. Should its process die, or its client ask
 * again, it goes on from there: nothing is done twice. None is refused but where too many wait
 * already.
 */
#include "core/turn.h"

#include <arpa/inet.h>

#include "base/hash.h"
#include "base/log.h"

#define BRIM_MS 200                     /* a moment's burst: a share of so long */
/* times a session's share, for the address; behind a proxy there are many */
#define ADDRESS_SHARE 2
#define PROXY_SHARE 8
/* What may wait, in all and of one visitor. */
#define WAITING_BYTES ((size_t)64 << 20)
#define WAITING_SHARE 4

/* ---- who has used how much */

/* Whom the limits of an address are for: of IPv6 the network of 56 bits that a customer may have,
 * since the rest is for whoever has it to choose. */
void core_visitor(struct span address, char out[ADDRESS_MAX])
{
    struct in6_addr six;

    if (!span_copy(address, out, ADDRESS_MAX) || out[0] == '\0')
        memcpy(out, "unknown", sizeof "unknown");
    if (inet_pton(AF_INET6, out, &six) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        inet_ntop(AF_INET, &six.s6_addr[12], out, ADDRESS_MAX);
        return;
    }
    memset(&six.s6_addr[7], 0, 9);
    inet_ntop(AF_INET6, &six, out, ADDRESS_MAX - sizeof "/56");
    memcpy(out + strlen(out), "/56", sizeof "/56");
}

/* Microseconds a millisecond are tenths of a percent. 0: nobody is held to it. */
static int64_t session_rate(const struct core *c)
{
    return 10 * c->set->max_work_percent;
}

/* Whose work the call is, as far as its address says. */
struct worker core_worker(const struct call *call, const struct session *session)
{
    char address[ADDRESS_MAX];
    struct worker w = { .session = session != NULL ? session->id : 0, .share = ADDRESS_SHARE };

    core_visitor(call->rq->address, address);
    w.address = hash_of(span_of(address));
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

bool core_is_heavy(const struct core *c, const struct worker *w, int64_t now)
{
    return used(c, w, now) >= 1000;
}

void core_charge(struct core *c, const struct worker *w, int64_t now, int64_t used_us)
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
    log_often(P318, core_who(call, session),
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

struct postponed core_take_postponed(struct core *c, size_t place)
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
    struct postponed p = { .worker = core_worker(call, session),
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

struct postponed core_next_postponed(struct core *c, int64_t now, size_t *place)
{
    *place = next_place(c, now);
    return core_take_postponed(c, *place);
}
