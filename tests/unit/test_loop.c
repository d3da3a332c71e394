/* test_loop.c - when the loop listens: not for a host that has nothing more to serve after
 * its first turn, and from then on without missing what came before. */
#include "rig.h"

#include "host/kind.h"
#include "run/loop.h"

#define WAITS 8

/* A host without requests, which has nothing more to serve after so many waits. */
struct brief {
    struct host host;
    int waits, most, watched;
    int timeout_ms[WAITS];
};

static int brief_watch(struct host *h, int fd)
{
    ((struct brief *)h)->watched = fd;
    return 0;
}

static void brief_wait(struct host *h, int timeout_ms, struct host_events *events)
{
    struct brief *b = (struct brief *)h;

    (void)events;
    assert_true(b->waits < WAITS);
    b->timeout_ms[b->waits++] = timeout_ms;
}

static bool brief_next(struct host *h, struct request *rq)
{
    (void)h;
    (void)rq;
    return false;
}

static bool brief_gone(struct host *h, int64_t *key, int *fd)
{
    (void)h, (void)key, (void)fd;
    return false;
}

static bool brief_behind(const struct host *h)
{
    (void)h;
    return false;
}

static bool brief_finished(const struct host *h)
{
    const struct brief *b = (const struct brief *)h;

    return b->waits == b->most;
}

static const struct host_engine engine = { .watch = brief_watch,
                                           .wait = brief_wait,
                                           .next = brief_next,
                                           .gone = brief_gone,
                                           .behind = brief_behind,
                                           .finished = brief_finished };

/* Run the loop for so many waits. */
static struct brief run(int waits)
{
    struct brief b = { .host = { &engine }, .most = waits, .watched = -1 };
    struct rig r;

    rig_open(&r, NULL);
    loop_run(&b.host, r.core);
    rig_close(&r);
    return b;
}

static void what_ends_at_once_does_not_listen(void **state)
{
    (void)state;
    struct brief b = run(1);
    assert_int_equal(b.watched, -1);
}

static void what_stays_listens_and_looks_at_once(void **state)
{
    (void)state;
    struct brief b = run(3);
    assert_int_not_equal(b.watched, -1);
    assert_int_equal(b.timeout_ms[0], 0);
    assert_int_equal(b.timeout_ms[1], 0);       /* what came before was not heard */
    assert_true(b.timeout_ms[2] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_at_once_does_not_listen),
        cmocka_unit_test(what_stays_listens_and_looks_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
