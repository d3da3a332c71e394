/* test_sessions.c - Engine.IO sessions: heartbeats, retries, polls that meet, processes that
 * die; the clock set by hand. */
#include "rig.h"

#include <stdio.h>

static const char *const quiet[] = { "POLLUX_LOG_EVENTS=no", NULL };

/* Send METHOD on C's session with T. */
static int raw(struct client *c, const char *method, const char *t, const char *body)
{
    char query[128];

    snprintf(query, sizeof query, "EIO=4&transport=polling&t=%s&sid=%s", t, c->sid);
    return rig_send(c->rig, method, query, body);
}

static const char *answer_of(struct client *c, const char *method, const char *t, const char *body)
{
    return rig_answer(c->rig, raw(c, method, t, body));
}

static void handshake_has_five_keys(void **state)
{
    struct rig r;
    const char *answer;

    (void)state;
    rig_open(&r, NULL);
    answer = rig_answer(&r, rig_send(&r, "GET", "EIO=4&transport=polling", ""));
    assert_starts(answer, "200 0{\"sid\":\"");
    assert_string_equal(answer + 13 + 20,
                        "\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,"
                        "\"maxPayload\":1000000}");
    rig_close(&r);
}

static void errors_have_their_codes(void **state)
{
    static const struct { const char *method, *query, *answer;
    } cases[] = {
        { "GET", "EIO=4&transport=websocket",
          "400 {\"code\":0,\"message\":\"Transport unknown\"}" },
        { "GET", "EIO=4", "400 {\"code\":0,\"message\":\"Transport unknown\"}" },
        { "GET", "EIO=4&transport=polling&sid=nobody",
          "400 {\"code\":1,\"message\":\"Session ID unknown\"}" },
        { "GET",
          "EIO=4&transport=polling&sid=", "400 {\"code\":1,\"message\":\"Session ID unknown\"}" },
        { "POST", "EIO=4&transport=polling",
          "400 {\"code\":2,\"message\":\"Bad handshake method\"}" },
        { "PUT", "EIO=4&transport=polling", "400 {\"code\":2,\"message\":\"Bad handshake "
                                            "method\"}" },
        { "PUT", "EIO=4&transport=polling&sid=x",
          "400 {\"code\":3,\"message\":\"Bad request: a method other than GET, POST and "
          "OPTIONS\"}" },
        { "GET", "EIO=3&transport=polling",
          "400 {\"code\":5,\"message\":\"Unsupported protocol version\"}" },
        { "GET", "transport=polling",
          "400 {\"code\":5,\"message\":\"Unsupported protocol version\"}" },
    };
    struct rig r;

    (void)state;
    rig_open(&r, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(rig_answer(&r, rig_send(&r, cases[i].method, cases[i].query, "")),
                            cases[i].answer);
    rig_close(&r);
}

/* Neither what there is of it nor what is missing does anything; asked again it is as the first. */
static void a_request_cut_short_does_nothing(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&b);
    r.cut = true;
    assert_starts(answer_of(&a, "POST", "same", "42[\"chat\",1]\x1e" "42[\"ch"), "503 ");
    assert_starts(answer_of(&a, "GET", "poll", ""), "503 ");
    assert_starts(rig_answer(&r, rig_send(&r, "", "", "")), "503 ");
    r.cut = false;
    assert_string_equal(answer_of(&a, "POST", "same", "42[\"chat\",1]"), "200 ok");
    assert_said(&b, "42[\"chat\",1]");
    rig_close(&r);
}

static void ping_comes_after_the_interval_and_pong_puts_it_off(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    int poll = a.poll;
    rig_wait(&r, 24999);
    assert_null(rig_answer(&r, poll));
    rig_wait(&r, 1);
    assert_string_equal(rig_answer(&r, poll), "200 2");
    assert_said(&a, "2");
    rig_wait(&r, 24999);
    assert_null(rig_answer(&r, a.poll));
    rig_wait(&r, 1);
    assert_string_equal(rig_answer(&r, a.poll), "200 2");
    rig_close(&r);
}

