/* slots.c - polls where each that waits takes a process of its own, of which a host gives few:
 * Apache's mod_fcgid, CGI, and hosters that count processes at work. Were all of them to wait,
 * nobody could say anything, and whoever has no poll would hear nothing.
 *
 *     slots     processes that may work at a time
 *     free      a fifth of them, two at least, is kept for POSTs and for those who come
 *     held      polls that wait; if there are more than slots - free, the oldest beyond that are
 *               answered early, each by the process that has it, which looks ten times a second
 *
 *     clients   o o o o o o o o o o o o        answered `6`, ours `6825`: come back in 825 ms
 *               | | | | | | | |     ^  \__________________
 *     slots    [h h h h h h h h h h .  .]                  \
 *               oldest             free                     asks again, and is the youngest
 *
 * An official client asks again at once. Ours waits as it is told, so that the clients together
 * want as many slots as there are to be had: with three times as many clients as that each waits a
 * third of the time. Its POSTs go meanwhile.
 *
 * How many slots there are nobody says. Under mod_fcgid it is as many as processes live, and they
 * are scarce when each of them holds a poll and a client has not asked again for longer than it
 * takes to: it waits for one. As CGI that cannot be seen; there it is as many as hosters allow, or
 * as the setting says.
 */
#include "core/turn.h"

#define LOOK_MS 100
#define LEAST_MS 300                    /* no poll is answered earlier */
#define QUICK_LEAST_MS 20
#define SILENT_MS 10000                 /* beyond a heartbeat's interval */
#define SLOTS_ANY INT32_MAX
#define CGI_SLOTS 20                    /* entry processes, as CloudLinux has them */
#define HUNGRY_MS 1000                  /* longer than a client takes to ask again */
#define PAUSE_MOST_MS 5000
#define SCARCE_MS 20000                 /* once it was seen */

/* What there is at a look. */
struct sight {
    struct slots *slots;
    int64_t now, self, polled_ms;       /* this process's poll: whose, and since when */
    int64_t sessions, held, older;      /* in all; polls; of these, those that came before ours */
    int64_t silent_ms;                  /* who has polled before that and has no poll has gone */
    bool hungry_waits;                  /* the one that is remembered waits still */
    int64_t waiting, waiting_poll;      /* one that waits: 0: none */
    int64_t others;                     /* that wait and are not our client */
    bool shim;                          /* this process's is */
};

void core_scarce(struct core *c, enum scarce scarce)
{
    c->slots.scarce = c->slots.began = scarce;
}

void core_slots_taken(struct core *c)
{
    if (c->slots.scarce != SCARCE_COUNTED)
        return;
    if (park_count(c->park) != 0)
        c->slots.scarce = SCARCE_NOT;
    else
        store_count_me(c->store);
}

void core_slots_begin(struct core *c, const struct session *session)
{
    c->slots.polled_ms = session->polled_ms;
    c->slots.look_ms = session->polled_ms + QUICK_LEAST_MS;
}

int64_t core_slots_ms(const struct core *c)
{
    return c->slots.scarce == SCARCE_NOT || park_count(c->park) == 0 ? INT64_MAX
                                                                     : c->slots.look_ms;
}

static void see(void *arg, const struct poll *p)
{
    struct sight *v = arg;
    struct slots *s = v->slots;

    if (p->session == v->self)
        v->shim = p->shim;
    if (p->over || (!p->held && p->polled_ms < v->silent_ms))
        return;
    v->sessions++;
    v->held += p->held;
    v->older += p->held && p->session != v->self
                && (p->polled_ms < v->polled_ms
                    || (p->polled_ms == v->polled_ms && p->session < v->self));
    if (p->held)
        return;
    if (p->session == s->hungry && p->number == s->hungry_poll)
        v->hungry_waits = true;
    v->waiting = p->session;
    v->waiting_poll = p->number;
    v->others += !p->shim;
}

/* Has somebody waited for longer than it takes to ask again, and holds every process a poll? Who
 * has gone without a word seems to wait as well; but then there are processes that do nothing. */
static void judge_hunger(struct slots *s, const struct sight *v, int64_t processes)
{
    if (!v->hungry_waits) {
        s->hungry = v->waiting;
        s->hungry_poll = v->waiting_poll;
        s->hungry_ms = v->now;
    } else if (s->hungry != 0 && v->now - s->hungry_ms >= HUNGRY_MS && v->held >= processes) {
        s->until_ms = v->now + SCARCE_MS;
    }
}

/* How long one that is answered early is to stay away, so that all together want MOST slots. */
static int64_t pause_for(const struct sight *v, int64_t most)
{
    int64_t pause = LEAST_MS * (v->sessions - most) / most;

    return pause < 0 ? 0 : pause > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause;
}

/* How many there are; SLOTS_ANY: enough. */
static int64_t slots_there(const struct core *c, int64_t now, int64_t processes)
{
    if (c->set->slots != 0)
        return c->set->slots;
    if (c->slots.scarce == SCARCE_UNCOUNTED)
        return CGI_SLOTS;
    return now < c->slots.until_ms ? processes : SLOTS_ANY;
}

/* How many polls may wait. */
static int64_t most_held(int64_t slots)
{
    int64_t most = slots - (slots / 5 > 2 ? slots / 5 : 2);

    return most < 1 ? 1 : most;
}

/* How long the poll of a client is held that asks again at once, while others like it wait. It
 * takes the slot that has just become free, and mod_fcgid lets others look but once a second: they
 * find a free one the more often the more often each becomes free. */
static int64_t quick_ms(int64_t slots)
{
    int64_t ms = slots;

    return ms < QUICK_LEAST_MS ? QUICK_LEAST_MS : ms > LEAST_MS ? LEAST_MS : ms;
}

static void answer_early(struct core *c, int64_t id, int64_t now, int64_t pause_ms)
{
    struct session *session = store_session_by_id(c->store, id);

    if (session == NULL)
        return;
    session->nudge = session->changed = true;
    c->slots.pause_ms = pause_ms;
    core_fill(c, session, now);
    c->slots.pause_ms = 0;
}

void core_slots(struct core *c, int64_t now)
{
    struct slots *s = &c->slots;
    int64_t id;

    s->look_ms = now + LOOK_MS;
    if (!park_any(c->park, &id))
        return;
    struct sight v = { .slots = s, .now = now, .self = id, .polled_ms = s->polled_ms,
                       .silent_ms = now - c->set->ping_interval_ms - SILENT_MS };
    int64_t processes = store_polls(c->store, see, &v);
    judge_hunger(s, &v, processes);
    int64_t slots = slots_there(c, now, processes);
    int64_t most = most_held(slots);
    bool quick = !v.shim && v.others != 0;
    int64_t least = quick ? quick_ms(slots) : LEAST_MS, ripe_ms = s->polled_ms + least;
    if (ripe_ms > now && ripe_ms < s->look_ms)
        s->look_ms = ripe_ms;
    if (now >= ripe_ms && v.held > most && (quick || v.older < v.held - most))
        answer_early(c, id, now, pause_for(&v, most));
}
