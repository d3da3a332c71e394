/* test_http.c - queries, origins, and answers byte by byte. */
#include "wire/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH(i, table) (size_t i = 0; i < sizeof (table) / sizeof (table)[0]; i++)
#define T(literal) { "" literal, sizeof(literal) - 1 }

static void methods_go_by_their_exact_names(void **state)
{
    (void)state;
    assert_int_equal(http_method(SPAN("GET")), HTTP_GET);
    assert_int_equal(http_method(SPAN("POST")), HTTP_POST);
    assert_int_equal(http_method(SPAN("OPTIONS")), HTTP_OPTIONS);
    assert_int_equal(http_method(SPAN("HEAD")), HTTP_OTHER);
    assert_int_equal(http_method(SPAN("PUT")), HTTP_OTHER);
    assert_int_equal(http_method(SPAN("get")), HTTP_OTHER);
    assert_int_equal(http_method(SPAN("GETS")), HTTP_OTHER);
    assert_int_equal(http_method(SPAN("GE")), HTTP_OTHER);
    assert_int_equal(http_method(SPAN("")), HTTP_OTHER);
}

/* ---- queries */

/* Look in a copy of QUERY that ends where it does. */
static long find(struct span query, const char *name, char *out, size_t cap)
{
    char *copy = malloc(query.len + (query.len == 0));
    assert_non_null(copy);
    if (query.len != 0)
        memcpy(copy, query.p, query.len);
    struct http_field f = { name, out, cap, 7 };
    http_query((struct span){ copy, query.len }, &f, 1);
    free(copy);
    return f.len;
}

static void fields_are_found_in_one_go(void **state)
{
    char a[8] = "old", b[8] = "old", c[8] = "old";
    struct http_field fields[] = { { "a", a, sizeof a, 0 }, { "b", b, 2, 0 }, { "c", c, 8, 0 } };

    (void)state;
    http_query(SPAN("b=long&a=%31+2&&b=x&a=3&d"), fields, 3);
    assert_int_equal(fields[0].len, 3);
    assert_string_equal(a, "1 2");
    assert_int_equal(fields[1].len, -2);
    assert_string_equal(b, "");
    assert_int_equal(fields[2].len, -1);
    assert_string_equal(c, "");
}

static void query_values_are_found_and_decoded(void **state)
{
    static const struct {
        struct span query;
        const char *name;
        long len;
        const char *value;
    } cases[] = {
        { T("EIO=4&transport=polling&t=abc"), "EIO", 1, "4" },
        { T("EIO=4&transport=polling&t=abc"), "transport", 7, "polling" },
        { T("transport=polling&EIO=4"), "EIO", 1, "4" }, { T("EIO=4&sid=x-_Y"), "sid", 4, "x-_Y" },
        { T("a=%41%2f%2F+b"), "a", 5, "A// b" }, { T("a=%c3%A9"), "a", 2, "\xc3\xa9" },
        { T("a=b=c"), "a", 3, "b=c" }, { T("a=%3D%26"), "a", 2, "=&" },
        { T("a="), "a", 0, "" }, { T("a"), "a", 0, "" }, { T("a&b=1"), "b", 1, "1" },
        { T("&&a=1&"), "a", 1, "1" }, { T("a=1&a=2"), "a", 1, "1" },
        { T("ta=1&at=2&t=3"), "t", 1, "3" }, { T("a=1234567"), "a", 7, "1234567" },
        { T("a=%31%32%33%34%35%36%37"), "a", 7, "1234567" },
        { T("a=b;c"), "a", 3, "b;c" }, { T("=1&a=2"), "a", 1, "2" },
        { T(""), "a", -1, "" }, { T("b=1"), "a", -1, "" }, { T("A=1"), "a", -1, "" },
        { T("aa=1"), "a", -1, "" }, { T("b=a=1"), "a", -1, "" },
        { T("a=12345678"), "a", -2, "" }, { T("a=%00"), "a", -2, "" }, { T("a=x\0y"), "a", -2, "" },
        { T("a=%"), "a", -2, "" }, { T("a=%4"), "a", -2, "" },
        { T("a=%4&b=1"), "a", -2, "" }, { T("a=%4g"), "a", -2, "" }, { T("a=%g4"), "a", -2, "" },
        { T("a=%%41"), "a", -2, "" }, { T("a=%-1"), "a", -2, "" },
        { T("a=%zz&a=1"), "a", -2, "" },
    };
    char out[8];

    (void)state;
    for EACH(i, cases) {
        memset(out, 'x', sizeof out);
        long len = find(cases[i].query, cases[i].name, out, sizeof out);
        if (len != cases[i].len)
            fail_msg("%ld, expected %ld: %.*s", len, cases[i].len, (int)cases[i].query.len,
                     cases[i].query.p);
        assert_string_equal(out, cases[i].value);
    }
    assert_int_equal(find((struct span){ NULL, 0 }, "a", out, sizeof out), -1);
    assert_int_equal(find(SPAN("a="), "a", out, 0), -2);
    assert_int_equal(find(SPAN("a="), "a", out, 1), 0);
}