/* Turns that carry messages do not stop for heartbeats: these wait for their step, all of it. */
static void pings_come_in_steps(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, NULL);
    r.now += 20;                        /* a step is a round time */
    client_join(&a, &r, "one");
    client_join(&b, &r, "another");
    client_hear(&b);
    int64_t due = ask(&r, ASK_NEXT_PING), step = (due + 49) / 50 * 50;
    assert_int_equal(due < step, 1);
    r.now = step - 1;
    client_post(&a, "42[\"x\"]");
    assert_null(rig_answer(&r, b.poll));
    r.now = step;
    client_post(&a, "42[\"x\"]");
    assert_string_equal(rig_answer(&r, b.poll), "200 2");
    rig_close(&r);
}

static void without_a_pong_the_session_ends_and_the_socket_is_away(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    rig_wait(&r, 25000);
    a.poll = raw(&a, "GET", "after-ping", "");
    rig_wait(&r, 19900);
    assert_null(rig_answer(&r, a.poll));
    rig_wait(&r, 1200);
    assert_string_equal(rig_answer(&r, a.poll), "200 1");
    assert_starts(answer_of(&a, "GET", "later", ""), "400 {\"code\":1");
    assert_int_equal(
        ask(&r, ASK_AWAY),
        1);
    rig_close(&r);
}

static void session_that_joins_nothing_is_closed(void **state)
{
    static const char *const soon[] = { "POLLUX_CONNECT_TIMEOUT_MS=3000", NULL };
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, soon);
    client_open(&a, &r);
    int poll = raw(&a, "GET", "p", "");
    rig_wait(&r, 2900);
    assert_null(rig_answer(&r, poll));
    rig_wait(&r, 1200);
    assert_string_equal(rig_answer(&r, poll), "200 1");
    rig_wait(&r, 31000);
    assert_int_equal(ask(&r, ASK_SESSIONS), 0);
    assert_int_equal(ask(&r, ASK_VISITING), 0);
    rig_close(&r);
}

/* POSTs that say nothing to anybody, with t from FIRST to before END. */
static void send_many(struct client *c, int first, int end)
{
    for (int i = first; i < end; i++) {
        char t[16];
        snprintf(t, sizeof t, "n%d", i);
        assert_string_equal(answer_of(c, "POST", t, "3"), "200 ok");
    }
}

static void post_that_comes_again_is_applied_once(void **state)
{
    struct rig r, other;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    assert_string_equal(answer_of(&a, "POST", "m1", "42[\"message\",1]"), "200 ok");
    assert_string_equal(answer_of(&a, "POST", "m1", "42[\"message\",1]"), "200 ok");
    assert_string_equal(answer_of(&a, "POST", "m2", "42[\"message\",2]"), "200 ok");
    rig_join(&other, &r);
    struct client there = a;
    there.rig = &other;
    assert_string_equal(answer_of(&there, "POST", "m1", "42[\"message\",1]"), "200 ok");
    /* late, behind many others */
    send_many(&a, 0, 500);
    assert_string_equal(answer_of(&a, "POST", "m1", "42[\"message\",1]"), "200 ok");
    assert_string_equal(answer_of(&there, "POST", "m2", "42[\"message\",2]"), "200 ok");
    send_many(&there, 500, 1000);
    rig_restart(&r);
    assert_string_equal(answer_of(&a, "POST", "m1", "42[\"message\",1]"), "200 ok");
    rig_close(&other);
    assert_said(&b, "42[\"message\",1]\n42[\"message\",2]");
    rig_close(&r);
}

