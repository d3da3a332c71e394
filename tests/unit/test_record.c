/* test_record.c - FastCGI's records, by the byte: requests cut at every place, lengths that are not
 * true, and what a web server may say besides. */
#include "host/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/half.h"

#define T(literal) { "" literal, sizeof(literal) - 1 }

static const struct span begin = T("\1\1\0\1\0\10\0\0" "\0\1\1\0\0\0\0\0");
/* REQUEST_METHOD=POST, X= in the long form, with padding; then the end of the variables */
static const struct span head = T("\1\4\0\1\0\24\0\0" "\16\4REQUEST_METHODPOST"
                                  "\1\4\0\1\0\11\3\0" "\200\0\0\1\200\0\0\0X###"
                                  "\1\4\0\1\0\0\0\0");
static const struct span body = T("\1\5\0\1\0\3\5\0" "42[#####" "\1\5\0\1\0\4\0\0" "\"x\"]"
                                  "\1\5\0\1\0\0\0\0");

static void add(struct buf *out, struct span a, struct span b, struct span c)
{
    buf_clear(out);
    buf_add_span(out, a);
    buf_add_span(out, b);
    buf_add_span(out, c);
}

static enum record_state feed(struct records *r, struct span bytes, size_t from, size_t to)
{
    struct span piece = { bytes.p + from, to - from };

    return records_take(r, &piece);
}

static void check_request(const struct records *r)
{
    char *const *variables = records_variables(r);

    assert_true(r->head_whole && r->keep && r->id == 1);
    assert_string_equal(variables[0], "REQUEST_METHOD=POST");
    assert_string_equal(variables[1], "X=");
    assert_null(variables[2]);
    assert_true(span_is(buf_span(&r->body), "42[\"x\"]"));
}

static void a_request_may_be_cut_anywhere(void **state)
{
    struct buf all = BUF_EMPTY;
    struct records r;

    (void)state;
    records_init(&r, 100);
    add(&all, begin, head, body);
    for (size_t a = 0; a <= all.len; a++)
        for (size_t b = a; b <= all.len; b++) {
            records_clear(&r);
            assert_int_equal(feed(&r, buf_span(&all), 0, a), a < all.len ? RECORDS_MORE
                             : RECORDS_WHOLE);
            if (a == all.len)
                continue;
            assert_int_equal(feed(&r, buf_span(&all), a, b), b < all.len ? RECORDS_MORE
                             : RECORDS_WHOLE);
            if (b < all.len)
                assert_int_equal(feed(&r, buf_span(&all), b, all.len), RECORDS_WHOLE);
            check_request(&r);
        }
    records_clear(&r);
    for (size_t i = 0; i < all.len; i++)
        assert_int_equal(feed(&r, buf_span(&all), i, i + 1), i + 1 < all.len ? RECORDS_MORE
                         : RECORDS_WHOLE);
    check_request(&r);
    records_release(&r);
    buf_release(&all);
}

/* What has come may move, at any place: the variables are the same. */
static void a_half_may_be_moved_anywhere(void **state)
{
    struct buf request = BUF_EMPTY;
    struct halves halves;
    struct records in;

    (void)state;
    halves_init(&halves, 100, 60000);
    records_init(&in, 100);
    add(&request, begin, head, body);
    for (size_t at = 1; at < request.len; at++) {
        records_clear(&in);
        assert_non_null(buf_room(&in.head, 100000));            /* others needed that much */
        assert_int_equal(feed(&in, buf_span(&request), 0, at), RECORDS_MORE);
        int slot = halves_add(&halves, &in, 7, false, 0);
        assert_int_equal(slot, 0);
        assert_true(halves.slot[slot]->in.head.cap < 1000);
        free(calloc(1, 100000));                                /* where the head was */
        assert_int_equal(feed(&halves.slot[slot]->in, buf_span(&request), at, request.len),
                         RECORDS_WHOLE);
        halves_take(&halves, slot, &in);
        check_request(&in);
    }
    records_release(&in);
    buf_release(&request);
}

static void what_is_behind_a_request_stays(void **state)
{
    struct buf all = BUF_EMPTY;
    struct records r;

    (void)state;
    records_init(&r, 100);
    add(&all, begin, head, body);
    buf_add_text(&all, "more");
    struct span bytes = buf_span(&all);
    assert_int_equal(records_take(&r, &bytes), RECORDS_WHOLE);
    assert_true(span_is(bytes, "more"));
    records_release(&r);
    buf_release(&all);
}

/* Read BEGIN and BYTES; what is answered goes to REPLIES, if it is not NULL. */
static enum record_state after_begin(struct span bytes, struct buf *replies)
{
    struct buf all = BUF_EMPTY;
    struct records r;

