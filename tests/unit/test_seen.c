/* test_seen.c - requests that come again are known for a while, others never. */
#include "seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t nth(int n)
{
    char t[16];

    snprintf(t, sizeof t, "t%d", n);
    return seen_hash(span_of(t));
}

static void known_until_many_others_came(void **state)
{
    struct seen s = { 0 };

    (void)state;
    seen_put(&s, nth(0));
    for (int i = 1; i < SEEN_MAX; i++) {
        assert_false(seen_has(&s, nth(i)));
        seen_put(&s, nth(i));
        assert_true(seen_has(&s, nth(0)));
        assert_true(seen_last(&s, nth(i)));
    }
    seen_put(&s, nth(SEEN_MAX));
    assert_false(seen_has(&s, nth(0)));
    for (int i = 1; i <= SEEN_MAX; i++)
        assert_true(seen_has(&s, nth(i)));
    assert_false(seen_last(&s, nth(1)));
}

static void without_t_nothing_is_known(void **state)
{
    struct seen s = { 0 };

    (void)state;
    assert_int_equal(seen_hash(SPAN("")), 0);
    assert_false(seen_last(&s, 0));
    seen_put(&s, 0);
    assert_false(seen_has(&s, 0));
    assert_false(seen_last(&s, 0));
}

static void bytes_and_back(void **state)
{
    struct seen a = { 0 }, b = { .count = 3 };

    (void)state;
    seen_read(&b, SPAN(""));
    assert_int_equal(b.count, 0);
    for (int i = 0; i < SEEN_MAX + 3; i++)
        seen_put(&a, nth(i));
    seen_read(&b, seen_bytes(&a));
    assert_memory_equal(&a, &b, sizeof a);
    seen_read(&b, SPAN("seven b"));
    assert_int_equal(b.count, 0);
    seen_read(&b, (struct span){ (const char *)&a, sizeof a });
    assert_int_equal(b.count, 0);
}

/* FNV-1a's published vectors, af63dc4c8601ec8c and 85944171f73967e8, their first 16 bits
 * folded into their last: what a store holds is read by later versions too. */
static void hashes_stay_the_same(void **state)
{
    struct seen s = { 0 };

    (void)state;
    assert_true(seen_hash(SPAN("a")) == 0xdc4c860143ef);
    assert_true(seen_hash(SPAN("foobar")) == 0x4171f739e27c);
    seen_put(&s, seen_hash(SPAN("a")));
    seen_put(&s, seen_hash(SPAN("foobar")));
    assert_memory_equal(seen_bytes(&s).p, "\x41\x71\xf7\x39\xe2\x7c\xdc\x4c\x86\x01\x43\xef", 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_until_many_others_came),
        cmocka_unit_test(without_t_nothing_is_known),
        cmocka_unit_test(bytes_and_back),
        cmocka_unit_test(hashes_stay_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