static void get_that_comes_late_takes_nothing(void **state)
{
    struct rig r, other;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    rig_join(&other, &r);
    struct client there = b;
    there.rig = &other;
    client_post(&a, "42[\"message\",0]");       /* goes to the poll that b holds */
    b.poll = -1;
    for (int i = 1; i <= 300; i++) {
        char t[16], body[32];
        snprintf(t, sizeof t, "g%d", i);
        snprintf(body, sizeof body, "42[\"message\",%d]", i);
        client_post(&a, body);
        assert_starts(answer_of(&b, "GET", t, ""), "200 42[\"message\",");
    }
    client_post(&a, "42[\"message\",\"for b\"]");
    assert_string_equal(answer_of(&there, "GET", "g1", ""), "200 6");
    assert_string_equal(answer_of(&there, "GET", "g299", ""), "200 6");
    assert_string_equal(answer_of(&b, "GET", "g2", ""), "200 6");
    rig_restart(&r);
    assert_string_equal(answer_of(&b, "GET", "g1", ""), "200 6");
    assert_said(&b, "42[\"message\",\"for b\"]");
    rig_close(&other);
    rig_close(&r);
}

/* A session as this project's client file opens it. */
static void open_ours(struct client *c, struct rig *r)
{
    const char *hello;

    *c = (struct client){ .rig = r, .poll = -1 };
    hello = rig_answer(r, rig_send(r, "GET", "EIO=4&transport=polling&pollux=1", ""));
    assert_non_null(strstr(hello, ",\"wait\":true}"));
    memcpy(c->sid, hello + 13, 20);
}

static void post_of_ours_may_wait_as_the_poll(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    open_ours(&a, &r);
    assert_starts(answer_of(&a, "POST", "1&wait=true", "40{\"n\":true}"), "200 40{\"sid\":\"");
    int held = raw(&a, "POST", "2&after=1&wait=true", "3");
    assert_null(rig_answer(&r, held));
    assert_string_equal(
        answer_of(&a, "POST", "3&after=2&wait=false", "42[\"create or join\",\"room\"]"), "200 ok");
    char *answer = strdup(rig_answer(&r, held));
    assert_starts(answer, "200 42[\"created\",\"room\"");
    /* again: neither applied nor lost */
    assert_string_equal(answer_of(&a, "POST", "2&after=1&wait=true", "42[\"leave\",\"room\"]"),
                        answer);
    held = raw(&a, "POST", "4&after=3&wait=true", "3");
    assert_string_equal(answer_of(&a, "POST", "2&after=1&wait=true", "3"), "200 6");
    assert_null(rig_answer(&r, held));
    assert_int_equal(ask(&r, ASK_MEMBERS), 1);
    free(answer);
    rig_close(&r);
}

static void post_that_overtook_another_is_put_off(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    open_ours(&a, &r);
    assert_starts(answer_of(&a, "POST", "1&wait=true", "40{\"n\":true}"), "200 40{");
    assert_starts(answer_of(&a, "POST", "3&after=2", "42[\"create or join\",\"second\"]"),
                  "503 {\"code\":4,\"message\":\"Service unavailable: the request before");
    assert_int_equal(ask(&r, ASK_CHANNELS), 0);
    assert_string_equal(answer_of(&a, "POST", "2&after=1", "42[\"create or join\",\"first\"]"),
                        "200 ok");
    assert_string_equal(answer_of(&a, "POST", "3&after=2", "42[\"create or join\",\"second\"]"),
                        "200 ok");
    assert_int_equal(ask(&r, ASK_CHANNELS), 2);
    rig_close(&r);
}

static void post_of_others_does_not_wait(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_open(&a, &r);
    assert_string_equal(answer_of(&a, "POST", "1&wait=true&after=0", "40"), "200 ok");
    rig_close(&r);
}

static void get_that_comes_again_gets_the_same_answer(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    b.poll = -1;
    rig_wait(&r, 0);
    client_post(&a, "42[\"message\",1]");       /* goes to the poll that b holds */
    int poll = raw(&b, "GET", "again", "");     /* which shows that it arrived */
    assert_null(rig_answer(&r, poll));
    client_post(&a, "42[\"message\",2]");
    client_post(&a, "42[\"message\",3]");
    const char *answer = rig_answer(&r, poll);
    assert_starts(answer, "200 42[\"message\",2]\x1e" "42[\"pollux\",");
    assert_string_equal(answer_of(&b, "GET", "again", ""), answer);
    rig_restart(&r);
    assert_string_equal(answer_of(&b, "GET", "again", ""), answer);
    assert_starts(answer_of(&b, "GET", "next", ""), "200 42[\"message\",3]\x1e");
    rig_close(&r);
}

