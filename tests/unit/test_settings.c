/* test_settings.c - what an operator may write, what is refused, and in which words. */
#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/pollux-settings-XXXXXX";
static char file[sizeof folder + 16];
static char *nothing[] = { NULL };

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof file, "%s/pollux.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void write_file(const void *bytes, size_t len)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The file NAME of the sources, as a text. */
static void read_source(const char *name, char *text, size_t cap)
{
    const char *srcdir = getenv("srcdir");
    char path[4096];
    FILE *f;
    size_t len;

    snprintf(path, sizeof path, "%s/%s", srcdir != NULL ? srcdir : ".", name);
    f = fopen(path, "r");
    if (f == NULL)
        fail_msg("cannot open %s", path);
    len = fread(text, 1, cap - 1, f);
    text[len] = '\0';
    fclose(f);
}

/* Read TEXT as the file, with ENVP. The values, to be released. */
static struct settings read_well(const char *text, char *const envp[])
{
    struct settings s;
    struct buf why = BUF_EMPTY;

    write_file(text, strlen(text));
    if (settings_read(&s, file, envp, &why) == -1)
        fail_msg("refused: %s", buf_text(&why));
    buf_release(&why);
    return s;
}

/* TEXT and ENVP are refused. SAYS, after the file's name and ":", is what the message must be. */
static void refuses_both(const char *text, char *const envp[], const char *says)
{
    struct settings s;
    struct buf why = BUF_EMPTY;
    const char *said;

    write_file(text, strlen(text));
    assert_int_equal(settings_read(&s, file, envp, &why), -1);
    said = buf_text(&why);
    if (strncmp(said, file, strlen(file)) == 0)
        said += strlen(file) + 1;
    assert_string_equal(said, says);
    settings_release(&s);
    buf_release(&why);
}

static void refuses(const char *text, const char *says)
{
    refuses_both(text, nothing, says);
}

static void refuses_variable(char *variable, const char *says)
{
    char *envp[] = { variable, NULL };
    refuses_both("", envp, says);
}

static void defaults_need_neither_file_nor_environment(void **state)
{
    struct settings s;
    struct buf why = BUF_EMPTY;

    (void)state;
    assert_int_equal(settings_read(&s, NULL, nothing, &why), 0);
    assert_string_equal(s.store, "");
    assert_string_equal(s.path, "");
    assert_string_equal(s.namespaces, "/");
    assert_string_equal(s.allowed_origins, "");
    assert_int_equal(s.capacity, 2);
    assert_int_equal(s.ping_interval_ms, 25000);
    assert_true(s.keep_payloads);
    assert_int_equal(s.durability, DURABILITY_NORMAL);
    assert_int_equal(s.log_level, 2);
    settings_release(&s);
    buf_release(&why);
}

static void file_sets_values_of_each_kind(void **state)
{
    struct settings s = read_well(
        "\xEF\xBB\xBF# a comment\n; another\n\n"
        "capacity = 5\r\n"
        "[pollux]\n"
        "keep_payloads=off\n"
        "store = /srv/pollux///\n"
        "durability = FULL    ; with a remark\n"
        "log_level: debug", nothing);

    (void)state;
    assert_int_equal(s.capacity, 5);
    assert_false(s.keep_payloads);
    assert_string_equal(s.store, "/srv/pollux");
    assert_int_equal(s.durability, DURABILITY_FULL);
    assert_int_equal(s.log_level, 3);
    assert_int_equal(s.ping_timeout_ms, 20000);
    settings_release(&s);
}

static void environment_wins_over_file(void **state)
{
    char *envp[] = { "HOME=/root", "POLLUX_CAPACITY=7", "POLLUX_ALLOWED_ORIGINS=",
        "XPOLLUX_PATH=no", NULL };
    struct settings s = read_well("capacity = 5\nallowed_origins = *\n", envp);

    (void)state;
    assert_int_equal(s.capacity, 7);
    assert_string_equal(s.allowed_origins, "");
    settings_release(&s);
}

