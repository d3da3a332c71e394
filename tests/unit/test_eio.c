/* test_eio.c - every Engine.IO packet type, every refusal. */
#include "wire/eio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH(i, table) (size_t i = 0; i < sizeof (table) / sizeof (table)[0]; i++)
#define T(literal) { "" literal, sizeof(literal) - 1 }

/* Read a copy of PAYLOAD that ends where it does. Up to CAP packets go to PACKETS, their data
 * into PAYLOAD's own bytes; *COUNT says how many. Returns what the last call said. */
static enum eio_status read_payload(struct span payload, struct eio_packet *packets, size_t cap,
                                    size_t *count)
{
    char *copy = malloc(payload.len + (payload.len == 0));
    struct eio_reader reader = { .payload = { copy, payload.len } };
    struct eio_packet packet;
    enum eio_status status;

    assert_non_null(copy);
    if (payload.len != 0)
        memcpy(copy, payload.p, payload.len);
    *count = 0;
    while ((status = eio_next(&reader, &packet)) == EIO_OK) {
        assert_true(*count < cap);
        packet.data.p = payload.p + (packet.data.p - copy);
        packets[(*count)++] = packet;
    }
    free(copy);
    return status;
}

static void each_type_is_read(void **state)
{
    static const struct {
        struct span payload;
        enum eio_type type;
        struct span data;
    } cases[] = {
        { T("0"), EIO_OPEN, T("") }, { T("0{\"sid\":\"x\"}"), EIO_OPEN, T("{\"sid\":\"x\"}") },
        { T("1"), EIO_CLOSE, T("") }, { T("2"), EIO_PING, T("") }, { T("3"), EIO_PONG, T("") },
        { T("4"), EIO_MESSAGE, T("") }, { T("42[\"a\"]"), EIO_MESSAGE, T("2[\"a\"]") },
        { T("4\0\xff"), EIO_MESSAGE, T("\0\xff") },
        { T("5"), EIO_UPGRADE, T("") }, { T("6"), EIO_NOOP, T("") },
        { T("b"), EIO_BINARY, T("") }, { T("bAQID"), EIO_BINARY, T("AQID") },
    };
    struct eio_packet packet;
    size_t count;

    (void)state;
    for EACH(i, cases) {
        assert_int_equal(read_payload(cases[i].payload, &packet, 1, &count), EIO_END);
        assert_int_equal(count, 1);
        assert_int_equal(packet.type, cases[i].type);
        assert_true(span_equals(packet.data, cases[i].data));
    }
}

static void packets_come_in_turn_and_end(void **state)
{
    struct span payload = SPAN("40\x1e" "451-[{}]\x1e" "bAQ==\x1e" "3\x1e" "1");
    struct eio_packet p[5];
    size_t count;

    (void)state;
    assert_int_equal(read_payload(payload, p, 5, &count), EIO_END);
    assert_int_equal(count, 5);
    assert_true(p[0].type == EIO_MESSAGE && span_is(p[0].data, "0"));
    assert_true(p[1].type == EIO_MESSAGE && span_is(p[1].data, "51-[{}]"));
    assert_true(p[2].type == EIO_BINARY && span_is(p[2].data, "AQ=="));
    assert_true(p[3].type == EIO_PONG && p[3].data.len == 0);
    assert_true(p[4].type == EIO_CLOSE && p[4].data.len == 0);
}

static void the_end_stays_the_end(void **state)
{
    struct eio_reader reader = { .payload = SPAN("6") };
    struct eio_packet packet;

    (void)state;
    assert_int_equal(eio_next(&reader, &packet), EIO_OK);
    assert_int_equal(eio_next(&reader, &packet), EIO_END);
    assert_int_equal(eio_next(&reader, &packet), EIO_END);
}

