/* test_rules.c - the rules of the signaling application, with the clock set by hand, over a real
 * store. */
#include "rig.h"

#include <stdio.h>

#include "rules/signaling.h"

/* TEXT with every %A, %B, %C replaced by the public id of that client; valid until the next call
 * but three. */
static const char *with_ids(const char *text, const struct client *a, const struct client *b)
{
    static char ring[4][4096];
    static int turn;
    char *out = ring[turn++ % 4];
    size_t len = 0;

    for (; *text != '\0'; text++) {
        if (text[0] == '%' && (text[1] == 'A' || text[1] == 'B')) {
            len += (size_t)snprintf(out + len, 4096 - len, "%s", (text[1] == 'A' ? a : b)->id);
            text++;
        } else {
            out[len++] = *text;
        }
    }
    out[len] = '\0';
    return out;
}

static const char *const quiet[] = { "POLLUX_LOG_EVENTS=no", NULL };

/* A and B, in channel `room`, all that came of it heard. */
static void pair(struct rig *r, struct client *a, struct client *b)
{
    client_join(a, r, "room");
    client_hear(a);
    client_join(b, r, "room");
    client_hear(a);
    client_hear(b);
}

static void first_creates_second_joins(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, NULL);
    client_join(&a, &r, "room");
    assert_said(&a, with_ids("42[\"created\",\"room\",\"%A\"]", &a, &b));
    client_join(&b, &r, "room");
    assert_said(
        &a,
        with_ids("42[\"remotePeerJoining\",\"room\"]\n42[\"join\",\"room\"]\n"
                 "42[\"broadcast: joined\",\"S --> broadcast(): client %B joined channel room\"]\n"
                 "42[\"ready\",\"room\"]",
                 &a, &b));
    assert_said(&b, with_ids("42[\"joined\",\"room\",\"%B\"]\n42[\"ready\",\"room\"]", &a, &b));
    rig_close(&r);
}

static void messages_and_responses_are_relayed_and_echoed(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, NULL);
    pair(&r, &a, &b);
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":{\"a\": 1e400}}]");
    assert_said(&a, "42[\"log\",[\">>> \",\"S --> Got message: "
                    "\",{\"channel\":\"room\",\"message\":{\"a\": 1e400}}]]");
    assert_said(&b, "42[\"message\",{\"a\": 1e400}]");
    client_post(&b, "42[\"response\",{\"channel\":\"room\",\"message\":\"\\u0000\\ud800\"}]");
    assert_said(&a, "42[\"response\",\"\\u0000\\ud800\"]");
    client_post(&b, "42[\"message\",\"bare\",12345678901234567890]");
    assert_said(&a, "42[\"message\",\"bare\",12345678901234567890]");
    rig_close(&r);
}

static void bye_is_relayed_and_ack_ends_the_channel(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&a, "42[\"Bye\",\"room\"]");
    assert_said(&a, "41");
    assert_said(&b, "42[\"Bye\"]");
    assert_int_equal(ask(&r, ASK_CHANNELS), 1);
    client_post(&b, "42[\"Ack\"]");
    assert_said(&b, "41");
    assert_int_equal(ask(&r, ASK_CHANNELS), 0);
    assert_int_equal(ask(&r, ASK_STAYING), 0);
    rig_close(&r);
}

/* Close the channel as polluxctl does: from another process. */
static struct closed close_channel(const struct rig *r, const char *name)
{
    struct store *store;
    struct signaling g;
    struct buf why = BUF_EMPTY;

    assert_int_equal(store_open(&store, &r->set, &why), 0);
    signaling_init(&g, store, &r->set);
    g.now = r->now;
    struct closed closed =
        signaling_close_channel(&g, store_channel(store, SPAN("/"), span_of(name)));
    assert_int_equal(store_commit(store), 0);
    signaling_release(&g);
    store_close(store);
    return closed;
}

static void a_channel_that_is_closed_disconnects_its_members(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "42[\"create or join\",\"other\"]");
    client_join(&c, &r, "other");
    client_hear(&c), client_hear(&b);
    client_hear(&c);
    struct closed closed = close_channel(&r, "room");
    assert_int_equal(closed.disconnected, 2);
    assert_int_equal(closed.away, 0);
    rig_turn(&r, true);
    assert_said(&a, "41");
    assert_said(&b, "41");
    assert_said(&c, with_ids("42[\"leave\",\"other\",\"%B\"]", &a, &b));
    assert_int_equal(ask_of(&r, ASK_CHANNELS_NAMED, "room"), 0);
    rig_close(&r);
}

