/* test_seats.c - who keeps a seat and who loses it, with the clock set by hand and connections that
 * end when the test says so. */
#include "rig.h"

#include <stdio.h>

#include "rules/presence.h"

static const char *const quiet[] = { "POLLUX_LOG_EVENTS=no", NULL };

/* A and B, in channel `room`, all that came of it heard, a poll of each held. */
static void pair(struct rig *r, struct client *a, struct client *b)
{
    client_join(a, r, "room");
    client_hear(a);
    client_join(b, r, "room");
    client_hear(a);
    client_hear(b);
    rig_wait(r, 500);                   /* their polls are not of this moment */
}

/* The web server says that the connection of C's held poll has ended. */
static void cut(struct client *c)
{
    int64_t session = ask_of(c->rig, ASK_SESSION, c->sid);

    core_gone(c->rig->core, session, c->poll, c->rig->now);
    rig_turn(c->rig, false);
}

static bool heard(struct client *c, const char *event)
{
    return strstr(client_hear(c), event) != NULL;
}

/* Let MS pass while those in LIST hear whatever there is, heartbeats too. Returns how often it held
 * EVENT. */
static int pass(struct rig *r, int64_t ms, struct client *const *list, const char *event)
{
    int count = 0;

    for (; ms > 0; ms -= 50) {
        rig_wait(r, ms < 50 ? ms : 50);
        for (size_t i = 0; list[i] != NULL; i++)
            count += heard(list[i], event);
    }
    return count;
}

static void come_back(struct client *again, const struct client *before)
{
    char extra[128];

    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", before->pid,
             before->offset);
    client_connect(again, before->rig, extra);
    assert_string_equal(again->id, before->id);
}

/* ---- evidence */

