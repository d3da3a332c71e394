/* test_buf.c - growing and borrowed runs of bytes. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void empty_buffer_has_an_empty_text(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    assert_true(buf_ok(&b));
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(buf_span(&b).len, 0);
    buf_add(&b, NULL, 0);
    assert_string_equal(buf_text(&b), "");
    buf_release(&b);
}

static void additions_follow_one_another(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b);
    buf_add(&b, "ab\0", 3);
    buf_add_span(&b, SPAN("c\0d"));
    buf_add_text(&b, "e");
    buf_add_char(&b, 'f');
    buf_add_int(&b, -12);
    buf_addf(&b, "%s=%d", "x", 7);
    assert_true(span_equals(buf_span(&b), SPAN("ab\0c\0def-12x=7")));
    assert_int_equal(buf_text(&b)[b.len], '\0');
    buf_release(&b);
    assert_null(b.data);
}

static void integers_are_printed_to_their_ends(void **state)
{
    static const struct {
        int64_t n;
        const char *text;
    } cases[] = {
        { 0, "0" }, { 9, "9" }, { 10, "10" }, { -1, "-1" }, { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    struct buf b = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&b);
        buf_add_int(&b, cases[i].n);
        assert_string_equal(buf_text(&b), cases[i].text);
    }
    buf_release(&b);
}

static void growth_keeps_what_is_there(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    for (int i = 0; i < 10000; i++)
        buf_add_char(&b, (char)i);
    assert_int_equal(b.len, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(b.data[i], (char)i);
    assert_true(b.cap > b.len);
    buf_release(&b);
}

static void room_counts_after_it_is_used(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    char *room = buf_room(&b, 1000);
    assert_non_null(room);
    memset(room, 'x', 1000);
    assert_int_equal(b.len, 0);
    buf_used(&b, 1000);
    assert_int_equal(b.len, 1000);
    assert_int_equal(buf_text(&b)[999], 'x');
    buf_release(&b);
}

static void failure_is_remembered_until_cleared(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    buf_add_text(&b, "kept");
    assert_null(buf_room(&b, SIZE_MAX - 100));
    assert_false(buf_ok(&b));
    buf_add_text(&b, "lost");
    buf_add_char(&b, 'l');
    buf_add_int(&b, 1);
    buf_addf(&b, "%d", 1);
    assert_int_equal(b.len, 4);
    assert_string_equal(buf_text(&b), "");
    buf_clear(&b);
    assert_true(buf_ok(&b));
    buf_add_text(&b, "new");
    assert_string_equal(buf_text(&b), "new");
    buf_release(&b);
}

static void spans_compare_by_their_bytes(void **state)
{
    (void)state;
    assert_true(span_equals(SPAN(""), (struct span){ NULL, 0 }));
    assert_true(span_equals(SPAN("a\0b"), SPAN("a\0b")));
    assert_false(span_equals(SPAN("a\0b"), SPAN("a\0c")));
    assert_false(span_equals(SPAN("a"), SPAN("ab")));
    assert_true(span_is(SPAN("abc"), "abc"));
    assert_false(span_is(SPAN("abc"), "ab"));
    assert_true(span_is(span_of(NULL), ""));
    assert_true(span_starts(SPAN("abc"), "ab"));
    assert_true(span_starts(SPAN("abc"), ""));
    assert_false(span_starts(SPAN("ab"), "abc"));
    assert_false(span_starts((struct span){ "abc", 2 }, "abc"));
    assert_int_equal(span_of("four").len, 4);
}

static void span_copy_fits_or_leaves_nothing(void **state)
{
    char out[4] = "???";

    (void)state;
    assert_true(span_copy(SPAN("abc"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_false(span_copy(SPAN("abcd"), out, sizeof out));
    assert_string_equal(out, "");
    assert_false(span_copy(SPAN("a\0b"), out, sizeof out));
    assert_string_equal(out, "");
    assert_true(span_copy((struct span){ NULL, 0 }, out, sizeof out));
    assert_false(span_copy(SPAN(""), out, 0));
}

static void span_int_takes_digits_alone(void **state)
{
    int64_t n = 0;

    (void)state;
    assert_true(span_int(SPAN("0"), &n) && n == 0);
    assert_true(span_int(SPAN("0042"), &n) && n == 42);
    assert_true(span_int(SPAN("9223372036854775807"), &n) && n == INT64_MAX);
    assert_false(span_int(SPAN("9223372036854775808"), &n));
    assert_false(span_int(SPAN("99999999999999999999"), &n));
    assert_false(span_int(SPAN(""), &n));
    assert_false(span_int(SPAN("-1"), &n));
    assert_false(span_int(SPAN("+1"), &n));
    assert_false(span_int(SPAN(" 1"), &n));
    assert_false(span_int(SPAN("1 "), &n));
    assert_false(span_int(SPAN("1a"), &n));
    assert_false(span_int(SPAN("1\0"), &n));
    assert_int_equal(n, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buffer_has_an_empty_text),
        cmocka_unit_test(additions_follow_one_another),
        cmocka_unit_test(integers_are_printed_to_their_ends),
        cmocka_unit_test(growth_keeps_what_is_there),
        cmocka_unit_test(room_counts_after_it_is_used),
        cmocka_unit_test(failure_is_remembered_until_cleared),
        cmocka_unit_test(spans_compare_by_their_bytes),
        cmocka_unit_test(span_copy_fits_or_leaves_nothing),
        cmocka_unit_test(span_int_takes_digits_alone),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