static void ping_and_noop_come_again_too(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    a.poll = -1;
    rig_wait(&r, 25000);
    int poll = raw(&a, "GET", "p1", "");
    assert_null(rig_answer(&r, poll));
    core_leave(r.core, r.now);
    rig_turn(&r, false);
    assert_string_equal(rig_answer(&r, poll), "200 6");
    assert_string_equal(answer_of(&a, "GET", "p1", ""), "200 6");
    rig_close(&r);
}

static void what_a_dead_process_left_is_asked_again(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    assert_string_equal(answer_of(&a, "POST", "stored", "42[\"message\",1]"), "200 ok");
    client_hear(&b);
    char t[16];
    snprintf(t, sizeof t, "t%d", b.t - 1);
    rig_restart(&r);                            /* b's poll is gone with the process */
    r.again = true;
    assert_string_equal(answer_of(&b, "GET", t, ""), "200 6");
    assert_starts(answer_of(&b, "GET", "", ""), "503 ");
    /* without its body it might be any of several with that t */
    assert_starts(answer_of(&a, "POST", "stored", ""), "503 ");
    assert_starts(answer_of(&a, "POST", "lost", ""), "503 ");
    r.again = false;
    assert_string_equal(answer_of(&a, "POST", "lost", "42[\"message\",2]"), "200 ok");
    b.poll = -1;
    assert_said(&b, "42[\"message\",2]");
    rig_close(&r);
}

static void a_post_of_ours_is_known_without_its_body(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    open_ours(&a, &r);
    assert_string_equal(answer_of(&a, "POST", "stored", "40"), "200 ok");
    rig_restart(&r);
    r.again = true;
    assert_string_equal(answer_of(&a, "POST", "stored", ""), "200 ok");
    assert_starts(answer_of(&a, "POST", "lost", ""), "503 ");
    rig_close(&r);
}

/* ---- a t that is not the request's own */

static void posts_with_one_t_are_all_applied(void **state)
{
    struct rig r;
    struct client a, b;
    char body[32];

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&b);
    for (int again = 0; again < 2; again++)             /* real repetitions once */
        for (int i = 0; i < 3; i++) {
            snprintf(body, sizeof body, "42[\"message\",%d]", i);
            assert_string_equal(answer_of(&a, "POST", "1700000000000", body), "200 ok");
        }
    assert_said(&b, "42[\"message\",0]\n42[\"message\",1]\n42[\"message\",2]");
    rig_close(&r);
}

/* The handshake has it already: it says nothing, and what is the same twice was said twice. */
static void a_t_that_is_always_the_same_says_nothing(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&b, &r, "room");
    client_hear(&b);
    client_open(&a, &r);                /* with t=a */
    assert_string_equal(answer_of(&a, "POST", "a", "40"), "200 ok");
    assert_starts(answer_of(&a, "GET", "a", ""), "200 40{");
    int poll = raw(&a, "GET", "a", "");
    assert_null(rig_answer(&r, poll));                  /* not the greeting once more */
    assert_string_equal(answer_of(&a, "POST", "a", "42[\"create or join\",\"room\"]"), "200 ok");
    assert_non_null(strstr(rig_answer(&r, poll), "42[\"joined\""));
    assert_string_equal(answer_of(&a, "POST", "a", "42[\"x\"]"), "200 ok");
    assert_string_equal(answer_of(&a, "POST", "a", "42[\"x\"]"), "200 ok");
    client_hear(&b);
    assert_non_null(strstr(b.heard, "42[\"x\"]\n42[\"x\"]"));
    poll = raw(&a, "GET", "a", "");
    for (int i = 0; i < 3; i++) {       /* heartbeats look all the same */
        rig_wait(&r, 25000);
        client_hear(&b);
        assert_string_equal(rig_answer(&r, poll), "200 2");
        assert_string_equal(answer_of(&a, "POST", "a", "3"), "200 ok");
        poll = raw(&a, "GET", "a", "");
        assert_null(rig_answer(&r, poll));
    }
    rig_close(&r);
}

