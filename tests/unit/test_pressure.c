/* test_pressure.c - who floods, never polls or vanishes by the hundreds: what that costs the others
 * has bounds, and every refusal says why. The clock is set by hand; work is counted, not timed. */
#include "rig.h"

#include <stdio.h>
#include <sys/stat.h>


/* How many messages wait for C's socket. */
static int64_t owed(const struct client *c)
{
    return ask_of(c->rig, ASK_OWED_TO, c->id);
}

/* A and B in channel `room`, all that came of it heard; B polls no more. */
static void pair_of_which_one_is_deaf(struct rig *r, struct client *a, struct client *b)
{
    client_join(a, r, "room");
    client_join(b, r, "room");
    client_hear(a);
    client_hear(b);
    client_post(a, "42[\"x\"]");        /* answers the poll that b holds, its last */
    b->poll = -1;
}

/* ---- queues */

static const char *const quiet[] = { "POLLUX_LOG_EVENTS=no", NULL };
static const char *const five[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_MAX_QUEUED_MESSAGES=5", NULL };

static void coming_and_going_fills_no_queue_beyond_its_bound(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, five);
    pair_of_which_one_is_deaf(&r, &a, &b);
    for (int i = 0; i < 20; i++) {
        client_post(&a, "42[\"leave\",\"room\"]");
        client_post(&a, "42[\"create or join\",\"room\"]");
        client_hear(&a);
    }
    assert_non_null(strstr(a.heard, "\"code\":\"queue_full\""));
    assert_in_range(owed(&b), 5, 10);
    client_hear(&b);
    client_post(&a, "42[\"create or join\",\"room\"]");
    assert_non_null(strstr(client_hear(&a), "42[\"joined\",\"room\""));
    rig_close(&r);
}

static void farewells_fill_no_queue_beyond_its_bound(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, five);
    pair_of_which_one_is_deaf(&r, &a, &b);
    for (int i = 0; i < 20; i++)
        client_post(&a, "42[\"bye\"]");
    assert_int_equal(owed(&b), 5);
    assert_non_null(strstr(client_hear(&a), "\"code\":\"queue_full\""));
    client_post(&a, "42[\"Bye\"]");     /* the last, it always passes */
    assert_int_equal(owed(&b), 6);
    rig_close(&r);
}

static void seat_of_one_away_is_given_whatever_waits_for_it(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, five);
    pair_of_which_one_is_deaf(&r, &a, &b);
    client_post(&b, "1");
    while (owed(&b) < 5)
        client_post(&a, "42[\"x\"]");
    rig_wait(&r, r.set.roll_call_ms);
    client_join(&c, &r, "room");
    assert_non_null(strstr(client_hear(&c), "42[\"joined\",\"room\""));
    rig_close(&r);
}

static void who_never_polls_is_lost_whatever_it_posts(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    b.poll = -1;                        /* a poll was answered, and none follows */
    for (int i = 0; i < 4; i++) {
        client_hear(&a);
        rig_wait(&r, 12000);
        if (i < 3)
            assert_string_equal(client_post(&b, "3"), "200 ok");
    }
    assert_starts(client_post(&b, "3"), "400 {\"code\":1");
    client_hear(&a);
    rig_wait(&r, 20000);
    client_hear(&a);
    assert_starts(client_post(&a, "3"), "200 ok");      /* who polls lives on */
    rig_close(&r);
}

static void refusals_are_short_whatever_was_refused(void **state)
{
    static char body[60000];
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, five);
    pair_of_which_one_is_deaf(&r, &a, &b);
    while (owed(&b) < 5)
        client_post(&a, "42[\"x\"]");
    snprintf(body, sizeof body, "42[\"%020000d\",\"%020000d\"]", 0, 0);
    client_post(&a, body);
    assert_non_null(strstr(client_hear(&a), "\"code\":\"queue_full\""));
    assert_in_range(strlen(a.heard), 1, 300);
    assert_in_range(ask(&r, ASK_LONGEST_NAME), 1, 300);
    rig_close(&r);
}

/* ---- the file */

