/* test_memory.c - each allocation refused in turn, and each with all behind it, where the talk of
 * test_store_faults.c does not reach: the configuration, and what is written for the wire. What says
 * that it went well has done all of it; what did not says so; nothing is lost (with the sanitizers:
 * no leak). */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include "eio.h"
#include "http.h"
#include "json.h"
#include "mask.h"
#include "memory.h"
#include "sio.h"

/* ---- the configuration */

static struct {
    char file[64];
    const char *expected;               /* what is printed of it; NULL: it is to be refused */
    struct buf printed;
} conf;

static void read_settings(void *arg)
{
    char *envp[] = { "POLLUX_STORE=relative/store", "POLLUX_CAPACITY=5", NULL };
    struct settings s;
    struct buf why = BUF_EMPTY, printed = BUF_EMPTY;

    (void)arg;
    if (settings_read(&s, conf.file, envp, &why) == -1) {
        assert_true(memory.refused != 0 || conf.expected == NULL);
        assert_true(!buf_ok(&why) || why.len > 20);     /* a sentence, or not even that */
    } else {
        assert_non_null(conf.expected);
        settings_print(&s, &printed);
        if (buf_ok(&printed))
            assert_string_equal(buf_text(&printed), conf.expected);
        else
            assert_int_not_equal(memory.refused, 0);
        buf_clear(&conf.printed);
        buf_add_span(&conf.printed, buf_span(&printed));
    }
    settings_release(&s);
    buf_release(&why);
    buf_release(&printed);
}

static void try_settings(const char *text, bool good)
{
    char *expected = NULL;
    struct settings s;
    struct buf why = BUF_EMPTY, printed = BUF_EMPTY;
    char *envp[] = { "POLLUX_STORE=relative/store", "POLLUX_CAPACITY=5", NULL };

    strcpy(conf.file, "/tmp/pollux-memory-XXXXXX");
    int fd = mkstemp(conf.file);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(settings_read(&s, conf.file, envp, &why), good ? 0 : -1);
    if (good) {
        settings_print(&s, &printed);
        assert_non_null(expected = strdup(buf_text(&printed)));
    }
    conf.expected = expected;
    int64_t count = memory_each(read_settings, NULL);
    print_message("%lld allocations refused in turn\n", (long long)count);
    assert_true(count > 2);
    unlink(conf.file);
    settings_release(&s);
    buf_release(&why);
    buf_release(&printed);
    buf_release(&conf.printed);
    free(expected);
}

static void settings_are_read_whole_or_refused(void **state)
{
    (void)state;
    try_settings("[pollux]\nnamespaces = /a\n  /b\n  /c\nallowed_origins = https://a.example\n"
                 "path = /x/\ndurability = full\n", true);
    try_settings("namespaces = /a\n  b\n", false);
    try_settings("capacity = 2\nno key at all\n", false);
    try_settings("capacitty = 2\n", false);
}

/* ---- the wire */

static void write_all(struct buf *out)
{
    struct http_answer a = { .status = 403, .type = "text/plain", .body = SPAN("forbidden"),
                             .origin = SPAN("https://a.example"), .retry_after_s = 3 };

    sio_begin(out, SIO_BINARY_EVENT, 2, SPAN("/chat"), SPAN("17"));
    json_string_encode(out, SPAN("a\x1e\"\xff and more than what was there at first, to grow"));
    eio_add(out, EIO_BINARY, SPAN("AQI"));
    mask_addresses(out, SPAN("from 192.0.2.1 to 2001:db8::1 and a long way back to where it was"));
    http_write(out, &a);
    buf_addf(out, "%s %d", "formatted", 7);
    for (int i = 0; i < 300; i++)
        buf_add_int(out, i);
}

static void write_wire(void *arg)
{
    struct buf out = BUF_EMPTY;

    write_all(&out);
    assert_int_equal(buf_ok(&out), memory.refused == 0);
    if (buf_ok(&out))
        assert_string_equal(buf_text(&out), (const char *)arg);
    else
        assert_string_equal(buf_text(&out), "");
    buf_clear(&out);                    /* it is as good as new */
    memory.nth = 0;
    write_all(&out);
    assert_string_equal(buf_text(&out), (const char *)arg);
    buf_release(&out);
}

static void what_is_written_is_whole_or_failed(void **state)
{
    struct buf out = BUF_EMPTY;

    (void)state;
    write_all(&out);
    char *expected = strdup(buf_text(&out));
    assert_true(memory_each(write_wire, expected) > 3);
    free(expected);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read_whole_or_refused),
        cmocka_unit_test(what_is_written_is_whole_or_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
