/* test_json.c - what strict JSON is and is not, and that its pieces are found where they lie.
 *
 * The two tables go through the categories that strict parsers are commonly tried with: structure,
 * arrays, objects, numbers, strings, encodings. Each input stands in view.
 */
#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH(i, table) (size_t i = 0; i < sizeof (table) / sizeof (table)[0]; i++)

/* Check a copy that ends exactly where the text does, so that a tool that watches memory sees
 * each byte too many. */
static enum json_status check(struct span text, size_t *at)
{
    char *copy = malloc(text.len + (text.len == 0));
    assert_non_null(copy);
    if (text.len != 0)
        memcpy(copy, text.p, text.len);
    enum json_status status = json_check((struct span){ copy, text.len }, at);
    free(copy);
    return status;
}

#define T(literal) { "" literal, sizeof(literal) - 1 }

static const struct span accepted[] = {
    /* structure */
    T("null"),
    T("true"),
    T("false"),
    T("42"),
    T("-0.1"),
    T("\"asd\""),
    T("\"\""),
    T(" null "),
    T("[]"),
    T("{}"),
    T("\t\r\n [ \t\r\n ] \t\r\n"),
    T("[true]\n"),
    T(" [] "),
    T(" \n\"x\"\t"),
    /* arrays */
    T("[[] ]"),
    T("[\"\"]"),
    T("[\"a\"]"),
    T("[false]"),
    T("[null, 1, \"1\", {}]"),
    T("[null]"),
    T("[1\n]"),
    T(" [1]"),
    T("[1,null,null,null,2]"),
    T("[2] "),
    T("[[[[[]]]],[]]"),
    T("[{},{}]"),
    T("[ 1 , 2 ]"),
    /* objects */
    T("{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"),
    T("{\"asd\":\"sdf\"}"),
    T("{\"a\":\"b\",\"a\":\"c\"}"),
    T("{\"a\":\"b\",\"a\":\"b\"}"),
    T("{\"\":0}"),
    T("{\"foo\\u0000bar\": 42}"),
    T("{ \"min\": -1.0e+28, \"max\": 1.0e+28 }"),
    T("{\"x\":[{\"id\": \"xxx\"}], \"id\": \"yyy\"}"),
    T("{\"a\":[]}"),
    T("{\n\"a\": \"b\"\n}"),
    T("{\"title\":\"\\u041f\\u043e\\u043b\"}"),
    T("{\"a\" :\t1 , \"b\"\n:2}"),
    T("{\"__proto__\":null}"),
    /* numbers */
    T("[123e65]"),
    T("[0e+1]"),
    T("[0e1]"),
    T("[ 4]"),
    T("[-0.000000000000000000000000000000000000000000000000001]\n"),
    T("[20e1]"),
    T("[-0]"),
    T("[-123]"),
    T("[-1]"),
    T("[1E22]"),
    T("[1E-2]"),
    T("[1E+2]"),
    T("[123e45]"),
    T("[123.456e78]"),
    T("[1e-2]"),
    T("[1e+2]"),
    T("[123]"),
    T("[123.456789]"),
    T("[0.5]"),
    T("[-0.0e-0]"),
    T("[12345678901234567890]"),
    T("[-12345678901234567890]"),
    T("[1e400]"),
    T("[-1e9999]"),
    T("[123.456e-789]"),
    T("[0."
      "4e00669999999999999999999999999999999999999999999999999999999999999999999999969999999006]"),
    T("[1.5e+9999]"),
    T("[100000000000000000000]"),
    T("0"),
    T("-0"),
    T("1e1"),
    /* strings */
    T("[\"\\u0060\\u012a\\u12AB\"]"),
    T("[\"\\ud801\\udc37\"]"),
    T("[\"\\uD83d\\uDE39\\uD83D\\uDC8D\"]"),
    T("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    T("[\"\\\\u0000\"]"),
    T("[\"\\\"\"]"),
    T("[\"a/*b*/c/*d//e\"]"),
    T("[\"\\\\a\"]"),
    T("[\"\\\\n\"]"),
    T("[\"\\u0012\"]"),
    T("[\"\\uFFFF\"]"),
    T("[ \"asd\"]"),
    T("[\"new\\u000Aline\"]"),
    T("[\"\\u0000\"]"),
    T("\"\\u0000\""),
    T("[\"\\u002c\"]"),
    T("[\"\x7f\"]"),
    T("[\"a\x7f"
      "a\"]"),
    T("[\"\\uA66D\"]"),
    T("[\"\\u005C\"]"),
    T("[\"\\u0022\"]"),
    T("[\"\\uDBFF\\uDFFE\"]"),
    T("[\"\\uD83F\\uDFFE\"]"),
    T("[\"\\u200B\"]"),
    T("[\"\\u2064\"]"),
    T("[\"\\uFDD0\"]"),
    T("[\"\\uFFFE\"]"),
    T("\" \""),
    T("[\" \"]"),
    T("\"12345678\""),
    T("\"1234567890123456\""),
    T("\"1234567890123456789\\n\""),
    T("\"v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\n\""),
    T("\"\\u001e\""),
    /* lone surrogates as escapes: browsers send them */
    T("\"\\ud800\""),
    T("[\"\\uDADA\"]"),
    T("[\"\\uD888\\u1234\"]"),
    T("[\"\\uD800\\n\"]"),
    T("[\"\\uDd1ea\"]"),
    T("[\"\\uD800\\uD800\\n\"]"),
    T("[\"\\ud800abc\"]"),
    T("[\"\\uDd1e\\uD834\"]"),
    T("[\"\\uDFAA\"]"),
    T("\"\\udc00\\ud800\""),
    /* UTF-8: the first and last of each length, and the neighbours of what is not allowed */
    T("[\"\xc2\x80\"]"),
    T("[\"\xdf\xbf\"]"),
    T("[\"\xe0\xa0\x80\"]"),
    T("[\"\xed\x9f\xbf\"]"),
    T("[\"\xee\x80\x80\"]"),
    T("[\"\xef\xbf\xbf\"]"),
    T("[\"\xf0\x90\x80\x80\"]"),
    T("[\"\xf4\x8f\xbf\xbf\"]"),
    T("[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]"),
    T("[\"\xe2\x80\xa8\xe2\x80\xa9\"]"),
    T("[\"\xef\xbb\xbf\"]"),
    T("[\"\xf3\xa0\x80\xa0\"]"),
    T("\"\xcf\x80 12345678 \xcf\x80\""),
    T("{\"\xc3\xa9t\xc3\xa9\":\"\xe6\x97\xa5\xe6\x9c\xac\"}"),
    T("\"abcdefg\xc3\xa9\""),
    T("\"abcdefgh\xc3\xa9\""),
};

/* What is refused, and the offset of the first byte that cannot stand. */
static const struct {
    struct span text;
    size_t at;
} refused[] = {
    /* structure */
    { T(""), 0 }, { T(" "), 1 }, { T("[1}"), 2 }, { T("[\"x\"]]"), 5 }, { T("[][]"), 2 },
    { T("{}}"), 2 },
    { T("{]"), 1 }, { T("[}"), 1 }, { T("]"), 0 }, { T("}"), 0 }, { T("["), 1 }, { T("{"), 1 },
    { T("[["), 2 },
    { T("[1] x"), 4 }, { T("[1]x"), 3 }, { T("2@"), 1 }, { T("{}#"), 2 },
    { T("{\"a\":true} \"x\""), 11 }, { T("{} 1"), 3 },
    { T("*"), 0 }, { T("<.>"), 0 }, { T("[<null>]"), 1 }, { T("[\\u000A\"\"]"), 1 },
    { T("\\u"), 0 }, { T("[a"), 1 },
    { T("[False]"), 1 }, { T("[True]"), 1 }, { T("[nul]"), 4 }, { T("[tru]"), 4 },
    { T("[fals]"), 5 }, { T("nullx"), 4 },
    { T("nul"), 3 }, { T("[truefalse]"), 5 }, { T("NULL"), 0 }, { T("undefined"), 0 },
    { T("[1]\0"), 3 }, { T("\0"), 0 },
    { T("[\0]"), 1 }, { T("[1,\0]"), 3 }, { T("[\f]"), 1 }, { T("[\v1]"), 1 }, { T("\x1e[]"), 0 },
    { T("[]\x1e"), 2 },
    { T("// c\n[]"), 0 }, { T("[]// c"), 2 }, { T("[/* c */1]"), 1 }, { T("{\"a\":\"b\"}/**/"), 9 },
    { T("(1)"), 0 },
    { T("\xef\xbb\xbf{}"), 0 }, { T("\xef\xbb\xbf"), 0 }, { T("[]\xef\xbb\xbf"), 2 },
    { T("[\xe2\x81\xa0]"), 1 },
    { T("[\xc2\xa0" "1]"), 1 }, { T("\xe5"), 0 }, { T("[\xff]"), 1 }, { T("[\0\"\0a\0\"\0]\0"), 1 },
    { T("'a'"), 0 },
    /* arrays */
    { T("[1 true]"), 3 }, { T("[a\xe5]"), 1 }, { T("[\"\": 1]"), 3 }, { T("[\"\"],"), 4 },
    { T("[,1]"), 1 },
    { T("[1,,2]"), 3 }, { T("[\"x\",,]"), 5 }, { T("[\"\",]"), 4 }, { T("[1,]"), 3 },
    { T("[,]"), 1 }, { T("[,"), 1 },
    { T("[3[4]]"), 2 }, { T("[x"), 1 }, { T("[1:2]"), 2 }, { T("[-]"), 2 }, { T("[   , \"\"]"), 4 },
    { T("[\"a\",\n4\n,1,"), 11 },
    { T("[1"), 2 }, { T("[1,"), 3 }, { T("[\"a\" \"b\"]"), 5 }, { T("[{}"), 3 },
    { T("[1,\n1\n,1"), 8 }, { T("[\"a\""), 4 },
    /* objects */
    { T("{\"x\", null}"), 4 }, { T("{\"x\"::\"b\"}"), 5 }, { T("{\"a\":\"a\" 123}"), 9 },
    { T("{key: 'value'}"), 1 },
    { T("{\"a\" b}"), 5 }, { T("{:\"b\"}"), 1 }, { T("{\"a\" \"b\"}"), 5 }, { T("{\"a\":"), 5 },
    { T("{\"a\""), 4 },
    { T("{1:1}"), 1 }, { T("{null:null,null:null}"), 1 }, { T("{\"id\":0,,,,,}"), 8 },
    { T("{'a':0}"), 1 },
    { T("{\"id\":0,}"), 8 }, { T("{\"a\":\"b\",,\"c\":\"d\"}"), 9 }, { T("{a: \"b\"}"), 1 },
    { T("{\"a\":\"a"), 7 },
    { T("{ \"foo\" : \"bar\", \"a\" }"), 21 }, { T("{\"a\":/*c*/\"b\"}"), 5 }, { T("{,}"), 1 },
    { T("{[:1}"), 1 },
    { T("{\"a\":1]"), 6 }, { T("{\"a\":}"), 5 }, { T("{\"a\":1"), 6 }, { T("{\"a\":1,"), 7 },
    { T("{\"a\":1:2}"), 6 }, { T("{\"a\"=1}"), 4 },
    { T("{\"a\":{\"b\":1}"), 12 }, { T("{\"a\":1,2}"), 7 }, { T("{{}:1}"), 1 },
    { T("{\"a\n\":1}"), 3 },
    /* numbers */
    { T("[+1]"), 1 }, { T("[++1234]"), 1 }, { T("[+Inf]"), 1 }, { T("[-01]"), 3 },
    { T("[-1.0.]"), 5 }, { T("[-2.]"), 4 },
    { T("[.-1]"), 1 }, { T("[.2e-3]"), 1 }, { T("[0.1.2]"), 4 }, { T("[0.3e+]"), 6 },
    { T("[0.3e]"), 5 }, { T("[0.e1]"), 3 },
    { T("[0E+]"), 4 }, { T("[0E]"), 3 }, { T("[0e+-1]"), 4 }, { T("[1.0e+]"), 6 },
    { T("[1.0e-]"), 6 }, { T("[1.0e]"), 5 },
    { T("[1 000.0]"), 3 }, { T("[1eE2]"), 3 }, { T("[2.e+3]"), 3 }, { T("[9.e+]"), 3 },
    { T("[Inf]"), 1 }, { T("[NaN]"), 1 },
    { T("[\xef\xbc\x91]"), 1 }, { T("[1+2]"), 2 }, { T("[0x1]"), 2 }, { T("[0x42]"), 2 },
    { T("[Infinity]"), 1 },
    { T("[0e+"), 4 }, { T("[-Infinity]"), 2 }, { T("[-foo]"), 2 }, { T("[- 1]"), 2 },
    { T("[-012]"), 3 }, { T("[-.123]"), 2 },
    { T("[-1x]"), 3 }, { T("[1ea]"), 3 }, { T("[1e1\xe5]"), 4 }, { T("[1.]"), 3 },
    { T("[.123]"), 1 }, { T("[1.2a-3]"), 4 },
    { T("[1.8011670033376514H-308]"), 19 }, { T("[012]"), 2 }, { T("00"), 1 }, { T("-"), 1 },
    { T("1."), 2 }, { T("1e"), 2 },
    { T("[123\xe5]"), 4 }, { T("[1,000]"), 4 }, { T("[1_000]"), 2 }, { T("[1n]"), 2 },
    { T("--1"), 1 }, { T("[0 1]"), 3 },
    /* strings */
    { T("\""), 1 }, { T("[\""), 2 }, { T("[\"a"), 3 }, { T("['single']"), 1 }, { T("abc"), 0 },
    { T("[\"\\"), 3 }, { T("[\"\\\""), 4 },
    { T("[\"\\\\\\\"]"), 7 }, { T("[\"\\x00\"]"), 3 }, { T("[\"\\\t\"]"), 3 },
    { T("[\"\\\0\"]"), 3 }, { T("[\"\\uD834\\uDd\"]"), 12 },
    { T("[\"\\uD800\\\"]"), 11 }, { T("[\"\\uD800\\u\"]"), 10 }, { T("[\"\\uD800\\u1\"]"), 11 },
    { T("[\"\\uD800\\u1x\"]"), 11 },
    { T("[\"\\u00A\"]"), 7 }, { T("[\"\\u"), 4 }, { T("[\"\\uqqqq\"]"), 4 },
    { T("[\"\\u 123\"]"), 4 }, { T("[\"\\u+123\"]"), 4 },
    { T("[\"\\a\"]"), 3 }, { T("[\"\\'\"]"), 3 }, { T("[\"\\U0041\"]"), 3 },
    { T("[\"\\101\"]"), 3 }, { T("[\"\\{[\"\\{[\"\\{"), 3 },
    { T("[\"a\0a\"]"), 3 }, { T("[\"new\nline\"]"), 5 }, { T("[\"\t\"]"), 2 },
    { T("[\"\x1f\"]"), 2 }, { T("[\"\x1e\"]"), 2 },
    { T("\"x"), 2 }, { T("\"a\"b"), 3 }, { T("\"12345678"), 9 }, { T("\"1234567\n\""), 8 },
    { T("\"12345678\n\""), 9 }, { T("[\"a\",\"\r\"]"), 6 },
    { T("[\"\\\xf0\x9f\x8c\x80\"]"), 3 }, { T("[\"\\\xe5\"]"), 3 }, { T("[\"\\u123\xe5\"]"), 7 },
    { T("\"\\u12"), 5 },
};

/* Strings that are not UTF-8, and the offset of the sequence that is not. */
static const struct {
    struct span text;
    size_t at;
} not_utf8[] = {
    { T("[\"\xff\"]"), 2 }, { T("[\"\x80\"]"), 2 }, { T("[\"\xbf\"]"), 2 },
    { T("[\"\xc0\x80\"]"), 2 },
    { T("[\"\xc0\xaf\"]"), 2 }, { T("[\"\xc1\xbf\"]"), 2 }, { T("[\"a\xe0\x80\xaf\"]"), 3 },
    { T("[\"\xe0\x9f\xbf\"]"), 2 },
    { T("[\"\xf0\x80\x80\xaf\"]"), 2 }, { T("[\"\xf0\x8f\xbf\xbf\"]"), 2 },
    { T("[\"\xf8\x88\x80\x80\x80\"]"), 2 },
    { T("[\"\xfc\x83\xbf\xbf\xbf\xbf\"]"), 2 }, { T("[\"\xf4\x90\x80\x80\"]"), 2 },
    { T("[\"\xf5\x80\x80\x80\"]"), 2 },
    { T("[\"\xf7\xbf\xbf\xbf\"]"), 2 }, { T("[\"\xfe\"]"), 2 },
    { T("[\"\xed\xa0\x80\"]"), 2 },                     /* a surrogate, as it must not be written */
    { T("[\"\xed\xbf\xbf\"]"), 2 }, { T("[\"\xed\xa0\xbd\xed\xb8\x80\"]"), 2 },
    { T("[\"\xe6\x97\xa5\xd1\x88\xfa\"]"), 7 },
    { T("[\"\xe9\"]"), 2 }, { T("[\"\xc3\"]"), 2 }, { T("\"\xc3"), 1 }, { T("\"\xe2\x82"), 1 },
    { T("\"\xf0\x9d\x84"), 1 },
    { T("[\"\xe2\x82\"]"), 2 }, { T("[\"\xf0\x9d\x84\"]"), 2 }, { T("[\"\xe2\x28\xa1\"]"), 2 },
    { T("{\"\xff\":1}"), 2 },
    { T("\"12345678\xc3(\""), 9 }, { T("\"1234567\xff\""), 8 }, { T("[\"\xf0\x90\x80" "a\"]"), 2 },
};

static void strict_json_is_accepted(void **state)
{
    (void)state;
    for EACH(i, accepted) {
        size_t at = 0;
        if (check(accepted[i], &at) != JSON_OK)
            fail_msg("refused at %zu: %.*s", at, (int)accepted[i].len, accepted[i].p);
    }
}

static void all_else_is_refused_where_it_goes_wrong(void **state)
{
    (void)state;
    for EACH(i, refused) {
        size_t at = 9999;
        enum json_status status = check(refused[i].text, &at);
        if (status != JSON_INVALID || at != refused[i].at)
            fail_msg("status %d at %zu, expected %zu: %.*s", (int)status, at, refused[i].at,
                     (int)refused[i].text.len, refused[i].text.p);
        assert_int_equal(check(refused[i].text, NULL), JSON_INVALID);
    }
}

static void strings_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    for EACH(i, not_utf8) {
        size_t at = 9999;
        enum json_status status = check(not_utf8[i].text, &at);
        if (status != JSON_NOT_UTF8 || at != not_utf8[i].at)
            fail_msg("status %d at %zu, expected %zu: case %zu", (int)status, at, not_utf8[i].at,
                     i);
    }
}

