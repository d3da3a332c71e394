/* test_strangers.c - whole requests by chance: whatever strangers send, the well-behaved hear all
 * that was taken from each other, once and in order, and nobody's secret is told.
 *
 * A round is a list of steps made from a seed, on two processes that share one store. Bystanders
 * number what they say; they are of the kinds of clients that there are, and have the misfortunes
 * that honest clients have: answers are lost, requests come twice, late (after their session was
 * given up, in the turn in which its socket connects anew), and to a process that dies before or
 * after its commit. Strangers send requests that are made of likely pieces, and then damaged: any
 * query, headers and body, over their sessions, with ids of others where they can know them. They
 * sit in the same channel and in others. Then the misfortunes end, and the books are compared.
 *
 * A round that fails is shortened and printed. POLLUX_TEST_SEED=N POLLUX_TEST_COUNT=1 plays round
 * N again; POLLUX_TEST_SECONDS=7200 build/sanitized/tests/unit/test_strangers goes on for two
 * hours, with what ./check has built, and POLLUX_TEST_SEED says from where. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/turn.h"
#include "base/log.h"

#define STEPS 160
#define BYSTANDERS 6
#define SAID 64 /* by one bystander in one round */
#define POSTS 4 /* of one bystander at a time */
#define BODY 2048
#define KNOWN 32 /* ids that strangers remember, of each sort */
#define OPEN 64  /* requests of strangers that have no answer yet */
#define SEED 1
#define COUNT 150
#define PER_STORE 50 /* rounds on one store: a file that is not new */

/* Ours counts; of the others some have a t for each request, one always has the same, one takes the
 * clock's, and sends several POSTs at a time. */
enum kind { OURS, OFFICIAL, CONSTANT, CLOCK };
static const enum kind kinds[BYSTANDERS] = { OURS, OFFICIAL, CONSTANT, OURS, CLOCK, OFFICIAL };

/* A request of a bystander. */
struct sent {
    bool made, given;     /* given: it has reached a process */
    bool telling;         /* its t is not always the same */
    int rig, n, from, to; /* the events in it */
    int64_t deaths;       /* of the process before */
    char query[200], body[BODY];
};

struct bystander {
    enum kind kind;
    int me, t;
    char sid[32], id[32], pid[32], offset[32], after[16];
    char first_t[24]; /* its handshake's */
    bool connecting, greeted, pong;
    int said, next;        /* events said; the first that is to be sent. 0 joins */
    bool taken[SAID];      /* it got its ok */
    int heard[BYSTANDERS]; /* the last number from each */
    bool got[BYSTANDERS][SAID];
    struct sent get, posts[POSTS];
    struct sent late; /* of a session that was given up: it may come yet */
    struct sent last; /* the POST before: it may come again */
};

/* What strangers can know. */
struct known {
    char ids[KNOWN][24];
    int count;
};

struct world {
    struct rig *rigs[2];
    bool rang[2];
    int given[2];
    bool calm; /* no misfortunes any more */
    char room[24];
    struct bystander all[BYSTANDERS];
    struct known sids, pids, publics;
    struct {
        bool open;
        int rig, n;
    } asked[OPEN];
    int next_asked;
    char last_query[400]; /* a stranger's, and its body: they come again */
    char last_body[4096];
    size_t last_len;
    char failure[400];
};

enum op { SAY, ACT, SEE, LOSE, LATE, REPEAT, TURN, DIE, WAIT, STRANGE, OPS };
struct step {
    unsigned char op, who;
    unsigned arg;
};