static void polls_that_take_turns_hear_everything_once(void **state)
{
    struct rig r;
    struct client a, b;
    char body[32], expected[48];
    int next = 0;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_hear(&a);
    client_join(&b, &r, "room");
    client_hear(&b);
    client_post(&a, "42[\"message\",\"to the poll that waits\"]");
    for (int i = 0; i < 20; i++) {
        int poll = raw(&b, "GET", i % 2 == 0 ? "x" : "y", "");
        if (rig_answer(&r, poll) != NULL && strcmp(rig_answer(&r, poll), "200 6") == 0)
            continue;
        snprintf(body, sizeof body, "42[\"message\",%d]", next);
        snprintf(expected, sizeof expected, "200 42[\"message\",%d]\x1e", next++);
        client_post(&a, body);
        assert_starts(rig_answer(&r, poll), expected);
    }
    assert_true(next >= 10);
    rig_close(&r);
}

/* Whether the next poll or the pong comes first, and to whom. */
static void heartbeats_come_as_often_as_they_are_set_to(void **state)
{
    static const char *const often[] = { "POLLUX_PING_INTERVAL_MS=1000",
                                         "POLLUX_PING_TIMEOUT_MS=20000",
                                         "POLLUX_LOG_LEVEL=error", NULL };
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, often);
    client_connect(&a, &r, "");
    client_hear(&a);
    int poll = a.poll;
    for (int i = 0; i < 5; i++) {
        rig_wait(&r, 1100);
        assert_string_equal(rig_answer(&r, poll), "200 2");
        poll = raw(&a, "GET", "", "");
        rig_wait(&r, i * 100);
        assert_string_equal(answer_of(&a, "POST", "", "3"), "200 ok");
    }
    rig_close(&r);
}

/* Milliseconds: what is asked at once has the same. */
static void polls_with_the_clock_for_t_hear_everything_once(void **state)
{
    static const char now[] = "1700000000123";
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_hear(&a);
    client_join(&b, &r, "room");
    client_hear(&b);
    client_post(&a, "42[\"message\",0]");      /* to the poll that waits */
    client_post(&a, "42[\"message\",1]");
    assert_starts(answer_of(&b, "GET", now, ""), "200 42[\"message\",1]");
    client_post(&a, "42[\"message\",2]");
    assert_starts(answer_of(&b, "GET", now, ""), "200 42[\"message\",2]");
    rig_wait(&r, 1000);                         /* now it can only be a repetition */
    assert_starts(answer_of(&b, "GET", now, ""), "200 42[\"message\",2]");
    /* taken as new, it may be a proxy's: the next is not refused for it */
    assert_starts(answer_of(&a, "POST", "", "42[\"message\",3]"), "200 ok");
    assert_starts(answer_of(&b, "GET", "1700000001123", ""), "200 42[\"message\",3]");
    int stray = raw(&b, "GET", "1700000001123", ""), poll = raw(&b, "GET", "1700000001124", "");
    assert_string_equal(rig_answer(&r, stray), "200 6");
    assert_null(rig_answer(&r, poll));
    client_post(&a, "42[\"message\",4]");
    assert_starts(rig_answer(&r, poll), "200 42[\"message\",4]");
    rig_close(&r);
}

static void same_t_waits_beside_the_first(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a);
    client_hear(&b);
    int first = b.poll;
    char t[16];
    snprintf(t, sizeof t, "t%d", b.t - 1);
    int second = raw(&b, "GET", t, "");
    assert_null(rig_answer(&r, first));
    assert_null(rig_answer(&r, second));
    client_post(&a, "42[\"message\",1]");
    assert_starts(rig_answer(&r, second), "200 42[\"message\",1]");
    assert_string_equal(rig_answer(&r, first), rig_answer(&r, second));
    rig_close(&r);
}