/* Every accepted text, cut short anywhere, is refused or a shorter number; never read beyond its
 * end. */
static void texts_cut_short_are_refused(void **state)
{
    (void)state;
    for EACH(i, accepted) {
        struct span text = json_trim(accepted[i]);
        if (json_type(text) == JSON_NUMBER)
            continue;
        for (size_t len = 0; len < text.len; len++)
            if (check((struct span){ text.p, len }, NULL) == JSON_OK)
                fail_msg("accepted: %.*s", (int)len, text.p);
    }
}

/* Each byte, at each of the places in a string where the eight-at-once scan may meet it. */
static void each_byte_in_a_string_is_judged_wherever_it_stands(void **state)
{
    char text[32];

    (void)state;
    for (size_t place = 0; place < 20; place++) {
        for (int c = 0; c < 256; c++) {
            memset(text, 'x', sizeof text);
            text[0] = text[22] = '"';
            text[1 + place] = (char)c;
            enum json_status expected = c < 0x20 || c == '"' || c == '\\' ? JSON_INVALID
                                      : c >= 0x80 ? JSON_NOT_UTF8 : JSON_OK;
            size_t at = 0;
            assert_int_equal(check((struct span){ text, 23 }, &at), expected);
            if (expected != JSON_OK)
                assert_int_equal(at, 1 + place + (c == '"' || c == '\\'));
        }
    }
}

