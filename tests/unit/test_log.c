/* test_log.c - lines of what happens often: few, and none is missing from their counts; and those
 * of whatever is refused, on the rig. The clock is set by hand, standard error is a pipe. */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

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
    for (char *line = strtok_r(raw, "\n", &save); line != NULL; line = strtok_r(NULL, "\n",
                                                                                &save)) {
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
        log_often(P311, "one", "number %d; see a_setting", i);
    assert_string_equal(written(), "info P311 core one: number 1; see a_setting\n");
    clock_s += LOG_QUIET_S - 1;
    log_catch_up();
    assert_string_equal(written(), "");
    clock_s++;
    log_catch_up();
    assert_string_equal(written(),
                        "info P311 core one: number 50; see a_setting (the last of 49 in 10 s)\n");
    clock_s += 100;
    log_catch_up();
    assert_string_equal(written(), "");
    log_often(P311, NULL, "later");
    assert_string_equal(written(), "info P311 core -: later\n");
    end();
}

static void each_code_is_told_by_itself(void **state)
{
    (void)state;
    begin();
    log_set_level(LOG_WARNING);
    log_often(P120, NULL, "one");
    log_often(P202, NULL, "another");
    log_often(P310, NULL, "not wanted at this level");
    log_set_level(LOG_INFO);
    assert_string_equal(written(), "warning P120 store -: one\nwarning P202 host -: another\n");
    log_catch_up();
    assert_string_equal(written(), "");
    end();
}

/* ---- whatever is refused */

#define HELLO "EIO=4&transport=polling"

/* Ask TIMES for METHOD of QUERY with BODY, each with a t of its own. Returns how many were answered
 * STATUS. */
static int give(struct rig *r, int times, const char *method, const char *query, const char *body,
               const char *status)
{
    char each[160];
    int count = 0;

    for (int i = 0; i < times; i++) {
        snprintf(each, sizeof each, "%s&t=asked-%d", query, i);
        const char *answer = rig_answer(r, rig_send(r, method, each, body));
        count += answer != NULL && strncmp(answer, status, 3) == 0;
    }
    return count;
}

static int post(struct client *c, int times, const char *body, const char *status)
{
    char query[128];

    snprintf(query, sizeof query, HELLO "&sid=%s", c->sid);
    return give(c->rig, times, "POST", query, body, status);
}

/* Each makes something be refused several times, and says how often it was. C are two clients. */

static int foreign_pages(struct rig *r, struct client c[2])
{
    (void)c;
    r->origin = "https://evil.example";
    int count = give(r, 5, "GET", HELLO, "", "403");
    r->origin = NULL;
    return count;
}

static int other_hosts(struct rig *r, struct client c[2])
{
    static char name[] = "call.example";
    char *before = r->set.served_hosts;

    (void)c;
    r->set.served_hosts = name;
    int count = give(r, 5, "GET", HELLO, "", "403");
    r->set.served_hosts = before;
    return count;
}

static int cut_requests(struct rig *r, struct client c[2])
{
    (void)c;
    r->cut = true;
    int count = give(r, 5, "GET", HELLO, "", "503");
    r->cut = false;
    return count;
}

static int more_sessions(struct rig *r, struct client c[2])
{
    (void)c;
    return give(r, 5, "GET", HELLO, "", "403");
}

static int many_requests(struct rig *r, struct client c[2])
{
    (void)r;
    return post(&c[0], 30, "3", "429");
}

static int messages_for_the_deaf(struct rig *r, struct client c[2])
{
    int count = 0;

    (void)r;
    for (int i = 0; i < 10; i++) {
        client_post(&c[0], "42[\"x\"]");
        count += strstr(client_hear(&c[0]), "\"queue_full\"") != NULL;
    }
    return count;
}

static int questions_of_the_deaf(struct rig *r, struct client c[2])
{
    (void)r;
    return post(&c[0], 20, "421[\"leave\",\"x\"]\x1e" "422[\"leave\",\"x\"]", "429");
}

static int long_posts(struct rig *r, struct client c[2])
{
    static char body[1002];

    (void)r;
    memset(body, '3', sizeof body - 1);
    return post(&c[0], 5, body, "413");
}

static int posts_of_many_packets(struct rig *r, struct client c[2])
{
    (void)r;
    return post(&c[0], 5, "3\x1e" "3\x1e" "3\x1e" "3", "413");
}

/* Of those that wait only one is done in a turn. */
static int more_work_than_may_wait(struct rig *r, struct client c[2])
{
    int asked[160], count = 0;
    char query[128];

    client_use(&c[0], 10000000);
    for (int i = 0; i < 160; i++) {
        snprintf(query, sizeof query, HELLO "&sid=%s&t=asked-%d", c[0].sid, i);
        asked[i] = rig_give(r, "POST", query, "3");
        if (i % RIG_GIVEN == RIG_GIVEN - 1)
            rig_turn(r, false);
    }
    for (int i = 0; i < 160; i++) {
        const char *answer = rig_answer(r, asked[i]);
        count += answer != NULL && strncmp(answer, "429 ", 4) == 0;
    }
    return count;
}