static void every_key_is_a_variable(void **state)
{
#define SETTING_INT(name, fallback, least, most, help) "POLLUX_" #name "=" #most,
#define SETTING_BOOL(name, fallback, help) "POLLUX_" #name "=1",
#define SETTING_TEXT(name, fallback, form, help) "POLLUX_" #name "=" fallback,
#define SETTING_CHOICE(name, fallback, choices, help) "POLLUX_" #name "=" choices,
    static const char *const entries[] = {
#include "base/settings.def"
    };
    enum { COUNT = sizeof entries / sizeof entries[0] };
    char *envp[COUNT + 1] = { NULL };
    struct settings s;
    struct buf why = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        envp[i] = strdup(entries[i]);
        assert_non_null(envp[i]);
        for (char *p = envp[i]; *p != '='; p++)
            *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        envp[i][strcspn(envp[i], "|")] = '\0';
    }
    if (settings_read(&s, NULL, envp, &why) == -1)
        fail_msg("refused: %s", buf_text(&why));
    assert_int_equal(s.processes, 64);
    assert_int_equal(s.log_level, 0);
    assert_int_equal(s.log_max_bytes, 1000000000000);
    for (size_t i = 0; i < COUNT; i++)
        free(envp[i]);
    settings_release(&s);
    buf_release(&why);
}

static void lists_go_on_over_lines(void **state)
{
    struct settings s = read_well("namespaces = / /chat\n  /news   /talk\n\n\t/last\ncapacity = 3\n"
                                  "allowed_origins =\n  https://a.example\n  "
                                  "https://*.b.example\n", nothing);

    (void)state;
    assert_string_equal(s.namespaces, "/ /chat /news /talk /last");
    assert_string_equal(s.allowed_origins, "https://a.example https://*.b.example");
    assert_int_equal(s.capacity, 3);
    settings_release(&s);
}

static void relative_store_is_beside_what_names_it(void **state)
{
    char *envp[] = { "POLLUX_STORE=./deep/data/", NULL };
    char here[4096], expected[4200];
    struct settings s = read_well("store = data\n", nothing);

    (void)state;
    snprintf(expected, sizeof expected, "%s/data", folder);
    assert_string_equal(s.store, expected);
    settings_release(&s);

    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/deep/data", here);
    s = read_well("", envp);
    assert_string_equal(s.store, expected);
    settings_release(&s);
}

static void empty_namespaces_are_the_main_one(void **state)
{
    struct settings s = read_well("namespaces =\n", nothing);

    (void)state;
    assert_string_equal(s.namespaces, "/");
    settings_release(&s);
}

static void unknown_keys_are_refused_with_a_guess(void **state)
{
    (void)state;
    refuses("capacity = 3\ncapasity = 3\n", "2: there is no key \"capasity\"; did you mean "
                                            "capacity?");
    refuses("Capacity = 3\n", "1: there is no key \"Capacity\"; did you mean capacity?");
    refuses("ping_interval = 3\n", "1: there is no key \"ping_interval\"; did you mean "
                                   "ping_interval_ms?");
    refuses("xyzzy = 3\n", "1: there is no key \"xyzzy\"; --print-config lists all keys");
    refuses_variable("POLLUX_CAPACTIY=3",
                     "environment: POLLUX_CAPACTIY sets no key; did you mean POLLUX_CAPACITY?");
    refuses_variable("POLLUX_capacity=3",
                     "environment: POLLUX_capacity sets no key; did you mean POLLUX_CAPACITY?");
    refuses_variable("POLLUX_=3", "environment: POLLUX_ sets no key; --print-config lists all "
                                  "keys");
}

static void variables_for_others_are_left_alone(void **state)
{
    char *envp[] = { "POLLUX_CONFIG=/x", "POLLUX_BIN=x", "POLLUX_BUILD=", "POLLUX_TEST_PORT=1",
        NULL };
    struct settings s = read_well("", envp);

    (void)state;
    settings_release(&s);
}

static void wrong_numbers_are_refused_with_range_and_unit(void **state)
{
    (void)state;
    refuses("capacity = 0\n", "1: capacity is 0, which is out of range; it takes 1 to 1000000");
    refuses("\n\nping_interval_ms = 99\n",
            "3: ping_interval_ms is 99, which is out of range; it takes 100 to 3600000 "
            "milliseconds");
    refuses("log_age_days = 7 days\n",
            "1: log_age_days is \"7 days\", which is not a whole number; it takes 0 to 36500 days");
    refuses("max_payload_bytes =\n", "1: max_payload_bytes has no value; it takes 1000 to "
                                     "100000000 bytes");
    refuses("capacity = -1\n", "1: capacity is \"-1\", which is not a whole number; it takes 1 "
                               "to 1000000");
    refuses("capacity = 99999999999999999999\n",
            "1: capacity is 99999999999999999999, which is out of range; it takes 1 to 1000000");
    refuses_variable("POLLUX_MAX_REQUESTS_PER_SECOND=lots",
                     "environment: POLLUX_MAX_REQUESTS_PER_SECOND is \"lots\", which is not a "
                     "whole number; "
                     "it takes 1 to 1000000 requests a second");
}