static const char *const small[] = { "POLLUX_LOG_MAX_BYTES=1000000", "POLLUX_LOG_EVENTS=no",
                                     "POLLUX_CAPACITY=1000",
                                     "POLLUX_MAX_REQUESTS_PER_SECOND=1000000", NULL };

static const char *const medium[] = { "POLLUX_LOG_MAX_BYTES=4000000", "POLLUX_LOG_EVENTS=no",
                                      "POLLUX_CAPACITY=1000",
                                      "POLLUX_MAX_REQUESTS_PER_SECOND=1000000", NULL };

static int64_t bytes_in_use(const struct rig *r)
{
    return ask(r, ASK_BYTES);
}

/* A says COUNT things of 20 KB each, and B hears them. */
static void talk(struct client *a, struct client *b, int count)
{
    static char body[21000];

    snprintf(body, sizeof body, "42[\"talk\",\"%020000d\"]", 0);
    while (count-- > 0) {
        assert_string_equal(client_post(a, body), "200 ok");
        client_hear(b);
    }
}

static void file_keeps_its_size_behind_what_is_owed(void **state)
{
    struct rig r;
    struct client a, b, x, y;

    (void)state;
    rig_open(&r, small);
    pair_of_which_one_is_deaf(&r, &x, &y);
    for (int i = 0; i < 3000; i++)      /* more than are looked at in one go */
        client_post(&x, "42[\"owed\"]");
    int64_t waiting = owed(&y);
    rig_wait(&r, 2000);
    client_join(&a, &r, "other");
    client_join(&b, &r, "other");
    client_hear(&a);
    talk(&a, &b, 100);
    rig_wait(&r, 5000);
    assert_in_range(bytes_in_use(&r), 1, 1200000);
    assert_int_equal(owed(&y), waiting);
    assert_int_equal(ask(&r, ASK_OWED_AND_LOST),
                     0);
    rig_close(&r);
}

static void file_keeps_its_size_behind_a_message_to_very_many(void **state)
{
    struct rig r;
    struct client a, b, many;

    (void)state;
    rig_open(&r, medium);
    client_join(&a, &r, "crowd");
    for (int i = 0; i < 210; i++)       /* who polls never */
        client_join(&many, &r, "crowd");
    client_post(&a, "42[\"owed by all\"]");
    rig_wait(&r, 2000);
    rig_forget(&r);
    a.poll = -1;
    client_join(&a, &r, "other");
    client_join(&b, &r, "other");
    client_hear(&a);
    talk(&a, &b, 100);
    rig_wait(&r, 40000);
    assert_int_equal(ask_of(&r, ASK_SAID, "talk") < 60, 1);
    assert_int_equal(ask_of(&r, ASK_SAID, "owed by all"), 1);
    assert_int_equal(ask(&r, ASK_OWED_AND_LOST),
                     0);
    rig_close(&r);
}

static void file_keeps_its_size_however_fast_it_is_filled(void **state)
{
    struct rig r;
    struct client a, b;
    size_t len = 0, cap = 1000000;
    char *body = malloc(cap);

    (void)state;
    assert_non_null(body);
    for (int i = 0; i < 2000; i++)
        len += (size_t)snprintf(body + len, cap - len, "%s42[\"talk\",\"%0400d\"]",
                                i != 0 ? "\x1e" : "", i);
    rig_open(&r, small);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a);
    for (int i = 0; i < 20; i++) {
        assert_string_equal(client_post(&a, body), "200 ok");
        client_hear(&b);
        rig_wait(&r, i != 0 ? 50 : 1000);
    }
    assert_in_range(bytes_in_use(&r), 1, 1000000 + 4 * (int64_t)len);
    free(body);
    rig_close(&r);
}