/* The session's number, for what the host tells of it. */
static int64_t number_of(struct client *c)
{
    return ask_of(c->rig, ASK_SESSION, c->sid);
}

/* What asked twice lives twice: the first connection's end says nothing of the second. */
static void one_of_two_connections_ends(bool the_first)
{
    struct rig r;
    struct client a, b;

    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a);
    client_hear(&b);
    r.now++;
    client_post(&a, "42[\"chat\",1]");
    client_hear(&b);
    char t[16];
    snprintf(t, sizeof t, "t%d", b.t - 1);
    int twin = raw(&b, "GET", t, "");
    int ended = the_first ? b.poll : twin, other = the_first ? twin : b.poll;
    core_gone(r.core, number_of(&b), ended, r.now);
    rig_turn(&r, false);
    assert_string_equal(rig_answer(&r, ended), "200 ");         /* nobody is there to read it */
    assert_null(rig_answer(&r, other));
    client_post(&a, "42[\"chat\",2]");
    assert_starts(rig_answer(&r, other), "200 42[\"chat\",2]");
    rig_close(&r);
}

static void a_connection_that_ends_takes_its_own_poll_alone(void **state)
{
    (void)state;
    one_of_two_connections_ends(true);
    one_of_two_connections_ends(false);
}

/* After a stall the pong may lie in what has not been read yet. */
static void nobody_is_judged_while_requests_wait(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    rig_wait(&r, 25000);
    a.poll = raw(&a, "GET", "after-ping", "");
    r.behind = true;
    rig_wait(&r, 30000);
    assert_null(rig_answer(&r, a.poll));
    r.behind = false;
    assert_string_equal(client_post(&a, "3"), "200 ok");
    rig_wait(&r, 1000);
    assert_null(rig_answer(&r, a.poll));
    rig_close(&r);
}

static void second_poll_closes_session(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    assert_starts(answer_of(&a, "GET", "other", ""), "400 {\"code\":3");
    assert_string_equal(rig_answer(&r, a.poll), "200 1");
    assert_starts(answer_of(&a, "GET", "third", ""), "400 {\"code\":1");
    rig_close(&r);
}

static void poll_held_by_a_process_that_died_is_forgotten(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    rig_restart(&r);
    int poll = raw(&a, "GET", "fresh", "");
    assert_null(rig_answer(&r, poll));          /* held, not refused */
    rig_close(&r);
}

static void client_close_makes_the_sid_unknown(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    int poll = a.poll;
    assert_string_equal(client_post(&a, "1"), "200 ok");
    assert_string_equal(rig_answer(&r, poll), "200 6");
    assert_starts(answer_of(&a, "GET", "x", ""), "400 {\"code\":1");
    rig_close(&r);
}

static void protocol_errors_close_the_session(void **state)
{
    static const char *const bodies[] = { "",
                                          "9",
                                          "2",
                                          "4",
                                          "40",
                                          "42",
                                          "42{}",
                                          "42[]",
                                          "42[null]",
                                          "42[\"connect\"]",
                                          "44{}",
                                          "451-[\"e\",{\"_placeholder\":true,\"num\":1}]",
                                          "bAQID",
                                          "451-[\"e\",{\"_placeholder\":true,\"num\":0}]\x1e"
                                          "42[\"x\"]",
                                          "42[\"x\"]\x1e" };
    struct rig r;

    (void)state;
    rig_open(&r, quiet);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct client a;
        client_connect(&a, &r, "");
        int poll = a.poll;
        assert_starts(client_post(&a, bodies[i]), "400 {\"code\":3");
        assert_string_equal(rig_answer(&r, poll), "200 1");
    }
    rig_close(&r);
}

static void others_get_all_at_once(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"message\",0]");       /* answers the poll held */
    for (int i = 1; i <= 400; i++)
        client_post(&a, "42[\"message\",1]");
    const char *answer = answer_of(&b, "GET", "the next", "");
    size_t packets = 1;
    for (const char *p = answer; (p = strchr(p, '\x1e')) != NULL; p++)
        packets++;
    assert_int_equal(packets, 401);     /* the marker too */
    rig_close(&r);
}

