/* test_id.c - ids are secrets: as random as they are long, or there are none. */
#include "rig.h"

#include <stdio.h>
#include <sys/random.h>

/* What getrandom(2) does: the makefile puts this in its place. */
static bool exhausted;
ssize_t __real_getrandom(void *out, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
    return exhausted ? -1 : __real_getrandom(out, len, flags);
}

static void each_place_takes_each_letter(void **state)
{
    static bool seen[ID_LEN][256];
    char id[ID_LEN + 1], before[ID_LEN + 1] = "";

    (void)state;
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(id_make(id), 0);
        assert_int_equal(strlen(id), ID_LEN);
        assert_string_not_equal(id, before);
        memcpy(before, id, sizeof id);
        for (int place = 0; place < ID_LEN; place++)
            seen[place][(unsigned char)id[place]] = true;
    }
    for (int place = 0; place < ID_LEN; place++) {
        int letters = 0;
        for (int c = 0; c < 256; c++)
            letters += seen[place][c];
        assert_int_equal(letters, 64);  /* one is missing once in 10^24 times */
    }
}

static void without_random_numbers_there_is_no_id(void **state)
{
    struct rig r;
    struct client a;
    char id[ID_LEN + 1];

    (void)state;
    rig_open(&r, NULL);
    client_open(&a, &r);
    exhausted = true;
    assert_int_equal(id_make(id), -1);
    assert_starts(rig_answer(&r, rig_send(&r, "GET", "EIO=4&transport=polling", "")), "503 ");
    assert_starts(client_post(&a, "40"), "503 ");
    exhausted = false;
    assert_int_equal(ask(&r, ASK_SESSIONS), 1);
    assert_int_equal(ask(&r, ASK_SOCKETS), 0);
    assert_string_equal(client_post(&a, "40"), "200 ok");
    rig_close(&r);
}

static void what_looks_like_one_is_told_from_other_names(void **state)
{
    (void)state;
    assert_true(id_is("AAAAAAaaaaaa00000-_z"));
    assert_false(id_is("AAAAAAaaaaaa00000-_"));
    assert_false(id_is("AAAAAAaaaaaa00000-_zz"));
    assert_false(id_is("AAAAAAaaaaaa00000-_+"));
    assert_false(id_is("a room of 20 letters"));
    assert_false(id_is(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_place_takes_each_letter),
        cmocka_unit_test(what_looks_like_one_is_told_from_other_names),
        cmocka_unit_test(without_random_numbers_there_is_no_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