static struct {
    int64_t rounds, requests, strange, refused, taken, said, deliveries, lost, late, repeated,
        deaths, recoveries;
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

#define one_of(list) ((list)[roll((unsigned)(sizeof(list) / sizeof(list)[0]))])

static void say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct world *w, const char *format, ...)
{
    va_list ap;

    if (w->failure[0] != '\0')
        return; /* the first says most */
    va_start(ap, format);
    vsnprintf(w->failure, sizeof w->failure, format, ap);
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

/* ---- turns */

static void learn(struct known *k, const char *id)
{
    if (strlen(id) != 20)
        return;
    for (int i = 0; i < k->count && i < KNOWN; i++)
        if (strcmp(k->ids[i], id) == 0)
            return;
    strcpy(k->ids[k->count++ % KNOWN], id);
}

/* A stranger reads what it was answered: it learns ids, and must not learn a bystander's secret. */
static void read_strange(struct world *w, const char *answer)
{
    char id[32];

    if (copy_field(answer, "0{\"sid\":\"", id, sizeof id) && strstr(answer, "200 0{") == answer)
        learn(&w->sids, id);
    else if (copy_field(answer, "40{\"sid\":\"", id, sizeof id))
        learn(&w->publics, id);
    if (copy_field(answer, "\"pid\":\"", id, sizeof id))
        learn(&w->pids, id);
    if (strncmp(answer, "200", 3) != 0)
        sums.refused++;
    for (int i = 0; i < BYSTANDERS; i++) {
        const struct bystander *b = &w->all[i];
        if ((b->sid[0] != '\0' && strstr(answer, b->sid) != NULL)
            || (b->pid[0] != '\0' && strstr(answer, b->pid) != NULL))
            say(w, "a stranger was told a secret of bystander %d: %.200s", i, answer);
    }
}

static void read_all_strange(struct world *w)
{
    for (int i = 0; i < OPEN; i++) {
        const char *answer =
            w->asked[i].open ? rig_answer(w->rigs[w->asked[i].rig], w->asked[i].n) : NULL;
        if (answer == NULL)
            continue;
        w->asked[i].open = false;
        read_strange(w, answer);
    }
}

static void note_taken(struct bystander *b, const struct sent *q)
{
    for (int i = q->from; i < q->to; i++) {
        sums.taken += !b->taken[i];
        b->taken[i] = true;
    }
}

/* What got its ok was taken, whether the client hears of it or not. */
static void enter_books(struct world *w, int which)
{
    for (int i = 0; i < BYSTANDERS; i++)
        for (int k = 0; k < POSTS; k++) {
            const struct sent *q = &w->all[i].posts[k];
            const char *answer =
                q->made && q->given && q->rig == which ? rig_answer(w->rigs[which], q->n) : NULL;
            if (answer != NULL && strcmp(answer, "200 ok") == 0)
                note_taken(&w->all[i], q);
        }
}

static void run_turn(struct world *w, int which, bool rang)
{
    struct rig *r = w->rigs[which];
    int64_t deaths = r->deaths;

    rig_turn(r, rang || w->rang[which]);
    sums.deaths += r->deaths - deaths;
    w->rang[which] = false;
    w->given[which] = 0;
    w->rang[!which] = w->rang[!which] || r->rings;
    r->rings = false;
    enter_books(w, which);
    read_all_strange(w);
}

static void run_turns(struct world *w)
{
    for (int i = 0; i < 8; i++) {
        run_turn(w, 0, i == 0);
        run_turn(w, 1, i == 0);
        if (!w->rang[0] && !w->rang[1])
            break;
    }
}

/* Before a request is given: who asks, and how. */
static void introduce(struct world *w, int which, const char *address, bool again)
{
    struct rig *r = w->rigs[which];

    if (w->given[which] == RIG_GIVEN)
        run_turn(w, which, false);
    w->given[which]++;
    r->address = address;
    r->origin = r->content_type = r->software = NULL;
    r->port = 0;
    r->again = again;
    r->cut = r->forwarded = false;
    sums.requests++;
}

/* ---- bystanders: sending */

static void give(struct world *w, struct sent *q, int which, bool post)
{
    introduce(w, which, "198.51.100.1", false);
    q->given = true;
    q->rig = which;
    q->deaths = w->rigs[which]->deaths;
    q->n = rig_give(w->rigs[which], post ? "POST" : "GET", q->query, q->body);
}

static void next_t(const struct world *w, struct bystander *b, char *t)
{
    if (b->kind == CONSTANT)
        strcpy(t, "tenant1");
    else if (b->kind == CLOCK)
        sprintf(t, "%lld", (long long)w->rigs[0]->now);
    else
        sprintf(t, "time%04d", b->t++);
}

/* What every request of B says. */
static void make_query(const struct world *w, struct bystander *b, struct sent *q, bool post)
{
    char t[24];

    next_t(w, b, t);
    if (b->sid[0] == '\0')
        strcpy(b->first_t, t);
    q->telling = strcmp(t, b->first_t) != 0;
    q->made = true;
    q->given = false;
    int len = sprintf(q->query, "EIO=4&transport=polling&t=%s", t);
    if (b->sid[0] != '\0')
        len += sprintf(q->query + len, "&sid=%s", b->sid);
    if (b->kind == OURS)
        len += sprintf(q->query + len, "&pollux=1");
    if (b->kind != OURS || !post)
        return;
    sprintf(q->query + len, "&after=%s&wait=false", b->after);
    strcpy(b->after, t);
}

static void put_event(const struct world *w, const struct bystander *b, int number, char *out)
{
    if (number == 0)
        sprintf(out, "42[\"create or join\",\"%s\"]", w->room);
    else if (number % 3 == 0)
        sprintf(out, "42[\"message\",{\"channel\":\"%s\",\"message\":\"m%d.%d\"}]", w->room, b->me,
                number);
    else
        sprintf(out, "42[\"message\",\"m%d.%d\"]", b->me, number);
}

/* The body of B's next POST; false: it has nothing to say. No more than MOST events. */
static bool fill_post(const struct world *w, struct bystander *b, struct sent *q, int most)
{
    char *out = q->body;

    *out = '\0';
    q->from = q->to = b->next;
    if (!b->connecting) {
        b->connecting = true;
        if (b->pid[0] == '\0')
            strcpy(out, "40");
        else if (b->offset[0] == '\0')
            sprintf(out, "40{\"pid\":\"%s\"}", b->pid);
        else
            sprintf(out, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", b->pid, b->offset);
        return true;
    }
    if (b->pong)
        strcpy(out, "3");
    b->pong = false;
    for (; b->greeted && b->next < b->said && q->to - q->from < most; q->to++) {
        if (*q->body != '\0')
            strcat(out, "\x1e");
        put_event(w, b, b->next++, out + strlen(out));
    }
    return *q->body != '\0';
}

/* A handshake is heard at once, or comes to nothing. */
static void shake_hands(struct world *w, struct bystander *b, int which)
{
    struct sent q = { .made = false };

    make_query(w, b, &q, false);
    give(w, &q, which, false);
    run_turn(w, which, false);
    const char *answer = rig_answer(w->rigs[which], q.n);
    if (answer == NULL || w->rigs[which]->deaths != q.deaths)
        return;
    if (strncmp(answer, "200 0{", 6) != 0)
        say(w, "bystander %d: a handshake was answered %.80s", b->me, answer);
    copy_field(answer, "\"sid\":\"", b->sid, sizeof b->sid);
}

static void post(struct world *w, struct bystander *b, unsigned arg)
{
    int most = b->kind == CLOCK ? 1 : 1 + (int)(arg >> 8 & 7);

    for (int i = 0; i < (b->kind == CLOCK ? POSTS : 1); i++) {
        struct sent *q = &b->posts[i], new = { .made = false };
        if (q->made)
            return;
        if (!fill_post(w, b, &new, most))
            return;
        make_query(w, b, &new, true);
        *q = new;
    }
}

static void come_late(struct world *w, struct bystander *b, int which)
{
    if (!b->late.made)
        return;
    sums.late++;
    struct sent q = b->late;
    give(w, &q, which, true);
    b->late.made = false;
}

/* POSTs that are on their way arrive, in their order. */
static void let_arrive(struct world *w, struct bystander *b, int which)
{
    for (int i = 0; i < POSTS; i++) {
        struct sent *q = &b->posts[i];
        if (!q->made || q->given)
            continue;
        if (w->rigs[which]->requests & 1)
            come_late(w, b, which); /* what it said last in its old session, as it connects */
        give(w, q, which, true);
        b->last = *q;
    }
}

/* The bystander does what its kind would do next. */
static void act(struct world *w, struct bystander *b, unsigned arg)
{
    int which = (int)(arg & 1);

    if (b->sid[0] == '\0') {
        shake_hands(w, b, which);
        return;
    }
    post(w, b, arg);
    if (w->calm || (arg & 2))
        let_arrive(w, b, which);
    if (!b->get.made) {
        b->get = (struct sent){ .made = false };
        make_query(w, b, &b->get, false);
        give(w, &b->get, (int)(arg >> 3 & 1), false);
    }
    if (w->calm || (arg & 0x10)) {
        run_turn(w, which, false);
        run_turn(w, !which, false);
    }
}

/* The session is over for the bystander: what is on its way may come yet. */
static void lose(struct bystander *b)
{
    sums.lost++;
    for (int i = 0; i < POSTS; i++) {
        if (b->posts[i].made && !b->posts[i].given)
            b->late = b->posts[i];
        b->posts[i].made = false;
    }
    b->get.made = b->last.made = false;
    b->sid[0] = b->after[0] = '\0';
    b->connecting = b->greeted = b->pong = false;
}

/* A proxy asks once more than the client did; nobody waits for that answer. One whose t tells
 * nothing cannot be told from a new request: it does without such a proxy. */
static void repeat(struct world *w, struct bystander *b, unsigned arg)
{
    struct sent q = arg & 2 ? b->last : b->get;

    if (!q.made || !q.given || !q.telling || b->sid[0] == '\0')
        return;
    if (!(arg & 2) && b->kind == CLOCK)
        return;
    /* several POSTs at a time have an order on one way alone */
    int which = b->kind == CLOCK ? q.rig : (int)(arg & 1);
    sums.repeated++;
    give(w, &q, which, arg & 2);
    if (arg & 4)
        run_turn(w, which, false);
}

/* ---- bystanders: hearing */

static void hear_number(struct world *w, struct bystander *b, const char *packet)
{
    int from, number;
    const char *at = packet;

    while ((at = strstr(at, "\"m")) != NULL && (at[2] < '0' || at[2] > '9'))
        at++;
    if (at == NULL || sscanf(at, "\"m%d.%d\"", &from, &number) != 2 || from < 0
        || from >= BYSTANDERS || number < 1 || number >= w->all[from].said)
        return;
    sums.deliveries++;
    if (from == b->me)
        say(w, "bystander %d heard itself: %.80s", b->me, packet);
    else if (b->got[from][number])
        say(w, "bystander %d heard twice: %.80s", b->me, packet);
    else if (number < b->heard[from])
        say(w, "bystander %d heard after %d: %.80s", b->me, b->heard[from], packet);
    b->got[from][number] = true;
    b->heard[from] = number;
}

static void hear_greeting(struct world *w, struct bystander *b, const char *packet)
{
    char id[32] = "";
    const char *n = strstr(packet, "\"n\":");

    copy_field(packet, "\"sid\":\"", id, sizeof id);
    if (b->greeted)
        say(w, "bystander %d was greeted twice in one session", b->me);
    if (b->id[0] != '\0' && strcmp(id, b->id) != 0)
        say(w, "bystander %d came back as somebody else", b->me);
    sums.recoveries += b->id[0] != '\0';
    b->greeted = true;
    strcpy(b->id, id);
    copy_field(packet, "\"pid\":\"", b->pid, sizeof b->pid);
    learn(&w->publics, id);
    if (b->kind == OURS)
        b->next = n != NULL ? atoi(n + 4) : 0;
    else if (!b->taken[0])
        b->next = 0; /* it joins again, as pages do that are not in */
    if (b->next > b->said)
        say(w, "bystander %d: the server counted %d of %d", b->me, b->next, b->said);
}

/* What clients take for their offset: the last argument, if it is a string. */
static void note_offset(struct bystander *b, const char *packet)
{
    size_t len = strlen(packet);

    if (len < 5 || packet[2] != '[' || packet[len - 2] != '"')
        return;
    size_t from = len - 2;
    while (packet[from - 1] != '"')
        from--;
    snprintf(b->offset, sizeof b->offset, "%.*s", (int)(len - 2 - from), packet + from);
}

static void hear_packet(struct world *w, struct bystander *b, const char *packet)
{
    if (strcmp(packet, "2") == 0)
        b->pong = true;
    else if (strncmp(packet, "40{", 3) == 0)
        hear_greeting(w, b, packet);
    else if (strncmp(packet, "42[", 3) == 0) {
        hear_number(w, b, packet);
        note_offset(b, packet);
    } else if (packet[0] == '4' && packet[1] != '2' && packet[1] != '5' && packet[1] != '3')
        say(w, "bystander %d was told %.80s", b->me, packet);
}

/* False: the session is over. */
static bool hear(struct world *w, struct bystander *b, const char *answer)
{
    static char copy[1 << 17];
    char *save = NULL;
    bool over = false;

    snprintf(copy, sizeof copy, "%s", answer + 4);
    for (char *k = strtok_r(copy, "\x1e", &save); k != NULL; k = strtok_r(NULL, "\x1e", &save)) {
        over = over || strcmp(k, "1") == 0;
        hear_packet(w, b, k);
    }
    return !over;
}

/* The answer to Q, as far as it is there. GONE: none will come. */
static const char *answer_to(const struct world *w, const struct sent *q, bool *gone)
{
    if (!q->made || !q->given)
        return NULL;
    const char *answer = rig_answer(w->rigs[q->rig], q->n);
    *gone = *gone || w->rigs[q->rig]->deaths != q->deaths;
    return w->rigs[q->rig]->deaths != q->deaths ? NULL : answer;
}

/* The bystander looks at what its requests were answered. */
static void see(struct world *w, struct bystander *b, unsigned arg)
{
    bool gone = !w->calm && arg % 32 == 0;

    for (int i = 0; i < POSTS; i++) {
        const char *answer = answer_to(w, &b->posts[i], &gone);
        if (answer == NULL)
            continue;
        b->posts[i].made = false;
        if (strcmp(answer, "200 ok") != 0)
            gone = true;
    }
    const char *answer = answer_to(w, &b->get, &gone);
    if (answer != NULL && !gone) {
        b->get.made = false;
        gone = strncmp(answer, "200 ", 4) != 0 || !hear(w, b, answer);
    }
    if (gone)
        lose(b);
}

/* ---- strangers: a request by chance */

static const char *known_id(const struct known *k)
{
    static const char *const odd[] = { "",          "AAAAAAAAAAAAAAAAAAAA",  "null", "%00",
                                       "../../etc", "AAAAAAAAAAAAAAAAAAAAA", "-1" };
    int count = k->count < KNOWN ? k->count : KNOWN;

    if (count == 0 || roll(12) == 0)
        return one_of(odd);
    if (roll(4) == 0)
        return k->ids[roll((unsigned)count)];
    return k->ids[(k->count - 1 - (int)roll(count < 3 ? (unsigned)count : 3))
                  % KNOWN]; /* alive still */
}

static size_t strange_query(const struct world *w, char *out)
{
    static const char *const versions[] = { "EIO=3", "EIO=", "EIO=4&EIO=3", "eio=4" };
    static const char *const ways[] = { "transport=websocket", "transport=", "transport",
                                        "transport=polling&transport=x" };
    static const char *const ts[] = {
        "1",
        "x",
        "tenant1",
        "",
        "1700000000000",
        "time0003",
        "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
    };
    size_t len = (size_t)sprintf(out, "%s&%s", roll(20) != 0 ? "EIO=4" : one_of(versions),
                                 roll(20) != 0 ? "transport=polling" : one_of(ways));

    if (roll(8) != 0)
        len += (size_t)sprintf(out + len, "&sid=%s",
                               known_id(roll(10) != 0  ? &w->sids
                                        : roll(2) != 0 ? &w->publics
                                                       : &w->pids));
    if (roll(3) != 0)
        len += (size_t)sprintf(out + len, "&t=%s", one_of(ts));
    else
        len += (size_t)sprintf(out + len, "&t=%u", roll(1u << 30));
    if (roll(3) == 0)
        len += (size_t)sprintf(out + len, "&pollux=1");
    if (roll(4) == 0)
        len += (size_t)sprintf(out + len, "&after=%s", one_of(ts));
    if (roll(4) == 0)
        len += (size_t)sprintf(out + len, "&wait=%s", roll(3) != 0 ? "true" : "x");
    return len;
}

static size_t strange_connect(const struct world *w, char *out)
{
    static const char *const offsets[] = {
        "0", "1", "-1", "99999999", "9223372036854775807", "9223372036854775808", "x", ""
    };
    switch (roll(4)) {
    case 0:
        return (size_t)sprintf(out, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", known_id(&w->pids),
                               one_of(offsets));
    case 1:
        return (size_t)sprintf(out, "40{\"pid\":\"%s\"}",
                               known_id(roll(2) != 0 ? &w->pids : &w->publics));
    case 2:
        return (size_t)sprintf(out, "40/%s,{\"token\":1}", roll(2) != 0 ? "admin" : "");
    default:
        return (size_t)sprintf(out, "40");
    }
}

/* Packets that a session outlives, and others; names of events. */
static const char *const plain[] = { "3",
                                     "6",
                                     "42[\"x\"]",
                                     "42[\"message\",1.5e3]",
                                     "421[\"message\",\"s\",[null,true]]",
                                     "42[\"bye\"]",
                                     "43[1]",
                                     "431[\"x\"]",
                                     "42[\"joined\",\"x\",\"y\"]",
                                     "42[\"full\",\"x\"]",
                                     "42[\"message\",{\"channel\":7,\"message\":null}]",
                                     "42[\"message\",\"\\ud800\"]",
                                     "451-[\"e\",{\"_placeholder\":true,\"num\":0}]\x1e"
                                     "bAQ ID\n",
                                     "452-[\"e\",{\"_placeholder\":true,\"num\":1}]\x1e"
                                     "bAQ\x1e"
                                     "b" };
static const char *const last[] = { "2",
                                    "1",
                                    "5",
                                    "41",
                                    "42[\"Ack\"]",
                                    "42[\"Bye\",\"x\"]",
                                    "4",
                                    "",
                                    "42",
                                    "42[]",
                                    "42[\"connect\"]",
                                    "42{}",
                                    "44{}",
                                    "42[1,2]",
                                    "9",
                                    "bAQID",
                                    "b====",
                                    "42[\"message\",1e400]",
                                    "42[\"message\",01]",
                                    "451-[\"e\",{\"_placeholder\":true,\"num\":0}]",
                                    "461-1[{\"_placeholder\":true,\"num\":0}]",
                                    "4599-[\"e\"]" };
static const char *const names[] = { "message", "response", "chat",  "leave",      "bye",
                                     "joined",  "error",    "offer", "disconnect", "log" };

static size_t strange_packet(const struct world *w, char *out)
{
    const char *room = roll(3) != 0 ? w->room : roll(2) != 0 ? "elsewhere" : "";

    switch (roll(12)) {
    case 0:
        return strange_connect(w, out);
    case 2:
        return (size_t)sprintf(out, "42[\"create or join\",\"%s\"]", room);
    case 3:
        return (size_t)sprintf(out, "42[\"%s\",{\"channel\":\"%s\",\"message\":\"s\"}]",
                               one_of(names), room);
    case 4:
        return (size_t)sprintf(out, "42%u[\"%s\",{\"to\":\"%s\"},\"s\"]", roll(100), one_of(names),
                               known_id(&w->publics));
    case 5:
        return (size_t)sprintf(out, "42[\"%s\",\"%s\"]", one_of(names), room);
    default:
        return (size_t)sprintf(out, "%s", roll(5) != 0 ? one_of(plain) : one_of(last));
    }
}

/* Damage LEN bytes at OUT, which has room for twice as many. The new length. */
static size_t damage(char *out, size_t len)
{
    for (unsigned times = 1 + roll(4); times != 0 && len != 0; times--) {
        size_t at = roll((unsigned)len), count = 1 + roll(8);
        if (count > len - at)
            count = len - at;
        switch (roll(4)) {
        case 0:
            out[at] = (char)roll(256);
            break;
        case 1:
            memmove(out + at, out + at + count, len - at - count);
            len -= count;
            break;
        case 2:
            memmove(out + at + count, out + at, len - at);
            len += count;
            break;
        default:
            out[at] = one_of("\x1e\"[]{},0149b\\/-");
        }
    }
    return len;
}

static size_t strange_body(const struct world *w, char *out)
{
    unsigned count = roll(4) != 0 ? 1 + roll(4) : roll(12);
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        if (i != 0)
            out[len++] = '\x1e';
        len += strange_packet(w, out + len);
    }
    return roll(6) == 0 ? damage(out, len) : len;
}

static void strange_headers(struct rig *r)
{
    static const char *const types[] = { "application/octet-stream", "text/plain", "",
                                         "multipart" };
    static const char *const origins[] = { "http://here.example", "https://evil.example", "null",
                                           "" };

    if (roll(12) == 0)
        r->content_type = one_of(types);
    if (roll(8) == 0)
        r->origin = one_of(origins);
    if (roll(3) == 0)
        r->software = roll(2) != 0 ? "nginx/1.22" : "lighttpd/1.4.69";
    r->port = (uint16_t)roll(4);
    r->cut = roll(60) == 0;
    r->again = roll(30) == 0;
    r->forwarded = roll(10) == 0;
}

static void remember_asked(struct world *w, int which, int n)
{
    w->asked[w->next_asked].open = true;
    w->asked[w->next_asked].rig = which;
    w->asked[w->next_asked].n = n;
    w->next_asked = (w->next_asked + 1) % OPEN;
}

static void be_strange(struct world *w, unsigned arg)
{
    static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1", "" };
    static const char *const methods[] = { "GET",  "GET",     "GET",  "GET",  "POST", "POST",
                                           "POST", "POST",    "POST", "POST", "POST", "POST",
                                           "POST", "OPTIONS", "PUT",  "" };
    char query[1024];
    int which = (int)(arg & 1);

    chance = arg * UINT64_C(0x2545f4914f6cdd1d);
    introduce(w, which, one_of(addresses), false);
    strange_headers(w->rigs[which]);
    size_t len = strange_query(w, query);
    if (roll(20) == 0)
        len = damage(query, len);
    if (roll(10) == 0) {
        strcpy(query, w->last_query);
        len = strlen(query);
    } else {
        w->last_len = strange_body(w, w->last_body);
    }
    snprintf(w->last_query, sizeof w->last_query, "%.*s", (int)len, query);
    remember_asked(w, which,
                   rig_give_bytes(w->rigs[which], span_of(one_of(methods)),
                                  (struct span){ query, len },
                                  (struct span){ w->last_body, w->last_len }));
    sums.strange++;
    if (roll(3) == 0)
        run_turn(w, which, roll(4) == 0);
}

/* A stranger that means to get somewhere: it opens a session, and says a few things in it. */
static void be_bold(struct world *w, unsigned arg)
{
    char query[128], body[4096];
    int which = (int)(arg & 1);

    chance = arg * UINT64_C(0x2545f4914f6cdd1d);
    introduce(w, which, "192.0.2.3", false);
    const char *ours = roll(3) == 0 ? "&pollux=1" : "";
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=%u%s", roll(50), ours);
    int n = rig_give(w->rigs[which], "GET", query, "");
    run_turn(w, which, false);
    const char *answer = rig_answer(w->rigs[which], n);
    char sid[32];
    if (answer == NULL || !copy_field(answer, "\"sid\":\"", sid, sizeof sid))
        return;
    learn(&w->sids, sid);
    int len = sprintf(body,
                      "40\x1e"
                      "42[\"create or join\",\"%s\"]\x1e",
                      roll(2) != 0 ? w->room : "other");
    len += (int)strange_body(w, body + len);
    for (int i = 0; i < 2; i++) {
        introduce(w, which, "192.0.2.3", false);
        int size = snprintf(query, sizeof query, "EIO=4&transport=polling&t=%u%s&sid=%s", roll(50),
                            ours, sid);
        remember_asked(w, which,
                       rig_give_bytes(w->rigs[which], i == 0 ? SPAN("POST") : SPAN("GET"),
                                      (struct span){ query, (size_t)size },
                                      (struct span){ body, i == 0 ? (size_t)len : 0 }));
        sums.strange++;
    }
}

/* ---- rounds */

/* At rest: everybody is greeted, has said all, and waits. */
static bool at_rest(const struct world *w)
{
    for (int i = 0; i < BYSTANDERS; i++) {
        const struct bystander *b = &w->all[i];
        bool gone = false;
        for (int k = 0; k < POSTS; k++)
            if (b->posts[k].made)
                return false;
        if (!b->greeted || b->next != b->said || b->pong || !b->get.made
            || answer_to(w, &b->get, &gone) != NULL || gone)
            return false;
    }
    return true;
}

/* Everybody gets there, with all that happens in between. */
static void come_to_rest(struct world *w)
{
    bool calm = w->calm;

    w->calm = true;
    w->rigs[0]->dies = w->rigs[1]->dies = RIG_LIVES;
    for (int round = 0; round < 100 && w->failure[0] == '\0'; round++) {
        for (int i = 0; i < BYSTANDERS; i++) {
            see(w, &w->all[i], 1);
            act(w, &w->all[i], (unsigned)(round * 5 + i * 11) | 0x700);
        }
        run_turns(w);
        w->rigs[0]->now++;
        w->rigs[1]->now++;
        if (at_rest(w)) {
            w->calm = calm;
            return;
        }
    }
    for (int i = 0; i < BYSTANDERS; i++) {
        const struct bystander *b = &w->all[i];
        say(w, "no rest: bystander %d sid %s greeted %d sent %d of %d post %d get %d", i, b->sid,
            b->greeted, b->next, b->said, b->posts[0].made, b->get.made);
    }
}

/* Time passes while everybody is there: heartbeats are answered as they come. */
static void pass(struct world *w, int64_t ms)
{
    int64_t until = w->rigs[0]->now + ms;

    come_to_rest(w);
    while (w->rigs[0]->now < until && w->failure[0] == '\0') {
        int64_t due = until, now = w->rigs[0]->now;
        for (int i = 0; i < 2; i++)
            if (core_deadline(w->rigs[i]->core) < due)
                due = core_deadline(w->rigs[i]->core);
        w->rigs[0]->now = w->rigs[1]->now = due > now ? due : now + 1;
        run_turns(w);
        come_to_rest(w);
    }
}

static void take_step(struct world *w, const struct step *step)
{
    static const int waits[] = { 1, 5, 50, 700, 1600, 2500, 6000, 26000 };
    struct bystander *b = &w->all[step->who % BYSTANDERS];
    unsigned arg = step->arg;

    switch ((enum op)step->op) {
    case SAY:
        for (unsigned i = 0; i <= arg % 4 && b->said < SAID; i++, sums.said++)
            b->said++;
        break;
    case ACT:
        act(w, b, arg);
        break;
    case SEE:
        see(w, b, arg);
        break;
    case LOSE:
        if (b->sid[0] != '\0')
            lose(b);
        break;
    case LATE:
        come_late(w, b, (int)(arg & 1));
        break;
    case REPEAT:
        repeat(w, b, arg);
        break;
    case TURN:
        run_turn(w, (int)(arg & 1), arg & 2);
        break;
    case DIE:
        w->rigs[arg & 1]->dies = arg & 2 ? RIG_DIES_AFTER : RIG_DIES_BEFORE;
        if (arg & 4)
            run_turn(w, (int)(arg & 1), false);
        break;
    case WAIT:
        pass(w, waits[arg % (sizeof waits / sizeof waits[0])]);
        break;
    case STRANGE:
        if ((arg >> 4) % 2 == 0)
            be_bold(w, arg);
        else
            be_strange(w, arg);
        break;
    case OPS:
        break;
    }
}

static void make_steps(struct step *steps, uint64_t seed)
{
    static const unsigned char often[] = { SAY,     SAY,     SAY,     ACT,     ACT,     ACT,
                                           ACT,     ACT,     ACT,     ACT,     SEE,     SEE,
                                           SEE,     SEE,     SEE,     SEE,     LATE,    LATE,
                                           REPEAT,  TURN,    STRANGE, STRANGE, STRANGE, STRANGE,
                                           STRANGE, STRANGE, STRANGE, STRANGE, STRANGE, STRANGE };
    static const unsigned char seldom[] = { LOSE, LOSE, LOSE, DIE, WAIT };

    chance = seed * 7777777;
    for (int i = 0; i < STEPS; i++)
        steps[i] = (struct step){ roll(14) != 0 ? one_of(often) : one_of(seldom),
                                  (unsigned char)roll(BYSTANDERS), roll(1u << 31) };
}

static void compare_books(struct world *w)
{
    for (int i = 0; i < BYSTANDERS && w->failure[0] == '\0'; i++)
        for (int number = 1; number < w->all[i].said; number++)
            for (int k = 0; k < BYSTANDERS; k++) {
                const struct bystander *b = &w->all[i];
                if (k != i && (b->kind == OURS || b->taken[number]) && !w->all[k].got[i][number])
                    say(w, "bystander %d never heard \"m%d.%d\"", k, i, number);
            }
}

/* Time takes everybody away: nothing stays but the log. */
static void end_round(struct world *w)
{
    static const struct { enum ask what; const char *name; } left[] = {
        { ASK_SESSIONS, "sessions" },
        { ASK_POLLINGS, "pollings" },
        { ASK_CHANNELS, "channels" },
        { ASK_MEMBERS, "members" },
    };

    for (int i = 0; i < 8; i++) {
        w->rigs[0]->now += 60000;
        w->rigs[1]->now = w->rigs[0]->now;
        run_turn(w, 0, true);
        run_turn(w, 1, true);
    }
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        int64_t count = ask(w->rigs[0], left[i].what);
        if (count != 0)
            say(w, "after everybody has gone: there are %lld %s", (long long)count, left[i].name);
    }
    for (int i = 0; i < 2; i++) {
        if (park_count(w->rigs[i]->core->park) != 0)
            say(w, "after everybody has gone: process %d still holds polls", i);
        rig_forget(w->rigs[i]);
    }
}