    records_init(&r, 100);
    add(&all, begin, bytes, SPAN(""));
    enum record_state state = feed(&r, buf_span(&all), 0, all.len);
    if (replies != NULL) {
        buf_clear(replies);
        buf_add_span(replies, buf_span(&r.replies));
    }
    records_release(&r);
    buf_release(&all);
    return state;
}

static void nonsense_ends_the_connection(void **state)
{
    static const struct span wrong[] = {
        T("GET / HT"),
        T("\2\4\0\1\0\0\0\0"),                          /* another version */
        T("\1\1\0\1\0\10\0\0" "\0\1\1\0\0\0\0\0"),      /* the same request once more */
        T("\1\1\0\2\0\7\0\0"),                          /* a BEGIN of 7 bytes */
        T("\1\5\0\1\0\1\0\0" "x"),                      /* a body before the variables are whole */
        T("\1\3\0\1\0\0\0\0"), T("\1\6\0\1\0\0\0\0"),   /* what we say */
        T("\1\14\0\1\0\0\0\0"),                         /* a type that is none */
        T("\1\4\0\0\0\0\0\0"),                          /* variables of no request */
        T("\1\4\0\1\0\1\0\0" "\1" "\1\4\0\1\0\0\0\0"),  /* a length alone */
        T("\1\4\0\1\0\3\0\0" "\200\0\0" "\1\4\0\1\0\0\0\0"),
        T("\1\4\0\1\0\3\0\0" "\2\1x" "\1\4\0\1\0\0\0\0"),
        /* lengths of 2^31 - 1, whose sum is just below 2^32, and one of 2^30 twice */
        T("\1\4\0\1\0\12\0\0" "\377\377\377\377\377\377\377\377ab" "\1\4\0\1\0\0\0\0"),
        T("\1\4\0\1\0\12\0\0" "\300\0\0\0\300\0\0\0ab" "\1\4\0\1\0\0\0\0"),
        T("\1\4\0\1\0\12\0\0" "\200\0\0\1\377\377\377\377ab" "\1\4\0\1\0\0\0\0"),
    };
    struct records r;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (after_begin(wrong[i], NULL) != RECORDS_OVER)
            fail_msg("row %zu", i);
    records_init(&r, 100);
    /* no request at all */
    assert_int_equal(feed(&r, SPAN("\1\5\0\1\0\1\0\0"), 0, 8), RECORDS_OVER);
    records_release(&r);
}

static void whatever_else_is_said_has_its_answer(void **state)
{
    static const struct {
        struct span said, answer;
        enum record_state then;
    } rows[] = {
        { T("\1\11\0\0\0\21\0\0" "\17\0FCGI_MPXS_CONNS"),
          T("\1\12\0\0\0\22\0\0" "\17\1FCGI_MPXS_CONNS0"), RECORDS_MORE },
        { T("\1\115\0\0\0\0\0\0"), T("\1\13\0\0\0\10\0\0" "\115\0\0\0\0\0\0\0"), RECORDS_MORE },
        { T("\1\1\0\2\0\10\0\0" "\0\1\0\0\0\0\0\0" "\1\4\0\2\0\1\0\0" "x" "\1\4\0\2\0\0\0\0"
            "\1\5\0\2\0\0\0\0"),
          T("\1\3\0\2\0\10\0\0" "\0\0\0\0\1\0\0\0"), RECORDS_MORE },
        { T("\1\2\0\1\0\0\0\0"), T("\1\3\0\1\0\10\0\0" "\0\0\0\0\0\0\0\0"), RECORDS_OVER },
        { T("\1\2\0\7\0\0\0\0"), T(""), RECORDS_MORE },
    };
    struct buf replies = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (after_begin(rows[i].said, &replies) != rows[i].then
            || !span_equals(buf_span(&replies), rows[i].answer))
            fail_msg("row %zu", i);
    buf_release(&replies);
}

static void another_role_is_refused(void **state)
{
    struct records r;

    (void)state;
    records_init(&r, 100);
    assert_int_equal(feed(&r, SPAN("\1\1\0\1\0\10\0\0" "\0\3\1\0\0\0\0\0"), 0, 16), RECORDS_OVER);
    assert_true(span_equals(buf_span(&r.replies), SPAN("\1\3\0\1\0\10\0\0" "\0\0\0\0\3\0\0\0")));
    records_release(&r);
}

