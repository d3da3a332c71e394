/* test_host.c - CGI's variables as a request, what lighttpd's error handler asks again, and
 * requests that do not arrive whole: the web server breaks off, or there is no memory. And
 * connections that cannot be taken, for want of descriptors. */
#include "host/kind.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"
#include "host/record.h"

#define BODY "42[\"chat\"]"             /* 10 bytes */
#define MUCH 200000                     /* a body that no read takes at once */
#define LARGE 3000000                   /* an answer that no socket takes at once */

/* Read VARIABLES, the last NULL, into *RQ. Returns the body's length. */
static size_t read_variables(struct request *rq, const char *const *variables)
{
    char *copies[8];
    size_t count = 0;

    *rq = (struct request){ .conn = { -1, 0 } };
    while (variables[count] != NULL) {
        copies[count] = (char *)(uintptr_t)variables[count];
        count++;
    }
    copies[count] = NULL;
    return host_read_variables(rq, copies);
}

static void variables_become_a_request(void **state)
{
    static const struct {
        const char *variables[6];
        const char *method, *query;
        bool again;
    } cases[] = {
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/?sid=x", "QUERY_STRING=sid=x" },
          "GET", "sid=x", false },
        { { "REQUEST_METHOD=GET", "SCRIPT_NAME=/socket.io/", "QUERY_STRING=sid=x" },
          "GET", "sid=x", false },
        { { "REQUEST_METHOD=POST", "REQUEST_URI=/socket.io/?sid=x", "QUERY_STRING=sid=x",
            "REDIRECT_STATUS=200" }, "POST", "sid=x", false },
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/?sid=x", "QUERY_STRING=sid=x",
            "REDIRECT_STATUS=" }, "GET", "sid=x", false },
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/?again=POST",
            "QUERY_STRING=again=POST" }, "GET", "again=POST", false },
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/?sid=x", "QUERY_STRING=again=GET",
            "REDIRECT_STATUS=500" }, "GET", "sid=x", true },
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/?sid=x", "QUERY_STRING=again=POST",
            "REDIRECT_STATUS=503" }, "POST", "sid=x", true },
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/?sid=x", "QUERY_STRING=sid=x",
            "REDIRECT_STATUS=500" }, "unknown", "sid=x", true },
        { { "REQUEST_METHOD=GET", "REQUEST_URI=/socket.io/", "QUERY_STRING=again=GET",
            "REDIRECT_STATUS=500" }, "GET", "", true },
        /* of two the first; what only begins like a name, or is none, is another */
        { { "REQUEST_METHOD=GET", "REQUEST_METHOD=POST", "QUERY_STRINGS=y", "QUERY_STRING",
            "REQUEST_URI=/socket.io/" }, "GET", "", false },
    };
    struct request rq;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_variables(&rq, cases[i].variables), 0);
        assert_true(span_is(rq.method, cases[i].method));
        assert_true(span_is(rq.query, cases[i].query));
        assert_true(span_is(rq.path, "/socket.io/"));
        assert_int_equal(rq.again, cases[i].again);
    }
}

static void what_the_web_server_refused_keeps_its_status(void **state)
{
    static const struct {
        const char *status;
        bool again;
        int refused;
    } cases[] = { { "REDIRECT_STATUS=400", false, 400 }, { "REDIRECT_STATUS=413", false, 413 },
                  { "REDIRECT_STATUS=417", false, 417 }, { "REDIRECT_STATUS=500", true, 0 },
                  { "REDIRECT_STATUS=501", false, 501 }, { "REDIRECT_STATUS=502", true, 0 },
                  { "REDIRECT_STATUS=503", true, 0 },    { "REDIRECT_STATUS=504", true, 0 },
                  { "REDIRECT_STATUS=505", false, 505 }, { "REDIRECT_STATUS=200", false, 0 },
                  { "REDIRECT_STATUS=600", false, 0 } };
    struct request rq;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const variables[] = { "REQUEST_METHOD=GET", "QUERY_STRING=again=POST",
                                          "REQUEST_URI=/socket.io/?sid=x", cases[i].status, NULL };
        read_variables(&rq, variables);
        assert_int_equal(rq.again, cases[i].again);
        assert_int_equal(rq.refused, cases[i].refused);
        assert_true(span_is(rq.query, rq.again || rq.refused != 0 ? "sid=x" : "again=POST"));
    }
}