/* ---- depth */

/* LEVELS times OPEN, then MIDDLE, then LEVELS times CLOSE. */
static void nest(struct buf *b, size_t levels, const char *open, const char *middle,
                 const char *close)
{
    buf_clear(b);
    for (size_t i = 0; i < levels; i++)
        buf_add_text(b, open);
    buf_add_text(b, middle);
    for (size_t i = 0; i < levels; i++)
        buf_add_text(b, close);
    assert_true(buf_ok(b));
}

static void depth_is_taken_to_its_limit_and_no_further(void **state)
{
    struct buf b = BUF_EMPTY;
    size_t at = 0;

    (void)state;
    nest(&b, 1000, "[", "", "]");
    assert_int_equal(check(buf_span(&b), NULL), JSON_OK);
    nest(&b, 1000, "{\"a\":[", "1e400", "]}");
    assert_int_equal(check(buf_span(&b), NULL), JSON_OK);
    nest(&b, JSON_DEPTH_MAX, "[", "", "]");
    assert_int_equal(check(buf_span(&b), NULL), JSON_OK);
    nest(&b, JSON_DEPTH_MAX, "{\"\":", "null", "}");
    assert_int_equal(check(buf_span(&b), NULL), JSON_OK);
    nest(&b, JSON_DEPTH_MAX + 1, "[", "", "]");
    assert_int_equal(check(buf_span(&b), &at), JSON_TOO_DEEP);
    assert_int_equal(at, JSON_DEPTH_MAX);
    nest(&b, JSON_DEPTH_MAX + 1, "{\"\":", "null", "}");
    assert_int_equal(check(buf_span(&b), &at), JSON_TOO_DEEP);
    assert_int_equal(at, 4 * JSON_DEPTH_MAX);
    nest(&b, 100000, "[", "", "");
    assert_int_equal(check(buf_span(&b), NULL), JSON_TOO_DEEP);
    nest(&b, 1000, "[", "", "");
    assert_int_equal(check(buf_span(&b), &at), JSON_INVALID);
    assert_int_equal(at, 1000);
    buf_release(&b);
}