static void too_much_is_read_away(void **state)
{
    char *many = calloc(1, 65535);
    struct buf one = BUF_EMPTY;
    struct records r;

    (void)state;
    records_init(&r, 100);
    assert_int_equal(feed(&r, begin, 0, begin.len), RECORDS_MORE);
    record_add(&one, RECORD_PARAMS, 1, (struct span){ many, 65535 });
    for (int i = 0; i < 4; i++)
        assert_int_equal(feed(&r, buf_span(&one), 0, one.len), RECORDS_MORE);
    assert_true(r.head_too_long && r.head.len <= RECORD_HEAD_MAX);
    assert_int_equal(feed(&r, SPAN("\1\4\0\1\0\0\0\0"), 0, 8), RECORDS_MORE);
    assert_true(r.head_whole && records_variables(&r)[0] == NULL);
    buf_clear(&one);
    record_add(&one, RECORD_STDIN, 1, (struct span){ many, 65535 });
    for (int i = 0; i < 4; i++)
        assert_int_equal(feed(&r, buf_span(&one), 0, one.len), RECORDS_MORE);
    assert_int_equal(r.body.len, 100);
    assert_int_equal(feed(&r, SPAN("\1\5\0\1\0\0\0\0"), 0, 8), RECORDS_WHOLE);
    records_release(&r);
    buf_release(&one);
    free(many);
}

static void questions_without_end_are_no_web_server(void **state)
{
    struct records r;
    int asked = 0;

    (void)state;
    records_init(&r, 100);
    while (feed(&r, SPAN("\1\11\0\0\0\0\0\0"), 0, 8) == RECORDS_MORE && asked < 10000)
        asked++;
    assert_in_range(asked, 10, 1000);
    records_release(&r);
}

/* ---- halves */

static struct halves all;

/* One more that has its variables, and LEN bytes of its body. Returns its slot. */
static int add_half(const char *address, size_t len, int64_t now)
{
    struct records in;

    records_init(&in, all.body_max);
    in.begun = in.head_whole = true;
    if (len != 0)
        buf_used(&in.body, buf_room(&in.body, len) != NULL ? len : 0);
    int slot = halves_add(&all, &in, 7, false, now);
    records_release(&in);
    if (slot == -1 || halves_grown(&all, slot, span_of(address)))
        return slot;
    records_init(&in, all.body_max);
    halves_take(&all, slot, &in);
    records_release(&in);
    return -1;
}

static void one_visitor_leaves_room_for_others(void **state)
{
    static const char *const same[][2] = { { "192.0.2.1", "192.0.2.1" },
                                           { "2001:db8:0:1::1", "2001:db8:0:2::9" } };
    char other[32];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int taken = 0;
        halves_init(&all, 1000, 60000);
        while (taken <= HALF_MAX && add_half(same[i][taken % 2], 10, 0) != -1)
            taken++;
        assert_int_equal(taken, HALF_MAX / HALF_SHARE);
        for (int n = 0; n < HALF_MAX - HALF_MAX / HALF_SHARE; n++) {
            snprintf(other, sizeof other, "198.51.%d.%d", n / 100, n % 100);
            assert_int_not_equal(add_half(other, 10, 0), -1);
        }
        assert_int_equal(add_half("203.0.113.1", 10, 0), -1);
        halves_release(&all);
    }
}

static void bytes_are_bounded_too(void **state)
{
    size_t taken = 0;

    (void)state;
    halves_init(&all, 1000000, 60000);
    while (taken < HALF_MAX && add_half("192.0.2.1", 999000, 0) != -1)
        taken++;
    assert_in_range(taken, 2, all.bytes_max / HALF_SHARE / 999000);
    assert_int_not_equal(add_half("192.0.2.2", 999000, 0), -1);
    halves_release(&all);
    assert_int_equal(all.bytes, 0);
    assert_int_equal(all.count, 0);
}

static void a_request_has_one_deadline(void **state)
{
    struct records in;

    (void)state;
    halves_init(&all, 1000, 60000);
    assert_int_equal(add_half("192.0.2.1", 1, 1000), 0);
    records_init(&in, 1000);
    assert_int_equal(halves_add(&all, &in, 8, false, 1000), 1);
    assert_int_equal(halves_late(&all, 10999), -1);
    assert_int_equal(halves_late(&all, 11000), 1);
    halves_take(&all, 1, &in);
    records_release(&in);
    assert_true(halves_grown(&all, 0, SPAN("")));
    assert_int_equal(halves_late(&all, 60999), -1);
    assert_int_equal(halves_late(&all, 61000), 0);
    halves_release(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_may_be_cut_anywhere),
        cmocka_unit_test(a_half_may_be_moved_anywhere),
        cmocka_unit_test(what_is_behind_a_request_stays),
        cmocka_unit_test(nonsense_ends_the_connection),
        cmocka_unit_test(whatever_else_is_said_has_its_answer),
        cmocka_unit_test(another_role_is_refused),
        cmocka_unit_test(too_much_is_read_away),
        cmocka_unit_test(questions_without_end_are_no_web_server),
        cmocka_unit_test(one_visitor_leaves_room_for_others),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(a_request_has_one_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
