/* test_host.c - CGI's variables as a request, and what lighttpd's error handler asks again. */
#include "host_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct variables {
    const char *method, *uri, *query, *status;
};

static const char *get(void *arg, const char *name)
{
    const struct variables *v = arg;

    return strcmp(name, "REQUEST_METHOD") == 0    ? v->method
           : strcmp(name, "REQUEST_URI") == 0     ? v->uri
           : strcmp(name, "QUERY_STRING") == 0    ? v->query
           : strcmp(name, "REDIRECT_STATUS") == 0 ? v->status
                                                  : NULL;
}

static void variables_become_a_request(void **state)
{
    static const struct {
        struct variables v;
        const char *method, *query;
        bool again;
    } cases[] = {
        { { "GET", "/socket.io/?sid=x", "sid=x", NULL }, "GET", "sid=x", false },
        { { "POST", "/socket.io/?sid=x", "sid=x", "200" }, "POST", "sid=x", false },
        { { "GET", "/socket.io/?sid=x", "sid=x", "" }, "GET", "sid=x", false },
        { { "GET", "/socket.io/?again=POST", "again=POST", NULL }, "GET", "again=POST", false },
        { { "GET", "/socket.io/?sid=x", "again=GET", "500" }, "GET", "sid=x", true },
        { { "GET", "/socket.io/?sid=x", "again=POST", "503" }, "POST", "sid=x", true },
        { { "GET", "/socket.io/?sid=x", "sid=x", "500" }, "unknown", "sid=x", true },
        { { "GET", "/socket.io/", "again=GET", "500" }, "GET", "", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request rq = { .conn = { -1, 0 } };
        struct variables v = cases[i].v;
        host_read_variables(&rq, get, &v);
        assert_true(span_is(rq.method, cases[i].method));
        assert_true(span_is(rq.query, cases[i].query));
        assert_true(span_is(rq.path, "/socket.io/"));
        assert_int_equal(rq.again, cases[i].again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(variables_become_a_request) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
