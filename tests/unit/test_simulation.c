/* test_simulation.c - the promise under random schedules: what got an `ok` reaches every member
 * that stays, once and in order per sender, whatever is lost, repeated, delayed or dies in between.
 *
 * A schedule is a list of steps made from a seed: clients of four kinds act, answers are lost,
 * requests come twice, processes die before and after a commit, time passes. Two processes share
 * one store. After the last step the faults end, everybody comes to rest, and the books are
 * compared: who must have heard what is read from the member table around each turn that took a
 * message. A schedule that fails is made as short as it can be, and printed.
 *
 * POLLUX_TEST_SEED=N POLLUX_TEST_COUNT=1 replays schedule N. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "core/turn.h"
#include "base/hash.h"
#include "base/log.h"

#define STEPS 64
#define PEERS 5
#define CAPACITY 3
#define LIVES 60                        /* sockets in one schedule; bits of a set */
#define EVENTS 96                       /* of one client */
#define BODY 4096
#define WINDOW_MS 120000
#define SEED 1
#define COUNT 250
#define PER_STORE 200                   /* schedules on one store: a file that is not new */

enum kind { OFFICIAL, SHIM, RAW, KINDS };

/* One event of a client, in the order of its emitting. */
struct event {
    char text[96];
    int number;                         /* of the message in it; -1: none, it joins or leaves */
    int64_t applied_ms;                 /* 0: not yet, as far as the books know */
    uint64_t must, may;                 /* sockets that have to, and that may hear it */
    uint64_t heard;
};

/* A request of a client that has not been looked at. */
struct request_made {
    bool made, failed;
    bool carries;                       /* a poll that is a POST too */
    int rig, n;
    int64_t given_ms;
    char t[16];
    char body[BODY];
};

struct peer {
    enum kind kind;
    int me;
    char sid[32], id[32], pid[32], offset[32];
    bool greeted, posted_connect, in, out;      /* out: it has left for good */
    bool ping;                          /* it owes a pong */
    bool give_up;                       /* official: it is to send `1` on its old session */
    int life;                           /* bit of its present socket; -1: none yet */
    int64_t seen_ms;                    /* when it made its last request that was taken */
    int t;
    struct request_made get, post;
    char old_get[16], old_post[16];     /* the requests before those, by their t */
    char old_body[BODY];
    char after[16];                     /* t of the last POST */
    struct event events[EVENTS];
    int count, next;                    /* next: the first that is to be sent */
    int base;                           /* shim: the event that its socket counts as the first */
    int numbers;
};

struct life {
    char id[32];
    int peer;
    int last[PEERS];                    /* the last number heard from each */
    uint64_t leaves;                    /* whose leaving it was told */
};

/* A POST that is before a process's next turn. */
struct pending { int n; int peer; bool waits; char sid[32], t[16], body[BODY]; };

struct step { unsigned char op, who; unsigned short arg; };

struct sim {
    struct rig *rigs[2];
    struct asker *asker;
    char room[24];
    struct peer peers[PEERS];
    struct life lives[LIVES];
    int life_count;
    struct pending pending[2][RIG_GIVEN];
    int pending_count[2];
    int given[2];
    bool rang[2];
    bool calm;                          /* no faults any more */
    char failure[400];
};

enum op { ACT, EMIT, SEE, TURN, REPEAT, KILL, DOOM, WAIT, LEAVE, OPS };

static struct {
    int64_t schedules, steps, turns, messages, deliveries, lost, repeated, deaths, recoveries,
        fresh, lefts;
} sums;

/* ---- chance */

static uint64_t chance;

static unsigned roll(unsigned sides)
{
    chance += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = chance;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % sides);
}

static void say(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sim *s, const char *format, ...)
{
    va_list ap;

    if (s->failure[0] != '\0')
        return;                         /* the first says most */
    va_start(ap, format);
    vsnprintf(s->failure, sizeof s->failure, format, ap);
    va_end(ap);
}

