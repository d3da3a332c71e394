/* test_park.c - held polls: whatever is added and taken, the park agrees with a plain list. */
#include "core/park.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SESSIONS 300
#define STEPS 20000

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void agrees_with_a_plain_list(void **state)
{
    struct park *p = park_new();
    int64_t due[SESSIONS] = { 0 };              /* 0: not held */
    unsigned seed = 7;
    size_t count = 0;

    (void)state;
    assert_non_null(p);
    for (int step = 0; step < STEPS; step++) {
        int64_t session = next_random(&seed) % SESSIONS, earliest = INT64_MAX, named;
        struct held h = { .session = session,
                          .due_ms = 1 + next_random(&seed) % 1000,
                          .conn = { (int)session, 0 } };
        if (due[session] == 0 && next_random(&seed) % 3 != 0) {
            assert_true(park_add(p, &h));
            due[session] = h.due_ms;
            count++;
        } else if (due[session] != 0 && next_random(&seed) % 4 == 0) {
            park_put_off(p, session, h.due_ms);
            due[session] = h.due_ms;
        } else {
            assert_int_equal(park_take(p, session, &h), due[session] != 0);
            if (due[session] != 0) {
                assert_int_equal(h.due_ms, due[session]);
                assert_int_equal(h.conn.fd, session);
                due[session] = 0;
                count--;
            }
        }
        for (int i = 0; i < SESSIONS; i++) {
            assert_int_equal(park_has(p, i), due[i] != 0);
            if (due[i] != 0 && due[i] < earliest)
                earliest = due[i];
        }
        assert_int_equal(park_deadline(p), earliest);
        assert_int_equal(park_count(p), count);
        if (park_due(p, 500, &named))
            assert_int_equal(due[named], earliest);
        else
            assert_true(earliest > 500);
    }
    park_free(p);
}

static void twins_are_both_held(void **state)
{
    struct park *p = park_new();
    struct held h = { .session = 5, .due_ms = 10, .conn = { 1, 0 } };
    int fds = 0;

    (void)state;
    park_add(p, &h);
    h.conn.fd = 2;
    park_add(p, &h);
    park_put_off(p, 5, 99);
    assert_int_equal(park_deadline(p), 99);
    while (park_take(p, 5, &h))
        fds += h.conn.fd;
    assert_int_equal(fds, 3);
    assert_false(park_has(p, 5));
    park_free(p);
}

static void a_twin_is_taken_by_its_descriptor(void **state)
{
    struct park *p = park_new();
    struct held h = { .session = 5, .due_ms = 10, .conn = { 1, 0 } };

    (void)state;
    assert_false(park_take_fd(p, 5, 1, &h));
    park_add(p, &h);
    h.conn.fd = 2;
    park_add(p, &h);
    assert_false(park_take_fd(p, 5, 3, &h));
    assert_false(park_take_fd(p, 6, 2, &h));
    assert_true(park_take_fd(p, 5, 2, &h));
    assert_int_equal(h.conn.fd, 2);
    assert_true(park_take(p, 5, &h));
    assert_int_equal(h.conn.fd, 1);
    park_free(p);
}

static void very_many_of_one_session_are_put_off(void **state)
{
    struct park *p = park_new();
    struct held h = { .session = 5, .conn = { 1, 0 } }, other = { .session = 6, .due_ms = 50 };
    int count = 0;

    (void)state;
    for (h.due_ms = 1; h.due_ms <= 3000; h.due_ms++)
        assert_true(park_add(p, &h));
    assert_true(park_add(p, &other));
    park_put_off(p, 5, 4000);
    assert_int_equal(park_deadline(p), 50);
    assert_true(park_take(p, 6, &other));
    for (; park_take(p, 5, &h); count++)
        assert_int_equal(h.due_ms, 4000);
    assert_int_equal(count, 3000);
    park_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_plain_list),
        cmocka_unit_test(twins_are_both_held),
        cmocka_unit_test(a_twin_is_taken_by_its_descriptor),
        cmocka_unit_test(very_many_of_one_session_are_put_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