static void wrong_words_are_refused_with_the_right_ones(void **state)
{
    (void)state;
    refuses("keep_payloads = maybe\n", "1: keep_payloads is \"maybe\"; it takes yes or no");
    refuses("keep_payloads =\n", "1: keep_payloads has no value; it takes yes or no");
    refuses("durability = norm\n", "1: durability is \"norm\"; it takes normal or full");
    refuses("log_level = \n", "1: log_level has no value; it takes error, warning, info or debug");
}

static void a_payload_fits_mod_fcgid_unless_somebody_has_said_one(void **state)
{
    struct settings s = read_well("capacity = 3\n", nothing);

    (void)state;
    settings_fit_fcgid(&s);
    assert_int_equal(s.max_payload_bytes, SETTINGS_FCGID_PAYLOAD);
    settings_release(&s);
    s = read_well("max_payload_bytes = 1000000\n", nothing);
    settings_fit_fcgid(&s);
    assert_int_equal(s.max_payload_bytes, 1000000);
    settings_release(&s);
}

static void wrong_texts_are_refused(void **state)
{
    (void)state;
    refuses("path = socket.io\n", "1: path is \"socket.io\"; it begins and ends with '/' and "
                                  "holds no space, ?, #, %, quote or backslash, like /socket.io/, "
                                  "or it is empty");
    refuses("path = /a b/\n", "1: path is \"/a b/\"; it begins and ends with '/' and holds no "
                              "space, ?, #, %, quote or backslash, like /socket.io/, or it is "
                              "empty");
    refuses("namespaces = /a chat\n", "1: namespaces names \"chat\", which does not begin with "
                                      "'/'");
    refuses("namespaces = /a,/b\n", "1: namespaces names \"/a,/b\", which holds a comma; "
                                    "separate namespaces by spaces");
    refuses("served_hosts = http://app.example\n",
            "1: served_hosts names \"http://app.example\", which is more than a name; write it "
            "like call.example.org, without http:// and path");
    refuses("served_hosts = app.example:80\n",
            "1: served_hosts names \"app.example:80\", which has a port; write the name alone");
    refuses("served_hosts = *\n", "1: served_hosts names \"*\", which has its * in the wrong "
                                  "place; write it like *.example.org");
    refuses("allowed_origins = app.example\n",
            "1: allowed_origins names \"app.example\", which has no scheme; write it like "
            "https://app.example");
    refuses("allowed_origins = https://app.example/\n",
            "1: allowed_origins names \"https://app.example/\", which goes on after the host; an "
            "origin ends there, "
            "like https://app.example");
    refuses("allowed_origins = https://app.*.example\n",
            "1: allowed_origins names \"https://app.*.example\", which has its * in the wrong "
            "place; "
            "write it like https://*.example.org");
    refuses_variable("POLLUX_STORE=/a\n/b", "environment: POLLUX_STORE holds a control character; "
                                            "write it as plain text on one line");
    refuses_variable("POLLUX_STORE=/a ;b", "environment: POLLUX_STORE holds a word that begins "
                                           "with ';', where a "
                                           "comment would begin; leave it out");
    refuses_variable("POLLUX_STORE= /a", "environment: POLLUX_STORE begins or ends with a space; "
                                         "leave it out");
    refuses_variable("POLLUX_STORE=/a //", "environment: POLLUX_STORE begins or ends with a space; "
                                           "leave it out");
}

static void a_key_twice_is_refused(void **state)
{
    (void)state;
    refuses("capacity = 2\nprocesses = 1\ncapacity = 3\n",
            "3: capacity is set a second time; leave one of the two");
    refuses("namespaces = /a\nnamespaces = /b\n", "2: namespaces is set a second time; leave one "
                                                  "of the two");
}

static void an_indented_key_is_refused(void **state)
{
    (void)state;
    refuses("store = /a\n  processes = 4\n",
            "2: store ends on the line above, and this line begins with a space, which would "
            "continue it; "
            "begin keys at the start of the line");
}

static void lines_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    refuses("capacity = 3\nhello\n",
            "2: \"hello\" is neither \"key = value\" nor \"[pollux]\" nor a comment (# at its "
            "start)");
    refuses("capacity = 3\n\ncapacity 4 \r\n",
            "3: \"capacity 4\" is neither \"key = value\" nor \"[pollux]\" nor a comment (# at "
            "its start)");
    refuses("[server]\ncapacity = 3\n",
            "2: the section [server] is not known; keys stand under [pollux] or under none");
}