/* Brackets of both kinds in one another, at the borders of the words that remember them. */
static void brackets_close_as_they_were_opened(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    for (size_t levels = 1; levels < 140; levels++) {
        nest(&b, levels, "[{\"k\":", "0", "}]");
        assert_int_equal(check(buf_span(&b), NULL), JSON_OK);
        size_t middle = levels * 6 + 1;
        b.data[middle] = ']';
        assert_int_equal(check(buf_span(&b), NULL), JSON_INVALID);
        b.data[middle] = '}';
        b.data[b.len - 1] = '}';
        assert_int_equal(check(buf_span(&b), NULL), JSON_INVALID);
    }
    buf_release(&b);
}

static void many_levels_opened_and_closed_count_but_once(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    buf_add_char(&b, '[');
    for (int i = 0; i < 20000; i++)
        buf_add_text(&b, "[[]],{\"\":{}},");
    buf_add_text(&b, "0]");
    assert_int_equal(check(buf_span(&b), NULL), JSON_OK);
    buf_release(&b);
}

/* ---- walking */

#define assert_span(actual, expected)                                                        \
    do {                                                                                     \
        struct span is_ = (actual), should_ = (expected);                                    \
        if (!span_equals(is_, should_))                                                      \
            fail_msg("%.*s, expected %.*s", (int)is_.len, is_.p, (int)should_.len, should_.p); \
    } while (0)

