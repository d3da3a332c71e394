/* test_memory.c - each allocation refused in turn, and each with all behind it, where the talk of
 * test_store_faults.c does not reach: the configuration, what is written for the wire, and
 * polluxctl. What says that it went well has done all of it; what did not says so; nothing is
 * lost (with the sanitizers: no leak). */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "base/stats.h"
#include "wire/eio.h"
#include "wire/http.h"
#include "wire/json.h"
#include "store/mask.h"
#include "memory.h"
#include "wire/sio.h"

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
    struct eio_writer w;

    eio_begin(&w, out);
    eio_begin_packet(&w, EIO_MESSAGE);
    sio_begin(out, SIO_BINARY_EVENT, 2, SPAN("/chat"), SPAN("17"));
    json_string_encode(out, SPAN("a\x1e\"\xff and more than what was there at first, to grow"));
    eio_add(&w, EIO_BINARY, SPAN("AQI"));
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

/* ---- polluxctl */

#define NOW_MS INT64_C(1700000060000)

static struct {
    struct rig rig;
    struct ctl ctl;
    int (*command)(struct ctl *c);
    struct ctl asked;                   /* what the command line would have said */
    char *expected;
    int attempts;
} tool;

static void fill_store(struct rig *r)
{
    static const char *const keys[] = { "POLLUX_LOG_AGE_DAYS=1", NULL };
    struct client a, b;

    rig_open(r, keys);
    client_join(&a, r, "room");
    client_join(&b, r, "room");
    client_hear(&a);
    client_hear(&b);
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":\"from 192.0.2.77\"}]");
    client_post(&a, "452-[\"file\",{\"_placeholder\":true,\"num\":0},"
                    "{\"_placeholder\":true,\"num\":1}]\x1e" "bAQID\x1e" "bAQ==");
    client_hear(&b);
    client_post(&b, "421[\"and an answer\",[1,{\"deep\":\"\\u00e9\xc3\xa9\"}]]");
    client_hear(&a);
    rig_wait(r, 1000);
}

/* Run the command once; what it printed, to be freed, and in *ERRORS how much it complained. */
static char *run_command(int *status, size_t *errors)
{
    FILE *out = stdout, *err = stderr;
    char *text = NULL, *complaint = NULL;
    size_t len;

    stdout = open_memstream(&text, &len);
    stderr = open_memstream(&complaint, errors);
    assert_true(stdout != NULL && stderr != NULL);
    tool.ctl = tool.asked;
    bool writes = tool.command == ctl_close || tool.command == ctl_gc;
    *status = writes ? ctl_open_to_write(&tool.ctl) : ctl_open(&tool.ctl);
    if (*status == CTL_OK)
        *status = tool.command(&tool.ctl);
    ctl_close_store(&tool.ctl);
    fclose(stdout);
    fclose(stderr);
    stdout = out;
    stderr = err;
    free(complaint);
    return text;
}

/* Exit status 0 is all of the output; any other comes with a complaint. */
static void print_without(void *arg)
{
    int status;
    size_t errors;
    char *text = run_command(&status, &errors);

    (void)arg;
    if (status == CTL_OK)
        assert_string_equal(text, tool.expected);
    else
        assert_true(memory.refused != 0 && errors != 0);
    free(text);
    tool.attempts++;
}

static void try_command(int (*command)(struct ctl *c), struct ctl asked)
{
    int status;
    size_t errors;

    tool.command = command;
    tool.asked = asked;
    tool.asked.dir = tool.rig.set.store;
    tool.asked.set = tool.rig.set;
    tool.asked.now_ms = NOW_MS;
    if (asked.until_ms == 0)
        tool.asked.until_ms = INT64_MAX;
    tool.expected = run_command(&status, &errors);
    assert_int_equal(status, CTL_OK);
    memory_each(print_without, NULL);
    free(tool.expected);
}

