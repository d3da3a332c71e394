/* test_attached.c - attachments are found again as they were kept. */
#include "store/attached.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Rows of databases that exist look so. */
static void each_stands_behind_its_byte(void **state)
{
    struct buf kept = BUF_EMPTY;

    (void)state;
    attached_begin(&kept);
    buf_add_text(&kept, "AQID");
    attached_begin(&kept);
    attached_begin(&kept);
    buf_add_text(&kept, "BAU");
    assert_string_equal(buf_text(&kept), "\x1e" "AQID\x1e\x1e" "BAU");
    buf_release(&kept);
}

static void they_are_taken_one_by_one(void **state)
{
    static const struct {
        struct span kept;
        size_t count;
        const char *each[3];
    } cases[] = {
        { { "", 0 }, 0, { NULL } },
        { { NULL, 0 }, 0, { NULL } },
        { { "\x1e", 1 }, 1, { "" } },
        { { "\x1e" "AQID", 5 }, 1, { "AQID" } },
        { { "\x1e\x1e", 2 }, 2, { "", "" } },
        { { "\x1e" "AQID\x1e\x1e" "BAU", 10 }, 3, { "AQID", "", "BAU" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span rest = cases[i].kept, one;
        assert_int_equal(attached_count(rest), cases[i].count);
        for (size_t n = 0; n < cases[i].count; n++) {
            assert_true(attached_next(&rest, &one));
            assert_true(span_is(one, cases[i].each[n]));
        }
        assert_false(attached_next(&rest, &one));
        assert_int_equal(rest.len, 0);
    }
}

static void half_an_event_falls_into_text_and_attachments(void **state)
{
    struct span text, attached = attached_behind(SPAN("51-[{}]\x1e" "AQ\x1e"), &text);

    (void)state;
    assert_true(span_is(text, "51-[{}]"));
    assert_true(span_is(attached, "\x1e" "AQ\x1e"));
    attached = attached_behind(SPAN("51-[{}]"), &text);
    assert_true(span_is(text, "51-[{}]"));
    assert_int_equal(attached.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stands_behind_its_byte),
        cmocka_unit_test(they_are_taken_one_by_one),
        cmocka_unit_test(half_an_event_falls_into_text_and_attachments),
    };

    return cmocka_run_group_tests_name("attached", tests, NULL, NULL);
}