static void evidence_and_nothing_else_speaks_against_somebody(void **state)
{
    static const struct {
        struct signs signs;             /* begun at 1000, to be told by 3000, a grace of 500 */
        int64_t now;
        enum presence expected;
    } cases[] = {
        { { .ended_ms = 0, .polled_ms = 10, .watched = true }, 1249, PRESENCE_UNSURE },
        { { .ended_ms = 0, .polled_ms = 10, .watched = true }, 1250, PRESENCE_HERE },
        { { .ended_ms = 0, .polled_ms = 10, .watched = false }, 1000, PRESENCE_UNSURE },
        { { .ended_ms = 0, .polled_ms = 10, .watched = false }, 2999, PRESENCE_UNSURE },
        { { .ended_ms = 0, .polled_ms = 10, .watched = false }, 3000, PRESENCE_HERE },
        { { .ended_ms = 0, .polled_ms = 1000, .watched = false }, 1000, PRESENCE_HERE },
        { { .ended_ms = 600, .polled_ms = 10, .watched = false }, 1000, PRESENCE_UNSURE },
        { { .ended_ms = 600, .polled_ms = 10, .watched = false }, 1100, PRESENCE_GONE },
        { { .ended_ms = 2900, .polled_ms = 10, .watched = false }, 3000, PRESENCE_UNSURE },
        { { .ended_ms = 2900, .polled_ms = 1500, .watched = false }, 3400, PRESENCE_GONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(presence_of(&cases[i].signs, cases[i].now, 1000, 3000, 500),
                         cases[i].expected);
}

static void third_is_told_full_soon_where_ends_are_told(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    r.software = "nginx/1.22.1";
    pair(&r, &a, &b);
    int poll = a.poll;
    client_join(&c, &r, "room");
    assert_said(&c, "");
    rig_wait(&r, 300);
    assert_said(&c, "42[\"full\",\"room\"]");
    assert_null(rig_answer(&r, poll));          /* nobody was disturbed */
    assert_false(r.begun[poll]);
    rig_close(&r);
}

/* lighttpd tells from a connection's second request on. */
static void connections_that_asked_before_are_watched(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    r.software = "lighttpd/1.4.69";
    r.port = 50000;
    pair(&r, &a, &b);
    client_join(&c, &r, "room");
    rig_wait(&r, 300);
    assert_said(&c, "42[\"full\",\"room\"]");
    r.port = 50001;
    client_post(&a, "42[\"x\"]");               /* b is answered, and polls through a new one */
    client_hear(&b);
    rig_wait(&r, 500);
    client_join(&c, &r, "room");
    assert_said(&c, "");
    assert_true(r.begun[b.poll]);
    assert_false(r.begun[a.poll]);
    rig_close(&r);
}

static void third_is_told_full_in_time_where_ends_may_not_be_told(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_join(&c, &r, "room");
    assert_true(r.begun[a.poll] && r.begun[b.poll]);
    rig_wait(&r, 1900);
    assert_said(&c, "");
    rig_wait(&r, 200);
    assert_said(&c, "42[\"full\",\"room\"]");
    assert_int_equal(ask(&r, ASK_MEMBERS), 2);
    rig_close(&r);
}

static void who_polls_again_is_there(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_join(&c, &r, "room");
    r.now++;
    client_post(&a, "42[\"x\"]\x1e" "421[\"y\"]");     /* and an answer for itself */
    client_hear(&a);
    client_hear(&b);
    rig_wait(&r, 30);
    assert_said(&c, "42[\"full\",\"room\"]");
    rig_close(&r);
}

/* The page waits in prompt(): its poll was answered, and it asks for no other. */
static void who_is_slow_keeps_the_seat(void **state)
{
    struct rig r;
    struct client a, b, c[5];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&a, "42[\"x\"]");
    assert_non_null(rig_answer(&r, b.poll));
    for (int i = 0; i < 5; i++) {
        client_join(&c[i], &r, "room");
        assert_int_equal(pass(&r, 4000, (struct client *[]){ &a, &c[i], NULL }, "42[\"full\""), 1);
    }
    assert_said(&b, "42[\"x\"]");
    assert_int_equal(ask(&r, ASK_MEMBERS), 2);
    rig_close(&r);
}

/* The same with its poll held: what was begun is ended with what there is to hear. */
static void a_begun_answer_is_ended_with_what_there_is(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    int poll = b.poll;
    client_join(&c, &r, "room");
    rig_wait(&r, 10000);
    assert_null(rig_answer(&r, poll));
    client_post(&a, "42[\"x\"]");
    assert_starts(rig_answer(&r, poll), "200 42[\"x\"]");
    rig_close(&r);
}

/* ---- those who have gone */

static void a_newcomer_takes_the_seat_of_one_whose_connection_has_ended(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_join(&c, &r, "room");
    rig_wait(&r, 5);
    cut(&b);                                    /* the probe made it show */
    rig_wait(&r, 1950);
    assert_said(&c, "");
    assert_said(&a, "");
    rig_wait(&r, 100);
    assert_true(heard(&c, "42[\"joined\",\"room\""));
    client_hear(&a);
    const char *leave = strstr(a.heard, "42[\"leave\",\"room\""),
    *join = strstr(a.heard, "42[\"join\"");
    assert_true(leave != NULL && join != NULL && leave < join);
    rig_close(&r);
}

static void the_word_of_an_end_is_waited_for(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    r.software = "nginx/1.22.1";
    pair(&r, &a, &b);
    client_join(&c, &r, "room");
    rig_wait(&r, 5);
    cut(&b);
    rig_wait(&r, 2100);
    assert_true(heard(&c, "42[\"joined\",\"room\""));
    rig_close(&r);
}

static void who_has_been_gone_for_long_enough_loses_the_seat_at_once(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    rig_wait(&r, 2500);
    client_join(&c, &r, "room");
    assert_true(heard(&c, "42[\"joined\",\"room\""));
    rig_close(&r);
}

static void who_comes_back_in_the_grace_keeps_the_seat(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    client_join(&c, &r, "room");
    rig_wait(&r, 1000);
    client_hear(&b);
    rig_wait(&r, 5000);
    assert_said(&c, "42[\"full\",\"room\"]");
    assert_said(&a, "");
    rig_close(&r);
}

/* It may have been on its way when the page was closed. */
static void a_post_is_no_sign_of_life(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    client_post(&b, "42[\"x\"]");
    assert_said(&a, "42[\"x\"]");
    rig_wait(&r, 4100);
    assert_true(heard(&a, "42[\"leave\""));
    rig_close(&r);
}

static void the_others_are_told_though_nobody_asks(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    rig_wait(&r, 3900);
    assert_said(&a, "");
    rig_wait(&r, 200);
    assert_true(heard(&a, "42[\"leave\",\"room\""));
    assert_int_equal(pass(&r, 130000, (struct client *[]){ &a, NULL }, "leave"), 0);   /* once */
    assert_int_equal(ask(&r, ASK_FORMERS), 0);
    rig_close(&r);
}

static void who_closed_its_session_leaves_as_well(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "1");                       /* lost, without a 41 */
    assert_int_equal(pass(&r, 3900, (struct client *[]){ &a, NULL }, "leave"), 0);
    assert_int_equal(pass(&r, 200, (struct client *[]){ &a, NULL }, "leave"), 1);
    rig_close(&r);
}