/* Wherever one reader stops, another goes on. */
static void whoever_stopped_goes_on_from_there(void **state)
{
    struct span payload = SPAN("40\x1e" "bAQ==\x1e" "3");
    static const size_t ends[] = { 2, 8, 10 };
    struct eio_packet packet;
    size_t at = 0;

    (void)state;
    for EACH(i, ends) {
        struct eio_reader reader = { payload, at };
        assert_int_equal(eio_next(&reader, &packet), EIO_OK);
        assert_int_equal(at = reader.at, ends[i]);
    }
    struct eio_reader reader = { payload, at };
    assert_int_equal(eio_next(&reader, &packet), EIO_END);
}

static void binary_bodies_are_of_another_version(void **state)
{
    static const struct { struct span type; enum eio_status status; } cases[] = {
        { T("text/plain;charset=UTF-8"), EIO_OK }, { T(""), EIO_OK }, { T("text/plain"), EIO_OK },
        { T("application/octet-stream"), EIO_BINARY_BODY },
        { T("application/octet-stream; x=y"), EIO_BINARY_BODY },
    };

    (void)state;
    for EACH(i, cases)
        assert_int_equal(eio_check_type(cases[i].type), cases[i].status);
}

static void each_refusal_is_named(void **state)
{
    static const struct {
        struct span payload;
        size_t before;                      /* packets that are read before it */
        enum eio_status status;
    } cases[] = {
        { T(""), 0, EIO_EMPTY }, { T("\x1e"), 0, EIO_EMPTY }, { T("\x1e" "2"), 0, EIO_EMPTY },
        { T("3\x1e"), 1, EIO_EMPTY },
        { T("3\x1e\x1e" "3"), 1, EIO_EMPTY },
        { T("7"), 0, EIO_BAD_TYPE }, { T("9[]"), 0, EIO_BAD_TYPE }, { T("/"), 0, EIO_BAD_TYPE },
        { T(" 4"), 0, EIO_BAD_TYPE },
        { T("a"), 0, EIO_BAD_TYPE }, { T("BAQID"), 0, EIO_BAD_TYPE }, { T("\0"), 0, EIO_BAD_TYPE },
        { T("\xff"), 0, EIO_BAD_TYPE },
        { T("{}"), 0, EIO_BAD_TYPE }, { T("3\x1e" "4x\x1e" "x"), 2, EIO_BAD_TYPE },
        { T("-1"), 0, EIO_BAD_TYPE }, { T("abc"), 0, EIO_BAD_TYPE },
        { T("1 "), 0, EIO_TRAILING }, { T("2probe"), 0, EIO_TRAILING },
        { T("3probe"), 0, EIO_TRAILING }, { T("6x"), 0, EIO_TRAILING },
        { T("11"), 0, EIO_TRAILING }, { T("4a\x1e" "3\0"), 1, EIO_TRAILING },
        { T("bA"), 0, EIO_BAD_BASE64 },
        { T("bAQIDA"), 0, EIO_BAD_BASE64 },           /* one digit too many */
        { T("bA==="), 0, EIO_BAD_BASE64 }, { T("b="), 0, EIO_BAD_BASE64 },
        { T("b=="), 0, EIO_BAD_BASE64 }, { T("b===="), 0, EIO_BAD_BASE64 },
        { T("bAQID===="), 0, EIO_BAD_BASE64 },
        { T("bA=QD"), 0, EIO_BAD_BASE64 },
        { T("bAQ==AQID"), 0, EIO_BAD_BASE64 },     /* padding inside */
        { T("bAQI*"), 0, EIO_BAD_BASE64 }, { T("bAQ\vD"), 0, EIO_BAD_BASE64 },
        { T("bAQ\0D"), 0, EIO_BAD_BASE64 }, { T("bAQ\xc3\xa9"), 0, EIO_BAD_BASE64 },
        /* as version 3 had it */
        { T("b4AQID"), 0, EIO_BAD_BASE64 },
    };
    struct eio_packet packets[4];
    size_t count;

    (void)state;
    for EACH(i, cases) {
        enum eio_status status = read_payload(cases[i].payload, packets, 4, &count);
        if (status != cases[i].status || count != cases[i].before)
            fail_msg("case %zu: status %d after %zu packets", i, (int)status, count);
    }
}

