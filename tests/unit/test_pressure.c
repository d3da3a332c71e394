/* test_pressure.c - who floods, never polls or vanishes by the hundreds: what that costs the others
 * has bounds, and every refusal says why. The clock is set by hand; work is counted, not timed. */
#include "rig.h"

#include <stdio.h>

#define OWED                                                                                       \
    "SELECT count(*) FROM delivery d JOIN socket k ON k.id = d.socket "                            \
    "WHERE d.arrived_ms IS NULL AND k.public = '%s'"

/* How many messages wait for C's socket. */
static int64_t owed(const struct client *c)
{
    char sql[256];

    snprintf(sql, sizeof sql, OWED, c->id);
    return rig_sql(c->rig, sql);
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
    client_join(&c, &r, "room");
    assert_non_null(strstr(client_hear(&c), "42[\"joined\",\"room\""));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coming_and_going_fills_no_queue_beyond_its_bound),
        cmocka_unit_test(farewells_fill_no_queue_beyond_its_bound),
        cmocka_unit_test(seat_of_one_away_is_given_whatever_waits_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
