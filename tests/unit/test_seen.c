/* test_seen.c - requests that come again are known for a while, others never. */
#include "store/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static struct mark nth(uint64_t whose, int n)
{
    char t[16];

    snprintf(t, sizeof t, "t%d", n);
    return (struct mark){ whose, hash_of(span_of(t)) };
}

static void known_whose_they_are(void **state)
{
    struct seen s = { .key = 7 };

    (void)state;
    for (int i = 0; i < 3000; i++) {
        assert_false(seen_has(&s, nth(1, i)));
        assert_true(seen_put(&s, nth(1, i), 0));
        assert_true(seen_has(&s, nth(1, i)));
    }
    for (int i = 0; i < 3000; i++) {
        assert_true(seen_has(&s, nth(1, i)));
        assert_false(seen_has(&s, nth(2, i)));
    }
    seen_clear(&s);
    assert_false(seen_has(&s, nth(1, 0)));
    assert_int_equal(s.key, 7);
}

static void known_for_a_while(void **state)
{
    struct seen s = { .key = 0 };

    (void)state;
    assert_true(seen_put(&s, nth(1, 0), 1000));
    assert_true(seen_put(&s, nth(1, 1), 1000 + SEEN_MS - 1));
    assert_true(seen_put(&s, nth(1, 2), 1000 + SEEN_MS));   /* the two before grow old */
    assert_true(seen_has(&s, nth(1, 0)));
    assert_true(seen_has(&s, nth(1, 1)));
    assert_true(seen_put(&s, nth(1, 3), 1000 + 2 * SEEN_MS - 1));
    assert_true(seen_has(&s, nth(1, 1)));
    assert_true(seen_put(&s, nth(1, 4), 1000 + 2 * SEEN_MS));
    assert_false(seen_has(&s, nth(1, 0)));
    assert_false(seen_has(&s, nth(1, 1)));
    assert_true(seen_has(&s, nth(1, 2)));
    /* the clock is set back: one age is over, and no more than one */
    assert_true(seen_put(&s, nth(1, 5), 0));
    assert_true(seen_put(&s, nth(1, 6), 1));
    for (int i = 4; i <= 6; i++)
        assert_true(seen_has(&s, nth(1, i)));
    seen_clear(&s);
}

static void the_latest_of_very_many_are_known(void **state)
{
    struct seen s = { .key = 0x123456789 };

    (void)state;
    for (int i = 0; i < 3 * SEEN_MOST; i++)
        assert_true(seen_put(&s, nth((uint64_t)i % 100, i), i / 100));
    for (int i = 2 * SEEN_MOST; i < 3 * SEEN_MOST; i++)
        assert_true(seen_has(&s, nth((uint64_t)i % 100, i)));
    assert_false(seen_has(&s, nth(0, 0)));
    assert_true(s.young.cap + s.old.cap <= 4 * SEEN_MOST);
    seen_clear(&s);
}

static void without_t_nothing_is_known(void **state)
{
    struct seen s = { .key = 0 };

    (void)state;
    assert_int_equal(hash_of(SPAN("")), 0);
    assert_true(seen_put(&s, (struct mark){ 1, 0 }, 0));
    assert_false(seen_has(&s, (struct mark){ 1, 0 }));
    assert_int_equal(s.young.count, 0);
}

/* FNV-1a's published vectors: what a store holds is read by later versions too. */
static void hashes_stay_the_same(void **state)
{
    (void)state;
    assert_true(hash_of(SPAN("a")) == 0xaf63dc4c8601ec8c);
    assert_true(hash_of(SPAN("foobar")) == 0x85944171f73967e8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_whose_they_are),
        cmocka_unit_test(known_for_a_while),
        cmocka_unit_test(the_latest_of_very_many_are_known),
        cmocka_unit_test(without_t_nothing_is_known),
        cmocka_unit_test(hashes_stay_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
