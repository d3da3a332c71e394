/* test_hold.c - who holds a session's poll: two stores stand for two processes, and have one
 * process id between them, as processes in two pid namespaces may. */
#include "rig.h"

#include <stdio.h>


static const char *const quiet[] = { "POLLUX_LOG_EVENTS=no", NULL };

/* Where C's poll waits, as R sees it. */
static enum hold hold_in(struct rig *r, const struct client *c)
{
    const struct session *session = store_session(r->store, span_of(c->sid));

    assert_non_null(session);
    enum hold hold = store_hold(r->store, session);
    store_rollback(r->store);
    return hold;
}

static void a_poll_waits_here_elsewhere_or_nowhere(void **state)
{
    struct rig r, other;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    rig_join(&other, &r);
    client_open(&a, &r);
    assert_int_equal(hold_in(&r, &a), HOLD_NOBODY);
    client_join(&b, &other, "room");    /* that one is a holder, too */
    client_hear(&b);
    client_post(&a, "40");
    client_hear(&a);
    assert_int_equal(hold_in(&r, &a), HOLD_HERE);
    assert_int_equal(hold_in(&other, &a), HOLD_ELSEWHERE);
    rig_restart(&r);
    assert_int_equal(hold_in(&other, &a), HOLD_LOST);
    assert_int_equal(hold_in(&r, &a), HOLD_LOST);
    rig_close(&other);
    rig_close(&r);
}

static void processes_of_one_pid_wake_each_other(void **state)
{
    struct rig r, other;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    rig_join(&other, &r);
    client_join(&a, &r, "room");
    client_hear(&a);
    client_join(&b, &other, "room");
    assert_null(rig_answer(&r, a.poll));
    assert_true(other.rings);
    rig_turn(&r, true);
    assert_starts(rig_answer(&r, a.poll), "200 42[\"remotePeerJoining\"");
    rig_close(&other);
    rig_close(&r);
}

/* Who polls again after its process has died is not taken for somebody who polls twice. */
static void what_the_dead_held_is_free(void **state)
{
    struct rig r, other;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    rig_join(&other, &r);
    client_join(&a, &r, "room");
    client_hear(&a);
    rig_restart(&r);
    a.rig = &other;
    a.poll = -1;
    assert_said(&a, "");
    assert_int_equal(hold_in(&other, &a), HOLD_HERE);
    assert_starts(client_post(&a, "42[\"message\",1]"), "200 ok");
    rig_close(&other);
    rig_close(&r);
}

/* A turn that fails leaves no holder's row, and the next writes it. */
static void a_holder_is_noted_when_its_turn_lasts(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    client_open(&a, &r);
    struct session *session = store_session(r.store, span_of(a.sid));
    store_hold_here(r.store, session);
    store_rollback(r.store);
    assert_int_equal(ask(&r, ASK_HOLDERS), 0);
    client_post(&a, "40");
    client_hear(&a);
    assert_int_equal(ask(&r, ASK_HELD), 1);
    rig_close(&r);
}

static void rows_of_the_dead_go(void **state)
{
    struct rig r;
    struct client a;

    (void)state;
    rig_open(&r, quiet);
    for (int i = 0; i < 40; i++) {
        client_join(&a, &r, "room");
        client_hear(&a);
        rig_restart(&r);
    }
    assert_int_equal(ask(&r, ASK_HOLDERS), 1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poll_waits_here_elsewhere_or_nowhere),
        cmocka_unit_test(processes_of_one_pid_wake_each_other),
        cmocka_unit_test(what_the_dead_held_is_free),
        cmocka_unit_test(a_holder_is_noted_when_its_turn_lasts),
        cmocka_unit_test(rows_of_the_dead_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