static void file_has_a_bound_for_what_is_owed_too(void **state)
{
    struct rig r;
    struct client a, b, c, d;
    int taken = 0;

    (void)state;
    rig_open(&r, small);
    client_join(&c, &r, "other");
    client_join(&d, &r, "other");
    client_hear(&c);
    pair_of_which_one_is_deaf(&r, &a, &b);
    for (int i = 0; i < 250; i++) {
        talk(&a, &a, 1);
        rig_wait(&r, 50);
        if (strstr(a.heard, "\"code\":\"queue_full\"") == NULL)
            taken++;
    }
    assert_in_range(taken, 60, 200);
    assert_in_range(bytes_in_use(&r), 1, 3000000);
    talk(&c, &d, 5);                    /* the others go on */
    assert_non_null(strstr(d.heard, "42[\"talk\""));
    assert_starts(client_post(&a, "451-[\"x\",{\"_placeholder\":true,\"num\":0}]"),
                  "400 {\"code\":3,\"message\":\"Bad request: at present the server has no room");
    client_hear(&b);
    rig_wait(&r, 2000);
    assert_in_range(bytes_in_use(&r), 1, 1200000);
    rig_close(&r);
}

static void sockets_that_have_gone_go_behind_those_that_live(void **state)
{
    static const char *const brief[] = { "POLLUX_LOG_AGE_DAYS=0", "POLLUX_LOG_EVENTS=no",
                                         "POLLUX_PING_INTERVAL_MS=3600000", NULL };
    struct rig r;
    struct client c;

    (void)state;
    rig_open(&r, brief);
    for (int i = 0; i < 300; i++)
        client_connect(&c, &r, "");     /* they stay */
    for (int i = 0; i < 50; i++) {
        client_connect(&c, &r, "");
        client_post(&c, "41\x1e" "1");
    }
    rig_wait(&r, 5000);
    assert_int_equal(ask(&r, ASK_SOCKETS), 300);
    rig_close(&r);
}

static int64_t wal_size(const struct rig *r)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s/pollux.db-wal", r->set.store);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void write_ahead_log_shrinks_when_readers_let_it(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a);
    struct asker *reader = asker_begin_reading(&r);
    talk(&a, &b, 1200);
    rig_wait(&r, 2000);
    assert_in_range(wal_size(&r), 65000000, 200000000);
    asker_end_reading(reader);
    rig_wait(&r, 2000);
    assert_in_range(wal_size(&r), 0, 16000000);
    rig_close(&r);
}

/* ---- one request */

/* COUNT times PACKET, joined, to be freed. What stands for %d in it counts up. */
static char *times(int count, const char *packet)
{
    size_t len = 0, cap = (size_t)count * (strlen(packet) + 16);
    char *body = malloc(cap);

    assert_non_null(body);
    for (int i = 0; i < count; i++) {
        if (i != 0)
            body[len++] = '\x1e';
        for (const char *p = packet; *p != '\0'; p++)
            if (*p == '%')
                len += (size_t)snprintf(body + len, cap - len, "%d", i);
            else
                body[len++] = *p;
    }
    body[len] = '\0';
    return body;
}

#define assert_refused(client, count, packet, answer)                                              \
    do {                                                                                           \
        char *body_ = times(count, packet);                                                        \
        assert_starts(client_post(client, body_), answer);                                         \
        free(body_);                                                                               \
    } while (0)

static void connects_at_a_time_have_a_bound(void **state)
{
    static const char too_many[] = "400 {\"code\":3,\"message\":\"Bad request: too many CONNECTs";
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_open(&a, &r);
    assert_refused(&a, 100, "40/none%,", "200 ok");
    assert_refused(&a, 1, "40/more%,", too_many);
    client_open(&a, &r);
    assert_refused(&a, 101, "40/none%,", too_many);
    client_open(&a, &r);
    assert_refused(&a, 101, "40\x1e" "41", too_many);
    client_open(&a, &r);                /* what was heard makes room */
    assert_refused(&a, 100, "40/none%,", "200 ok");
    client_hear(&a);
    assert_refused(&a, 100, "40/none%,", "200 ok");
    rig_close(&r);
}

/* What a turn of the rig stores at most, of a POST that is much work: a slice, the event that
 * completes it, and what everybody is told. */
#define TURN_MOST 400

static int64_t stored(const struct rig *r)
{
    return ask(r, ASK_LOG_ROWS);
}

/* All of it is done, however much it is, and in order; but others are answered in the turn in
 * which they ask, and no turn does much of it. Should the process die in between, the client asks
 * again, and nothing is done twice. */
