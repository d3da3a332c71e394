/* test_places.c - which file of settings counts, where the store goes, and what lies in what. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/places.h"

static char top[64];

static const char *in_top(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static int make_folders(void **state)
{
    (void)state;
    snprintf(top, sizeof top, "/tmp/pollux-places-XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(mkdir(in_top("www"), 0700), 0);
    assert_int_equal(mkdir(in_top("www/app"), 0700), 0);
    assert_int_equal(mkdir(in_top("wwwother"), 0700), 0);
    assert_int_equal(symlink(in_top("www"), in_top("link")), 0);
    return 0;
}

static int remove_folders(void **state)
{
    (void)state;
    unlink(in_top("link"));
    rmdir(in_top("wwwother"));
    rmdir(in_top("www/app"));
    rmdir(in_top("www"));
    return rmdir(top);
}

static void what_lies_below_a_folder(void **state)
{
    static const struct {
        const char *path, *folder;
        bool below;
    } cases[] = {
        { "www", "www", true },
        { "www/app", "www", true },
        { "www/app/not/yet/there", "www", true },
        { "link/app", "www", true },            /* by another name */
        { "www/app", "link", true },
        { "wwwother", "www", false },           /* begins like it, and is beside it */
        { "wwwother/store", "www", false },
        { "www", "www/app", false },
        { "store", "www", false },
        { "store", "nowhere", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(places_is_below(in_top(cases[i].path), in_top(cases[i].folder)),
                         cases[i].below);
    assert_true(places_is_below(top, "/"));
    assert_false(places_is_below("relative", top));
    assert_false(places_is_below("", top));
}

static void the_program_is_where_its_file_is(void **state)
{
    char *folder = places_program(), path[PATH_MAX + 32];
    struct stat st;

    (void)state;
    assert_non_null(folder);
    snprintf(path, sizeof path, "%s/test_places", folder);
    assert_int_equal(stat(path, &st), 0);
    free(folder);
}

static void the_file_beside_the_program_comes_first(void **state)
{
    char *folder = places_program(), path[PATH_MAX + 32];

    (void)state;
    snprintf(path, sizeof path, "%s/pollux.conf", folder);
    FILE *f = fopen(path, "wx");
    assert_non_null(f);
    fclose(f);
    char *found = places_config();
    unlink(path);
    assert_string_equal(found, path);
    free(found);
    found = places_config();            /* it may be elsewhere on this machine */
    assert_true(found == NULL || strcmp(found, path) != 0);
    free(found);
    free(folder);
}

static void the_store_is_in_the_systems_place_or_at_home(void **state)
{
    struct buf why = BUF_EMPTY;
    char *home = places_home(), *store = places_store(&why), at_home[PATH_MAX + 32];

    (void)state;
    assert_non_null(home);
    snprintf(at_home, sizeof at_home, "%s%s", strcmp(home, "/") == 0 ? "" : home, "/pollux-data");
    bool system = access("/var/lib/pollux", W_OK | X_OK) == 0;
    assert_string_equal(store, system ? "/var/lib/pollux" : at_home);
    free(home);
    free(store);
    buf_release(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_lies_below_a_folder, make_folders, remove_folders),
        cmocka_unit_test(the_program_is_where_its_file_is),
        cmocka_unit_test(the_file_beside_the_program_comes_first),
        cmocka_unit_test(the_store_is_in_the_systems_place_or_at_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
