/* test_stats.c - counters: which bucket a value is in, whose files are read and whose removed, and
 * who gets to see the page. */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stats.h"

static char dir[] = "/tmp/pollux-stats-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(dir);                  /* what a test leaves in it is a failure */
}

static void values_are_in_the_first_bucket_that_takes_them(void **state)
{
    struct histogram times = { { 0 }, 0 }, batches = { { 0 }, 0 };
    static const uint64_t ns[] = { 0, 100000, 100001, 1000000000, 1000000001, UINT64_C(1) << 50 };
    static const uint64_t in_times[STATS_BUCKETS] = { 2, 1, 0, 0, 0, 0, 0, 0, 1, 2 };
    static const uint64_t in_batches[STATS_BUCKETS] = { 1, 2, 0, 1, 0, 0, 0, 0, 0, 1 };

    (void)state;
    for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++)
        stats_time(&times, ns[i]);
    stats_batch(&batches, 0);
    stats_batch(&batches, 1);
    stats_batch(&batches, 1);
    stats_batch(&batches, 3);
    stats_batch(&batches, 501);
    assert_memory_equal(times.counts, in_times, sizeof in_times);
    assert_memory_equal(batches.counts, in_batches, sizeof in_batches);
    assert_int_equal(batches.sum, 506);
    assert_int_equal(stats_count(&times), 6);
}

static void statuses_that_are_not_named_are_others(void **state)
{
    struct counters k = { 0 };

    (void)state;
    stats_status(&k, 200);
    stats_status(&k, 503);
    stats_status(&k, 418);
    assert_int_equal(k.answers[0], 1);
    assert_int_equal(k.answers[STATS_STATUSES - 2], 1);
    assert_int_equal(k.answers[STATS_STATUSES - 1], 1);
}