/* TEXT with the clients' ids in place of @ and &. */
static const char *with_ids(const char *text, const struct client c[2])
{
    static char out[512];
    size_t len = 0;

    for (; *text != '\0'; text++)
        len += (size_t)snprintf(out + len, sizeof out - len, "%.*s",
                                *text == '@' || *text == '&' ? 32 : 1,
                                *text == '@'   ? c[0].id
                                : *text == '&' ? c[1].id
                                               : text);
    return out;
}

static void whatever_is_refused_is_told_once_and_counted(void **state)
{
    static const struct {
        const char *keys[3];
        int (*refused)(struct rig *r, struct client c[2]);
        const char *told;
    } cases[] = {
        { { NULL }, foreign_pages,
          "info P310 core 192.0.2.1: Forbidden: pages of the origin https://evil.example may not "
          "connect to the host here.example; see allowed_origins" },
        { { NULL }, other_hosts,
          "info P311 core 192.0.2.1: Forbidden: the host here.example is not served here; see "
          "served_hosts" },
        { { "POLLUX_MAX_SESSIONS=2" }, more_sessions,
          "warning P312 core 192.0.2.1: a session is refused: there are 2, as many as max_sessions "
          "allows" },
        { { "POLLUX_MAX_SESSIONS_PER_ADDRESS=2" }, more_sessions,
          "warning P313 core 192.0.2.1: a session is refused: this address has 2, as many as "
          "max_sessions_per_address allows" },
        { { "POLLUX_MAX_SESSIONS_PER_ADDRESS=2", "POLLUX_KEEP_ADDRESSES=no" }, more_sessions,
          "warning P313 core -: a session is refused: this address has 2, as many as "
          "max_sessions_per_address allows" },
        { { "POLLUX_MAX_REQUESTS_PER_SECOND=10" }, many_requests,
          "warning P314 core @: requests are refused: a session sends more than "
          "max_requests_per_second (10)" },
        { { "POLLUX_MAX_QUEUED_MESSAGES=3" }, messages_for_the_deaf,
          "warning P315 rules @: a message is refused: more waits for & than max_queued_messages "
          "(3) or max_queued_bytes (16000000) allow" },
        { { "POLLUX_MAX_QUEUED_MESSAGES=5" }, questions_of_the_deaf,
          "warning P316 core @: a POST is refused: more waits for its sender than "
          "max_queued_messages (5) or max_queued_bytes (16000000) allow" },
        { { "POLLUX_MAX_PAYLOAD_BYTES=1000" }, long_posts,
          "info P317 core @: a POST is refused: it is longer than max_payload_bytes (1000)" },
        { { "POLLUX_MAX_PACKETS_PER_PAYLOAD=3" }, posts_of_many_packets,
          "info P322 core @: a POST is refused: it has more packets than max_packets_per_payload "
          "(3)" },
        { { "POLLUX_MAX_WORK_PERCENT=10" }, more_work_than_may_wait,
          "warning P318 core @: a request is refused: too many of its client's wait already, since "
          "they take more time than max_work_percent (10) allows" },
        { { NULL }, cut_requests,
          "info P324 core 192.0.2.1: a request is answered 503: Service unavailable: the request "
          "did not arrive whole" },
    };
    char at_once[600], later[600], line[600];
    struct client c[2];
    struct rig r;

    (void)state;
    rig_slice = 1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clock_s += 100;
        rig_open(&r, cases[i].keys);
        client_join(&c[0], &r, "room");
        client_join(&c[1], &r, "room");
        client_hear(&c[0]);
        begin();
        int count = cases[i].refused(&r, c);
        snprintf(at_once, sizeof at_once, "%s", written());
        clock_s += LOG_QUIET_S;
        rig_wait(&r, 1000);
        snprintf(later, sizeof later, "%s", written());
        end();
        const char *told = with_ids(cases[i].told, c);
        snprintf(line, sizeof line, "%s\n", told);
        assert_string_equal(at_once, line);
        assert_true(count > 1);
        snprintf(line, sizeof line, "%s (the last of %d in 10 s)\n", told, count - 1);
        assert_string_equal(later, line);
        rig_close(&r);
    }
    rig_slice = 0;
}

static void each_code_has_its_place_and_whole_sentences(void **state)
{
    (void)state;
    for (int code = 0; code < LOG_CODES; code++) {
        const struct log_entry *e = log_entry((enum log_code)code);
        const struct log_entry *before = code > 0 ? log_entry((enum log_code)(code - 1)) : NULL;
        assert_true(before == NULL || strcmp(before->code, e->code) < 0);
        assert_int_equal(e->meaning[strlen(e->meaning) - 1], '.');
        assert_int_equal(e->advice[strlen(e->advice) - 1], '.');
    }
    assert_string_equal(log_entry(P315)->code, "P315");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_told_at_once_and_the_others_are_counted),
        cmocka_unit_test(each_code_is_told_by_itself),
        cmocka_unit_test(whatever_is_refused_is_told_once_and_counted),
        cmocka_unit_test(each_code_has_its_place_and_whole_sentences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
