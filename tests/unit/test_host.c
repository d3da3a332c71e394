/* test_host.c - CGI's variables as a request, what lighttpd's error handler asks again, and
 * requests that do not arrive whole: the web server breaks off, or there is no memory. */
#include "host_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <fastcgi.h>

#include "memory.h"

#define BODY "42[\"chat\"]"             /* 10 bytes */
#define LARGE 3000000                   /* an answer that no socket takes at once */

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

static const char *get_forwarded(void *arg, const char *name)
{
    return strcmp(name, "HTTP_X_FORWARDED_FOR") == 0 ? arg : NULL;
}

static void a_proxy_is_told(void **state)
{
    struct request rq = { .conn = { -1, 0 } };
    char by_nobody[] = "";

    (void)state;
    host_read_variables(&rq, get_forwarded, NULL);
    assert_false(rq.forwarded);
    host_read_variables(&rq, get_forwarded, by_nobody);
    assert_true(rq.forwarded);
}

/* ---- requests as both hosts get them */

/* What one request came to. */
struct outcome {
    int64_t length;                     /* the body's that is announced */
    size_t sent;                        /* and how much of it comes */
    bool opened, taken;
    struct request rq;                  /* its spans are gone */
    bool right;                         /* they were what was sent */
};

static void look(struct outcome *o, const struct request *rq)
{
    o->taken = true;
    o->rq = *rq;
    o->right = span_is(rq->method, "POST") && span_is(rq->path, "/socket.io/")
            && span_is(rq->query, "sid=x") && span_is(rq->body, BODY);
}

/* Let standard input be a pipe that holds SENT bytes of the body and then ends. */
static void feed(size_t sent)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], BODY, sent), (ssize_t)sent);
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
}

/* A file stands in for standard output, which is cmocka's. */
static void serve_cgi(void *arg)
{
    struct outcome *o = arg;
    struct buf why = BUF_EMPTY;
    struct request rq;
    struct host *h;
    char length[24];

    *o = (struct outcome){ .length = o->length, .sent = o->sent };
    feed(o->sent);
    snprintf(length, sizeof length, "%lld", (long long)o->length);
    setenv("REQUEST_METHOD", "POST", 1);
    setenv("REQUEST_URI", "/socket.io/?sid=x", 1);
    setenv("QUERY_STRING", "sid=x", 1);
    setenv("CONTENT_LENGTH", length, 1);
    o->opened = host_open_cgi(&h, 100, &why) == 0;
    if (o->opened) {
        FILE *out = tmpfile();
        assert_true(host_next(h, &rq));
        look(o, &rq);
        assert_false(host_next(h, &rq));
        host_answer(h, (struct conn){ fileno(out), 0 }, false, SPAN("\r\nok"));
        assert_true(host_finished(h));
        fclose(out);
        host_close(h);
    }
    buf_release(&why);
}

/* ---- FastCGI, with the test as the web server */

static void add_record(struct buf *out, int type, const void *content, size_t len)
{
    const FCGI_Header header = { FCGI_VERSION_1, (unsigned char)type, 0, 1,
                                 (unsigned char)(len >> 8), (unsigned char)len, 0, 0 };

    buf_add(out, &header, sizeof header);
    buf_add(out, content, len);
}

static void add_param(struct buf *out, const char *name, const char *value)
{
    buf_add_char(out, (char)strlen(name));
    buf_add_char(out, (char)strlen(value));
    buf_add_text(out, name);
    buf_add_text(out, value);
}

