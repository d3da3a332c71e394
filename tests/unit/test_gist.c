/* test_gist.c - descriptions and candidates, found in whatever applications wrap them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/gist.h"

#define SDP "v=0\\r\\no=- 1 2 IN IP4 0.0.0.0\\r\\ns=-\\r\\nt=0 0\\r\\n" \
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\\r\\na=setup:actpass\\r\\n" \
            "m=video 0 UDP/TLS/RTP/SAVPF 96\\r\\nm=application 9 UDP/DTLS/SCTP x\\r\\n"
#define FOUND "audio, video (refused), data"
#define CANDIDATE "candidate:1 1 UDP 2113937151 192.0.2.7 54321 typ srflx raddr 0.0.0.0 rport 0"

static void they_are_found_wherever_they_are(void **state)
{
    static const struct { const char *name, *arguments, *says; } cases[] = {
        { "message", "[{\"type\":\"offer\",\"sdp\":\"" SDP "\"}]", "offer " FOUND },
        { "message", "[{\"sdp\":\"" SDP "\",\"type\":\"ANSWER\"}]", "answer " FOUND },
        { "message", "[{\"description\":{\"type\":\"pranswer\",\"sdp\":\"" SDP "\"}}]",
          "provisional answer " FOUND },
        { "offer", "[\"peer\",\"" SDP "\"]", "offer " FOUND },
        { "call-user", "[{\"answer\":{\"sdp\":\"" SDP "\"},\"to\":\"x\"}]", "answer " FOUND },
        { "signal",
          "[{\"data\":\"{\\\"type\\\":\\\"offer\\\",\\\"sdp\\\":\\\"v=0\\\\r\\\\n\\\"}\"}]",
          "offer of nothing" },
        { "message", "[{\"sdp\":\"" SDP "\"}]", "offer? " FOUND },
        /* a type that says nothing of it hides nothing that does */
        { "message", "[{\"type\":\"sdp\",\"payload\":{\"type\":\"answer\",\"sdp\":\"" SDP "\"}}]",
          "answer " FOUND },
        { "message", "[{\"type\":\"answer\",\"offer\":{\"sdp\":\"" SDP "\"}}]", "answer " FOUND },
        { "message", "[{\"type\":\"rollback\"}]", "rollback" },
        { "message", "[{\"type\":\"candidate\",\"label\":0,\"candidate\":\"" CANDIDATE "\"}]",
          "candidate srflx udp" },
        { "iceCandidate", "[{\"candidate\":{\"candidate\":\"" CANDIDATE "\",\"sdpMid\":\"0\"}}]",
          "candidate srflx udp" },
        { "ice", "[\"a=" CANDIDATE "\"]", "candidate srflx udp" },
        { "ice", "[\"candidate:nonsense\"]", "candidate unreadable" },
        { "ice", "[{\"candidate\":\"\",\"sdpMid\":\"0\"}]", "no more candidates" },
        { "ice", "[{\"candidate\":null}]", "no more candidates" },
        { "message", "[\"hello\"]", "" },
        { "offer", "[{\"price\":\"3\"}]", "" },
        { "message", "[\"v=0 is no description\"]", "" },
        { "message", "[", "" },
        { "message", "[[[[[[[[[[[[[[[\"" CANDIDATE "\"]]]]]]]]]]]]]]]", "" },      /* too deep */
    };
    struct gist g = { 0 };
    struct buf text = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gist_find(&g, span_of(cases[i].name), span_of(cases[i].arguments));
        buf_clear(&text);
        gist_add(&text, &g);
        assert_string_equal(buf_text(&text), cases[i].says);
    }
    buf_release(&text);
    gist_release(&g);
}

static void what_a_peer_wrote_does_no_harm(void **state)
{
    static const char arguments[] =
        "[\"v=0\\nm=\\u001b[31maudio 9 x\\nm=video\\nm=\\nm= \\na=candidate:\\n\"]";
    struct gist g = { 0 };
    struct buf text = BUF_EMPTY;

    (void)state;
    gist_find(&g, SPAN("x"), span_of(arguments));
    gist_add(&text, &g);
    assert_string_equal(buf_text(&text), "description? something unknown, video, something unknown,"
                                         " something unknown, 1 candidate inside");
    buf_release(&text);
    gist_release(&g);
}

static void lines_end_in_either_way(void **state)
{
    struct span rest = SPAN("v=0\r\ns=-\n\na=x"), line;

    (void)state;
    assert_true(gist_line(&rest, &line) && span_is(line, "v=0"));
    assert_true(gist_line(&rest, &line) && span_is(line, "s=-"));
    assert_true(gist_line(&rest, &line) && span_is(line, ""));
    assert_true(gist_line(&rest, &line) && span_is(line, "a=x"));
    assert_false(gist_line(&rest, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_found_wherever_they_are),
        cmocka_unit_test(what_a_peer_wrote_does_no_harm),
        cmocka_unit_test(lines_end_in_either_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