static void other_variables_are_read(void **state)
{
    static const char *const all[] = { "CONTENT_TYPE=text/plain", "CONTENT_LENGTH=12",
                                       "HTTP_ORIGIN=https://a.example", "HTTP_HOST=b.example",
                                       "HTTP_SEC_FETCH_SITE=same-site", "REMOTE_ADDR=192.0.2.1",
                                       "HTTPS=on", NULL };
    static const char *const lengths[][2] = { { "CONTENT_LENGTH=", NULL },
                                              { "CONTENT_LENGTH=-1", NULL },
                                              { "CONTENT_LENGTH=1x", NULL } };
    struct request rq;

    (void)state;
    assert_int_equal(read_variables(&rq, all), 12);
    assert_true(span_is(rq.content_type, "text/plain"));
    assert_true(span_is(rq.origin, "https://a.example"));
    assert_true(span_is(rq.host, "b.example"));
    assert_true(span_is(rq.fetch_site, "same-site"));
    assert_true(span_is(rq.address, "192.0.2.1"));
    assert_true(rq.https);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_int_equal(read_variables(&rq, lengths[i]), 0);
    assert_false(rq.https);
}

static void a_proxy_is_told(void **state)
{
    static const char *const none[] = { NULL };
    static const char *const by_nobody[] = { "HTTP_X_FORWARDED_FOR=", NULL };
    struct request rq;

    (void)state;
    read_variables(&rq, none);
    assert_false(rq.forwarded);
    read_variables(&rq, by_nobody);
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
    static char body[MUCH] = BODY;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, MUCH) >= MUCH);
    assert_int_equal(write(ends[1], body, sent), (ssize_t)sent);
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
    o->opened = host_open_cgi(&h, 100, 60000, &why) == 0;
    if (o->opened) {
        FILE *out = tmpfile();
        assert_true(host_next(h, &rq));
        look(o, &rq);
        assert_false(host_next(h, &rq));
        host_answer(h, (struct conn){ .fd = fileno(out) }, false, SPAN("\r\nok"));
        assert_true(host_finished(h));
        fclose(out);
        host_close(h);
    }
    buf_release(&why);
}

/* ---- FastCGI, with the test as the web server */

static void add_param(struct buf *out, const char *name, const char *value)
{
    buf_add_char(out, (char)strlen(name));
    buf_add_char(out, (char)strlen(value));
    buf_add_text(out, name);
    buf_add_text(out, value);
}

static void send_request(int fd, const struct outcome *o)
{
    struct buf params = BUF_EMPTY, out = BUF_EMPTY;
    char length[24];

    snprintf(length, sizeof length, "%lld", (long long)o->length);
    add_param(&params, "REQUEST_METHOD", "POST");
    add_param(&params, "REQUEST_URI", "/socket.io/?sid=x");
    add_param(&params, "QUERY_STRING", "sid=x");
    add_param(&params, "CONTENT_LENGTH", length);
    record_add(&out, RECORD_BEGIN, 1, SPAN("\0\1\0\0\0\0\0\0"));
    record_add(&out, RECORD_PARAMS, 1, buf_span(&params));
    record_add(&out, RECORD_PARAMS, 1, SPAN(""));
    if (o->sent != 0)
        record_add(&out, RECORD_STDIN, 1, (struct span){ BODY, o->sent });
    record_add(&out, RECORD_STDIN, 1, SPAN(""));
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

/* A listening socket of any free name, which ADDRESS is then. */
static int listen_anywhere(struct sockaddr_un *address, socklen_t *len)
{
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    assert_int_equal(bind(listener, (struct sockaddr *)address, sizeof(sa_family_t)), 0);
    *len = sizeof *address;
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, len), 0);
    assert_int_equal(listen(listener, 4), 0);
    return listener;
}