static bool run(struct rig *first, struct rig *second, const struct step *steps, size_t count,
                uint64_t seed, char *failure)
{
    static struct world w;

    memset(&w, 0, sizeof w);
    w.rigs[0] = first;
    w.rigs[1] = second;
    snprintf(w.room, sizeof w.room, "r%llu", (unsigned long long)seed);
    for (int i = 0; i < BYSTANDERS; i++) {
        w.all[i].me = i;
        w.all[i].kind = kinds[i];
        w.all[i].said = 1;
    }
    come_to_rest(&w);
    for (size_t i = 0; i < count && w.failure[0] == '\0'; i++)
        take_step(&w, &steps[i]);
    if (w.failure[0] == '\0')
        come_to_rest(&w);
    if (w.failure[0] == '\0')
        compare_books(&w);
    if (w.failure[0] == '\0')
        end_round(&w);
    strcpy(failure, w.failure);
    return w.failure[0] == '\0';
}

/* Two processes on a new store. A room has place for the bystanders alone, or for everybody. */
static void open_rigs(struct rig *first, struct rig *second, uint64_t seed)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_LEAVE_AFTER_MS=3000000",
                                        "POLLUX_LOG_LEVEL=error", NULL };

    /* in every third store each POST takes as many turns as it can */
    rig_slice = seed / PER_STORE % 3 == 0;
    rig_open(first, keys);
    rig_join(second, first);
    first->set.capacity = seed / PER_STORE % 2 == 0 ? 1000 : BYSTANDERS;
    second->set.capacity = first->set.capacity;
    second->set.log_events = first->set.log_events;
    second->set.leave_after_ms = first->set.leave_after_ms;
}