static void much_work_is_done_a_slice_a_turn(void **state)
{
    enum { MANY = 50, PACKETS = 300 };
    static const char *const crowd[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_CAPACITY=1000", NULL };
    char query[96], *body = times(PACKETS, "42[\"x\",%]");
    struct rig r;
    struct client a, b, c, d, many;
    int turns = 0;

    (void)state;
    rig_open(&r, crowd);
    client_join(&c, &r, "pair");
    client_join(&d, &r, "pair");
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    for (int i = 2; i < MANY; i++)
        client_join(&many, &r, "room");
    client_hear(&a), client_hear(&b), client_hear(&c), client_hear(&d);
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=much-work&sid=%s", a.sid);
    for (int times_asked = 0; times_asked < 3; times_asked++) {
        int much = rig_give(&r, "POST", query, body);
        for (int turn = 0; rig_answer(&r, much) == NULL
             && (turn < 20 || times_asked == 2); turn++) {
            int64_t before = stored(&r);
            char other[96];
            snprintf(other, sizeof other, "EIO=4&transport=polling&t=d%d&sid=%s", turns, d.sid);
            int said = rig_give(&r, "POST", other, "42[\"y\"]");
            rig_turn(&r, false);
            assert_string_equal(rig_answer(&r, said), "200 ok");
            assert_in_range(stored(&r) - before, 1, TURN_MOST);
            assert_said(&c, "42[\"y\"]");
            turns++;
        }
        if (times_asked < 2) {
            assert_int_equal(rig_postponed(&r), 1);
            rig_restart(&r);
            c.poll = -1;
        } else {
            assert_string_equal(rig_answer(&r, much), "200 ok");
        }
    }
    assert_in_range(turns, 60, 400);
    assert_string_equal(rig_answer(&r, rig_send(&r, "POST", query, body)), "200 ok");
    assert_int_equal(ask_of(&r, ASK_SAID, "x"), PACKETS);
    assert_int_equal(ask_of(&r, ASK_SAID_IN_ORDER, "x"),
                     PACKETS);
    free(body);
    rig_close(&r);
}

/* Who has used more than its share comes after the others, in the order of its own; nobody is
 * refused. */
static void who_has_used_much_comes_last(void **state)
{
    static const char *const shares[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_MAX_WORK_PERCENT=10",
                                          NULL };
    char query[96];
    struct rig r;
    struct client a, b, c, d;
    int first[3], others[2];

    (void)state;
    rig_open(&r, shares);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    r.address = "192.0.2.2";
    client_join(&c, &r, "pair");
    client_join(&d, &r, "pair");
    client_hear(&a), client_hear(&b), client_hear(&c), client_hear(&d);
    r.address = "192.0.2.1";
    client_use(&a, 50000);
    for (int i = 0; i < 3; i++) {
        char event[64];
        snprintf(query, sizeof query, "EIO=4&transport=polling&t=more-work-%d&sid=%s", i, a.sid);
        snprintf(event, sizeof event, "42[\"more\",%d]", i);
        first[i] = rig_give(&r, "POST", query, event);
    }
    r.address = "192.0.2.2";
    for (int i = 0; i < 2; i++) {
        snprintf(query, sizeof query, "EIO=4&transport=polling&t=little-%d&sid=%s", i, c.sid);
        others[i] = rig_give(&r, "POST", query, "42[\"other\"]");
    }
    rig_turn(&r, false);
    for (int i = 0; i < 2; i++)
        assert_string_equal(rig_answer(&r, others[i]), "200 ok");
    for (int i = 0; i < 3; i++) {
        while (rig_answer(&r, first[i]) == NULL)
            rig_wait(&r, 10);
        assert_string_equal(rig_answer(&r, first[i]), "200 ok");
    }
    assert_true(ask_of(&r, ASK_LAST_SAID, "other") < ask_of(&r, ASK_FIRST_SAID, "more"));
    assert_said(&b, "42[\"more\",0]\n42[\"more\",1]\n42[\"more\",2]");
    rig_close(&r);
}

/* How many messages were refused because somebody's queue is full. */
static int64_t queue_full(const struct rig *r)
{
    return ask_of(r, ASK_REFUSALS, "queue_full");
}

/* The same of those that A says in vain in two turns, which is a slice each. */
static int64_t refused_in_a_turn(struct rig *r, const struct client *a)
{
    int64_t before = queue_full(r);
    char query[96], *body = times(200, "42[\"x\"]");

    snprintf(query, sizeof query, "EIO=4&transport=polling&t=in-vain&sid=%s", a->sid);
    rig_give(r, "POST", query, body);
    rig_turn(r, false);
    free(body);
    return queue_full(r) - before;
}

/* Where a queue is long, to see whose messages fill it takes longer than to add one. */
static void seeing_who_fills_a_queue_is_work(void **state)
{
    static const char *const three[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_CAPACITY=3",
                                         "POLLUX_MAX_QUEUED_MESSAGES=2000", NULL };
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, three);
    client_join(&c, &r, "room");
    pair_of_which_one_is_deaf(&r, &a, &b);
    c.poll = -1;
    assert_refused(&a, 1100, "42[\"x\"]", "200 ok");
    client_hear(&a);
    assert_in_range(ask_of(&r, ASK_SAID, "x"), 1001, 1002);
    assert_in_range(refused_in_a_turn(&r, &a), 1, 10);
    rig_close(&r);
}