/* The answer arrives whole or not at all, and then the connection ends. */
static void serve_fcgi(void *arg)
{
    static char large[LARGE];
    struct outcome *o = arg;
    struct sockaddr_un address;
    socklen_t len;
    struct buf why = BUF_EMPTY;
    struct host *h;
    struct request rq;
    int64_t nth = memory.nth;

    memory.nth = 0;                     /* the test itself has memory */
    *o = (struct outcome){ .length = o->length, .sent = o->sent };
    int listener = listen_anywhere(&address, &len), fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    send_request(fd, o);

    memory.nth = nth;
    o->opened = host_open_fcgi(&h, listener, 100, 60000, &why) == 0;
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

/* Else the web server may find nobody to give the rest to, and break the connection. */
static void too_long_for_cgi_is_taken_to_its_end(void **state)
{
    struct outcome o = { .length = MUCH, .sent = MUCH };
    char rest;

    (void)state;
    serve_cgi(&o);
    assert_true(o.rq.body_too_long);
    assert_int_equal(read(STDIN_FILENO, &rest, 1), 0);
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

/* ---- no descriptor is left */

/* Let there be no further descriptor, or as many as before. */
static void set_limit(struct rlimit *before, bool none)
{
    struct rlimit now = *before;

    if (none) {
        assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
        int next = dup(STDIN_FILENO);
        now = (struct rlimit){ (rlim_t)next, before->rlim_max };
        close(next);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* How many lines FILE has, and empty it. */
static int count_lines(FILE *file)
{
    int lines = 0, c;

    rewind(file);
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    rewind(file);
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    return lines;
}

struct full {
    struct host *h;
    int listener, clients[2];
    FILE *told;                         /* standard error */
    int stderr_before;
    struct rlimit before;
};

/* valgrind looks at the limit only when a connection was accepted, and closes it then. */
static void skip_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL)
        skip();
}

/* Two clients ask. */
static void begin_full(struct full *f)
{
    const struct outcome whole = { .length = 10, .sent = 10 };
    struct sockaddr_un address;
    struct buf why = BUF_EMPTY;
    socklen_t len;

    f->listener = listen_anywhere(&address, &len);
    for (int i = 0; i < 2; i++) {
        f->clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(f->clients[i], (struct sockaddr *)&address, len), 0);
        send_request(f->clients[i], &whole);
    }
    assert_int_equal(host_open_fcgi(&f->h, f->listener, 100, 60000, &why), 0);
    f->told = tmpfile();
    f->stderr_before = dup(STDERR_FILENO);
    dup2(fileno(f->told), STDERR_FILENO);
}

static void end_full(struct full *f)
{
    dup2(f->stderr_before, STDERR_FILENO);
    close(f->stderr_before);
    fclose(f->told);
    host_close(f->h);
    close(f->listener);
    for (int i = 0; i < 2; i++)
        close(f->clients[i]);
}

static void without_a_descriptor_nothing_spins_and_one_line_says_so(void **state)
{
    struct host_events events;
    struct request rq;
    struct full f;

    (void)state;
    skip_under_valgrind();
    begin_full(&f);
    set_limit(&f.before, true);
    assert_false(host_next(f.h, &rq));
    int64_t begin = host_now();
    host_wait(f.h, begin + 60, &events);
    assert_true(host_now() - begin >= 50);      /* though two are waiting */
    for (int i = 0; i < 3; i++) {
        assert_false(host_next(f.h, &rq));
        host_wait(f.h, host_now() + 200, &events);
    }
    assert_int_equal(count_lines(f.told), 1);

    set_limit(&f.before, false);
    int waits = 0;
    for (; waits < 4 && !host_next(f.h, &rq); waits++)
        host_wait(f.h, host_now() + 10000, &events);
    assert_true(waits < 4);
    host_answer(f.h, rq.conn, false, SPAN("x"));
    assert_true(host_next(f.h, &rq));
    host_answer(f.h, rq.conn, false, SPAN("x"));
    end_full(&f);
}

static void an_answer_makes_way_for_the_next_at_once(void **state)
{
    struct host_events events;
    struct request first, second;
    struct full f;

    (void)state;
    skip_under_valgrind();
    begin_full(&f);
    assert_true(host_next(f.h, &first));
    set_limit(&f.before, true);
    assert_false(host_next(f.h, &second));
    host_answer(f.h, first.conn, false, SPAN("x"));
    host_wait(f.h, host_now() + 10000, &events);
    assert_true(host_next(f.h, &second));
    host_answer(f.h, second.conn, false, SPAN("x"));
    set_limit(&f.before, false);
    end_full(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_become_a_request),
        cmocka_unit_test(what_the_web_server_refused_keeps_its_status),
        cmocka_unit_test(other_variables_are_read),
        cmocka_unit_test(a_proxy_is_told),
        cmocka_unit_test(a_body_that_breaks_off_is_told),
        cmocka_unit_test(too_long_is_told_and_not_read),
        cmocka_unit_test(too_long_for_cgi_is_taken_to_its_end),
        cmocka_unit_test(without_memory_a_request_is_cut_or_whole),
        cmocka_unit_test(without_a_descriptor_nothing_spins_and_one_line_says_so),
        cmocka_unit_test(an_answer_makes_way_for_the_next_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