static void answers_carry_at_most_16_packets_to_some(void **state)
{
    struct rig r;
    struct client a, b;
    char t[16];

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_open(&b, &r);                /* its POSTs have no t, as those of python-socketio */
    answer_of(&b, "POST", "", "40\x1e" "42[\"create or join\",\"room\"]");
    client_hear(&a), client_hear(&b);
    client_post(&a, "42[\"message\",0]");       /* answers the poll held */
    for (int i = 1; i <= 40; i++) {
        char body[32];
        snprintf(body, sizeof body, "42[\"message\",%d]", i);
        client_post(&a, body);
    }
    for (int n = 0, heard = 0; heard < 40; n++) {
        snprintf(t, sizeof t, "q%d", n);
        const char *answer = answer_of(&b, "GET", t, "");
        int packets = 1;
        assert_non_null(answer);
        for (const char *p = answer; (p = strchr(p, '\x1e')) != NULL; p++)
            packets++;
        assert_true(packets <= 16);
        heard += packets - 1;
    }
    rig_close(&r);
}

static void attachments_may_come_in_posts_of_their_own(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_hear(&a), client_hear(&b);
    client_post(&a,
                "452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    rig_restart(&r);
    client_post(&a, "bAQID");
    client_post(&a, "b");
    b.poll = -1;
    assert_said(&b, "452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}"
                    "]\nbAQID\nb");
    rig_close(&r);
}

static void flood_is_refused(void **state)
{
    static const char *const few[] = { "POLLUX_MAX_REQUESTS_PER_SECOND=5", NULL };
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, few);
    client_open(&a, &r);
    for (int i = 0; i < 5; i++)
        assert_string_equal(client_post(&a, "3"), "200 ok");
    assert_starts(client_post(&a, "3"), "429 {\"code\":4");
    rig_wait(&r, 1000);
    assert_string_equal(client_post(&a, "3"), "200 ok");
    rig_close(&r);
}

static void shim_learns_how_much_was_heard(void **state)
{
    struct rig r;
    struct client a, again;
    char body[128];

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    assert_null(strstr(a.heard, "\"n\":"));
    const char *open = rig_answer(&r, rig_send(&r, "GET", "EIO=4&transport=polling&pollux=1", ""));
    again = (struct client){ .rig = &r, .poll = -1 };
    snprintf(again.sid, sizeof again.sid, "%.20s", open + 13);
    snprintf(body, sizeof body, "40{\"pid\":\"%s\"}\x1e" "42[\"x\"]\x1e" "42[\"y\"]", a.pid);
    client_post(&again, body);
    client_hear(&again);
    assert_int_equal(ask(&r, ASK_HEARD), 2);
    client_post(&again, "1");
    open = rig_answer(&r, rig_send(&r, "GET", "EIO=4&transport=polling&pollux=1", ""));
    again = (struct client){ .rig = &r, .poll = -1 };
    snprintf(again.sid, sizeof again.sid, "%.20s", open + 13);
    snprintf(body, sizeof body, "40{\"pid\":\"%s\"}", a.pid);
    client_post(&again, body);
    assert_non_null(strstr(client_hear(&again), ",\"n\":2}"));
    rig_close(&r);
}

/* With a poll that waits, that is told; without, the next request finds nothing. */
static void what_was_broken_is_unknown_at_once(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    assert_starts(client_post(&a, "9"), "400 ");
    assert_string_equal(rig_answer(&r, a.poll), "200 1");
    assert_starts(answer_of(&a, "GET", "next", ""), "400 {\"code\":1");
    client_open(&a, &r);                /* no poll waits */
    assert_string_equal(client_post(&a, "40"), "200 ok");
    assert_starts(client_post(&a, "9"), "400 ");
    assert_starts(answer_of(&a, "GET", "next", ""), "400 {\"code\":1");
    client_open(&a, &r);
    assert_string_equal(client_post(&a, "40"), "200 ok");
    assert_starts(answer_of(&a, "GET", "one", ""), "200 40{");
    rig_wait(&r, 46000);                /* its heartbeat was never answered */
    assert_starts(answer_of(&a, "GET", "two", ""), "400 {\"code\":1");
    assert_int_equal(ask(&r, ASK_SESSIONS), 0);
    rig_close(&r);
}