/* Whatever a client's encoder makes of it, all others get what their decoders read. */
static void base64_is_passed_on_as_an_encoder_writes_it(void **state)
{
    static const struct { struct span came, goes; } cases[] = {
        { T("AQIDBA=="), T("AQIDBA==") }, { T("AQIDBA"), T("AQIDBA") }, { T(""), T("") },
        { T("AQID\r\nBAUG\n"), T("AQIDBAUG") }, { T("AQ I\tD"), T("AQID") },
        { T("-_-_"), T("+/+/") }, { T("_w=="), T("/w") },
        /* bits left over */
        { T("AR=="), T("AQ") }, { T("AR"), T("AQ") }, { T("AQJ="), T("AQI") },
        { T("AQ="), T("AQ") }, { T("AQI=="), T("AQI") }, { T("AQID="), T("AQID") },
        { T("AQ==\n"), T("AQ") }, { T("AQ=\n="), T("AQ") },
    };
    struct eio_packet packet;
    struct buf packed = BUF_EMPTY, out = BUF_EMPTY;
    size_t count;

    (void)state;
    for EACH(i, cases) {
        buf_clear(&packed);
        buf_clear(&out);
        buf_add_char(&packed, 'b');
        buf_add_span(&packed, cases[i].came);
        assert_int_equal(read_payload(buf_span(&packed), &packet, 1, &count), EIO_END);
        eio_add_base64(&out, &packet);
        if (!span_equals(buf_span(&out), cases[i].goes))
            fail_msg("%.*s became %s", (int)cases[i].came.len, cases[i].came.p, buf_text(&out));
    }
    buf_release(&packed);
    buf_release(&out);
}

static void base64_is_taken_padded_or_not(void **state)
{
    static const struct span taken[] = {
        T("bAAAA"), T("bAA=="), T("bAA"), T("bAAA="), T("bAAA"), T("bAQ=="), T("bAQ"), T("bAQI="),
        T("bAQI"), T("bAQIDBA=="),
        T("b+/+/"), T("bzz09"), T("bAZaz"), T("b////"), T("b//8="), T("b/w=="), T("b/w"), T("b//8"),
    };
    struct eio_packet packet;
    size_t count;

    (void)state;
    for EACH(i, taken)
        if (read_payload(taken[i], &packet, 1, &count) != EIO_END)
            fail_msg("refused: %.*s", (int)taken[i].len, taken[i].p);
}

/* In each place of a group, the 64 digits, two of the alphabet for addresses and four blanks; no
 * other byte. */
static void each_alphabet_has_64_digits(void **state)
{
    struct eio_packet packet;
    size_t count;

    (void)state;
    for (size_t place = 1; place < 5; place++) {
        unsigned taken = 0;
        for (int c = 0; c < 256; c++) {
            char payload[] = "bAAAAAAAA";
            payload[place] = (char)c;
            taken += read_payload((struct span){ payload, 9 }, &packet, 1, &count) == EIO_END;
        }
        assert_int_equal(taken, 64 + 2 + 4);
    }
}

static void packets_are_counted_by_separators(void **state)
{
    (void)state;
    assert_int_equal(eio_count(SPAN("")), 0);
    assert_int_equal(eio_count((struct span){ NULL, 0 }), 0);
    assert_int_equal(eio_count(SPAN("2")), 1);
    assert_int_equal(eio_count(SPAN("2\x1e" "3\x1e" "4x")), 3);
    assert_int_equal(eio_count(SPAN("\x1e")), 2);
    assert_int_equal(eio_count(SPAN("2\x1e")), 2);
}