static void a_living_process_is_read_and_its_file_goes_with_it(void **state)
{
    struct stats s;
    struct stats_list l = STATS_LIST_EMPTY;
    struct buf why = BUF_EMPTY;
    struct stat st;

    (void)state;
    assert_int_equal(stats_open(&s, dir, &why), 0);
    assert_int_equal(stat(s.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(st.st_blocks > 0);      /* or counting on a full disk would be the end */
    s.counters->hops += 7;
    for (int i = 0; i < 2; i++) {       /* looking at it takes no lock away */
        assert_int_equal(stats_read(&l, dir), 0);
        assert_int_equal(l.count, 1);
        assert_int_equal(l.list[0].pid, getpid());
        assert_int_equal(l.list[0].hops, 7);
    }
    stats_release(&s);
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    stats_list_release(&l);
    buf_release(&why);
}

/* Let a process count and die; PATH (64 bytes) is what it leaves. */
static void leave_a_dead_ones(char *path)
{
    struct buf why = BUF_EMPTY;
    struct stats s;
    int status;

    pid_t pid = fork();
    if (pid == 0)
        _exit(stats_open(&s, dir, &why) == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    snprintf(path, 64, "%s/stats.%ld", dir, (long)pid);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_dead_process_is_left_out_and_its_file_removed(void **state)
{
    struct stats_list l = STATS_LIST_EMPTY;
    char path[64];

    (void)state;
    leave_a_dead_ones(path);
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    assert_int_equal(access(path, F_OK), -1);
    stats_list_release(&l);
}

/* Another reader that has found it dead may be about to remove it, and a new process of that
 * number to begin. */
static void one_reader_alone_removes_a_file(void **state)
{
    struct stats_list l = STATS_LIST_EMPTY;
    char path[64];

    (void)state;
    leave_a_dead_ones(path);
    int other = open(path, O_RDONLY);
    assert_int_equal(flock(other, LOCK_SH), 0);
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    assert_int_equal(access(path, F_OK), 0);
    close(other);
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(access(path, F_OK), -1);
    stats_list_release(&l);
}

static void who_begins_removes_what_the_dead_left(void **state)
{
    struct buf why = BUF_EMPTY;
    char path[64];
    struct stats s;

    (void)state;
    leave_a_dead_ones(path);
    assert_int_equal(stats_open(&s, dir, &why), 0);
    assert_int_equal(access(path, F_OK), -1);
    stats_release(&s);
    buf_release(&why);
}

/* While the program is replaced by another version, both run. */
static void another_versions_counters_are_not_read(void **state)
{
    struct stats_list l = STATS_LIST_EMPTY;
    struct buf why = BUF_EMPTY;
    struct stats s;

    (void)state;
    assert_int_equal(stats_open(&s, dir, &why), 0);
    s.counters->format++;
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    s.counters->format--;
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 1);
    assert_int_equal(ftruncate(s.file, 64), 0);         /* shorter, as one that counts less */
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    stats_release(&s);
    stats_list_release(&l);
    buf_release(&why);
}

static void what_cannot_be_opened_is_told(void **state)
{
    struct buf why = BUF_EMPTY;
    struct stats s;

    (void)state;
    assert_int_equal(stats_open(&s, "/nowhere", &why), -1);
    assert_starts(buf_text(&why), "cannot count in /nowhere/stats.");
    assert_non_null(strstr(buf_text(&why), ": No such file or directory; "));
    assert_null(s.counters);
    stats_release(&s);
    buf_release(&why);
}

/* As in another pid namespace on the same store. */
static void processes_of_one_pid_count_apart(void **state)
{
    struct buf why = BUF_EMPTY, page = BUF_EMPTY;
    const struct store_figures none = { 0 };
    struct stats_list l = STATS_LIST_EMPTY;
    struct stats first, second;
    char line[96];

    (void)state;
    assert_int_equal(stats_open(&first, dir, &why), 0);
    assert_int_equal(stats_open(&second, dir, &why), 0);
    second.counters->hops = 7;
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 2);
    stats_page(&page, &none, &l);
    snprintf(line, sizeof line, "pollux_hops_total{pid=\"%d\"} 0\npollux_hops_total{pid=\"%d.1\"} "
                                "7\n",
             (int)getpid(), (int)getpid());
    assert_non_null(strstr(buf_text(&page), line));
    stats_release(&first);
    stats_release(&second);
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    stats_list_release(&l);
    buf_release(&page);
    buf_release(&why);
}

static void other_files_are_left_alone(void **state)
{
    static const char *const names[] = { "stats.", "stats.x", "stats.1x", "stats.1.x", "stats",
                                        "mystats.1" };
    struct stats_list l = STATS_LIST_EMPTY;
    char path[64];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        fclose(fopen(path, "w"));
    }
    assert_int_equal(stats_read(&l, dir), 0);
    assert_int_equal(l.count, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
}

/* What the page is answered to ADDRESS with metrics_allow as in ALLOW. */
static void asks_from(const char *address, bool forwarded, const char *allow, const char *expected)
{
    const char *const keys[] = { "POLLUX_METRICS_PATH=/figures", allow, NULL };
    struct rig r;

    rig_open(&r, keys);
    r.address = address;
    r.forwarded = forwarded;
    char *path = r.set.path;
    r.set.path = r.set.metrics_path;    /* where the rig's requests go */
    assert_starts(rig_answer(&r, rig_send(&r, "GET", "", "")), expected);
    r.set.path = path;
    rig_close(&r);
}

static void asks(const char *allow, const char *expected)
{
    asks_from("192.0.2.1", false, allow, expected);
}

static void the_page_is_for_allowed_addresses(void **state)
{
    (void)state;
    asks(NULL, "403 ");
    asks("POLLUX_METRICS_ALLOW=", "403 ");
    asks("POLLUX_METRICS_ALLOW=loopback 192.0.2.2 192.0.2.11", "403 ");
    asks("POLLUX_METRICS_ALLOW=loopback 192.0.2.1", "200 # HELP pollux_sessions ");
    asks("POLLUX_METRICS_ALLOW=::ffff:192.0.2.1", "200 ");
    asks("POLLUX_METRICS_ALLOW=*", "200 ");
}

static void loopback_is_the_machine_and_not_whom_it_asks_for(void **state)
{
    static const char *const addresses[] = { "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1" };

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        asks_from(addresses[i], false, NULL, "200 ");
        asks_from(addresses[i], true, NULL, "403 ");
    }
    asks_from("127.0.0.1", true, "POLLUX_METRICS_ALLOW=127.0.0.1", "200 ");
    asks_from("", false, NULL, "403 ");
    asks_from("::11", false, NULL, "403 ");
    asks_from("::ffff:192.0.2.127", false, NULL, "403 ");
}

static void hops_count_recipients_once_they_are_stored(void **state)
{
    static const char *const keys[] = { "POLLUX_CAPACITY=3", NULL };
    struct client a, b, c;
    struct rig r;

    (void)state;
    rig_open(&r, keys);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_join(&c, &r, "room");
    struct counters *k = core_counters(r.core);
    assert_int_equal(k->hops, 0);
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":1}]\x1e"
                    "42[\"other\",2]");
    assert_int_equal(k->hops, 4);
    uint64_t commits = stats_count(&k->commit);
    assert_true(commits > 0);
    assert_int_equal(core_commit(r.core), 0);
    assert_int_equal(stats_count(&k->commit), commits);         /* nothing was to be stored */
    client_hear(&b);
    assert_int_equal(k->held, 1);       /* the others' were answered */
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_in_the_first_bucket_that_takes_them),
        cmocka_unit_test(statuses_that_are_not_named_are_others),
        cmocka_unit_test_setup_teardown(a_living_process_is_read_and_its_file_goes_with_it,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_dead_process_is_left_out_and_its_file_removed,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(one_reader_alone_removes_a_file, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(who_begins_removes_what_the_dead_left, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(another_versions_counters_are_not_read, make_folder,
                                        remove_folder),
        cmocka_unit_test(what_cannot_be_opened_is_told),
        cmocka_unit_test_setup_teardown(processes_of_one_pid_count_apart, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(other_files_are_left_alone, make_folder, remove_folder),
        cmocka_unit_test(the_page_is_for_allowed_addresses),
        cmocka_unit_test(loopback_is_the_machine_and_not_whom_it_asks_for),
        cmocka_unit_test(hops_count_recipients_once_they_are_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