/* The client has given its session up, and what it said last comes in the turn in which it
 * connects anew: the greeting counts it. */
static void what_came_in_the_same_turn_is_counted(void **state)
{
    struct rig r;
    struct client a, again;
    char query[128], body[64];

    (void)state;
    rig_open(&r, quiet);
    open_ours(&a, &r);
    client_post(&a, "40");
    client_hear(&a);
    const char *greeting = strstr(a.heard, "\"pid\":\"");
    assert_non_null(greeting);
    memcpy(a.pid, greeting + 7, 20);
    assert_string_equal(client_post(&a, "42[\"m\",0]"), "200 ok");
    open_ours(&again, &r);
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=late&sid=%s", a.sid);
    rig_give(&r, "POST", query, "42[\"m\",1]\x1e" "42[\"m\",2]\x1e" "42[\"m\",3]");
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=anew&sid=%s", again.sid);
    snprintf(body, sizeof body, "40{\"pid\":\"%s\"}", a.pid);
    rig_give(&r, "POST", query, body);
    rig_turn(&r, false);
    assert_non_null(strstr(client_hear(&again), ",\"n\":4}"));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_has_five_keys),
        cmocka_unit_test(errors_have_their_codes),
        cmocka_unit_test(a_request_cut_short_does_nothing),
        cmocka_unit_test(ping_comes_after_the_interval_and_pong_puts_it_off),
        cmocka_unit_test(pings_come_in_steps),
        cmocka_unit_test(without_a_pong_the_session_ends_and_the_socket_is_away),
        cmocka_unit_test(session_that_joins_nothing_is_closed),
        cmocka_unit_test(post_that_comes_again_is_applied_once),
        cmocka_unit_test(post_of_ours_may_wait_as_the_poll),
        cmocka_unit_test(post_that_overtook_another_is_put_off),
        cmocka_unit_test(post_of_others_does_not_wait),
        cmocka_unit_test(get_that_comes_late_takes_nothing),
        cmocka_unit_test(get_that_comes_again_gets_the_same_answer),
        cmocka_unit_test(ping_and_noop_come_again_too),
        cmocka_unit_test(what_a_dead_process_left_is_asked_again),
        cmocka_unit_test(a_post_of_ours_is_known_without_its_body),
        cmocka_unit_test(posts_with_one_t_are_all_applied),
        cmocka_unit_test(a_t_that_is_always_the_same_says_nothing),
        cmocka_unit_test(polls_that_take_turns_hear_everything_once),
        cmocka_unit_test(heartbeats_come_as_often_as_they_are_set_to),
        cmocka_unit_test(polls_with_the_clock_for_t_hear_everything_once),
        cmocka_unit_test(same_t_waits_beside_the_first),
        cmocka_unit_test(a_connection_that_ends_takes_its_own_poll_alone),
        cmocka_unit_test(nobody_is_judged_while_requests_wait),
        cmocka_unit_test(second_poll_closes_session),
        cmocka_unit_test(poll_held_by_a_process_that_died_is_forgotten),
        cmocka_unit_test(client_close_makes_the_sid_unknown),
        cmocka_unit_test(protocol_errors_close_the_session),
        cmocka_unit_test(answers_carry_at_most_16_packets_to_some),
        cmocka_unit_test(others_get_all_at_once),
        cmocka_unit_test(attachments_may_come_in_posts_of_their_own),
        cmocka_unit_test(flood_is_refused),
        cmocka_unit_test(shim_learns_how_much_was_heard),
        cmocka_unit_test(what_was_broken_is_unknown_at_once),
        cmocka_unit_test(what_came_in_the_same_turn_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