/* ---- origins */

static void same_origin_means_scheme_host_and_port(void **state)
{
    static const struct {
        struct span origin, host;
        bool https, same;
    } cases[] = {
        { T("http://a.example"), T("a.example"), false, true },
        { T("https://a.example"), T("a.example"), true, true },
        { T("http://a.example:8181"), T("a.example:8181"), false, true },
        { T("http://127.0.0.1:8181"), T("127.0.0.1:8181"), false, true },
        { T("http://[::1]:8181"), T("[::1]:8181"), false, true },
        { T("http://[::1]"), T("[::1]:80"), false, true },
        { T("http://a.example"), T("a.example:80"), false, true },
        { T("https://a.example:443"), T("a.example"), true, true },
        { T("HTTP://A.Example"), T("a.eXample"), false, true },
        { T("https://a.example"), T("a.example"), false, false },
        { T("http://a.example"), T("a.example"), true, false },
        { T("http://a.example:443"), T("a.example"), false, false },
        { T("https://a.example:80"), T("a.example"), true, false },
        { T("http://a.example"), T("a.example:8181"), false, false },
        { T("http://a.example:8181"), T("a.example"), false, false },
        { T("http://b.example"), T("a.example"), false, false },
        { T("http://a.example.evil"), T("a.example"), false, false },
        { T("http://evil-a.example"), T("a.example"), false, false },
        { T("http://a.exampl"), T("a.example"), false, false },
        { T("null"), T("a.example"), false, false }, { T(""), T("a.example"), false, false },
        { T(""), T(""), false, false },
        { T("http://"), T(""), false, false }, { T("http://:80"), T(""), false, false },
        { T("ftp://a.example"), T("a.example"), false, false },
        { T("a.example"), T("a.example"), false, false },
        { T("http://a.example/"), T("a.example"), false, false },
    };

    (void)state;
    for
        EACH(i, cases)
    if (http_same_origin(cases[i].origin, cases[i].host, cases[i].https) != cases[i].same)
        fail_msg("%.*s and %.*s", (int)cases[i].origin.len, cases[i].origin.p,
                 (int)cases[i].host.len, cases[i].host.p);
}