/* Nobody could poll while there was no server. */
static void ends_of_before_are_not_judged_at_once(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    r.now += 20000;
    rig_restart(&r);
    client_post(&a, "3");
    rig_wait(&r, 9000);
    assert_int_equal(ask(&r, ASK_MEMBERS), 2);
    rig_close(&r);
}

/* ---- coming back */

static void who_left_so_goes_back_as_a_joiner(void **state)
{
    struct rig r;
    struct client a, b, again;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    rig_wait(&r, 4100);
    assert_true(heard(&a, "42[\"leave\""));
    client_post(&a, "42[\"x\"]");               /* to nobody */
    come_back(&again, &b);
    assert_starts(again.heard, "40{");
    assert_non_null(strstr(again.heard, "42[\"joined\",\"room\""));
    assert_null(strstr(again.heard, "42[\"x\"]"));
    assert_true(heard(&a, "42[\"join\",\"room\""));
    client_post(&again, "42[\"y\"]");
    assert_said(&a, "42[\"y\"]");
    rig_close(&r);
}

static void who_is_back_before_has_never_left(void **state)
{
    struct rig r;
    struct client a, b, again;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "1");
    client_post(&a, "42[\"x\"]");
    rig_wait(&r, 3000);
    come_back(&again, &b);
    assert_starts(again.heard, "42[\"x\"]\n40{");
    assert_null(strstr(again.heard, "joined"));
    assert_int_equal(pass(&r, 6000, (struct client *[]){ &a, &again, NULL }, "leave"), 0);
    rig_close(&r);
}

static void who_finds_no_room_is_told_full(void **state)
{
    struct rig r;
    struct client a, b, c, again;

    (void)state;
    rig_open(&r, quiet);
    r.software = "nginx/1.22.1";
    pair(&r, &a, &b);
    client_post(&b, "1");
    rig_wait(&r, 2500);
    client_join(&c, &r, "room");                /* takes the seat */
    assert_true(heard(&c, "42[\"joined\""));
    client_hear(&a);
    rig_wait(&r, 500);
    come_back(&again, &b);
    rig_wait(&r, 300);
    assert_non_null(strstr(client_hear(&again), "42[\"full\",\"room\"]"));
    assert_int_equal(ask(&r, ASK_MEMBERS), 2);
    rig_close(&r);
}

static void who_was_the_last_creates_it_anew(void **state)
{
    struct rig r;
    struct client a, again;

    (void)state;
    rig_open(&r, quiet);
    client_join(&a, &r, "room");
    client_hear(&a);
    client_post(&a, "1");
    rig_wait(&r, 5000);
    assert_int_equal(ask(&r, ASK_CHANNELS), 0);
    come_back(&again, &a);
    assert_non_null(strstr(again.heard, "42[\"created\",\"room\""));
    rig_close(&r);
}