static void packets_are_joined_as_they_are_read(void **state)
{
    struct buf b = BUF_EMPTY;
    struct eio_writer w;

    (void)state;
    eio_begin(&w, &b);
    eio_add(&w, EIO_OPEN, SPAN("{}"));
    assert_string_equal(buf_text(&b), "0{}");
    eio_add(&w, EIO_CLOSE, SPAN(""));
    eio_add(&w, EIO_PING, (struct span){ NULL, 0 });
    eio_add(&w, EIO_PONG, SPAN(""));
    eio_add(&w, EIO_MESSAGE, SPAN("2[\"a\"]"));
    eio_add(&w, EIO_UPGRADE, SPAN(""));
    eio_add(&w, EIO_NOOP, SPAN(""));
    eio_add(&w, EIO_BINARY, SPAN("AQID"));
    assert_true(span_is(eio_end(&w), "0{}\x1e"
                                     "1\x1e"
                                     "2\x1e"
                                     "3\x1e"
                                     "42[\"a\"]\x1e"
                                     "5\x1e"
                                     "6\x1e"
                                     "bAQID"));
    assert_int_equal(w.packets, 8);
    assert_int_equal(eio_count(buf_span(&b)), 8);
    buf_release(&b);
}

/* What is long is written once, where it goes. */
static void data_goes_right_into_the_packet(void **state)
{
    struct buf b = BUF_EMPTY;
    struct eio_writer w;

    (void)state;
    buf_add_text(&b, "what was there before");
    eio_begin(&w, &b);
    assert_int_equal(eio_end(&w).len, 0);
    eio_begin_packet(&w, EIO_MESSAGE);
    buf_add_text(w.out, "2[");
    buf_add_text(w.out, "7]");
    eio_begin_packet(&w, EIO_MESSAGE);
    eio_begin_packet(&w, EIO_MESSAGE);
    buf_add_text(w.out, "0");
    assert_true(span_is(eio_end(&w), "42[7]\x1e" "4\x1e" "40"));
    assert_int_equal(w.packets, 3);
    buf_release(&b);
}

static void base64_gets_the_padding_it_came_without(void **state)
{
    struct buf b = BUF_EMPTY;
    struct eio_writer w;

    (void)state;
    eio_begin(&w, &b);
    eio_add(&w, EIO_BINARY, SPAN("AQ"));
    eio_add(&w, EIO_BINARY, SPAN("AQI"));
    eio_add(&w, EIO_BINARY, SPAN("AQ=="));
    eio_add(&w, EIO_BINARY, SPAN(""));
    assert_true(span_is(eio_end(&w), "bAQ==\x1e" "bAQI=\x1e" "bAQ==\x1e" "b"));
    buf_release(&b);
}

static void a_session_is_opened_with_its_figures(void **state)
{
    struct eio_open open = { .sid = "Xyz_-9", .ping_interval_ms = 25000, .ping_timeout_ms = 20000,
                             .max_payload = INT64_MAX };
    struct buf b = BUF_EMPTY;
    struct eio_writer w;

    (void)state;
    eio_begin(&w, &b);
    eio_add_open(&w, &open);
    assert_string_equal(buf_text(&b),
                        "0{\"sid\":\"Xyz_-9\",\"upgrades\":[],\"pingInterval\":25000,"
                        "\"pingTimeout\":20000,\"maxPayload\":9223372036854775807}");
    open.max_payload = 1000000;
    open.wait = true;
    eio_begin(&w, &b);
    eio_add_open(&w, &open);
    assert_true(span_is(eio_end(&w),
                        "0{\"sid\":\"Xyz_-9\",\"upgrades\":[],\"pingInterval\":25000,"
                        "\"pingTimeout\":20000,\"maxPayload\":1000000,\"wait\":true}"));
    buf_release(&b);
}

static void the_noop_is_a_payload_of_its_own(void **state)
{
    struct eio_packet packet;
    size_t count;

    (void)state;
    assert_true(span_is(eio_noop(), "6"));
    assert_int_equal(read_payload(eio_noop(), &packet, 1, &count), EIO_END);
    assert_int_equal(packet.type, EIO_NOOP);
}