static void close_rigs(struct rig *first, struct rig *second)
{
    rig_close(second);
    rig_close(first);
}

static bool run_alone(const struct step *steps, size_t count, uint64_t seed, char *failure)
{
    struct rig first, second;

    open_rigs(&first, &second, seed);
    bool good = run(&first, &second, steps, count, seed, failure);
    close_rigs(&first, &second);
    return good;
}

/* Leave out what the failure does not need. The steps that are left. */
static size_t shorten(struct step *steps, size_t count, uint64_t seed, char *failure)
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
    static const char *const ops[] = { "say",    "act",  "see", "lose", "late",
                                       "repeat", "turn", "die", "wait", "strange" };

    print_error("round %llu: %s\nshortened to %zu steps:", (unsigned long long)seed, failure,
                count);
    for (size_t i = 0; i < count; i++)
        print_error(" %s(%d,%u)", ops[steps[i].op], steps[i].who, steps[i].arg);
    print_error("\nPOLLUX_TEST_SEED=%llu POLLUX_TEST_COUNT=1 tests/unit/test_strangers\n",
                (unsigned long long)seed);
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? strtoull(value, NULL, 10) : fallback;
}

/* Run COUNT rounds from SEED; with SECONDS as many as they allow. How many failed. */
static uint64_t run_rounds(uint64_t seed, uint64_t count, uint64_t seconds)
{
    uint64_t failed = 0;
    time_t end = time(NULL) + (time_t)seconds;
    struct step steps[STEPS];
    struct rig first, second;
    char failure[400];
    bool open = false;

    for (uint64_t i = 0; failed < 3 && (seconds != 0 ? time(NULL) < end : i < count); i++) {
        if (!open)
            open_rigs(&first, &second, seed + i);
        open = true;
        make_steps(steps, seed + i);
        bool good = run(&first, &second, steps, STEPS, seed + i, failure);
        sums.rounds++;
        if (!good || (seed + i) % PER_STORE == PER_STORE - 1) {
            close_rigs(&first, &second);
            open = false;
        }
        if (good)
            continue;
        print_error("round %llu: %s\n", (unsigned long long)(seed + i), failure);
        failed++;
        size_t left = shorten(steps, STEPS, seed + i, failure);
        report(steps, left, seed + i, failure);
    }
    if (open)
        close_rigs(&first, &second);
    return failed;
}

static void bystanders_hear_everything_whatever_strangers_send(void **state)
{
    uint64_t seed = number_from("POLLUX_TEST_SEED", SEED);

    (void)state;
    log_set_level(LOG_ERROR);
    uint64_t failed = run_rounds(seed, number_from("POLLUX_TEST_COUNT", COUNT),
                                 number_from("POLLUX_TEST_SECONDS", 0));
    print_message("rounds %lld from seed %llu: requests %lld, of strangers %lld (%lld refused), "
                  "bystanders said %lld, ok %lld, heard %lld, sessions lost %lld, POSTs late %lld, "
                  "repeated %lld, deaths %lld, recoveries %lld\n",
                  (long long)sums.rounds, (unsigned long long)seed, (long long)sums.requests,
                  (long long)sums.strange, (long long)sums.refused, (long long)sums.said,
                  (long long)sums.taken, (long long)sums.deliveries, (long long)sums.lost,
                  (long long)sums.late, (long long)sums.repeated, (long long)sums.deaths,
                  (long long)sums.recoveries);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bystanders_hear_everything_whatever_strangers_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