static void a_long_line_is_refused_with_its_number(void **state)
{
    char text[600] = "capacity = 3\nstore = /";

    (void)state;
    memset(text + strlen(text), 'x', 300);
    strcat(text, "\n");
    refuses(text, "2: the line is longer than 196 bytes; continue lists on further lines that "
                  "begin with a space");
}

static void a_nul_is_refused(void **state)
{
    struct settings s;
    struct buf why = BUF_EMPTY;

    (void)state;
    write_file("store = /a\0b\n", 13);
    assert_int_equal(settings_read(&s, file, nothing, &why), -1);
    assert_non_null(strstr(buf_text(&why), ":1: the line holds a NUL byte; is this a text file?"));
    settings_release(&s);
    buf_release(&why);
}

static void the_first_mistake_is_told(void **state)
{
    (void)state;
    refuses("capacity = 0\nhello\nprocesses = 0\n", "1: capacity is 0, which is out of range; it "
                                                    "takes 1 to 1000000");
    refuses("hello\ncapacity = 0\n",
            "1: \"hello\" is neither \"key = value\" nor \"[pollux]\" nor a comment (# at its "
            "start)");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct settings s;
    struct buf why = BUF_EMPTY;

    (void)state;
    assert_int_equal(settings_read(&s, "/nowhere/pollux.conf", nothing, &why), -1);
    assert_string_equal(buf_text(&why), "/nowhere/pollux.conf: cannot open the configuration: No "
                                        "such file or "
                                        "directory; name it with --config FILE or POLLUX_CONFIG");
    settings_release(&s);
    assert_int_equal(settings_read(&s, "/", nothing, &why), -1);
    assert_string_equal(buf_text(&why), "/: cannot read the configuration: Is a directory");
    settings_release(&s);
    buf_release(&why);
}

static void a_payload_must_fit_into_a_queue(void **state)
{
    (void)state;
    refuses("max_queued_bytes = 1000\n",
            "settings: max_queued_bytes (1000) is less than max_payload_bytes (1000000), so that "
            "the largest payload "
            "could never be delivered; raise the one or lower the other");
}

static void metrics_are_at_a_path_for_addresses(void **state)
{
    struct settings s = read_well("metrics_path = /figures\n"
                                  "metrics_allow = loopback 192.0.2.7\n  2001:db8::7 *\n", nothing);

    (void)state;
    assert_string_equal(s.metrics_path, "/figures");
    assert_string_equal(s.metrics_allow, "loopback 192.0.2.7 2001:db8::7 *");
    settings_release(&s);
    refuses("metrics_path = figures\n", "1: metrics_path is \"figures\"; it begins with '/' and "
            "holds no space, ?, #, %, quote or backslash, like /pollux-metrics, or it is empty");
    refuses("path = /socket.io/\nmetrics_path = /socket.io/\n",
            "settings: metrics_path and path are both /socket.io/, so that no client could "
            "connect; choose another metrics_path");
    refuses("metrics_allow = 192.0.2\n", "1: metrics_allow names \"192.0.2\", which is no address; "
            "write one like 192.0.2.7 or 2001:db8::7, or loopback, or *");
}

/* The recovery window may not outlast the log: their ranges see to it. */
static void the_log_outlives_the_recovery_window(void **state)
{
    static const struct { const char *name; int64_t least, most; } ranges[] = {
#define SETTING_INT(name, fallback, least, most, help) { #name, least, most },
#define SETTING_BOOL(name, fallback, help)
#define SETTING_TEXT(name, fallback, form, help)
#define SETTING_CHOICE(name, fallback, choices, help)
#include "base/settings.def"
    };

    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (strcmp(ranges[i].name, "log_age_days") == 0)
            assert_int_equal(ranges[i].least,
                0);       /* 0: until arrival; anything else is a day at least... */
        if (strcmp(ranges[i].name, "recovery_window_ms") == 0)
            assert_int_equal(ranges[i].most,
                24 * 3600 * 1000);     /* ...and this is a day at most */
    }
}