static void bye_with_41_and_1_in_one_post_delivers_it(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    assert_string_equal(client_post(&a, "42[\"Bye\",\"room\"]\x1e" "41\x1e" "1"), "200 ok");
    assert_said(&b, "42[\"Bye\"]");
    assert_starts(client_post(&a, "3"), "400 {\"code\":1");
    rig_close(&r);
}

static void lost_client_recovers_what_it_missed(void **state)
{
    struct rig r;
    struct client a, b, again;
    char extra[128];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "1");
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":1}]");
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":2}]");
    assert_said(&a, "");                /* nobody is told of a flicker */
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
    client_connect(&again, &r, extra);
    assert_starts(again.heard, "42[\"message\",1]\n42[\"message\",2]\n40{");
    assert_string_equal(again.id, b.id);
    assert_string_equal(again.pid, b.pid);
    assert_said(&again, "");
    rig_close(&r);
}

static void sent_and_not_arrived_is_sent_again_after_recovery(void **state)
{
    struct rig r;
    struct client a, b, again;
    char extra[128];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&a, "42[\"message\",\"lost on the way\"]");
    assert_non_null(rig_answer(&r, b.poll));            /* sent, and never seen by b */
    rig_restart(&r);
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
    client_connect(&again, &r, extra);
    assert_starts(again.heard, "42[\"message\",\"lost on the way\"]\n40{");
    rig_close(&r);
}

static void ids_of_sessions_are_not_used_again(void **state)
{
    struct rig r;
    struct client a, b, again;
    char extra[128];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&a, "42[\"message\",\"lost on the way\"]");
    /* the newest session ends; the next must not be taken for it */
    client_post(&b, "1");
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
    client_connect(&again, &r, extra);
    assert_starts(again.heard, "42[\"message\",\"lost on the way\"]\n40{");
    rig_close(&r);
}

static void offset_shows_what_arrived(void **state)
{
    struct rig r;
    struct client a, b, again;
    char extra[128], offset[32];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&a, "42[\"message\",\"seen\"]");
    const char *marker = strstr(rig_answer(&r, b.poll), "[\"pollux\",\"");
    assert_non_null(marker);
    snprintf(offset, sizeof offset, "%.*s", (int)strcspn(marker + 11, "\""), marker + 11);
    client_post(&a, "42[\"message\",\"not seen\"]");
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, offset);
    client_connect(&again, &r, extra);  /* the old session has not even been given up */
    assert_starts(again.heard, "42[\"message\",\"not seen\"]\n40{");
    assert_starts(client_post(&b, "3"), "400 {\"code\":1");
    rig_close(&r);
}

static void say_numbers(struct client *c, int first, int end)
{
    char body[64];

    for (int i = first; i < end; i++) {
        snprintf(body, sizeof body, "42[\"message\",%d]", i);
        client_post(c, body);
    }
}

/* How many events FROM, FROM + 1... ANSWER begins with; they are all that it holds, but for the
 * greeting and the marker, in that order, where there are any. */
static int count_numbers(const char *answer, int from, bool greets, char offset[32])
{
    const char *at = answer + 4;
    char number[64];
    int count = 0;

    assert_starts(answer, "200 ");
    for (;; count++) {
        int len = snprintf(number, sizeof number, "42[\"message\",%d]\x1e", from + count);
        if (strncmp(at, number, (size_t)len) != 0)
            break;
        at += len;
    }
    if (greets) {
        assert_starts(at, "40{");
        at = strchr(at, '\x1e') + 1;
    }
    assert_starts(at, "42[\"pollux\",\"");
    at += 13;
    snprintf(offset, 32, "%.*s", (int)strcspn(at, "\""), at);
    assert_string_equal(at + strcspn(at, "\""), "\"]");
    return count;
}

/* Clients keep events until they are greeted, even if the session ends meanwhile: the first
 * answer greets, however much was missed. */