static bool copy_field(const char *text, const char *key, char *out, size_t cap)
{
    const char *at = strstr(text, key);

    if (at == NULL)
        return false;
    at += strlen(key);
    snprintf(out, cap, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

/* ---- the books */

static int life_by_id(const struct sim *s, const char *id)
{
    for (int i = 0; i < s->life_count; i++)
        if (strcmp(s->lives[i].id, id) == 0)
            return i;
    return -1;
}

struct lives { const struct sim *s; uint64_t set; };

static void add_life(void *arg, const char *public)
{
    struct lives *lives = arg;
    int i = life_by_id(lives->s, public);

    if (i != -1)
        lives->set |= UINT64_C(1) << i;
}

/* Who is in the room, as a set of lives. */
static uint64_t members(struct sim *s)
{
    struct lives lives = { s, 0 };

    asker_members(s->asker, s->room, add_life, &lives);
    return lives.set;
}

/* The message whose mark, m<peer>.<number>, stands at TEXT or behind; advances *TEXT. */
static struct event *marked(struct sim *s, const char **text, int *from)
{
    int peer, number;

    while ((*text = strstr(*text, "\"m")) != NULL) {
        if (sscanf(*text, "\"m%d.%d\"", &peer, &number) == 2 && peer >= 0 && peer < PEERS) {
            *text += 2;
            for (int i = 0; i < s->peers[peer].count; i++)
                if (s->peers[peer].events[i].number == number) {
                    *from = peer;
                    return &s->peers[peer].events[i];
                }
        }
        *text += 2;
    }
    return NULL;
}

/* Of a POST that waits no answer says whether it was taken: its session does. */
static bool is_taken(struct sim *s, const struct pending *p)
{
    return asker_has_post(s->asker, p->sid, hash_of(span_of(p->t)));
}

/* The turn took a POST: its messages are owed to those who were members throughout. */
static void enter(struct sim *s, const struct pending *p, uint64_t before, uint64_t after,
                  int64_t now)
{
    const char *text = p->body;
    struct event *e;
    int from;

    while ((e = marked(s, &text, &from)) != NULL) {
        if (e->applied_ms != 0)
            continue;
        int life = s->peers[from].life;
        uint64_t self = life >= 0 ? UINT64_C(1) << life : 0;
        e->applied_ms = now;
        e->may = (before | after) & ~self;
        e->must = (before & after & self) != 0 ? before & after & ~self : 0;
        sums.messages++;
    }
}

static void run_turn(struct sim *s, int which, bool rang)
{
    struct rig *r = s->rigs[which];
    bool book = s->pending_count[which] != 0;
    uint64_t before = book ? members(s) : 0;
    int64_t deaths = r->deaths;

    rig_turn(r, rang || s->rang[which]);
    s->rang[which] = false;
    sums.turns++;
    if (r->rings)
        s->rang[!which] = true;
    r->rings = false;
    uint64_t after = book ? members(s) : 0;
    for (int i = 0; i < s->pending_count[which]; i++) {
        struct pending *p = &s->pending[which][i];
        const char *answer = rig_answer(r, p->n);
        if (p->waits ? is_taken(s, p) : answer != NULL && strcmp(answer, "200 ok") == 0)
            enter(s, p, before, after, r->now);
        if (answer == NULL && !p->waits && r->deaths == deaths)
            say(s, "a POST of client %d was not answered in its turn", p->peer);
    }
    s->pending_count[which] = s->given[which] = 0;
    if (r->deaths == deaths)
        return;
    sums.deaths++;
    for (int i = 0; i < PEERS; i++) {
        struct peer *p = &s->peers[i];
        if (p->get.made && p->get.rig == which)
            p->get.failed = true;
        if (p->post.made && p->post.rig == which)
            p->post.failed = true;
    }
}

/* Both processes' turns, until neither has to tell the other anything. */
static void run_turns(struct sim *s)
{
    for (int i = 0; i < 8; i++) {
        run_turn(s, 0, i == 0);
        run_turn(s, 1, i == 0);
        if (!s->rang[0] && !s->rang[1])
            break;
    }
}

static void wait_ms(struct sim *s, int64_t ms)
{
    int64_t until = s->rigs[0]->now + ms, now = s->rigs[0]->now;

    while (now < until) {
        int64_t due = until;
        for (int i = 0; i < 2; i++)
            if (core_deadline(s->rigs[i]->core) < due)
                due = core_deadline(s->rigs[i]->core);
        now = due > now ? due : now + 1;
        s->rigs[0]->now = s->rigs[1]->now = now;
        for (int i = 0; i < 2; i++)
            if (core_deadline(s->rigs[i]->core) <= now || s->rang[i] || now == until)
                run_turn(s, i, now == until);
    }
}

/* ---- clients: sending */

static int give(struct sim *s, int which, struct peer *p, const char *method, const char *sid,
                const char *t, const char *body)
{
    char query[200];
    struct rig *r = s->rigs[which];
    bool waits = strcmp(method, "POST and wait") == 0;

    method = waits ? "POST" : method;
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=%s%s%s%s", t,
             p->kind == SHIM ? "&pollux=1" : "",
             sid[0] != '\0' ? "&sid=" : "", sid);
    if (method[0] == 'P' && p->kind == SHIM)
        snprintf(query + strlen(query), 60, "&after=%s&wait=%s", p->after, waits ? "true"
                 : "false");
    if (s->given[which] == RIG_GIVEN)
        run_turn(s, which, false);
    int n = rig_give(r, method, query, body);
    s->given[which]++;
    if (method[0] == 'P') {
        struct pending *w = &s->pending[which][s->pending_count[which]++];
        w->n = n;
        w->peer = p->me;
        w->waits = waits;
        snprintf(w->sid, sizeof w->sid, "%s", sid);
        snprintf(w->t, sizeof w->t, "%s", t);
        snprintf(w->body, sizeof w->body, "%s", body);
    }
    return n;
}

static void make_request(struct sim *s, struct peer *p, struct request_made *q, int which,
                         const char *method, const char *body)
{
    bool get = q == &p->get;

    q->carries = get && method[0] == 'P';
    snprintf(get ? p->old_get : p->old_post, 16, "%s", q->t);
    if (!get)
        snprintf(p->old_body, sizeof p->old_body, "%s", q->body);
    q->made = true;
    q->failed = false;
    q->rig = which;
    q->given_ms = s->rigs[0]->now;
    snprintf(q->t, sizeof q->t, "time%04d", p->t++);
    snprintf(q->body, sizeof q->body, "%s", body);
    q->n = give(s, which, p, method, p->sid, q->t, body);
    if (method[0] == 'P')
        snprintf(p->after, sizeof p->after, "%s", q->t);
}

/* The same request once more. */
static void make_again(struct sim *s, struct peer *p, struct request_made *q, int which,
                       const char *method)
{
    q->failed = false;
    q->rig = which;
    q->n = give(s, which, p, method, p->sid, q->t, q->body);
}

static struct event *emit(struct peer *p, int number)
{
    if (p->count == EVENTS)
        return NULL;
    struct event *e = &p->events[p->count++];
    *e = (struct event){ .number = number };
    return e;
}

static void emit_join(struct sim *s, struct peer *p)
{
    struct event *e = emit(p, -1);

    if (e != NULL)
        snprintf(e->text, sizeof e->text, "42[\"create or join\",\"%s\"]", s->room);
}

static void emit_message(struct sim *s, struct peer *p, unsigned form)
{
    int number = p->numbers++;
    struct event *e = emit(p, number);

    if (e == NULL)
        return;
    if (form == 0)
        snprintf(e->text, sizeof e->text,
                 "42[\"message\",{\"channel\":\"%s\",\"message\":\"m%d.%d\"}]",
                 s->room, p->me, number);
    else if (form == 1)
        snprintf(e->text, sizeof e->text, "42%d[\"message\",\"m%d.%d\"]", number, p->me, number);
    else if (form == 2)
        snprintf(e->text, sizeof e->text, "42[\"chat\",{\"room\":\"%s\"},\"m%d.%d\"]", s->room,
                 p->me, number);
    else
        snprintf(e->text, sizeof e->text, "42[\"message\",\"m%d.%d\"]", p->me, number);
}

/* The session is over for the client: what was on its way may be lost, and it connects anew. */
static void lose_session(struct peer *p, bool polite)
{
    p->get.made = p->post.made = false;
    p->after[0] = p->get.t[0] = p->post.t[0] = p->old_get[0] = p->old_post[0] = '\0';
    p->give_up = polite && p->kind != RAW;
    if (!p->give_up)
        p->sid[0] = '\0';
    p->greeted = p->posted_connect = p->ping = false;
}

static void shake_hands(struct sim *s, struct peer *p, int which, bool lose)
{
    char t[16];

    if (p->give_up) {                   /* nobody waits for its answer */
        snprintf(t, sizeof t, "time%04d", p->t++);
        if (!lose)
            give(s, which, p, "POST", p->sid, t, "1");
        p->give_up = false;
        p->sid[0] = '\0';
    }
    snprintf(t, sizeof t, "time%04d", p->t++);
    int64_t deaths = s->rigs[which]->deaths;
    int n = give(s, which, p, "GET", "", t, "");
    run_turn(s, which, false);
    const char *answer = rig_answer(s->rigs[which], n);
    if (lose || answer == NULL || s->rigs[which]->deaths != deaths)
        return;
    if (strncmp(answer, "200 0{", 6) != 0)
        say(s, "client %d: a handshake was answered %.60s", p->me, answer);
    copy_field(answer, "\"sid\":\"", p->sid, sizeof p->sid);
}

/* What a POST is to carry now, in BODY; false: nothing. */
static bool fill_post(struct peer *p, char *body)
{
    size_t len = 0;

    body[0] = '\0';
    if (!p->posted_connect) {
        const char *n = p->kind == SHIM ? ",\"n\":true" : "";
        len = (size_t)(p->pid[0] == '\0'    ? sprintf(body, "40")
                       : p->offset[0] == '\0'
                           ? sprintf(body, "40{\"pid\":\"%s\"%s}", p->pid, n)
                           : sprintf(body, "40{\"pid\":\"%s\",\"offset\":\"%s\"%s}", p->pid,
                                     p->offset, n));
        p->posted_connect = true;
        return true;                    /* events follow once it is greeted */
    }
    if (p->ping)
        len += (size_t)sprintf(body, "3");
    p->ping = false;
    while (p->greeted && p->next < p->count && len < BODY - 200)
        len += (size_t)sprintf(body + len, "%s%s", len != 0 ? "\x1e" : "",
                               p->events[p->next++].text);
    return len != 0;
}

/* The client does what it would do next. */
static void act(struct sim *s, struct peer *p, unsigned arg)
{
    int which = (int)(arg & 1);
    bool later = (arg & 6) == 6 && !s->calm;
    char body[BODY];

    if (p->out && !p->post.made && p->next == p->count)
        return;
    if (p->sid[0] == '\0' || p->give_up) {
        shake_hands(s, p, which, (arg & 0x78) == 0 && !s->calm);
        return;
    }
    bool together = p->kind == SHIM && !p->post.made && !p->get.made && (arg & 0x100);
    if (together && fill_post(p, body))
        make_request(s, p, &p->get, which, "POST and wait", body);
    else if (!p->post.made && fill_post(p, body))
        make_request(s, p, &p->post, which, "POST", body);
    else if (p->post.made && p->post.failed && p->kind == RAW)
        make_again(s, p, &p->post, which, "POST");
    if (!p->get.made)
        make_request(s, p, &p->get, (int)(arg >> 3 & 1), "GET", "");
    else if (p->get.failed && p->kind == RAW)
        make_again(s, p, &p->get, (int)(arg >> 3 & 1), "GET");
    if (!later) {
        run_turn(s, which, false);
        run_turn(s, !which, false);
    }
}

/* ---- clients: hearing */

static void hear_message(struct sim *s, struct peer *p, const char *packet)
{
    struct life *life = &s->lives[p->life];
    const char *text = packet;
    int from;
    struct event *e = marked(s, &text, &from);

    if (e == NULL)
        return;
    uint64_t me = UINT64_C(1) << p->life;
    if (from == p->me && life->peer == from)
        say(s, "client %d heard itself: %.80s", p->me, packet);
    else if (e->heard & me)
        say(s, "client %d heard twice: %.80s", p->me, packet);
    else if (e->applied_ms != 0 && !(e->may & me))
        say(s, "client %d heard what was not for it: %.80s", p->me, packet);
    else if (e->applied_ms == 0)
        say(s, "client %d heard what was not stored: %.80s", p->me, packet);
    else if (life->last[from] > e->number)
        say(s, "client %d heard out of order, after %d: %.80s", p->me, life->last[from], packet);
    e->heard |= me;
    life->last[from] = e->number;
    sums.deliveries++;
}

static void hear_greeting(struct sim *s, struct peer *p, const char *packet)
{
    char id[32] = "", pid[32] = "";

    copy_field(packet, "\"sid\":\"", id, sizeof id);
    copy_field(packet, "\"pid\":\"", pid, sizeof pid);
    bool recovered = p->life >= 0 && strcmp(id, p->id) == 0;
    if (p->greeted)
        say(s, "client %d was greeted twice in one session", p->me);
    p->greeted = true;
    const char *n = strstr(packet, "\"n\":");
    if (recovered) {
        sums.recoveries++;
        if (n != NULL) {
            p->next = p->base + atoi(n + 4);
            if (p->next > p->count)
                say(s, "client %d: the server counted %s of %d", p->me, n, p->count - p->base);
        }
        if (!p->in && p->kind != SHIM)
            emit_join(s, p);
        return;
    }
    if (p->life >= 0 && !p->out) {
        sums.fresh++;
        if (s->rigs[0]->now - p->seen_ms < WINDOW_MS)
            say(s, "client %d was not recovered %lld ms after its last request", p->me,
                (long long)(s->rigs[0]->now - p->seen_ms));
    }
    if (s->life_count == LIVES) {
        say(s, "too many lives");
        return;
    }
    p->life = s->life_count++;
    struct life *life = &s->lives[p->life];
    *life = (struct life){ .peer = p->me };
    for (int i = 0; i < PEERS; i++)
        life->last[i] = -1;
    snprintf(life->id, sizeof life->id, "%s", id);
    snprintf(p->id, sizeof p->id, "%s", id);
    snprintf(p->pid, sizeof p->pid, "%s", pid);
    p->offset[0] = '\0';
    p->in = false;
    p->base = p->next;
    emit_join(s, p);
}

static void hear_leave(struct sim *s, struct peer *p, const char *packet)
{
    for (int i = 0; i < s->life_count; i++)
        if (strstr(packet, s->lives[i].id) != NULL) {
            uint64_t who = UINT64_C(1) << i;
            if (s->lives[p->life].leaves & who)
                say(s, "client %d was told a leave twice: %.80s", p->me, packet);
            s->lives[p->life].leaves |= who;
            if (s->peers[s->lives[i].peer].life == i && i == p->life)
                say(s, "client %d was told its own leave", p->me);
        }
}

/* Who left while it was away and came back may leave once more. */
static void hear_joining(struct sim *s, struct peer *p, const char *packet)
{
    for (int i = 0; i < s->life_count; i++)
        if (strstr(packet, s->lives[i].id) != NULL)
            s->lives[p->life].leaves &= ~(UINT64_C(1) << i);
}

/* What official clients take for their offset: the last argument, if it is a string. */
static void note_offset(struct peer *p, const char *packet)
{
    size_t len = strlen(packet);

    if (len < 5 || packet[2] != '[' || packet[len - 2] != '"')
        return;
    size_t from = len - 2;
    while (from > 0 && packet[from - 1] != '"')
        from--;
    snprintf(p->offset, sizeof p->offset, "%.*s", (int)(len - 2 - from), packet + from);
}

static void hear_packet(struct sim *s, struct peer *p, const char *packet)
{
    if (strcmp(packet, "2") == 0) {
        p->ping = true;
    } else if (strncmp(packet, "40{", 3) == 0) {
        hear_greeting(s, p, packet);
    } else if (strncmp(packet, "42[", 3) == 0 && p->life >= 0) {
        bool marker = strncmp(packet, "42[\"pollux\",", 12) == 0;
        if (strncmp(packet, "42[\"leave\"", 10) == 0)
            hear_leave(s, p, packet);
        else if (strncmp(packet, "42[\"broadcast: joined\"", 22) == 0)
            hear_joining(s, p, packet);
        else if (strncmp(packet, "42[\"created\"", 12) == 0
                 || strncmp(packet, "42[\"joined\"", 11) == 0) {
            p->in = true;
            s->lives[p->life].leaves = 0;       /* others may have come back before it did */
        } else if (!marker)
            hear_message(s, p, packet);
        if (marker || p->kind != SHIM)
            note_offset(p, packet);
    } else if (strncmp(packet, "41", 2) == 0) {
        p->out = true;
    }
}

static void hear(struct sim *s, struct peer *p, const char *answer)
{
    char copy[1 << 15], *save = NULL;
    int count = 0;
    bool over = false, events = false, missed = false;

    snprintf(copy, sizeof copy, "%s", answer + 4);
    for (char *k = strtok_r(copy, "\x1e", &save); k != NULL; k = strtok_r(NULL, "\x1e", &save)) {
        count++;
        over = over || strcmp(k, "1") == 0;
        missed = missed || (events && strncmp(k, "40{", 3) == 0);
        events = events || strncmp(k, "42[", 3) == 0;
        hear_packet(s, p, k);
    }
    /* Clients keep events until they are greeted, and over the session's end. */
    if (events && !p->greeted && !p->out)
        say(s, "client %d: events without a greeting", p->me);
    if (count == 0)
        say(s, "client %d: a poll was answered with nothing", p->me);
    if (count > 1001 && !missed)
        say(s, "client %d: a poll was answered with %d packets", p->me, count);
    if (over)
        lose_session(p, false);
}

/* An answer that was cut off. */
static void miss(struct peer *p, struct request_made *q)
{
    sums.lost++;
    if (p->kind == RAW)
        q->failed = true;
    else
        lose_session(p, true);
}

/* The client looks at what its requests were answered. */
static void see(struct sim *s, struct peer *p, unsigned arg)
{
    bool lose = arg % 6 == 0 && !s->calm;
    struct request_made *both[2] = { &p->post, &p->get };

    for (int i = 0; i < 2; i++) {
        struct request_made *q = both[i];
        if (!q->made)
            continue;
        const char *answer = q->failed ? NULL : rig_answer(s->rigs[q->rig], q->n);
        if (q->failed && p->kind != RAW) {
            miss(p, q);
            return;
        }
        if (answer == NULL)
            continue;
        if (p->greeted && strncmp(answer, "200 ", 4) == 0
            && strcmp(answer, "200 1") != 0 /* lost before it came */ && q->given_ms > p->seen_ms)
            p->seen_ms = q->given_ms;
        if (lose) {
            miss(p, q);
            return;
        }
        q->made = false;
        if (strncmp(answer, "200 ", 4) != 0) {
            lose_session(p, true);
            return;
        }
        if (q == &p->get)
            hear(s, p, answer);
    }
}

/* A request comes once more than the client sent it; nobody waits for that answer. */
static void repeat(struct sim *s, struct peer *p, unsigned arg)
{
    int which = (int)(arg & 1);

    if (p->sid[0] == '\0' || p->give_up)
        return;
    sums.repeated++;
    switch (arg >> 1 & 3) {
    case 0:
        if (p->get.t[0] != '\0' && p->get.made)
            give(s, which, p, p->get.carries ? "POST and wait" : "GET", p->sid, p->get.t,
                 p->get.body);
        break;
    case 1:
        if (p->post.t[0] != '\0')
            give(s, which, p, "POST", p->sid, p->post.t, p->post.body);
        break;
    case 2:
        if (p->old_post[0] != '\0')
            give(s, which, p, "POST", p->sid, p->old_post, p->old_body);
        break;
    default:
        if (p->old_get[0] != '\0' && p->get.made)
            give(s, which, p, "GET", p->sid, p->old_get, "");
    }
    if (arg & 8)
        run_turn(s, which, false);
}

static void leave(struct peer *p, unsigned arg)
{
    if (p->out || !p->greeted)
        return;
    struct event *e = emit(p, -1);
    if (e == NULL)
        return;
    strcpy(e->text, arg & 1 ? "41" : arg & 2 ? "42[\"Bye\",\"x\"]" : "42[\"Ack\"]");
    p->out = true;
    sums.lefts++;
}

/* ---- schedules */

static void take_step(struct sim *s, const struct step *step)
{
    static const int waits[] = { 1, 10, 40, 500, 1600, 2000, 5000, 25000, 26000, 46000, 60000,
                                 125000 };
    struct peer *p = &s->peers[step->who % PEERS];
    int which = step->arg & 1;

    switch ((enum op)step->op) {
    case ACT:
        act(s, p, step->arg);
        break;
    case EMIT:
        if (p->greeted && !p->out)
            for (unsigned i = 0; i <= (step->arg >> 3) % 4; i++)
                emit_message(s, p, (step->arg + i) % 4);
        break;
    case SEE:
        see(s, p, step->arg);
        break;
    case TURN:
        run_turn(s, which, step->arg & 2);
        break;
    case REPEAT:
        repeat(s, p, step->arg >> 2);
        break;
    case KILL:
        s->rigs[which]->dies = RIG_DIES_BEFORE;
        run_turn(s, which, false);
        break;
    case DOOM:
        s->rigs[which]->dies = step->arg & 2 ? RIG_DIES_AFTER : RIG_DIES_BEFORE;
        break;
    case WAIT:
        wait_ms(s, waits[step->arg % (sizeof waits / sizeof waits[0])]);
        break;
    case LEAVE:
        leave(p, step->arg);
        break;
    case OPS:
        break;
    }
    sums.steps++;
}

static void make_schedule(struct step *steps, uint64_t seed)
{
    static const unsigned char often[] = { ACT, ACT, ACT, ACT, ACT, ACT, SEE, SEE, SEE, SEE, SEE,
                                           EMIT, EMIT, EMIT, EMIT, TURN, REPEAT, REPEAT, WAIT, ACT,
                                           SEE, ACT, SEE, EMIT };

    chance = seed * 1000003;
    for (int i = 0; i < STEPS; i++) {
        steps[i] = (struct step){ often[roll(sizeof often)], (unsigned char)roll(PEERS),
                                  (unsigned short)roll(65536) };
        if (roll(60) == 0)
            steps[i].op = LEAVE;
        if (roll(30) == 0)
            steps[i].op = roll(3) != 0 ? DOOM : KILL;
    }
}

/* At rest: everybody that has not left is greeted, has nothing to send, and waits. */
static bool at_rest(const struct sim *s)
{
    for (int i = 0; i < PEERS; i++) {
        const struct peer *p = &s->peers[i];
        if (p->out) {
            if (p->next != p->count || p->post.made)
                return false;
        } else if (!p->greeted || p->next != p->count || p->post.made || !p->get.made
                   || p->get.failed || rig_answer(s->rigs[p->get.rig], p->get.n) != NULL) {
            return false;
        }
    }
    return true;
}

static void come_to_rest(struct sim *s)
{
    s->calm = true;
    s->rigs[0]->dies = s->rigs[1]->dies = RIG_LIVES;
    for (int round = 0; round < 60 && s->failure[0] == '\0'; round++) {
        for (int i = 0; i < PEERS; i++) {
            see(s, &s->peers[i], 1);
            act(s, &s->peers[i], (unsigned)(round * 5 + i * 11));
        }
        run_turns(s);
        if (at_rest(s))
            return;
        wait_ms(s, 20);
    }
    for (int i = 0; i < PEERS; i++) {
        const struct peer *p = &s->peers[i];
        say(s, "no rest: client %d sid %s greeted %d out %d events %d of %d post %d get %d failed "
               "%d",
            i, p->sid, p->greeted, p->out, p->next, p->count, p->post.made, p->get.made,
            p->get.failed);
    }
}

static void compare_books(struct sim *s)
{
    for (int i = 0; i < PEERS && s->failure[0] == '\0'; i++) {
        const struct peer *p = &s->peers[i];
        for (int k = 0; k < p->count; k++) {
            const struct event *e = &p->events[k];
            if (e->number < 0)
                continue;
            if (e->applied_ms == 0 && p->kind == SHIM && k >= p->base
                && !p->out)
                say(s, "client %d, which counts, lost %s", i, e->text);
            for (int j = 0; j < PEERS; j++) {
                const struct peer *to = &s->peers[j];
                if (to->life < 0 || to->out || !(e->must & (UINT64_C(1) << to->life)))
                    continue;
                if (!(e->heard & (UINT64_C(1) << to->life)))
                    say(s, "client %d never heard %s of client %d", j, e->text, i);
            }
        }
    }
}

/* Time takes everybody away: nothing stays but the log. */
static void end_schedule(struct sim *s)
{
    static const struct { enum ask what; const char *name; } left[] = {
        { ASK_SESSIONS, "sessions" }, { ASK_POLLINGS, "pollings" }, { ASK_CHANNELS, "channels" },
        { ASK_MEMBERS, "members" }, { ASK_ASKING, "askings" }, { ASK_VISITORS, "visitors" },
        { ASK_STAYING, "sockets" }, { ASK_OWED, "deliveries" },
    };
    for (int i = 0; i < 6; i++) {
        s->rigs[0]->now += WINDOW_MS / 2;
        s->rigs[1]->now = s->rigs[0]->now;
        run_turns(s);
    }
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        if (asker_ask(s->asker, left[i].what) != 0)
            say(s, "after everybody has gone: there are %lld %s",
                (long long)asker_ask(s->asker, left[i].what), left[i].name);
    for (int i = 0; i < 2; i++)
        if (park_count(s->rigs[i]->core->park) != 0)
            say(s, "after everybody has gone: process %d still holds %zu polls", i,
                park_count(s->rigs[i]->core->park));
    rig_forget(s->rigs[0]);
    rig_forget(s->rigs[1]);
}

/* Two processes on a new store. */
static struct asker *open_rigs(struct rig *first, struct rig *second)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_CAPACITY=3",
                                        "POLLUX_LOG_LEVEL=error", NULL };

    rig_open(first, keys);
    rig_join(second, first);
    second->set.log_events = first->set.log_events;
    second->set.capacity = first->set.capacity;
    return asker_open(first);
}

