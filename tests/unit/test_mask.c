/* test_mask.c - what is an address and what only looks like one. */
#include "store/mask.h"

#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH(i, table) (size_t i = 0; i < sizeof (table) / sizeof (table)[0]; i++)
#define T(literal) { "" literal, sizeof(literal) - 1 }

/* Mask a copy of TEXT that ends where it does. */
static void assert_masked(struct span text, struct span expected)
{
    struct buf b = BUF_EMPTY;
    char *copy = malloc(text.len + (text.len == 0));

    assert_non_null(copy);
    if (text.len != 0)
        memcpy(copy, text.p, text.len);
    mask_addresses(&b, (struct span){ copy, text.len });
    free(copy);
    if (!span_equals(buf_span(&b), expected))
        fail_msg("%.*s\nbecame %s", (int)text.len, text.p, buf_text(&b));
    buf_release(&b);
}

static void addresses_are_hidden(void **state)
{
    static const struct {
        struct span text, masked;
    } cases[] = {
        { T("192.168.1.2"), T("x.x.x.x") },
        { T("1.2.3.4"), T("x.x.x.x") },
        { T("255.255.255.255"), T("x.x.x.x") },
        { T("010.000.000.001"), T("x.x.x.x") },
        { T("at 10.0.0.1."), T("at x.x.x.x.") },
        { T("10.0.0.1, 10.0.0.2"), T("x.x.x.x, x.x.x.x") },
        { T("10.0.0.1:5000"), T("x.x.x.x:5000") },
        { T("10.0.0.0/8"), T("x.x.x.x/8") },
        { T("http://10.0.0.1/a"), T("http://x.x.x.x/a") },
        { T("(10.0.0.1)"), T("(x.x.x.x)") },
        { T("host:10.0.0.1"), T("host:x.x.x.x") },
        { T("12:30:10.0.0.1"), T("12:30:x.x.x.x") },
        { T("ip10.0.0.1"), T("ipx.x.x.x") },
        { T("10.0.0.1-10.0.0.9"), T("x.x.x.x-x.x.x.x") },
        { T("1.0.0.10.in-addr.arpa"), T("x.x.x.x.in-addr.arpa") },
        { T("beef10.0.0.1"), T("beefx.x.x.x") },
        { T("10.0.0.1z"), T("x.x.x.xz") },
        { T("127.0.0.2"), T("x.x.x.x") },
        { T("0.0.0.1"), T("x.x.x.x") },
        { T("2001:db8::1"), T("x::x") },
        { T("2001:DB8:0:0:0:0:0:1"), T("x::x") },
        { T("fe80::"), T("x::x") },
        { T("::2"), T("x::x") },
        { T("::ffff:10.0.0.1"), T("x::x") },
        { T("1:2:3:4:5:6:7:8"), T("x::x") },
        { T("1:2:3:4:5:6:10.0.0.1"), T("x::x") },
        { T("1:2:3:4:5:6:7::"), T("x::x") },
        { T("::2:3:4:5:6:7:8"), T("x::x") },
        { T("64:ff9b::10.0.0.1"), T("x::x") },
        { T("1:2:3:4:5::6:10.0.0.1"), T("1:2:3:4:5::6:x.x.x.x") },
        { T("1::2:3:4:5:10.0.0.1"), T("x::x") },
        { T("fe80::1%eth0"), T("x::x%eth0") },
        { T("[2001:db8::1]:3478"), T("[x::x]:3478") },
        { T("2001:db8::1/64"), T("x::x/64") },
        { T("see 2001:db8::1."), T("see x::x.") },
        { T("2001:db8::1: no"), T("x::x: no") },
        { T("ip:2001:db8::1"), T("ip:x::x") },
        { T("2001:db8::1,fe80::2"), T("x::x,x::x") },
        { T("::1 fe80::1 ::"), T("::1 x::x ::") },
        /* in JSON, behind an escape */
        { T("\"\\n10.0.0.1\\r\\n\""), T("\"\\nx.x.x.x\\r\\n\"") },
        { T("\"\\u002010.0.0.1\""), T("\"\\u0020x.x.x.x\"") },
        { T("\"\\nfe80::1\\r\\n\""), T("\"\\nx::x\\r\\n\"") },
        { T("\"\\u0020fe80::1\""), T("\"\\u0020x::x\"") },
        { T("\"\\\\10.0.0.1\""), T("\"\\\\x.x.x.x\"") },
        { T("C:\\10.0.0.1"), T("C:\\x.x.x.x") },
        { T("\\u12"), T("\\u12") },
        { T("{\"a\":\"10.0.0.1\",\"b\":[\"fe80::1\"]}"),
          T("{\"a\":\"x.x.x.x\",\"b\":[\"x::x\"]}") },
    };

    (void)state;
    for EACH(i, cases)
        assert_masked(cases[i].text, cases[i].masked);
}