static void types_are_told_by_the_first_byte(void **state)
{
    (void)state;
    assert_int_equal(json_type(SPAN("null")), JSON_NULL);
    assert_int_equal(json_type(SPAN("true")), JSON_BOOL);
    assert_int_equal(json_type(SPAN("false")), JSON_BOOL);
    assert_int_equal(json_type(SPAN("-1")), JSON_NUMBER);
    assert_int_equal(json_type(SPAN("7")), JSON_NUMBER);
    assert_int_equal(json_type(SPAN(" \"7\"")), JSON_STRING);
    assert_int_equal(json_type(SPAN("\n[]")), JSON_ARRAY);
    assert_int_equal(json_type(SPAN("{}")), JSON_OBJECT);
}

static void white_space_around_a_value_is_trimmed(void **state)
{
    (void)state;
    assert_span(json_trim(SPAN(" \t\r\n1 \n")), SPAN("1"));
    assert_span(json_trim(SPAN("\" a \"")), SPAN("\" a \""));
    assert_span(json_trim(SPAN(" ")), SPAN(""));
    assert_span(json_trim((struct span){ NULL, 0 }), SPAN(""));
}

static void array_items_come_in_turn_and_trimmed(void **state)
{
    static const struct span items[] = {
        T("1"), T("\"a,]\\\"b\""), T("[2, [3 ],{\"x\":\"]\"}]"), T("{\"k\" : [\"}\"]}"), T("null"),
        T("-1e400"), T("\"\\\\\""),
    };
    struct span item, rest = SPAN(" [ 1 ,\"a,]\\\"b\", [2, [3 ],{\"x\":\"]\"}] , {\"k\" : "
                                  "[\"}\"]},null,\t-1e400\n,\"\\\\\"] ");

    (void)state;
    assert_int_equal(json_check(rest, NULL), JSON_OK);
    for EACH(i, items) {
        assert_true(json_array_next(&rest, &item));
        assert_span(item, items[i]);
    }
    assert_false(json_array_next(&rest, &item));
    assert_false(json_array_next(&rest, &item));
}