static void greeting_goes_with_the_first_of_what_was_missed(void **state)
{
    static const char *const keys[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_MAX_PAYLOAD_BYTES=1000",
                                        NULL };
    struct rig r;
    struct client a, b, again;
    char extra[128], query[128], offset[32];
    int from = 0, rounds = 0;

    (void)state;
    rig_open(&r, keys);
    pair(&r, &a, &b);
    client_post(&b, "1");
    say_numbers(&a, 0, 150);
    for (; from < 150; rounds++) {
        snprintf(extra, sizeof extra, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
        client_open(&again, &r);
        client_post(&again, extra);
        snprintf(query, sizeof query, "EIO=4&transport=polling&t=first&sid=%s", again.sid);
        const char *first = rig_answer(&r, rig_send(&r, "GET", query, ""));
        int count = count_numbers(first, from, true, b.offset);
        assert_in_range(count, 30, 70);         /* as many as the payload may have bytes for */
        assert_string_equal(rig_answer(&r, rig_send(&r, "GET", query, "")), first);
        rig_restart(&r);
        assert_string_equal(rig_answer(&r, rig_send(&r, "GET", query, "")), first);
        from += count;
        if (from < 150) {               /* the session is lost, and the second answer with it */
            snprintf(query, sizeof query, "EIO=4&transport=polling&t=second&sid=%s", again.sid);
            const char *second = rig_answer(&r, rig_send(&r, "GET", query, ""));
            assert_in_range(count_numbers(second, from, false, offset), 1, 70);
        }
    }
    assert_in_range(rounds, 2, 5);
    rig_close(&r);
}

/* In other answers there are few packets, for clients that give their POSTs no t. */
static void all_that_was_missed_comes_before_the_greeting(void **state)
{
    struct rig r;
    struct client a, b, again;
    char extra[128], query[128];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "1");
    say_numbers(&a, 0, 40);
    snprintf(extra, sizeof extra, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
    client_open(&again, &r);
    snprintf(query, sizeof query, "EIO=4&transport=polling&sid=%s", again.sid);
    assert_string_equal(rig_answer(&r, rig_send(&r, "POST", query, extra)), "200 ok");
    say_numbers(&a, 40, 80);
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=first&sid=%s", again.sid);
    const char *first = rig_answer(&r, rig_send(&r, "GET", query, ""));
    assert_int_equal(count_numbers(first, 0, true, b.offset), 40);
    snprintf(query, sizeof query, "EIO=4&transport=polling&t=second&sid=%s", again.sid);
    first = rig_answer(&r, rig_send(&r, "GET", query, ""));
    assert_int_equal(count_numbers(first, 40, false, b.offset), 15);
    assert_int_equal(ask(&r, ASK_GREETINGS), 0);
    rig_close(&r);
}

static void after_the_window_it_is_somebody_else(void **state)
{
    struct rig r;
    struct client a, b, again;
    char extra[128];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "1");
    for (int i = 0; i < 13; i++) {
        rig_wait(&r, 9900);
        client_hear(&a);
    }
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\",\"offset\":\"%s\"}", b.pid, b.offset);
    client_connect(&again, &r, extra);
    assert_string_not_equal(again.id, b.id);            /* a fresh socket, and no error */
    rig_close(&r);
}

static void leaving_tells_the_others(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_post(&b, "42[\"leave\",\"room\"]");
    assert_said(&a, with_ids("42[\"leave\",\"room\",\"%B\"]", &a, &b));
    client_post(&b, "427[\"leave\",\"room\"]");
    assert_non_null(strstr(client_hear(&b), "\"code\":\"not_a_member\""));
    client_post(&b, "42[\"create or join\",\"room\"]");
    client_hear(&a);
    client_hear(&b);
    client_post(&b, "41");
    assert_said(&a, with_ids("42[\"leave\",\"room\",\"%B\"]", &a, &b));
    rig_close(&r);
}

static void acks_say_seq_and_recipients(void **state)
{
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    int64_t seq = ask(&r, ASK_LAST_SEQ);
    char expected[64];
    client_post(&a, "420[\"message\",{\"channel\":\"room\",\"message\":1}]");
    snprintf(expected, sizeof expected, "430[{\"seq\":%lld,\"recipients\":1}]", (long long)seq + 1);
    assert_said(&a, expected);
    client_post(&a, "421[\"anything\"]");
    snprintf(expected, sizeof expected, "431[{\"seq\":%lld,\"recipients\":1}]", (long long)seq + 3);
    assert_said(&a, expected);
    assert_said(&b, "42[\"message\",1]\n42[\"anything\"]");
    rig_close(&r);
}

static void nobody_sends_where_it_is_not_in(void **state)
{
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    client_connect(&c, &r, "");
    client_post(&c, "42[\"message\",{\"channel\":\"room\",\"message\":\"x\"}]");
    assert_said(&c, "42[\"error\",{\"code\":\"not_a_member\",\"message\":\"only members can send "
                    "to a channel; join it first\","
                    "\"event\":\"message\",\"channel\":\"room\"}]");
    client_post(&c, "42[\"leave\"]");
    assert_said(&c, "42[\"error\",{\"code\":\"not_a_member\",\"message\":\"only members can leave "
                    "a channel\","
                    "\"event\":\"leave\"}]");
    client_post(&c, with_ids("42[\"offer\",{\"to\":\"%A\"}]", &a, &b));
    client_post(&c, "42[\"offer\",\"room\"]");
    client_post(&c, "42[\"pollux\",\"999\"]");
    assert_said(&a, "");
    assert_said(&b, "");
    rig_close(&r);
}