static void close_rigs(struct rig *first, struct rig *second, struct asker *asker)
{
    asker_close(asker);
    rig_close(second);
    rig_close(first);
}

/* The first COUNT clients are in the room before the first step. */
static void gather(struct sim *s, int count)
{
    s->calm = true;
    for (int round = 0; round < 6; round++)
        for (int i = 0; i < count; i++) {
            act(s, &s->peers[i], (unsigned)(round + i));
            see(s, &s->peers[i], 1);
        }
    s->calm = false;
}

/* Run STEPS on the rigs. False: it failed, and FAILURE says how. */
static bool run(struct rig *first, struct rig *second, struct asker *asker,
                const struct step *steps, size_t count, uint64_t seed, char *failure)
{
    static struct sim s;

    memset(&s, 0, sizeof s);
    s.rigs[0] = first;
    s.rigs[1] = second;
    s.asker = asker;
    snprintf(s.room, sizeof s.room, "r%llu", (unsigned long long)seed);
    for (int i = 0; i < PEERS; i++)
        s.peers[i] = (struct peer){ .me = i, .life = -1,
                                    .kind = (enum kind)((seed + (uint64_t)i) % KINDS) };
    gather(&s, 2 + (int)(seed % 3));
    for (size_t i = 0; i < count && s.failure[0] == '\0'; i++)
        take_step(&s, &steps[i]);
    if (s.failure[0] == '\0')
        come_to_rest(&s);
    if (s.failure[0] == '\0')
        compare_books(&s);
    if (s.failure[0] == '\0')
        end_schedule(&s);
    strcpy(failure, s.failure);
    sums.schedules++;
    return s.failure[0] == '\0';
}