static void empty_and_foreign_values_have_no_items(void **state)
{
    static const struct span none[] = {
        T("[]"), T(" [ ] "), T("{}"), T("{\"a\":1}"), T("\"[1]\""), T("1"), T("null"), T(""),
    };
    struct span item, key;

    (void)state;
    for EACH(i, none) {
        struct span rest = none[i];
        assert_false(json_array_next(&rest, &item));
    }
    struct span rest = SPAN("[1]");
    assert_false(json_object_next(&rest, &key, &item));
    rest = SPAN("{ }");
    assert_false(json_object_next(&rest, &key, &item));
}

static void object_members_come_in_turn_duplicates_too(void **state)
{
    static const struct {
        struct span key, value;
    } members[] = {
        { T("\"a\""), T("1") }, { T("\"a\""), T("{\"b\":[1,2]}") }, { T("\"\\\":,\""), T("\",\"") },
        { T("\"\""), T("[]") },
    };
    struct span key, value,
        rest = SPAN("{\"a\":1, \"a\" : {\"b\":[1,2]} ,\"\\\":,\":\",\"\n,\"\":[]}");

    (void)state;
    assert_int_equal(json_check(rest, NULL), JSON_OK);
    for EACH(i, members) {
        assert_true(json_object_next(&rest, &key, &value));
        assert_span(key, members[i].key);
        assert_span(value, members[i].value);
    }
    assert_false(json_object_next(&rest, &key, &value));
}

static void members_are_found_by_decoded_name_the_last_wins(void **state)
{
    struct span value;

    (void)state;
    assert_true(json_member(SPAN("{\"pid\":\"x\",\"offset\":7}"), "offset", &value));
    assert_span(value, SPAN("7"));
    assert_true(json_member(SPAN("{\"a\":1,\"b\":2,\"a\":3}"), "a", &value));
    assert_span(value, SPAN("3"));
    assert_true(json_member(SPAN(" {\"\\u0061\":1} "), "a", &value));
    assert_span(value, SPAN("1"));
    assert_true(json_member(SPAN("{\"\":[ 0 ]}"), "", &value));
    assert_span(value, SPAN("[ 0 ]"));
    assert_false(json_member(SPAN("{\"b\":{\"a\":1}}"), "a", &value));
    assert_false(json_member(SPAN("{\"A\":1}"), "a", &value));
    assert_false(json_member(SPAN("{}"), "a", &value));
    assert_false(json_member(SPAN("[\"a\"]"), "a", &value));
    assert_false(json_member(SPAN("\"a\""), "a", &value));
    assert_false(json_member(SPAN("null"), "a", &value));
}

static void tokens_lead_through_any_depth(void **state)
{
    static const struct span tokens[] = {
        T("{"), T("\"a:\""), T(":"), T("["), T("1e400"), T(","), T("true"), T("]"), T(","),
        T("\"\\\"\""), T(":"), T("null"), T("}"),
    };
    struct span token, rest = SPAN(" {\"a:\" : [1e400 ,true] , \"\\\"\":null} ");

    (void)state;
    for EACH(i, tokens) {
        assert_true(json_token(&rest, &token));
        assert_span(token, tokens[i]);
    }
    assert_false(json_token(&rest, &token));
}

/* What a relay that parses and prints again would change. */
static void payloads_keep_their_bytes(void **state)
{
    static const struct span payloads[] = {
        T("\"a\\u0000b\""), T("\"\\ud800\""), T("12345678901234567890"), T("1e400"),
        T("{\"a\":1,\"a\":2}"), T("-0"), T("1.0"),
        T("\"\\/\\u0041\""), T("\"\xc3\xa9\\u00e9\""), T("{ \"b\" : 1,\n\"a\":2 }"),
        T("\"\\u001e\""), T("0.1e-7"),
    };
    struct buf b = BUF_EMPTY;
    struct span item, rest;

    (void)state;
    for EACH(i, payloads) {
        buf_clear(&b);
        buf_add_text(&b, "[\"message\", ");
        buf_add_span(&b, payloads[i]);
        buf_add_text(&b, " ,0]");
        rest = buf_span(&b);
        assert_int_equal(json_check(rest, NULL), JSON_OK);
        assert_true(json_array_next(&rest, &item));
        assert_true(json_array_next(&rest, &item));
        assert_span(item, payloads[i]);
    }
    buf_release(&b);
}