static void hosts_are_served_by_their_names(void **state)
{
    static const struct {
        struct span host;
        const char *served;
        bool ok;
    } cases[] = {
        { T("anything"), "", true }, { T("a.example"), "a.example", true },
        { T("a.example:8181"), "a.example", true }, { T("A.example.:8181"), "a.Example", true },
        { T("a.example"), "b.example, a.example", true }, { T("b.example"), "a.example", false },
        { T("b.a.example"), "a.example", false }, { T("b.a.example"), "*.a.example", true },
        { T("a.example"), "*.a.example", false }, { T("a.example.evil"), "a.example", false },
        { T("192.0.2.1:8181"), "a.example", true }, { T("127.0.0.1"), "a.example", true },
        { T("[::1]:8181"), "a.example", true }, { T("[2001:db8::1]"), "a.example", true },
        { T("127.0.0.1.evil"), "a.example", false }, { T("[::1].evil"), "a.example", false },
        { T(":8181"), "a.example", false }, { T("localhost"), "a.example", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (http_host_served(cases[i].host, cases[i].served) != cases[i].ok)
            fail_msg("%.*s in '%s'", (int)cases[i].host.len, cases[i].host.p, cases[i].served);
}

static void what_stands_in_messages_is_plain(void **state)
{
    (void)state;
    assert_true(http_is_plain(SPAN("https://a.example:8181")));
    assert_false(http_is_plain(SPAN("a\"b")));
    assert_false(http_is_plain(SPAN("a\\b")));
    assert_false(http_is_plain(SPAN("a\nb")));
    assert_false(http_is_plain(SPAN("\xc3\xa9")));
}

static void origins_are_allowed_by_the_list_alone(void **state)
{
    static const struct {
        struct span origin;
        const char *allowed;
        bool ok;
    } cases[] = {
        { T("https://a.example"), "https://a.example", true },
        { T("https://a.example"), "http://x https://a.example", true },
        { T("https://a.example"), "http://x,https://a.example", true },
        { T("https://a.example"), " ,, https://a.example ,", true },
        { T("https://A.example"), "HTTPS://a.Example", true },
        { T("https://a.example"), "https://a.example:443", true },
        { T("http://a.example:80"), "http://a.example", true },
        { T("https://a.example"), "https://a.example/", true },
        { T("http://localhost:3000"), "http://localhost:3000", true },
        { T("http://[::1]:3000"), "http://[::1]:3000", true },
        { T("https://a.example"), "*", true }, { T("null"), "*", true },
        { T("null"), "null", true }, { T("app://x"), "app://x", true },
        { T("https://b.example.org"), "https://*.example.org", true },
        { T("https://a.b.example.org"), "https://*.example.org", true },
        { T("https://a-1_x.Example.org"), "https://*.example.ORG", true },
        { T("https://b.example.org:8443"), "https://*.example.org:8443", true },
        { T("https://b.example.org:443"), "https://*.example.org", true },
        { T("https://b.example.org"), "https://*.example.org/", true },
        { T(""), "*", false }, { T(""), "", false }, { T("https://a.example"), "", false },
        { T("https://a.example"), " , ", false },
        { T("null"), "https://a.example", false }, { T("https://a.example"), "null", false },
        { T("http://a.example"), "https://a.example", false },
        { T("https://a.example"), "http://a.example", false },
        { T("https://a.example"), "a.example", false },
        { T("https://a.example:8443"), "https://a.example", false },
        { T("https://a.example"), "https://a.example:8443", false },
        { T("https://a.example.evil"), "https://a.example", false },
        { T("https://xa.example"), "https://a.example", false },
        { T("https://a.exampl"), "https://a.example", false },
        { T("https://example.org"), "https://*.example.org", false },
        { T("https://.example.org"), "https://*.example.org", false },
        { T("https://evilexample.org"), "https://*.example.org", false },
        { T("https://evil.com/.example.org"), "https://*.example.org", false },
        { T("https://evil.com:1.example.org"), "https://*.example.org", false },
        { T("https://x@y.example.org"), "https://*.example.org", false },
        { T("https://a..example.org"), "https://*.example.org", false },
        { T("https://.a.example.org"), "https://*.example.org", false },
        { T("https://b.example.org.evil"), "https://*.example.org", false },
        { T("http://b.example.org"), "https://*.example.org", false },
        { T("https://b.example.org:8443"), "https://*.example.org", false },
        { T("https://a.example"), "https://*", false },
        { T("https://a.example"), "https://*.", false },
        { T("https://a.example."), "https://*.", false },
        { T("https://ab.example.org"), "https://a*.example.org", false },
        { T("https://\xc3\xa9.example.org"), "https://*.example.org", false },
        { T("https://a\0.example.org"), "https://*.example.org", false },
    };

    (void)state;
    for
        EACH(i, cases)
    if (http_origin_allowed(cases[i].origin, cases[i].allowed) != cases[i].ok)
        fail_msg("%.*s with \"%s\"", (int)cases[i].origin.len, cases[i].origin.p, cases[i].allowed);
    assert_false(http_origin_allowed(SPAN("https://a.example"), NULL));
}

/* ---- answers */

static void assert_written(const struct http_answer *a, const char *expected)
{
    struct buf b = BUF_EMPTY;

    http_write(&b, a);
    assert_string_equal(buf_text(&b), expected);
    buf_release(&b);
}

static void poll_is_answered_in_few_lines(void **state)
{
    (void)state;
    assert_written(&(struct http_answer){ .status = 200,
                                          .type = "text/plain; charset=UTF-8",
                                          .body = SPAN("42[\"a\"]\x1e"
                                                       "2") },
                   "X-Accel-Buffering: no\r\n"
                   "Content-Type: text/plain; charset=UTF-8\r\n"
                   "Content-Length: 9\r\n"
                   "Cache-Control: no-store\r\n"
                   "\r\n"
                   "42[\"a\"]\x1e"
                   "2");
}

static void error_names_its_status_and_is_not_sniffed(void **state)
{
    (void)state;
    assert_written(&(struct http_answer){ .status = 400,
                                          .type = "application/json",
                                          .body = SPAN("{\"code\":1}") },
                   "Status: 400 Bad Request\r\n"
                   "X-Content-Type-Options: nosniff\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length: 10\r\n"
                   "Cache-Control: no-store\r\n"
                   "\r\n"
                   "{\"code\":1}");
}

static void busy_answer_says_when_to_come_again(void **state)
{
    (void)state;
    assert_written(
        &(struct http_answer){
            .status = 503, .type = "application/json", .body = SPAN("{}"), .retry_after_s = 1 },
        "Status: 503 Service Unavailable\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Content-Type: application/json\r\n"
        "Content-Length: 2\r\n"
        "Cache-Control: no-store\r\n"
        "Retry-After: 1\r\n"
        "\r\n"
        "{}");
}

static void allowed_origin_is_named_on_errors_too(void **state)
{
    (void)state;
    assert_written(&(struct http_answer){ .status = 403,
                                          .type = "application/json",
                                          .body = SPAN("{}"),
                                          .origin = SPAN("https://a.example:8443") },
                   "Status: 403 Forbidden\r\n"
                   "X-Content-Type-Options: nosniff\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length: 2\r\n"
                   "Cache-Control: no-store\r\n"
                   "Access-Control-Allow-Origin: https://a.example:8443\r\n"
                   "Access-Control-Allow-Credentials: true\r\n"
                   "Vary: Origin\r\n"
                   "\r\n"
                   "{}");
}

static void preflight_echoes_the_requested_headers(void **state)
{
    (void)state;
    assert_written(&(struct http_answer){ .status = 204,
                                          .preflight = true,
                                          .origin = SPAN("http://[::1]:3000"),
                                          .request_headers = SPAN("x-token, Content-Type") },
                   "Status: 204 No Content\r\n"
                   "Cache-Control: no-store\r\n"
                   "Access-Control-Allow-Origin: http://[::1]:3000\r\n"
                   "Access-Control-Allow-Credentials: true\r\n"
                   "Vary: Origin\r\n"
                   "Access-Control-Allow-Methods: GET, POST\r\n"
                   "Access-Control-Max-Age: 7200\r\n"
                   "Access-Control-Allow-Headers: x-token, Content-Type\r\n"
                   "\r\n");
}

static void preflight_from_elsewhere_allows_nothing(void **state)
{
    (void)state;
    assert_written(&(struct http_answer){ .status = 204,
                                          .preflight = true,
                                          .request_headers = SPAN("x-token") },
                   "Status: 204 No Content\r\nCache-Control: no-store\r\n\r\n");
}

static void preflight_without_headers_allows_methods_alone(void **state)
{
    (void)state;
    assert_written(
        &(struct http_answer){ .status = 204, .preflight = true, .origin = SPAN("null") },
        "Status: 204 No Content\r\n"
        "Cache-Control: no-store\r\n"
        "Access-Control-Allow-Origin: null\r\n"
        "Access-Control-Allow-Credentials: true\r\n"
        "Vary: Origin\r\n"
        "Access-Control-Allow-Methods: GET, POST\r\n"
        "Access-Control-Max-Age: 7200\r\n"
        "\r\n");
}

static void any_origin_is_allowed_without_credentials(void **state)
{
    (void)state;
    assert_true(http_origin_named(SPAN("https://a.example"), "* https://a.example"));
    assert_true(http_origin_named(SPAN("https://b.a.example"), "*,https://*.a.example"));
    assert_false(http_origin_named(SPAN("https://a.example"), "*"));
    assert_false(http_origin_named(SPAN("https://b.example"), "* https://a.example"));
    assert_written(&(struct http_answer){ .status = 400,
                                          .type = "text/plain",
                                          .origin = SPAN("https://b.example"),
                                          .anyone = true },
                   "Status: 400 Bad Request\r\n"
                   "X-Content-Type-Options: nosniff\r\n"
                   "Content-Type: text/plain\r\n"
                   "Content-Length: 0\r\n"
                   "Cache-Control: no-store\r\n"
                   "Access-Control-Allow-Origin: https://b.example\r\n"
                   "Vary: Origin\r\n"
                   "\r\n");
}

static void extra_lines_come_as_they_are(void **state)
{
    (void)state;
    assert_written(&(struct http_answer){ .status = 200,
                                          .type = "text/html",
                                          .body = SPAN("ok"),
                                          .extra = "X-A: 1\r\nX-B: 2\r\n" },
                   "X-Accel-Buffering: no\r\nContent-Type: text/html\r\nContent-Length: 2\r\n"
                   "Cache-Control: no-store\r\nX-A: 1\r\nX-B: 2\r\n\r\nok");
}

static void headers_cannot_be_injected(void **state)
{
    static const struct span evil[] = {
        T("https://a\r\nX-Evil: 1"), T("https://a\nX-Evil: 1"), T("https://a\r"), T("a\0b"),
        T("https://\xc3\xa9"), T("\x7f"), T("a\tb"), T("\""), T("<a>"),
    };
    struct buf b = BUF_EMPTY;

    (void)state;
    for EACH(i, evil) {
        buf_clear(&b);
        http_write(&b, &(struct http_answer){ .status = 204,
                                              .preflight = true,
                                              .origin = evil[i],
                                              .request_headers = SPAN("x") });
        assert_string_equal(buf_text(&b),
                            "Status: 204 No Content\r\nCache-Control: no-store\r\n\r\n");
        buf_clear(&b);
        http_write(&b, &(struct http_answer){ .status = 204,
                                              .preflight = true,
                                              .origin = SPAN("null"),
                                              .request_headers = evil[i] });
        assert_null(memmem(b.data, b.len, "Evil", 4));
        assert_null(strstr(buf_text(&b), "Access-Control-Allow-Headers"));
        assert_non_null(strstr(buf_text(&b), "Access-Control-Allow-Origin: null\r\n"));
    }
    buf_release(&b);
}

static void bodies_are_bytes(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    http_write(&b, &(struct http_answer){
                       .status = 200, .type = "text/plain", .body = SPAN("a\0\r\n\xff") });
    assert_memory_equal(b.data + b.len - 5, "a\0\r\n\xff", 5);
    assert_non_null(strstr(buf_text(&b), "Content-Length: 5\r\n"));
    buf_release(&b);
}

static void reasons_are_known_for_what_is_sent(void **state)
{
    static const int known[] = { 200, 204, 304, 400, 403, 404, 405, 413, 415, 429, 500, 503 };

    (void)state;
    for EACH(i, known)
        assert_string_not_equal(http_reason(known[i]), "Unknown");
    assert_string_equal(http_reason(400), "Bad Request");
    assert_string_equal(http_reason(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_go_by_their_exact_names),
        cmocka_unit_test(query_values_are_found_and_decoded),
        cmocka_unit_test(fields_are_found_in_one_go),
        cmocka_unit_test(same_origin_means_scheme_host_and_port),
        cmocka_unit_test(hosts_are_served_by_their_names),
        cmocka_unit_test(what_stands_in_messages_is_plain),
        cmocka_unit_test(origins_are_allowed_by_the_list_alone),
        cmocka_unit_test(poll_is_answered_in_few_lines),
        cmocka_unit_test(error_names_its_status_and_is_not_sniffed),
        cmocka_unit_test(busy_answer_says_when_to_come_again),
        cmocka_unit_test(allowed_origin_is_named_on_errors_too),
        cmocka_unit_test(preflight_echoes_the_requested_headers),
        cmocka_unit_test(preflight_from_elsewhere_allows_nothing),
        cmocka_unit_test(preflight_without_headers_allows_methods_alone),
        cmocka_unit_test(any_origin_is_allowed_without_credentials),
        cmocka_unit_test(extra_lines_come_as_they_are),
        cmocka_unit_test(headers_cannot_be_injected),
        cmocka_unit_test(bodies_are_bytes),
        cmocka_unit_test(reasons_are_known_for_what_is_sent),
    };

    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