static void other_events_go_to_peer_channel_or_all(void **state)
{
    static const char *const many[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_CAPACITY=3", NULL };
    struct rig r;
    struct client a, b, c;

    (void)state;
    rig_open(&r, many);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_join(&c, &r, "room");
    client_post(&a, "42[\"create or join\",\"side\"]");
    client_post(&b, "42[\"create or join\",\"side\"]");
    client_hear(&a), client_hear(&b), client_hear(&c);

    client_post(&a, with_ids("42[\"offer\",{\"to\":\"%B\",\"sdp\":1}]", &a, &b));
    assert_said(&b, with_ids("42[\"offer\",{\"to\":\"%B\",\"sdp\":1}]", &a, &b));
    assert_said(&c, "");
    client_post(&a, "42[\"note\",{\"room\":\"side\"}]");
    client_post(&a, "42[\"note\",\"side\"]");
    assert_said(&b, "42[\"note\",{\"room\":\"side\"}]\n42[\"note\",\"side\"]");
    assert_said(&c, "");
    client_post(&a, "42[\"note\",{\"room\":\"elsewhere\"}]");
    /* once, though they share two channels */
    assert_said(&b, "42[\"note\",{\"room\":\"elsewhere\"}]");
    assert_said(&c, "42[\"note\",{\"room\":\"elsewhere\"}]");
    client_post(&c, "41");
    client_hear(&a);
    client_hear(&b);
    client_post(&a, with_ids("425[\"offer\",{\"to\":\"%B\"}]", &a, &c));
    assert_non_null(strstr(client_hear(&a), "\"recipients\":0}"));
    assert_said(&b, "");                /* what was for one who has gone is for nobody else */
    rig_close(&r);
}

static void queues_have_bounds_and_say_so(void **state)
{
    static const char *const few[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_MAX_QUEUED_MESSAGES=5",
                                       NULL };
    struct rig r;
    struct client a, b, again;
    char extra[128];

    (void)state;
    rig_open(&r, few);
    pair(&r, &a, &b);
    client_post(&b, "1");
    for (int i = 0; i < 5; i++)
        client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":\"kept\"}]");
    assert_said(&a, "");
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":\"refused\"}]");
    assert_non_null(strstr(client_hear(&a), "\"code\":\"queue_full\""));
    snprintf(extra, sizeof extra, "{\"pid\":\"%s\"}", b.pid);
    client_connect(&again, &r, extra);
    assert_null(strstr(again.heard, "refused"));
    client_post(&a, "42[\"message\",{\"channel\":\"room\",\"message\":\"room again\"}]");
    assert_said(&again, "42[\"message\",\"room again\"]");
    rig_close(&r);
}

static void channel_names_have_bounds(void **state)
{
    struct rig r;
    struct client a;
    char body[256];

    (void)state;
    rig_open(&r, quiet);
    client_connect(&a, &r, "");
    client_post(&a, "42[\"create or join\",\"\"]");
    assert_non_null(strstr(client_hear(&a), "\"code\":\"bad_channel\""));
    client_post(&a, "42[\"create or join\",7]");
    assert_non_null(strstr(client_hear(&a), "\"code\":\"bad_channel\""));
    client_post(&a, "42[\"create or join\",\"\\ud800\"]");
    assert_non_null(strstr(client_hear(&a), "\"code\":\"bad_channel\""));
    snprintf(body, sizeof body, "42[\"create or join\",\"%0129d\"]", 0);
    client_post(&a, body);
    assert_non_null(strstr(client_hear(&a), "\"code\":\"bad_channel\""));
    snprintf(body, sizeof body, "42[\"create or join\",\"%0128d\"]", 0);
    client_post(&a, body);
    assert_non_null(strstr(client_hear(&a), "42[\"created\""));
    rig_close(&r);
}

static void recovery_off_has_no_pid_and_no_marker(void **state)
{
    static const char *const off[] = { "POLLUX_RECOVERY_WINDOW_MS=0", "POLLUX_LOG_EVENTS=no",
                                       NULL };
    struct rig r;
    struct client a, b;

    (void)state;
    rig_open(&r, off);
    pair(&r, &a, &b);
    assert_string_equal(a.pid, "");
    assert_string_equal(a.offset, "");
    client_post(&b, "1");
    assert_said(&a, with_ids("42[\"leave\",\"room\",\"%B\"]", &a, &b));
    rig_close(&r);
}