static void large_and_deep_payloads_keep_their_bytes(void **state)
{
    struct buf b = BUF_EMPTY, payload = BUF_EMPTY;
    struct span item, rest;

    (void)state;
    nest(&payload, 1000, "[{\"\\u0000\":", "\"\\ud800\"", "}]");
    buf_add_text(&b, "[0,");
    buf_add_span(&b, buf_span(&payload));
    buf_add_text(&b, ",\"");
    size_t from = b.len - 1;
    while (b.len < 1048576 + from)
        buf_add_text(&b, "a=rtpmap:111 opus/48000/2\\r\\n\\\\\\\"\xc3\xa9");
    buf_add_text(&b, "\"]");
    rest = buf_span(&b);
    assert_int_equal(json_check(rest, NULL), JSON_OK);
    assert_true(json_array_next(&rest, &item));
    assert_true(json_array_next(&rest, &item));
    assert_span(item, buf_span(&payload));
    assert_true(json_array_next(&rest, &item));
    assert_span(item, ((struct span){ b.data + from, b.len - 1 - from }));
    assert_false(json_array_next(&rest, &item));
    buf_release(&b);
    buf_release(&payload);
}

/* ---- strings */

static void strings_compare_after_decoding(void **state)
{
    (void)state;
    assert_true(json_string_is(SPAN("\"connect\""), "connect"));
    assert_true(json_string_is(SPAN(" \"connect\" "), "connect"));
    assert_true(json_string_is(SPAN("\"c\\u006Fnn\\u0065ct\""), "connect"));
    assert_true(json_string_is(SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t"));
    assert_true(json_string_is(SPAN("\"\\u00e9\""), "\xc3\xa9"));
    assert_true(json_string_is(SPAN("\"\xc3\xa9\""), "\xc3\xa9"));
    assert_true(json_string_is(SPAN("\"\\u20ac\""), "\xe2\x82\xac"));
    assert_true(json_string_is(SPAN("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80"));
    assert_true(json_string_is(SPAN("\"\""), ""));
    assert_false(json_string_is(SPAN("\"connect\""), "connec"));
    assert_false(json_string_is(SPAN("\"connec\""), "connect"));
    assert_false(json_string_is(SPAN("\"connec\\u0074x\""), "connect"));
    assert_false(json_string_is(SPAN("\"\\u0063onnec\""), "connect"));
    assert_false(json_string_is(SPAN("\"Connect\""), "connect"));
    assert_false(json_string_is(SPAN("\"a\\u0000\""), "a"));
    assert_false(json_string_is(SPAN("\"\\u0000\""), ""));
    assert_false(json_string_is(SPAN("\"\\ud800\""), "\xed\xa0\x80"));
    assert_false(json_string_is(SPAN("7"), "7"));
    assert_false(json_string_is(SPAN("null"), "null"));
    assert_false(json_string_is(SPAN("[]"), ""));
    assert_false(json_string_is(SPAN(""), ""));
}

static void strings_are_decoded_or_refused(void **state)
{
    static const struct {
        struct span string;
        const char *text;                   /* NULL: refused */
    } cases[] = {
        { T("\"\""), "" }, { T("\"abc\""), "abc" }, { T("\"12345678901\""), "12345678901" },
        { T("\"123456789012\""), NULL },    /* one too long for the place it gets */
        { T("\"a\\nb\\\\\\\"\\/\""), "a\nb\\\"/" },
        { T("\"\\u0041\\u00DF\\u6771\""), "A\xc3\x9f\xe6\x9d\xb1" },
        { T("\"\\uD834\\udd1e\""), "\xf0\x9d\x84\x9e" },
        { T("\"\\uDBFF\\uDFFF\""), "\xf4\x8f\xbf\xbf" },
        { T("\"\\u007f\\u0080\\u07ff\""), "\x7f\xc2\x80\xdf\xbf" },
        { T("\"\\u0800\\uffff\""), "\xe0\xa0\x80\xef\xbf\xbf" },
        { T("\"123456789\\u0800\""), NULL }, { T("\"a\\u0000b\""), NULL },
        { T("\"\\ud800\""), NULL }, { T("\"\\udc00\""), NULL },
        { T("\"\\ud800x\""), NULL }, { T("\"\\ud800\\u0041\""), NULL },
        { T("\"\\ud800\\ud800\""), NULL }, { T("\"\\udc00\\udc00\""), NULL },
        { T("\"\\ud800\\n12345\""), NULL }, { T("7"), NULL }, { T("[\"a\"]"), NULL },
        { T("true"), NULL }, { T(""), NULL },
    };
    char out[12];

    (void)state;
    for EACH(i, cases) {
        long len = json_string_decode(cases[i].string, out, sizeof out);
        if (cases[i].text == NULL) {
            if (len != -1)
                fail_msg("decoded: %.*s", (int)cases[i].string.len, cases[i].string.p);
            continue;
        }
        assert_string_equal(len >= 0 ? out : "(refused)", cases[i].text);
        assert_int_equal(len, strlen(cases[i].text));
    }
    assert_int_equal(json_string_decode(SPAN("\"\""), out, 0), -1);
    assert_int_equal(json_string_decode(SPAN("\"\""), out, 1), 0);
}

static void texts_are_encoded_as_valid_strings(void **state)
{
    static const struct {
        struct span text, json;
    } cases[] = {
        { T(""), T("\"\"") },
        { T("abc"), T("\"abc\"") },
        { T("a\"b\\c/"), T("\"a\\\"b\\\\c/\"") },
        { T("\b\f\n\r\t"), T("\"\\b\\f\\n\\r\\t\"") },
        { T("\x1e"), T("\"\\u001e\"") },
        { T("a\0b\x1f\x7f"), T("\"a\\u0000b\\u001f\x7f\"") },
        { T("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
          T("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"") },
        { T("a\xff"
            "b"),
          T("\"a\xef\xbf\xbd"
            "b\"") },
        { T("\xc3"), T("\"\xef\xbf\xbd\"") },
        { T("\xed\xa0\x80"), T("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") },
    };
    struct buf b = BUF_EMPTY;

    (void)state;
    for EACH(i, cases) {
        buf_clear(&b);
        json_string_encode(&b, cases[i].text);
        assert_span(buf_span(&b), cases[i].json);
        assert_int_equal(json_check(buf_span(&b), NULL), JSON_OK);
    }
    buf_release(&b);
}

/* Every code point there is, as itself and as an escape. */
static void every_character_comes_back_from_its_string(void **state)
{
    struct buf b = BUF_EMPTY;
    char text[8], out[8];

    (void)state;
    for (unsigned code = 1; code <= 0x10ffff; code++) {
        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        static const unsigned lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
        unsigned rest = code;
        for (size_t i = len - 1; i > 0; i--, rest >>= 6)
            text[i] = (char)(0x80 | (rest & 0x3f));
        text[0] = (char)(lead[len] | rest);
        text[len] = '\0';

        buf_clear(&b);
        json_string_encode(&b, (struct span){ text, len });
        assert_int_equal(json_check(buf_span(&b), NULL), JSON_OK);
        assert_int_equal(json_string_decode(buf_span(&b), out, sizeof out), len);
        assert_memory_equal(out, text, len + 1);
        buf_clear(&b);
        if (code < 0x10000)
            buf_addf(&b, "\"\\u%04x\"", code);
        else
            buf_addf(&b, "\"\\u%04X\\u%04x\"", 0xd800 + ((code - 0x10000) >> 10),
                     0xdc00 + (code & 0x3ff));
        assert_int_equal(json_string_decode(buf_span(&b), out, sizeof out), len);
        assert_memory_equal(out, text, len + 1);
    }
    buf_release(&b);
}

static void utf8_is_judged_without_json_too(void **state)
{
    (void)state;
    assert_true(utf8_valid(SPAN("")));
    assert_true(utf8_valid((struct span){ NULL, 0 }));
    assert_true(utf8_valid(SPAN("a\0\x1e\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    for EACH(i, not_utf8)
        assert_false(utf8_valid(not_utf8[i].text));
    assert_false(utf8_valid(SPAN("a\xc3")));
    assert_false(utf8_valid(SPAN("\xc3(")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_json_is_accepted),
        cmocka_unit_test(all_else_is_refused_where_it_goes_wrong),
        cmocka_unit_test(strings_that_are_not_utf8_are_refused),
        cmocka_unit_test(texts_cut_short_are_refused),
        cmocka_unit_test(each_byte_in_a_string_is_judged_wherever_it_stands),
        cmocka_unit_test(depth_is_taken_to_its_limit_and_no_further),
        cmocka_unit_test(brackets_close_as_they_were_opened),
        cmocka_unit_test(many_levels_opened_and_closed_count_but_once),
        cmocka_unit_test(types_are_told_by_the_first_byte),
        cmocka_unit_test(white_space_around_a_value_is_trimmed),
        cmocka_unit_test(array_items_come_in_turn_and_trimmed),
        cmocka_unit_test(empty_and_foreign_values_have_no_items),
        cmocka_unit_test(object_members_come_in_turn_duplicates_too),
        cmocka_unit_test(members_are_found_by_decoded_name_the_last_wins),
        cmocka_unit_test(tokens_lead_through_any_depth),
        cmocka_unit_test(payloads_keep_their_bytes),
        cmocka_unit_test(large_and_deep_payloads_keep_their_bytes),
        cmocka_unit_test(strings_compare_after_decoding),
        cmocka_unit_test(strings_are_decoded_or_refused),
        cmocka_unit_test(texts_are_encoded_as_valid_strings),
        cmocka_unit_test(every_character_comes_back_from_its_string),
        cmocka_unit_test(utf8_is_judged_without_json_too),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