static void one_version_is_spoken(void **state)
{
    static const char *const others[] = { "", "3", "5", "04", "4.0", "44", " 4" };

    (void)state;
    assert_true(eio_speaks("4"));
    for EACH(i, others)
        assert_false(eio_speaks(others[i]));
}

/* Clients go by the numbers. */
static void errors_have_the_numbers_that_clients_know(void **state)
{
    static const struct { enum eio_error code; const char *message, *body; } cases[] = {
        { EIO_TRANSPORT_UNKNOWN, "Transport unknown",
          "{\"code\":0,\"message\":\"Transport unknown\"}" },
        { EIO_SID_UNKNOWN, "Session ID unknown",
          "{\"code\":1,\"message\":\"Session ID unknown\"}" },
        { EIO_BAD_METHOD, "Bad handshake method",
          "{\"code\":2,\"message\":\"Bad handshake method\"}" },
        { EIO_BAD_REQUEST, "Bad request", "{\"code\":3,\"message\":\"Bad request\"}" },
        { EIO_FORBIDDEN, "Forbidden", "{\"code\":4,\"message\":\"Forbidden\"}" },
        { EIO_BAD_VERSION, "", "{\"code\":5,\"message\":\"\"}" },
    };
    char out[EIO_ERROR_MAX];

    (void)state;
    for EACH(i, cases)
        assert_true(span_is(eio_error_body(out, cases[i].code, cases[i].message), cases[i].body));
}

/* It stays JSON, however long the message. */
static void an_error_is_cut_within_its_message(void **state)
{
    char out[EIO_ERROR_MAX], message[2 * EIO_ERROR_MAX];

    (void)state;
    memset(message, 'm', sizeof message);
    for (size_t len = 0; len < sizeof message; len++) {
        message[len] = '\0';
        struct span body = eio_error_body(out, EIO_FORBIDDEN, message);
        assert_true(body.len < sizeof out);
        assert_true(span_starts(body, "{\"code\":4,\"message\":\""));
        assert_memory_equal(body.p + body.len - 2, "\"}", 2);
        assert_true(body.len == len + 23 || body.len > sizeof out - 10);
        message[len] = 'm';
    }
}

static void each_status_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (int a = EIO_OK; a <= EIO_BINARY_BODY; a++) {
        assert_string_not_equal(eio_strerror((enum eio_status)a), "unknown error");
        for (int b = EIO_OK; b < a; b++)
            assert_string_not_equal(eio_strerror((enum eio_status)a),
                                    eio_strerror((enum eio_status)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_read),
        cmocka_unit_test(packets_come_in_turn_and_end),
        cmocka_unit_test(the_end_stays_the_end),
        cmocka_unit_test(whoever_stopped_goes_on_from_there),
        cmocka_unit_test(binary_bodies_are_of_another_version),
        cmocka_unit_test(each_refusal_is_named),
        cmocka_unit_test(base64_is_taken_padded_or_not),
        cmocka_unit_test(base64_is_passed_on_as_an_encoder_writes_it),
        cmocka_unit_test(each_alphabet_has_64_digits),
        cmocka_unit_test(packets_are_counted_by_separators),
        cmocka_unit_test(packets_are_joined_as_they_are_read),
        cmocka_unit_test(data_goes_right_into_the_packet),
        cmocka_unit_test(base64_gets_the_padding_it_came_without),
        cmocka_unit_test(a_session_is_opened_with_its_figures),
        cmocka_unit_test(the_noop_is_a_payload_of_its_own),
        cmocka_unit_test(one_version_is_spoken),
        cmocka_unit_test(errors_have_the_numbers_that_clients_know),
        cmocka_unit_test(an_error_is_cut_within_its_message),
        cmocka_unit_test(each_status_has_a_sentence_of_its_own),
    };

    return cmocka_run_group_tests_name("eio", tests, NULL, NULL);
}