/* pollux.conf(5) is written by hand; no key may be missing in it. */
static void the_manual_has_every_key_with_its_default(void **state)
{
#define SETTING_INT(name, fallback, least, most, help) { #name, #fallback },
#define SETTING_BOOL(name, fallback, help) { #name, fallback ? "yes" : "no" },
#define SETTING_TEXT(name, fallback, form, help) \
    { #name, fallback[0] != '\0' ? fallback : "empty" },
#define SETTING_CHOICE(name, fallback, choices, help) { #name, "" },
    const struct { const char *name, *fallback; } wanted[] = {
#include "base/settings.def"
    };
    static char page[64 * 1024];
    char item[100];

    (void)state;
    read_source("man/pollux.conf.5", page, sizeof page);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *at, *end, *told;
        snprintf(item, sizeof item, "\n.It Cm %s\n", wanted[i].name);
        at = strstr(page, item);
        if (at == NULL)
            fail_msg("man/pollux.conf.5 does not have %s", wanted[i].name);
        end = strstr(at + strlen(item), "\n.");
        told = strstr(at, wanted[i].fallback);
        if (told == NULL || (end != NULL && told > end + 1))
            fail_msg("man/pollux.conf.5 has another default of %s than %s", wanted[i].name,
                wanted[i].fallback);
    }
}

static void print_and_read(const struct settings *s, struct buf *printed)
{
    struct settings again;
    struct buf second = BUF_EMPTY;

    settings_print(s, printed);
    again = read_well(buf_text(printed), nothing);
    settings_print(&again, &second);
    assert_string_equal(buf_text(printed), buf_text(&second));
    buf_release(&second);
    settings_release(&again);
}

static void what_is_printed_reads_back(void **state)
{
    char origins[4000] = "POLLUX_ALLOWED_ORIGINS=";
    char *envp[] = { origins, "POLLUX_STORE=/with space, = and :", "POLLUX_DURABILITY=full",
                     "POLLUX_KEEP_ADDRESSES=no", "POLLUX_CAPACITY=77", NULL };
    struct settings s, again;
    struct buf printed = BUF_EMPTY;

    (void)state;
    for (int i = 0; i < 60; i++)
        snprintf(origins + strlen(origins), sizeof origins - strlen(origins),
            "https://site-number-%d.example ", i);
    strcat(origins, "https://");
    memset(origins + strlen(origins), 'l', 172);
    s = read_well("", envp);
    print_and_read(&s, &printed);
    again = read_well(buf_text(&printed), nothing);
    assert_string_equal(again.allowed_origins, s.allowed_origins);
    assert_string_equal(again.store, "/with space, = and :");
    assert_int_equal(again.durability, DURABILITY_FULL);
    assert_false(again.keep_addresses);
    assert_int_equal(again.capacity, 77);
    settings_release(&again);
    settings_release(&s);
    buf_release(&printed);
}

static void the_sample_is_what_the_defaults_print(void **state)
{
    struct settings s = read_well("", nothing);
    struct buf printed = BUF_EMPTY;
    static char sample[64 * 1024];

    (void)state;
    read_source("conf/pollux.conf", sample, sizeof sample);
    print_and_read(&s, &printed);
    assert_string_equal(sample, buf_text(&printed));
    settings_release(&s);
    buf_release(&printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_need_neither_file_nor_environment),
        cmocka_unit_test(file_sets_values_of_each_kind),
        cmocka_unit_test(environment_wins_over_file),
        cmocka_unit_test(every_key_is_a_variable),
        cmocka_unit_test(lists_go_on_over_lines),
        cmocka_unit_test(relative_store_is_beside_what_names_it),
        cmocka_unit_test(empty_namespaces_are_the_main_one),
        cmocka_unit_test(unknown_keys_are_refused_with_a_guess),
        cmocka_unit_test(variables_for_others_are_left_alone),
        cmocka_unit_test(wrong_numbers_are_refused_with_range_and_unit),
        cmocka_unit_test(wrong_words_are_refused_with_the_right_ones),
        cmocka_unit_test(a_payload_fits_mod_fcgid_unless_somebody_has_said_one),
        cmocka_unit_test(wrong_texts_are_refused),
        cmocka_unit_test(a_key_twice_is_refused),
        cmocka_unit_test(an_indented_key_is_refused),
        cmocka_unit_test(lines_that_mean_nothing_are_refused),
        cmocka_unit_test(a_long_line_is_refused_with_its_number),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(the_first_mistake_is_told),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(a_payload_must_fit_into_a_queue),
        cmocka_unit_test(metrics_are_at_a_path_for_addresses),
        cmocka_unit_test(the_log_outlives_the_recovery_window),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(the_manual_has_every_key_with_its_default),
        cmocka_unit_test(the_sample_is_what_the_defaults_print),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
