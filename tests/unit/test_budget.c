/* test_budget.c - who works too much waits, and who does not is never held up for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "budget.h"

#define PER_MS 100
#define BRIM_US 200000

static void who_has_used_it_up_waits_and_goes_on(void **state)
{
    struct budget *b = calloc(1, sizeof *b);
    int64_t now = 1000000;

    (void)state;
    assert_true(budget_has(b, 7, now, PER_MS, BRIM_US));
    budget_spend(b, 7, now, PER_MS, BRIM_US - 1);
    assert_true(budget_has(b, 7, now, PER_MS, BRIM_US));
    budget_spend(b, 7, now, PER_MS, 50001);             /* what is begun is finished */
    assert_false(budget_has(b, 7, now, PER_MS, BRIM_US));
    assert_true(budget_has(b, 8, now, PER_MS, BRIM_US));
    assert_false(budget_has(b, 7, now + 500, PER_MS, BRIM_US));
    assert_true(budget_has(b, 7, now + 501, PER_MS, BRIM_US));
    assert_true(budget_has(b, 7, now + INT64_C(1000000000000), PER_MS, BRIM_US));
    assert_false(budget_has(b, 7, now - 5000, PER_MS, BRIM_US));
    free(b);
}

static void a_steady_rate_is_never_held_up(void **state)
{
    struct budget *b = calloc(1, sizeof *b);

    (void)state;
    for (int64_t now = 0; now < 100000; now += 10) {
        assert_true(budget_has(b, 7, now, PER_MS, BRIM_US));
        budget_spend(b, 7, now, PER_MS, 10 * PER_MS);
    }
    free(b);
}

/* However many others there are: those are forgotten who did little. */
static void who_works_much_is_not_forgotten_for_many(void **state)
{
    struct budget *b = calloc(1, sizeof *b);

    (void)state;
    budget_spend(b, 7, 0, PER_MS, 10 * BRIM_US);
    for (uint64_t whose = 100; whose < 100000; whose++)
        budget_spend(b, whose, 1, PER_MS, 10);
    assert_false(budget_has(b, 7, 2, PER_MS, BRIM_US));
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_used_it_up_waits_and_goes_on),
        cmocka_unit_test(a_steady_rate_is_never_held_up),
        cmocka_unit_test(who_works_much_is_not_forgotten_for_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