/* Nor is it free to look at all the others before the one whose queue is full. */
static void looking_for_room_in_vain_is_work(void **state)
{
    enum { MANY = 40 };
    static const char *const crowd[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_CAPACITY=100",
                                         "POLLUX_MAX_QUEUED_MESSAGES=200", NULL };
    static struct client many[MANY];
    char to_last[64];
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, crowd);
    client_join(&a, &r, "room");
    for (int i = 0; i < MANY; i++)
        client_join(&many[i], &r, "room");
    for (int i = 0; i < MANY; i++)
        client_hear(&many[i]);
    client_hear(&a);
    client_post(&a, "42[\"x\"]");       /* answers the polls that are held */
    many[MANY - 1].poll = -1;
    snprintf(to_last, sizeof to_last, "42[\"x\",{\"to\":\"%s\"}]", many[MANY - 1].id);
    assert_refused(&a, 200, to_last, "200 ok");
    client_hear(&a);
    assert_in_range(refused_in_a_turn(&r, &a), 1, 12);
    rig_close(&r);
}

static void names_looked_up_have_a_bound(void **state)
{
    enum { MANY = 30000 };
    static char body[MANY * 6 + 64];
    struct rig r;
    struct client a, b;
    size_t len = 0;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    len += (size_t)sprintf(body, "42[\"x\"");
    for (int i = 0; i < MANY; i++)
        len += (size_t)sprintf(body + len, ",\"no\"");
    sprintf(body + len, "]\x1e" "42[\"late\"]");
    assert_string_equal(client_post(&a, body), "200 ok");
    assert_int_equal(ask_of(&r, ASK_SAID, "x"), 0);
    assert_non_null(strstr(client_hear(&a), "\"code\":\"too_much\""));
    assert_said(&b, "42[\"late\"]");
    rig_close(&r);
}

static void sessions_are_counted_by_whoever_has_the_address(void **state)
{
    static const char *const three[] = { "POLLUX_MAX_SESSIONS_PER_ADDRESS=3", NULL };
    static const struct { const char *address; bool passes; } cases[] = {
        { "192.0.2.1", true },          { "192.0.2.1", true },
        { "::ffff:192.0.2.1", true },   { "192.0.2.1", false },
        { "::ffff:192.0.2.1", false },  { "192.0.2.2", true },
        { "2001:db8:1:2::1", true },    { "2001:db8:1:2:ffff:ffff:ffff:ffff", true },
        { "2001:DB8:1:2:3::", true },   { "2001:db8:1:2::4", false },
        { "2001:db8:1:ff::4", false },  { "2001:db8:1:100::4", true },
        { "2001:db8:2::4", true },      { "2001:db8:1::4", false },
        { "fe80::1%eth0", true },       { "", true },
        { "unix:", true },              { "2001:db8:1:2:aaaa:bbbb:cccc:dddd", false },
    };
    struct rig r;

    (void)state;
    rig_open(&r, three);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        r.address = cases[i].address;
        assert_starts(rig_answer(&r, rig_send(&r, "GET", "EIO=4&transport=polling", "")),
                      cases[i].passes ? "200 " : "403 ");
    }
    struct client c;
    r.address = "2001:db8:9::7";
    client_connect(&c, &r, "");
    assert_int_equal(ask_of(&r, ASK_SOCKETS_FROM, "2001:db8:9::7"), 1);
    client_post(&c, "1");
    assert_int_equal(ask_of(&r, ASK_VISITORS_FROM, "2001:db8:9"),
                     0);
    rig_close(&r);
}

