/* test_log.c - lines of what happens often: few, and none is missing from their counts. The clock is
 * set by hand, standard error is a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static int64_t clock_s = 1000;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, t);
    *t = (struct timespec){ clock_s, 0 };
    return 0;
}

static int pipe_end, stderr_before;

static void begin(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    stderr_before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
    fcntl(pipe_end, F_SETFL, O_NONBLOCK);
}

/* What was written since, without the times in front. */
static const char *written(void)
{
    static char raw[8192], text[8192];
    ssize_t len = read(pipe_end, raw, sizeof raw - 1);
    char *save = NULL;

    text[0] = '\0';
    raw[len > 0 ? len : 0] = '\0';
    for (char *line = strtok_r(raw, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        strcat(text, line + strlen("2026-03-01T12:00:00.123Z "));
        strcat(text, "\n");
    }
    return text;
}

static void end(void)
{
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    close(pipe_end);
}

static void the_first_is_told_at_once_and_the_others_are_counted(void **state)
{
    (void)state;
    begin();
    for (int i = 1; i <= 50; i++)
        log_often(LOG_INFO, "P901", "test", "one", "number %d; see a_setting", i);
    assert_string_equal(written(), "info P901 test one: number 1; see a_setting\n");
    clock_s += LOG_QUIET_S - 1;
    log_catch_up();
    assert_string_equal(written(), "");
    clock_s++;
    log_catch_up();
    assert_string_equal(written(), "info P901 test one: number 50; see a_setting (the last of 49 in 10 s)\n");
    clock_s += 100;
    log_catch_up();
    assert_string_equal(written(), "");
    log_often(LOG_INFO, "P901", "test", NULL, "later");
    assert_string_equal(written(), "info P901 test -: later\n");
    end();
}

static void each_code_is_told_by_itself(void **state)
{
    (void)state;
    begin();
    log_often(LOG_WARNING, "P902", "test", NULL, "one");
    log_often(LOG_WARNING, "P903", "test", NULL, "another");
    log_often(LOG_DEBUG, "P904", "test", NULL, "not wanted at this level");
    assert_string_equal(written(), "warning P902 test -: one\nwarning P903 test -: another\n");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_told_at_once_and_the_others_are_counted),
        cmocka_unit_test(each_code_is_told_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