static void all_else_stays(void **state)
{
    static const struct span kept[] = {
        T(""),
        T("a"),
        T("0.0.0.0"),
        T("127.0.0.1"),
        T("::"),
        T("::1"),
        T("[::1]:80"),
        T("[::]"),
        T("127.0.0.1:80"),
        T("\"0.0.0.0\""),
        T("1.2.3"),
        T("1.2.3.4.5"),
        T("1.2.3.256"),
        T("1.2.3.0004"),
        T("1.2.3.1234"),
        T("1..2.3.4"),
        T("v1.2.3-rc4"),
        T("1.2.3."),
        T("3.14"),
        T("...."),
        T("1.2.3.999.4"),
        T("12:30:45"),
        T("12:30"),
        T("2024-01-01T12:30:45.123"),
        T("1:2:3:4:5:6:7"),
        T("1:2:3:4:5:6:7:8:9"),
        T("1::2::3"),
        T("12345::1"),
        T(":::"),
        T("1:2:3:4:5:6:7:8::"),
        T("00:1a:2b:3c:4d:5e"),
        T("std::vector<int>"),
        T("a:b"),
        T("::g"),
        T("fe80::1g"),
        T("xfe80::1"),
        T("_fe80::1"),
        T("1:2:3:4:5:6:7:"),
        T(":1:2:3:4:5:6:7"),
        T("a=fingerprint:sha-256 "
          "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3C:4B:65:2E:7D:46:3F:54:42:"
          "CD:54:F1"),
        T("a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"),
        T("a=candidate:1 1 udp 2122260223 0b1e6f0c-7f1c-4a3d-9c52-6a3f0d0f3b7e.local 46154 typ "
          "host"),
        T("a=rtpmap:111 opus/48000/2\\r\\na=fmtp:111 minptime=10;useinbandfec=1\\r\\n"),
        T("m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8"),
        T("a=extmap:14 urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        T("a=ssrc:1001 cname:4TOk42mSjXCkVIa6"),
        T("a=mid:0\\r\\na=sctp-port:5000"),
        T("{\"x\":12,\"y\":3.5,\"z\":[1,2,3]}"),
        T("{\"a\":{\"b\":1e10}}"),
        T("\xc3\xa9\0\xff"),
        T("\\"),
        T("\"\\\\\""),
    };

    (void)state;
    for EACH(i, kept)
        assert_masked(kept[i], kept[i]);
}

static void session_description_loses_its_addresses_alone(void **state)
{
    (void)state;
    assert_masked(
        SPAN("{\"type\":\"offer\",\"sdp\":\"v=0\\r\\no=- 4611731400430051336 2 IN IP4 "
             "127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\n"
             "c=IN IP4 203.0.113.7\\r\\nc=IN IP6 2001:db8::7\\r\\na=rtcp:9 IN IP4 0.0.0.0\\r\\n"
             "a=candidate:842163049 1 udp 1677729535 198.51.100.4 46154 typ srflx raddr 10.0.0.9 "
             "rport 46154 generation 0\\r\\n"
             "a=candidate:1 1 udp 2122262783 2001:db8:85a3::8a2e:370:7334 9 typ host\\r\\n"
             "a=candidate:2 1 udp 1 0b1e6f0c.local 46154 typ host\\r\\n\"}"),
        SPAN("{\"type\":\"offer\",\"sdp\":\"v=0\\r\\no=- 4611731400430051336 2 IN IP4 "
             "127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\n"
             "c=IN IP4 x.x.x.x\\r\\nc=IN IP6 x::x\\r\\na=rtcp:9 IN IP4 0.0.0.0\\r\\n"
             "a=candidate:842163049 1 udp 1677729535 x.x.x.x 46154 typ srflx raddr x.x.x.x rport "
             "46154 generation 0\\r\\n"
             "a=candidate:1 1 udp 2122262783 x::x 9 typ host\\r\\n"
             "a=candidate:2 1 udp 1 0b1e6f0c.local 46154 typ host\\r\\n\"}"));
}

static void masking_twice_changes_nothing_more(void **state)
{
    struct span text = SPAN("[\"10.0.0.1 fe80::1 ::ffff:1.2.3.4 a:b:10.0.0.1\\u000a1.1.1.1\"]");
    struct buf once = BUF_EMPTY, twice = BUF_EMPTY;

    (void)state;
    mask_addresses(&once, text);
    assert_int_equal(json_check(buf_span(&once), NULL), JSON_OK);
    mask_addresses(&twice, buf_span(&once));
    assert_true(span_equals(buf_span(&once), buf_span(&twice)));
    buf_release(&once);
    buf_release(&twice);
}

/* A megabyte that is one run from end to end takes one pass: quadratic work would take minutes. */
static void long_runs_take_one_pass(void **state)
{
    static const char *const pieces[] = { "1:", "1.", ":", "a:", "1:1.1.1.1:", "::", "f" };
    struct buf in = BUF_EMPTY, out = BUF_EMPTY;

    (void)state;
    for EACH(i, pieces) {
        buf_clear(&in);
        buf_clear(&out);
        while (in.len < 1000000)
            buf_add_text(&in, pieces[i]);
        mask_addresses(&out, buf_span(&in));
        assert_true(buf_ok(&out));
        assert_true(out.len > 0);
    }
    buf_release(&in);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_hidden),
        cmocka_unit_test(all_else_stays),
        cmocka_unit_test(session_description_loses_its_addresses_alone),
        cmocka_unit_test(masking_twice_changes_nothing_more),
        cmocka_unit_test(long_runs_take_one_pass),
    };

    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