/* ---- very many at a time */

/* Let MS milliseconds pass. Returns the most rows that one turn of them wrote. */
static int64_t most_written(struct rig *r, int64_t ms)
{
    int64_t until = r->now + ms, most = 0;

    while (r->now < until) {
        int64_t due = core_deadline(r->core), begun = store_written(r->store);
        r->now = due < until ? (due > r->now ? due : r->now + 1) : until;
        rig_turn(r, false);
        if (store_written(r->store) - begun > most)
            most = store_written(r->store) - begun;
    }
    return most;
}

static void hundreds_that_vanish_are_seen_off_a_few_at_a_time(void **state)
{
    enum { MANY = 600 };
    struct rig r;
    struct client c;
    char channel[16];
    int64_t pings, lost, left;

    (void)state;
    rig_open(&r, quiet);
    for (int i = 0; i < MANY; i++) {
        snprintf(channel, sizeof channel, "c%d", i / 2);
        client_join(&c, &r, channel);
        client_hear(&c);
    }
    pings = most_written(&r, 26000);    /* all are due at the same millisecond */
    lost = most_written(&r, 30000);
    assert_int_equal(ask(&r, ASK_AWAY), MANY);
    left = most_written(&r, 130000);
    assert_int_equal(ask(&r, ASK_STAYING), 0);
    assert_int_equal(ask(&r, ASK_SESSIONS), 0);
    assert_int_equal(ask(&r, ASK_CHANNELS), 0);
    assert_in_range(pings, 1, 250);
    assert_in_range(lost, 1, 1500);
    assert_in_range(left, 1, 1500);
    rig_close(&r);
}

static void hundreds_that_ask_to_get_in_are_all_told(void **state)
{
    enum { MANY = 250 };
    static struct client c[MANY];
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    for (int i = 0; i < MANY; i++)
        client_join(&c[i], &r, "room");
    client_hear(&a), client_hear(&b);
    rig_wait(&r, 500);
    for (int i = 0; i < MANY; i++)
        assert_said(&c[i], "42[\"full\",\"room\"]");
    assert_int_equal(ask(&r, ASK_ASKING), 0);
    rig_close(&r);
}

/* Its answers are a little of what it is owed, and each request asks for more. */
static void a_post_that_waits_has_a_bound_too(void **state)
{
    static const char *const keys[] = { "POLLUX_MAX_QUEUED_MESSAGES=50",
                                        "POLLUX_MAX_PAYLOAD_BYTES=1000",
                                        NULL };
    static char body[8192];
    struct rig r;
    struct client a;
    char query[128];
    int refused = 0;

    (void)state;
    rig_open(&r, keys);
    const char *hello = rig_answer(&r, rig_send(&r, "GET", "EIO=4&transport=polling&pollux=1", ""));
    a = (struct client){ .rig = &r, .poll = -1 };
    memcpy(a.sid, hello + 13, 20);
    client_post(&a, "40\x1e" "42[\"create or join\",\"room\"]");
    for (int i = 0; i < 40; i++)
        snprintf(body + strlen(body), sizeof body - strlen(body), "%s42%d[\"x\"]", i != 0 ? "\x1e"
                 : "", i);
    for (int i = 0; i < 100; i++) {
        snprintf(query, sizeof query, "EIO=4&transport=polling&wait=true&t=w%d&sid=%s", i, a.sid);
        const char *answer = rig_answer(&r, rig_send(&r, "POST", query, body));
        refused += answer != NULL && strncmp(answer, "429 ", 4) == 0;
    }
    assert_true(refused > 0);
    assert_in_range(ask(&r, ASK_OWED), 50, 150);
    client_hear(&a);                    /* it polls, and may ask again */
    assert_string_equal(client_post(&a, "42[\"x\"]"), "200 ok");
    rig_close(&r);
}