static void polluxctl_prints_all_or_fails(void **state)
{
    (void)state;
    fill_store(&tool.rig);
    try_command(ctl_log, (struct ctl){ .lines = -1 });
    try_command(ctl_log, (struct ctl){ .lines = 3, .all = true, .argument = "room" });
    try_command(ctl_log, (struct ctl){ .lines = -1, .all = true, .json = true });
    try_command(ctl_channels, (struct ctl){ .lines = -1 });
    try_command(ctl_channels, (struct ctl){ .lines = -1, .json = true });
    try_command(ctl_who, (struct ctl){ .lines = -1, .all = true });
    try_command(ctl_who, (struct ctl){ .lines = -1, .json = true });
    try_command(ctl_diagram, (struct ctl){ .lines = -1, .argument = "room", .all = true });
    try_command(ctl_check, (struct ctl){ .lines = -1 });
    struct stats stats;
    struct buf why = BUF_EMPTY;
    assert_int_equal(stats_open(&stats, tool.rig.set.store, &why), 0);
    try_command(ctl_stats, (struct ctl){ .lines = -1 });
    try_command(ctl_stats, (struct ctl){ .lines = -1, .json = true });
    stats_release(&stats);
    buf_release(&why);
    char file[24];
    snprintf(file, sizeof file, "%d", (int)ask_of(&tool.rig, ASK_FIRST_SAID, "file"));
    try_command(ctl_show, (struct ctl){ .lines = -1, .argument = file });
    try_command(ctl_show, (struct ctl){ .lines = -1, .argument = file, .json = true });
    print_message("%d runs of a command\n", tool.attempts);
    rig_close(&tool.rig);
}

/* What the log says, in one number for each of two ways to lose some of it. */
static void take_stock(int64_t stock[3])
{
    stock[0] = ask(&tool.rig, ASK_MEMBERS);
    stock[1] = ask(&tool.rig, ASK_KEPT_BYTES);
    stock[2] = ask(&tool.rig, ASK_BROKEN);
}

/* All of it is done, or nothing is and it says so. A store for each attempt. */
static void write_without(void *arg)
{
    struct ctl *asked = arg;
    int64_t nth = memory.nth, before[3], after[3];
    int status;
    size_t errors;

    memory.nth = 0;
    fill_store(&tool.rig);
    take_stock(before);
    tool.asked = *asked;
    tool.asked.dir = tool.rig.set.store;
    tool.asked.set = tool.rig.set;
    tool.asked.set.keep_addresses = false;
    tool.asked.now_ms = NOW_MS;
    memory.nth = nth;
    char *text = run_command(&status, &errors);
    memory.nth = 0;
    take_stock(after);
    assert_int_equal(after[2], 0);
    if (status != CTL_OK) {
        assert_true(memory.refused != 0 && errors != 0);
        assert_int_equal(after[0], before[0]);
        if (tool.command == ctl_close)
            assert_int_equal(after[1], before[1]);
    } else if (tool.command == ctl_close) {
        assert_int_equal(after[0], 0);
        assert_non_null(strstr(text, ": 2 members disconnected\n"));
    } else {
        /* from 192.0.2.77 to from x.x.x.x, where it was said and in the log's echo of it */
        assert_int_equal(after[0], before[0]);
        assert_int_equal(after[1], before[1] - 2 * 3);
        assert_starts(text, "removed 0 messages");
    }
    free(text);
    rig_close(&tool.rig);
    tool.attempts++;
}

static void polluxctl_changes_all_or_nothing(void **state)
{
    struct ctl close = { .lines = -1, .until_ms = INT64_MAX, .argument = "room" };
    struct ctl gc = { .lines = -1, .until_ms = INT64_MAX };

    (void)state;
    tool.attempts = 0;
    tool.command = ctl_close;
    memory_each(write_without, &close);
    tool.command = ctl_gc;
    memory_each(write_without, &gc);
    print_message("%d runs of a command\n", tool.attempts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read_whole_or_refused),
        cmocka_unit_test(what_is_written_is_whole_or_failed),
        cmocka_unit_test(polluxctl_prints_all_or_fails),
        cmocka_unit_test(polluxctl_changes_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