/* One who left and whose row has been removed, one who never was, oneself: nobody, and no room that
 * happens to be named so. */
static void what_is_for_one_is_for_nobody_else(void **state)
{
    static const char *const keys[] = { "to", "target", "targetId", "recipient", "receiver",
                                        "peerId",
                                        "socketId" };
    static const char *const many[] = { "POLLUX_LOG_EVENTS=no", "POLLUX_CAPACITY=3",
                                        "POLLUX_LOG_AGE_DAYS=0", NULL };
    struct rig r;
    struct client a, b, c;
    char body[128];

    (void)state;
    rig_open(&r, many);
    client_join(&a, &r, "room");
    client_join(&b, &r, "room");
    client_join(&c, &r, "room");
    client_hear(&a), client_hear(&b), client_hear(&c);
    client_post(&c, "41\x1e" "1");
    for (int i = 0; i < 40; i++) {
        rig_wait(&r, 1000);
        client_hear(&a), client_hear(&b);
    }
    assert_int_equal(ask_of(&r, ASK_SOCKET_ROWS, c.id), 0);
    const char *nobodies[] = { c.id, a.id, "AAAAAAAAAAAAAAAAAAAA" };
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < sizeof keys / sizeof keys[0]; j++) {
            snprintf(body, sizeof body, "425[\"offer\",{\"%s\":\"%s\",\"room\":\"room\"}]", keys[j],
                     nobodies[i]);
            client_post(&a, body);
            assert_non_null(strstr(client_hear(&a), "\"recipients\":0}"));
        }
    client_post(&a, with_ids("42[\"message\",{\"to\":\"%A\",\"sdp\":1}]", &b, &b));
    assert_said(&b, with_ids("42[\"message\",{\"to\":\"%A\",\"sdp\":1}]", &b, &b));
    client_post(&a, with_ids("425[\"message\",{\"to\":\"%A\"}]", &c, &c));
    assert_non_null(strstr(client_hear(&a), "\"recipients\":0}"));
    client_post(&a, "425[\"offer\",{\"to\":\"a name\"}]");     /* no id: to all, as other words */
    assert_said(&b, "42[\"offer\",{\"to\":\"a name\"}]");
    rig_close(&r);
}

static void nobody_speaks_as_the_server(void **state)
{
    static const char *const names[] = { "created", "joined", "full", "ready", "join",
                                         "remotePeerJoining", "broadcast: joined", "error", "log",
                                         "pollux", "\\u006aoined", "jo\\u0069n" };
    struct rig r;
    struct client a, b;
    char body[96];

    (void)state;
    rig_open(&r, quiet);
    pair(&r, &a, &b);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(body, sizeof body, "42[\"%s\",\"room\",\"x\"]", names[i]);
        client_post(&a, body);
        assert_non_null(strstr(client_hear(&a), "42[\"error\",{\"code\":\"reserved\""));
        snprintf(body, sizeof body, "427[\"%s\",{\"to\":\"%s\"}]", names[i], b.id);
        client_post(&a, body);
        assert_non_null(strstr(client_hear(&a), "\"error\":{\"code\":\"reserved\""));
    }
    assert_said(&b, "");
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_for_one_is_for_nobody_else),
        cmocka_unit_test(nobody_speaks_as_the_server),
        cmocka_unit_test(first_creates_second_joins),
        cmocka_unit_test(messages_and_responses_are_relayed_and_echoed),
        cmocka_unit_test(bye_is_relayed_and_ack_ends_the_channel),
        cmocka_unit_test(a_channel_that_is_closed_disconnects_its_members),
        cmocka_unit_test(bye_with_41_and_1_in_one_post_delivers_it),
        cmocka_unit_test(lost_client_recovers_what_it_missed),
        cmocka_unit_test(sent_and_not_arrived_is_sent_again_after_recovery),
        cmocka_unit_test(ids_of_sessions_are_not_used_again),
        cmocka_unit_test(offset_shows_what_arrived),
        cmocka_unit_test(greeting_goes_with_the_first_of_what_was_missed),
        cmocka_unit_test(all_that_was_missed_comes_before_the_greeting),
        cmocka_unit_test(after_the_window_it_is_somebody_else),
        cmocka_unit_test(leaving_tells_the_others),
        cmocka_unit_test(acks_say_seq_and_recipients),
        cmocka_unit_test(nobody_sends_where_it_is_not_in),
        cmocka_unit_test(other_events_go_to_peer_channel_or_all),
        cmocka_unit_test(queues_have_bounds_and_say_so),
        cmocka_unit_test(channel_names_have_bounds),
        cmocka_unit_test(recovery_off_has_no_pid_and_no_marker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