/* One POST that asks for more answers than may wait: the rest of it waits until there is room. */
static void the_rest_of_a_post_waits_for_room(void **state)
{
    enum { PACKETS = 300, MOST = 50 };
    static const char *const keys[] = { "POLLUX_MAX_QUEUED_MESSAGES=50", NULL };
    char query[96], *body = times(PACKETS, "42%[\"x\"]");
    const char *answer = "429 ";
    struct rig r;
    struct client a;

    (void)state;
    rig_slice = 1;
    rig_open(&r, keys);
    rig_slice = 0;
    client_connect(&a, &r, "");
    client_post(&a, "42[\"y\"]");
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=many-answers&sid=%s", a.sid);
    for (int i = 0; i < 20 && strncmp(answer, "429 ", 4) == 0; i++) {
        answer = rig_answer(&r, rig_send(&r, "POST", query, body));
        assert_in_range(ask(&r, ASK_OWED), MOST,
                        2 * MOST + 1);
        client_hear(&a);
    }
    assert_string_equal(answer, "200 ok");
    assert_int_equal(ask(&r, ASK_ACKS), PACKETS);
    free(body);
    rig_close(&r);
}

#define HALF "452-[\"file\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]"

/* What has come of an event is written once, whatever else its session asks for. */
static void half_an_event_is_written_once(void **state)
{
    static char large[100002];
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&b);
    memset(large, 'A', 100001);
    large[0] = 'b';
    client_post(&a, HALF);
    client_post(&a, large);
    for (int i = 0; i < 100; i++)
        client_post(&a, "3");           /* and 100 more */
    assert_int_equal(ask(&r, ASK_PIECES_EVER), 2);
    assert_int_equal(ask(&r, ASK_PIECE_BYTES),
                     (int)strlen(HALF) - 1 + 1 + 100000);
    rig_restart(&r);
    b.poll = -1;
    /* and half of the next */
    assert_string_equal(client_post(&a, "bAQID\x1e" HALF), "200 ok");
    assert_starts(client_hear(&b), "452-[\"file\",");
    assert_int_equal(ask(&r, ASK_PIECE_BYTES), (int)strlen(HALF) - 1);
    assert_starts(client_post(&a, "42[\"text\"]"), "400 ");
    assert_int_equal(ask(&r, ASK_PIECES), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_an_event_is_written_once),
        cmocka_unit_test(a_post_that_waits_has_a_bound_too),
        cmocka_unit_test(the_rest_of_a_post_waits_for_room),
        cmocka_unit_test(coming_and_going_fills_no_queue_beyond_its_bound),
        cmocka_unit_test(farewells_fill_no_queue_beyond_its_bound),
        cmocka_unit_test(seat_of_one_away_is_given_whatever_waits_for_it),
        cmocka_unit_test(who_never_polls_is_lost_whatever_it_posts),
        cmocka_unit_test(refusals_are_short_whatever_was_refused),
        cmocka_unit_test(file_keeps_its_size_behind_what_is_owed),
        cmocka_unit_test(file_keeps_its_size_behind_a_message_to_very_many),
        cmocka_unit_test(file_keeps_its_size_however_fast_it_is_filled),
        cmocka_unit_test(file_has_a_bound_for_what_is_owed_too),
        cmocka_unit_test(sockets_that_have_gone_go_behind_those_that_live),
        cmocka_unit_test(write_ahead_log_shrinks_when_readers_let_it),
        cmocka_unit_test(connects_at_a_time_have_a_bound),
        cmocka_unit_test(much_work_is_done_a_slice_a_turn),
        cmocka_unit_test(who_has_used_much_comes_last),
        cmocka_unit_test(seeing_who_fills_a_queue_is_work),
        cmocka_unit_test(looking_for_room_in_vain_is_work),
        cmocka_unit_test(names_looked_up_have_a_bound),
        cmocka_unit_test(sessions_are_counted_by_whoever_has_the_address),
        cmocka_unit_test(hundreds_that_vanish_are_seen_off_a_few_at_a_time),
        cmocka_unit_test(hundreds_that_ask_to_get_in_are_all_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
