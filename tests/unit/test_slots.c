/* test_slots.c - polls where each takes a process: which are answered early, and what is told to
 * whom. Several stores stand for as many processes. */
#include "rig.h"

#include <stdio.h>

#define MOST 8

static struct rig rigs[MOST];
static int count, requests;
static int polls[MOST];

/* COUNT processes on one store. */
static void begin(int processes, enum scarce scarce, const char *slots)
{
    const char *keys[] = { slots, NULL };

    count = processes;
    rig_open(&rigs[0], keys);
    for (int i = 1; i < count; i++)
        rig_join(&rigs[i], &rigs[0]);
    for (int i = 0; i < count; i++)
        core_scarce(rigs[i].core, scarce);
}

static void end(void)
{
    while (count > 0)
        rig_close(&rigs[--count]);
}

/* Time passes for all. */
static void pass(int64_t ms)
{
    for (int64_t step = ms < 50 ? ms : 50; ms > 0; ms -= step)
        for (int i = 0; i < count; i++)
            rig_wait(&rigs[i], step);
}

enum whose { OURS, OFFICIAL };

/* A new session, which asks process I. */
static void open_session(int i, enum whose whose, char sid[32])
{
    char query[200];

    snprintf(query, sizeof query, "EIO=4&transport=polling&t=slots%d%s", ++requests,
             whose == OURS ? "&pollux=1" : "");
    const char *answer = rig_answer(&rigs[i], rig_send(&rigs[i], "GET", query, ""));
    assert_int_equal(sscanf(answer, "200 0{\"sid\":\"%31[^\"]\"", sid), 1);
}

/* A poll of a new session waits in process I. */
static void hold(int i, enum whose whose)
{
    char sid[32], query[200];

    open_session(i, whose, sid);
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=slots%d&sid=%s", ++requests, sid);
    polls[i] = rig_send(&rigs[i], "GET", query, "");
    assert_null(rig_answer(&rigs[i], polls[i]));
}

static const char *answer(int i)
{
    return rig_answer(&rigs[i], polls[i]);
}

static void the_oldest_beyond_what_may_wait_is_answered_early_and_told_to_pause(void **state)
{
    (void)state;
    begin(4, SCARCE_UNCOUNTED, "POLLUX_SLOTS=4");       /* two of them are kept free */
    for (int i = 0; i < 3; i++) {
        hold(i, OURS);
        pass(10);
    }
    pass(200);
    assert_null(answer(0));                     /* not yet */
    pass(200);
    assert_string_equal(answer(0), "200 6150"); /* three sessions on two slots */
    pass(5000);
    assert_null(answer(1));
    assert_null(answer(2));
    end();
}

static void with_a_slot_for_each_nobody_is_answered_early(void **state)
{
    (void)state;
    begin(3, SCARCE_UNCOUNTED, "POLLUX_SLOTS=5");
    for (int i = 0; i < 3; i++)
        hold(i, OURS);
    pass(10000);
    for (int i = 0; i < 3; i++)
        assert_null(answer(i));
    end();
}

static void other_clients_hear_a_plain_noop_and_sooner_while_others_like_them_wait(void **state)
{
    char sid[32];

    (void)state;
    begin(4, SCARCE_UNCOUNTED, "POLLUX_SLOTS=4");
    for (int i = 0; i < 3; i++)
        hold(i, OFFICIAL);
    pass(350);
    int early = 0;
    for (int i = 0; i < 3; i++)
        early += answer(i) != NULL && strcmp(answer(i), "200 6") == 0;
    assert_int_equal(early, 1);
    end();

    begin(4, SCARCE_UNCOUNTED, "POLLUX_SLOTS=4");
    for (int i = 0; i < 3; i++)
        hold(i, OFFICIAL);
    open_session(3, OFFICIAL, sid);             /* and its poll finds no process */
    pass(100);
    early = 0;
    for (int i = 0; i < 3; i++)
        early += answer(i) != NULL;
    assert_true(early >= 1);
    end();
}

static void where_processes_are_counted_they_are_scarce_when_somebody_waits_for_one(void **state)
{
    char sid[32];

    (void)state;
    begin(4, SCARCE_COUNTED, "POLLUX_SLOTS=0");
    open_session(3, OURS, sid);                 /* and never polls */
    for (int i = 0; i < 3; i++)
        hold(i, OURS);
    pass(3000);
    for (int i = 0; i < 3; i++)
        assert_null(answer(i));                 /* the fourth process does nothing */
    hold(3, OURS);
    pass(3000);
    int early = 0;
    for (int i = 0; i < 4; i++)
        early += answer(i) != NULL;
    assert_true(early >= 1);
    end();
}

static void who_has_gone_without_a_word_makes_nothing_scarce_for_long(void **state)
{
    char sid[32];

    (void)state;
    begin(4, SCARCE_COUNTED, "POLLUX_SLOTS=0");
    open_session(3, OFFICIAL, sid);
    pass(40000);                                /* a heartbeat's interval, and more */
    for (int i = 0; i < 3; i++)
        hold(i, OFFICIAL);
    pass(3000);
    for (int i = 0; i < 3; i++)
        assert_null(answer(i));
    end();
}

static void a_process_that_is_asked_while_a_poll_waits_is_not_alone(void **state)
{
    char sid[32];

    (void)state;
    begin(2, SCARCE_COUNTED, "POLLUX_SLOTS=1");
    hold(0, OURS);
    hold(1, OURS);
    open_session(0, OURS, sid);
    open_session(1, OURS, sid);
    pass(5000);
    assert_null(answer(0));
    assert_null(answer(1));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_beyond_what_may_wait_is_answered_early_and_told_to_pause),
        cmocka_unit_test(with_a_slot_for_each_nobody_is_answered_early),
        cmocka_unit_test(other_clients_hear_a_plain_noop_and_sooner_while_others_like_them_wait),
        cmocka_unit_test(where_processes_are_counted_they_are_scarce_when_somebody_waits_for_one),
        cmocka_unit_test(who_has_gone_without_a_word_makes_nothing_scarce_for_long),
        cmocka_unit_test(a_process_that_is_asked_while_a_poll_waits_is_not_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
