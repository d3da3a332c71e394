/* test_budget.c - what each has used of the time, and what is forgiven. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/budget.h"

#define PER_MS 100

static void what_was_used_is_forgiven_in_time(void **state)
{
    struct budget *b = calloc(1, sizeof *b);
    int64_t now = 1000000;

    (void)state;
    assert_int_equal(budget_used(b, 7, now, PER_MS), 0);
    budget_spend(b, 7, now, PER_MS, 200000);
    budget_spend(b, 7, now, PER_MS, 50000);
    assert_int_equal(budget_used(b, 7, now, PER_MS), 250000);
    assert_int_equal(budget_used(b, 8, now, PER_MS), 0);
    assert_int_equal(budget_used(b, 7, now + 500, PER_MS), 200000);
    assert_int_equal(budget_used(b, 7, now + 2501, PER_MS), 0);
    assert_int_equal(budget_used(b, 7, now + INT64_C(1000000000000), PER_MS), 0);
    assert_int_equal(budget_used(b, 7, now - 5000, PER_MS), 250000);
    free(b);
}

static void a_steady_rate_adds_up_to_nothing(void **state)
{
    struct budget *b = calloc(1, sizeof *b);

    (void)state;
    for (int64_t now = 0; now < 100000; now += 10) {
        assert_int_equal(budget_used(b, 7, now, PER_MS), 0);
        budget_spend(b, 7, now, PER_MS, 10 * PER_MS);
    }
    free(b);
}

/* However many others there are: those are forgotten who did little. */
static void who_works_much_is_not_forgotten_for_many(void **state)
{
    struct budget *b = calloc(1, sizeof *b);

    (void)state;
    budget_spend(b, 7, 0, PER_MS, 2000000);
    for (uint64_t whose = 100; whose < 100000; whose++)
        budget_spend(b, whose, 1, PER_MS, 10);
    assert_int_equal(budget_used(b, 7, 2, PER_MS), 2000000 - 2 * PER_MS);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_used_is_forgiven_in_time),
        cmocka_unit_test(a_steady_rate_adds_up_to_nothing),
        cmocka_unit_test(who_works_much_is_not_forgotten_for_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