/* ---- several at a time */

/* A page that reloads twice, each time without a word: the other stays. */
static void a_page_that_reloads_twice_throws_nobody_out(void **state)
{
    struct rig r;
    struct client a, b, second, third;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    cut(&b);
    client_join(&second, &r, "room");
    assert_int_equal(pass(&r, 1450, (struct client *[]){ &a, &second, NULL }, "42[\"joined\""), 0);
    cut(&second);
    second.poll = -1;
    client_join(&third, &r, "room");
    int joined = 0, left = 0;
    for (int i = 0; i < 200; i++) {
        rig_wait(&r, 50);
        joined += heard(&third, "42[\"joined\"");
        left += heard(&a, "42[\"leave\"");
    }
    assert_int_equal(joined, 1);
    assert_true(left >= 1);
    assert_int_equal(ask(&r, ASK_MEMBERS), 2);
    assert_starts(client_post(&a, "3"), "200 ok");      /* its session lives */
    rig_close(&r);
}

static void strangers_who_keep_asking_get_nothing(void **state)
{
    struct rig r;
    struct client a, b, c, d;
    int joined = 0;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_connect(&c, &r, "");
    client_connect(&d, &r, "");
    for (int i = 0; i < 100; i++) {             /* a and b do not poll: their lines are slow */
        client_post(i % 2 == 0 ? &c : &d, "42[\"create or join\",\"room\"]");
        rig_wait(&r, 100);
        joined += heard(&c, "42[\"joined\"") + heard(&d, "42[\"joined\"");
    }
    assert_int_equal(joined, 0);
    assert_int_equal(ask(&r, ASK_MEMBERS), 2);
    rig_close(&r);
}

/* The poll is held by another process, which begins its answer when it hears the bell. */
static void a_poll_held_elsewhere_is_probed_there(void **state)
{
    struct rig r, other;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    rig_join(&other, &r);
    pair(&r, &a, &b);
    other.now = r.now;
    client_join(&c, &other, "room");
    assert_false(r.begun[a.poll]);
    rig_turn(&r, true);
    assert_true(r.begun[a.poll]);
    rig_close(&other);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_and_nothing_else_speaks_against_somebody),
        cmocka_unit_test(third_is_told_full_soon_where_ends_are_told),
        cmocka_unit_test(connections_that_asked_before_are_watched),
        cmocka_unit_test(third_is_told_full_in_time_where_ends_may_not_be_told),
        cmocka_unit_test(who_polls_again_is_there),
        cmocka_unit_test(who_is_slow_keeps_the_seat),
        cmocka_unit_test(a_begun_answer_is_ended_with_what_there_is),
        cmocka_unit_test(a_newcomer_takes_the_seat_of_one_whose_connection_has_ended),
        cmocka_unit_test(the_word_of_an_end_is_waited_for),
        cmocka_unit_test(who_has_been_gone_for_long_enough_loses_the_seat_at_once),
        cmocka_unit_test(who_comes_back_in_the_grace_keeps_the_seat),
        cmocka_unit_test(a_post_is_no_sign_of_life),
        cmocka_unit_test(the_others_are_told_though_nobody_asks),
        cmocka_unit_test(who_closed_its_session_leaves_as_well),
        cmocka_unit_test(ends_of_before_are_not_judged_at_once),
        cmocka_unit_test(who_left_so_goes_back_as_a_joiner),
        cmocka_unit_test(who_is_back_before_has_never_left),
        cmocka_unit_test(who_finds_no_room_is_told_full),
        cmocka_unit_test(who_was_the_last_creates_it_anew),
        cmocka_unit_test(a_page_that_reloads_twice_throws_nobody_out),
        cmocka_unit_test(strangers_who_keep_asking_get_nothing),
        cmocka_unit_test(a_poll_held_elsewhere_is_probed_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
