/* test_occasions.c - what the application says by itself: every line of the table, as bytes. Who
 * hears it, and when, is in test_rules.c. */
#include "rig.h"

#include "rules/occasions.h"

#define ID "AAAAAAAAAAAAAAAAAAAA"

static const struct { enum occasion on; enum hearer to; const char *channel, *says; } expected[] = {
    { OCCASION_CREATED, HEARER_ONE, "lobby", "[\"created\",\"lobby\",\"" ID "\"]" },
    { OCCASION_JOINING, HEARER_OTHERS, "lobby", "[\"remotePeerJoining\",\"lobby\"]" },
    { OCCASION_JOINING, HEARER_OTHERS, "lobby", "[\"join\",\"lobby\"]" },
    { OCCASION_JOINED, HEARER_OTHERS, "lobby",
      "[\"broadcast: joined\",\"S --> broadcast(): client " ID " joined channel lobby\"]" },
    { OCCASION_JOINED, HEARER_ONE, "lobby", "[\"joined\",\"lobby\",\"" ID "\"]" },
    { OCCASION_JOINED, HEARER_ALL, "lobby", "[\"ready\",\"lobby\"]" },
    { OCCASION_THERE, HEARER_ONE, "lobby", "[\"joined\",\"lobby\",\"" ID "\"]" },
    { OCCASION_FULL, HEARER_ONE, "a \"b\"", "[\"full\",\"a \\\"b\\\"\"]" },
    { OCCASION_LEFT, HEARER_OTHERS, "lobby", "[\"leave\",\"lobby\",\"" ID "\"]" },
    { OCCASION_FAREWELL, HEARER_OTHERS, "lobby", "[\"Bye\"]" },
    { OCCASION_WORD, HEARER_OTHERS, "lobby", "[\"bye\",\"lobby\"]" },
    { OCCASION_WORD, HEARER_OTHERS, "", "[\"bye\"]" },
};

#define EXPECTED (sizeof expected / sizeof expected[0])

/* Does LINE say what stands in row I? */
static bool says(struct signaling *g, const struct line *line, size_t i)
{
    occasion_make(g, line, span_of(expected[i].channel), ID);
    return span_is(buf_span(&g->body), expected[i].says);
}

static void every_line_says_what_pages_rely_on(void **state)
{
    struct rig r;
    struct signaling g;

    (void)state;
    rig_open(&r, (const char *[]){ NULL });
    signaling_init(&g, r.store, &r.set);
    for (size_t i = 0; i < EXPECTED; i++) {
        const struct line *line = occasion_line(expected[i].on, NULL);
        while (line != NULL && !says(&g, line, i))
            line = occasion_line(expected[i].on, line);
        if (line == NULL)
            fail_msg("no line of occasion %d says %s", (int)expected[i].on, expected[i].says);
        assert_int_equal(line->to, expected[i].to);
    }
    signaling_release(&g);
    rig_close(&r);
}

/* In the order of the table: a page may take `join` for the first word. */
static void the_lines_of_an_occasion_come_in_order(void **state)
{
    const struct line *line = occasion_line(OCCASION_JOINED, NULL);

    (void)state;
    assert_string_equal(line->event, "broadcast: joined");
    assert_string_equal((line = occasion_line(OCCASION_JOINED, line))->event, "joined");
    assert_string_equal((line = occasion_line(OCCASION_JOINED, line))->event, "ready");
    assert_null(occasion_line(OCCASION_JOINED, line));
}

static void what_the_server_says_it_knows(void **state)
{
    (void)state;
    assert_true(occasion_has(SPAN("\"created\"")));
    assert_true(occasion_has(SPAN("\"bye\"")));
    assert_false(occasion_has(SPAN("\"offer\"")));
    assert_false(occasion_has(SPAN("created")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_says_what_pages_rely_on),
        cmocka_unit_test(the_lines_of_an_occasion_come_in_order),
        cmocka_unit_test(what_the_server_says_it_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