static void send_request(int fd, const struct outcome *o)
{
    static const FCGI_BeginRequestBody begin = { 0, FCGI_RESPONDER, 0, { 0 } };
    struct buf params = BUF_EMPTY, out = BUF_EMPTY;
    char length[24];

    snprintf(length, sizeof length, "%lld", (long long)o->length);
    add_param(&params, "REQUEST_METHOD", "POST");
    add_param(&params, "REQUEST_URI", "/socket.io/?sid=x");
    add_param(&params, "QUERY_STRING", "sid=x");
    add_param(&params, "CONTENT_LENGTH", length);
    add_record(&out, FCGI_BEGIN_REQUEST, &begin, sizeof begin);
    add_record(&out, FCGI_PARAMS, params.data, params.len);
    add_record(&out, FCGI_PARAMS, NULL, 0);
    if (o->sent != 0)
        add_record(&out, FCGI_STDIN, BODY, o->sent);
    add_record(&out, FCGI_STDIN, NULL, 0);
    assert_int_equal(write(fd, out.data, out.len), (ssize_t)out.len);
    buf_release(&params);
    buf_release(&out);
}

/* What FD yields until it ends, with what H still has to send sent meanwhile. */
static size_t receive(int fd, struct host *h)
{
    static char rest[1 << 16];
    struct host_events events;
    size_t all = 0;
    ssize_t got;

    while ((got = recv(fd, rest, sizeof rest, MSG_DONTWAIT)) != 0) {
        all += got > 0 ? (size_t)got : 0;
        if (got == -1 && h != NULL)
            host_wait(h, host_now() + 10, &events);
    }
    return all;
}

/* The answer arrives whole or not at all, and then the connection ends. */
static void serve_fcgi(void *arg)
{
    static char large[LARGE];
    struct outcome *o = arg;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t len = sizeof(sa_family_t);
    struct buf why = BUF_EMPTY;
    struct host *h;
    struct request rq;
    int64_t nth = memory.nth;

    memory.nth = 0;                     /* the test itself has memory */
    *o = (struct outcome){ .length = o->length, .sent = o->sent };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);     /* any free name */
    len = sizeof address;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    send_request(fd, o);

    memory.nth = nth;
    o->opened = host_open_fcgi(&h, listener, 100, &why) == 0;
    if (o->opened) {
        assert_true(host_next(h, &rq));
        look(o, &rq);
        host_answer(h, rq.conn, false, (struct span){ large, sizeof large });
        memory.nth = 0;
        size_t all = receive(fd, h);
        assert_true(all > sizeof large || memory.refused != 0);
        host_close(h);
    }
    memory.nth = 0;
    close(fd);
    close(listener);
    buf_release(&why);
}

static void (*const hosts[])(void *) = { serve_cgi, serve_fcgi };

static void a_body_that_breaks_off_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct outcome whole = { .length = 10, .sent = 10 }, cut = { .length = 10, .sent = 9 },
                       none = { .length = 10 }, empty = { .length = 0 };
        hosts[i](&whole);
        assert_true(whole.taken && whole.right && !whole.rq.cut);
        hosts[i](&cut);
        assert_true(cut.taken && cut.rq.cut);
        hosts[i](&none);
        assert_true(none.taken && none.rq.cut);
        hosts[i](&empty);
        assert_true(empty.taken && !empty.rq.cut);
    }
}

static void too_long_is_told_and_not_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct outcome o = { .length = 101, .sent = 10 };
        hosts[i](&o);
        assert_true(o.taken && o.rq.body_too_long && !o.rq.cut && o.rq.body.len == 0);
    }
}

static void (*served)(void *);

static void serve_without(void *arg)
{
    struct outcome o = { .length = 10, .sent = 10 };

    (void)arg;
    served(&o);
    assert_true(!o.opened || (o.taken && (o.right || o.rq.cut)));
}

/* Either it does not open, or a request is whole or said to be cut; nothing is lost of an answer
 * that ends well. */
static void without_memory_a_request_is_cut_or_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        served = hosts[i];
        int64_t count = memory_each(serve_without, NULL);
        print_message("%lld allocations refused in turn\n", (long long)count);
        assert_true(count >= 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_become_a_request),
        cmocka_unit_test(a_proxy_is_told),
        cmocka_unit_test(a_body_that_breaks_off_is_told),
        cmocka_unit_test(too_long_is_told_and_not_read),
        cmocka_unit_test(without_memory_a_request_is_cut_or_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