/* The same on a store of its own. */
static bool run_alone(const struct step *steps, size_t count, uint64_t seed, char *failure)
{
    struct rig first, second;
    struct asker *asker = open_rigs(&first, &second);
    bool good = run(&first, &second, asker, steps, count, seed, failure);
    close_rigs(&first, &second, asker);
    return good;
}

static size_t shrink(struct step *steps, size_t count, uint64_t seed, char *failure)
{
    struct step fewer[STEPS];
    char why[400];

    for (size_t size = count / 2; size != 0; size /= 2)
        for (size_t at = 0; at + size <= count;) {
            memcpy(fewer, steps, at * sizeof *steps);
            memcpy(fewer + at, steps + at + size, (count - at - size) * sizeof *steps);
            if (run_alone(fewer, count - size, seed, why)) {
                at += size;
                continue;
            }
            count -= size;
            memcpy(steps, fewer, count * sizeof *steps);
            strcpy(failure, why);
        }
    return count;
}

static void report(const struct step *steps, size_t count, uint64_t seed, const char *failure)
{
    static const char *const ops[] = { "act", "emit", "see", "turn", "repeat", "kill", "doom",
                                       "wait", "leave" };

    print_error("schedule %llu: %s\nshortened to %zu steps:", (unsigned long long)seed, failure,
                count);
    for (size_t i = 0; i < count; i++)
        print_error(" %s(%d,%d)", ops[steps[i].op], steps[i].who, steps[i].arg);
    print_error("\nPOLLUX_TEST_SEED=%llu POLLUX_TEST_COUNT=1 tests/unit/test_simulation\n",
                (unsigned long long)seed);
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? strtoull(value, NULL, 10) : fallback;
}

static void the_promise_holds_under_every_schedule(void **state)
{
    uint64_t seed = number_from("POLLUX_TEST_SEED", SEED);
    uint64_t count = number_from("POLLUX_TEST_COUNT", COUNT), failed = 0;
    struct step steps[STEPS];
    struct rig first, second;
    struct asker *asker = NULL;
    char failure[400];
    bool open = false;

    (void)state;
    log_set_level(LOG_WARNING);
    for (uint64_t i = 0; i < count && failed < 3; i++) {
        if (!open)
            asker = open_rigs(&first, &second);
        open = true;
        make_schedule(steps, seed + i);
        bool good = run(&first, &second, asker, steps, STEPS, seed + i, failure);
        if (!good || i % PER_STORE == PER_STORE - 1) {
            close_rigs(&first, &second, asker);
            open = false;
        }
        if (!good) {
            failed++;
            size_t left = shrink(steps, STEPS, seed + i, failure);
            report(steps, left, seed + i, failure);
        }
    }
    if (open)
        close_rigs(&first, &second, asker);
    print_message("schedules %lld from seed %llu: steps %lld, turns %lld, messages %lld, "
                  "deliveries %lld, answers lost %lld, requests repeated %lld, deaths %lld, "
                  "recoveries %lld, fresh sockets after the window %lld, farewells %lld\n",
                  (long long)sums.schedules, (unsigned long long)seed, (long long)sums.steps,
                  (long long)sums.turns, (long long)sums.messages, (long long)sums.deliveries,
                  (long long)sums.lost, (long long)sums.repeated, (long long)sums.deaths,
                  (long long)sums.recoveries, (long long)sums.fresh, (long long)sums.lefts);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_promise_holds_under_every_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
