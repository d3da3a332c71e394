/* test_sio.c - every Socket.IO packet type, every refusal. */
#include "wire/sio.h"

#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH(i, table) (size_t i = 0; i < sizeof (table) / sizeof (table)[0]; i++)
#define T(literal) { "" literal, sizeof(literal) - 1 }

/* Parse a copy of TEXT that ends where it does; what is lent points into TEXT itself. */
static enum sio_status parse(struct span text, struct sio_packet *packet)
{
    char *copy = malloc(text.len + (text.len == 0));
    assert_non_null(copy);
    if (text.len != 0)
        memcpy(copy, text.p, text.len);
    enum sio_status status = sio_parse((struct span){ copy, text.len }, packet);
    struct span *lent[] = { &packet->nsp, &packet->ack_id, &packet->data };
    for EACH(i, lent)
        if (lent[i]->p >= copy && lent[i]->p <= copy + text.len)
            lent[i]->p = text.p + (lent[i]->p - copy);
    free(copy);
    return status;
}

static void assert_span(struct span is, struct span should, struct span text)
{
    if (!span_equals(is, should))
        fail_msg("\"%.*s\", expected \"%.*s\", in %.*s", (int)is.len, is.p, (int)should.len,
                 should.p, (int)text.len, text.p);
}

static void each_type_is_read(void **state)
{
    static const struct {
        struct span text;
        enum sio_type type;
        unsigned attachments;
        struct span nsp, ack_id, data;
    } cases[] = {
        { T("0"), SIO_CONNECT, 0, T("/"), T(""), T("") },
        { T("0{\"token\":\"x\"}"), SIO_CONNECT, 0, T("/"), T(""), T("{\"token\":\"x\"}") },
        { T("0/chat"), SIO_CONNECT, 0, T("/chat"), T(""), T("") },
        { T("0/chat,"), SIO_CONNECT, 0, T("/chat"), T(""), T("") },
        { T("0/chat,{}"), SIO_CONNECT, 0, T("/chat"), T(""), T("{}") },
        { T("0/,{}"), SIO_CONNECT, 0, T("/"), T(""), T("{}") },
        { T("0/chat?a=1&b=/2,{}"), SIO_CONNECT, 0, T("/chat"), T(""), T("{}") },
        { T("0/?x=1"), SIO_CONNECT, 0, T("/"), T(""), T("") },
        { T("0/\xc3\xa9t\xc3\xa9,"), SIO_CONNECT, 0, T("/\xc3\xa9t\xc3\xa9"), T(""), T("") },
        { T("0 {\"a\":1}\n"), SIO_CONNECT, 0, T("/"), T(""), T("{\"a\":1}") },
        { T("1"), SIO_DISCONNECT, 0, T("/"), T(""), T("") },
        { T("1/chat,"), SIO_DISCONNECT, 0, T("/chat"), T(""), T("") },
        { T("2[\"hello\"]"), SIO_EVENT, 0, T("/"), T(""), T("[\"hello\"]") },
        { T("20[\"hello\",1]"), SIO_EVENT, 0, T("/"), T("0"), T("[\"hello\",1]") },
        { T("2/chat,456[\"a\", {\"b\":[]}]"), SIO_EVENT, 0, T("/chat"), T("456"),
          T("[\"a\", {\"b\":[]}]") },
        { T("2[7,1]"), SIO_EVENT, 0, T("/"), T(""), T("[7,1]") },
        { T("2[-1e400]"), SIO_EVENT, 0, T("/"), T(""), T("[-1e400]") },
        { T("2[\"\"]"), SIO_EVENT, 0, T("/"), T(""), T("[\"\"]") },
        { T("2[\"Connect\"]"), SIO_EVENT, 0, T("/"), T(""), T("[\"Connect\"]") },
        { T("2[\"connect \"]"), SIO_EVENT, 0, T("/"), T(""), T("[\"connect \"]") },
        { T("2[\"a\",\"connect\"]"), SIO_EVENT, 0, T("/"), T(""), T("[\"a\",\"connect\"]") },
        { T("212345678901234567890[\"a\"]"), SIO_EVENT, 0, T("/"), T("12345678901234567890"),
          T("[\"a\"]") },
        { T("2[\"a\",{\"_placeholder\":true,\"num\":99}]"), SIO_EVENT, 0, T("/"), T(""),
          T("[\"a\",{\"_placeholder\":true,\"num\":99}]") },
        { T("30[]"), SIO_ACK, 0, T("/"), T("0"), T("[]") },
        { T("3/chat,13[\"ok\"]"), SIO_ACK, 0, T("/chat"), T("13"), T("[\"ok\"]") },
        { T("31[\"connect\"]"), SIO_ACK, 0, T("/"), T("1"), T("[\"connect\"]") },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":0}]"), SIO_BINARY_EVENT, 1, T("/"), T(""),
          T("[\"a\",{\"_placeholder\":true,\"num\":0}]") },
        { T("52-/chat,7[\"a\"]"), SIO_BINARY_EVENT, 2, T("/chat"), T("7"), T("[\"a\"]") },
        { T("510-[\"a\",{\"num\":9,\"_placeholder\":true}]"), SIO_BINARY_EVENT, 10, T("/"), T(""),
          T("[\"a\",{\"num\":9,\"_placeholder\":true}]") },
        { T("61-3[{\"_placeholder\":true,\"num\":0}]"), SIO_BINARY_ACK, 1, T("/"), T("3"),
          T("[{\"_placeholder\":true,\"num\":0}]") },
    };
    struct sio_packet p;

    (void)state;
    for EACH(i, cases) {
        enum sio_status status = parse(cases[i].text, &p);
        if (status != SIO_OK)
            fail_msg("%s: %.*s", sio_strerror(status), (int)cases[i].text.len, cases[i].text.p);
        assert_int_equal(p.type, cases[i].type);
        assert_int_equal(p.attachments, cases[i].attachments);
        assert_span(p.nsp, cases[i].nsp, cases[i].text);
        assert_span(p.ack_id, cases[i].ack_id, cases[i].text);
        assert_span(p.data, cases[i].data, cases[i].text);
    }
}

static void each_refusal_is_named(void **state)
{
    static const struct {
        struct span text;
        enum sio_status status;
    } cases[] = {
        { T(""), SIO_BAD_TYPE },
        { T("7"), SIO_BAD_TYPE },
        { T("x"), SIO_BAD_TYPE },
        { T(" "), SIO_BAD_TYPE },
        { T("/chat"), SIO_BAD_TYPE },
        { T("[\"a\"]"), SIO_BAD_TYPE },
        { T("\0"), SIO_BAD_TYPE },
        { T("-2[\"a\"]"), SIO_BAD_TYPE },
        { T("4"), SIO_FROM_CLIENT },
        { T("4{\"message\":\"no\"}"), SIO_FROM_CLIENT },
        { T("4/chat,\"no\""), SIO_FROM_CLIENT },
        { T("5"), SIO_BAD_ATTACHMENTS },
        { T("5["), SIO_BAD_ATTACHMENTS },
        { T("5[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("5-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("50-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("511-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("51[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("51"), SIO_BAD_ATTACHMENTS },
        { T("5x-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("51.5-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("51e0-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("5 1-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("5-1-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("599999999999999999999-[\"a\"]"), SIO_BAD_ATTACHMENTS },
        { T("60-1[]"), SIO_BAD_ATTACHMENTS },
        { T("611-1[]"), SIO_BAD_ATTACHMENTS },
        { T("0/a\nb,"), SIO_BAD_NAMESPACE },
        { T("0/a\0b,"), SIO_BAD_NAMESPACE },
        { T("0/\x7f,"), SIO_BAD_NAMESPACE },
        { T("0/\xff,"), SIO_BAD_NAMESPACE },
        { T("0/\xc3,"), SIO_BAD_NAMESPACE },
        { T("0/\xed\xa0\x80,"), SIO_BAD_NAMESPACE },
        { T("0/a?\n,"), SIO_BAD_NAMESPACE },
        { T("2123456789012345678901[\"a\"]"), SIO_BAD_ACK_ID },
        { T("3[]"), SIO_BAD_ACK_ID },
        { T("3"), SIO_BAD_ACK_ID },
        { T("3/chat,[1]"), SIO_BAD_ACK_ID },
        { T("61-[]"), SIO_BAD_ACK_ID },
        { T("3-1[]"), SIO_BAD_ACK_ID },
        { T("2[\"a\""), SIO_BAD_JSON },
        { T("2[\"a\",]"), SIO_BAD_JSON },
        { T("2['a']"), SIO_BAD_JSON },
        { T("2[\"a\"]x"), SIO_BAD_JSON },
        { T("2[\"\xff\"]"), SIO_BAD_JSON },
        { T("2[\"\n\"]"), SIO_BAD_JSON },
        { T("0{"), SIO_BAD_JSON },
        { T("2 "), SIO_BAD_JSON },
        { T("2-1[\"a\"]"), SIO_BAD_JSON },
        { T("2chat,[\"a\"]"), SIO_BAD_JSON },
        { T("1x"), SIO_BAD_JSON },
        { T("30[,]"), SIO_BAD_JSON },
        { T("0[]"), SIO_BAD_PAYLOAD },
        { T("0\"x\""), SIO_BAD_PAYLOAD },
        { T("0null"), SIO_BAD_PAYLOAD },
        { T("0true"), SIO_BAD_PAYLOAD },
        { T("1{}"), SIO_BAD_PAYLOAD },
        { T("1[]"), SIO_BAD_PAYLOAD },
        { T("1null"), SIO_BAD_PAYLOAD },
        { T("1/chat,\"x\""), SIO_BAD_PAYLOAD },
        { T("2"), SIO_BAD_PAYLOAD },
        { T("2/chat,"), SIO_BAD_PAYLOAD },
        { T("27"), SIO_BAD_PAYLOAD },
        { T("2[]"), SIO_BAD_PAYLOAD },
        { T("2[ ]"), SIO_BAD_PAYLOAD },
        { T("2{}"), SIO_BAD_PAYLOAD },
        { T("2\"a\""), SIO_BAD_PAYLOAD },
        { T("2null"), SIO_BAD_PAYLOAD },
        { T("2[null]"), SIO_BAD_PAYLOAD },
        { T("2[true,\"a\"]"), SIO_BAD_PAYLOAD },
        { T("2[[\"a\"]]"), SIO_BAD_PAYLOAD },
        { T("2[{}]"), SIO_BAD_PAYLOAD },
        { T("51-"), SIO_BAD_PAYLOAD },
        { T("51-[]"), SIO_BAD_PAYLOAD },
        { T("51-{}"), SIO_BAD_PAYLOAD },
        { T("51-[{\"_placeholder\":true,\"num\":0}]"), SIO_BAD_PAYLOAD },
        { T("31"), SIO_BAD_PAYLOAD },
        { T("31{}"), SIO_BAD_PAYLOAD },
        { T("31null"), SIO_BAD_PAYLOAD },
        { T("61-1"), SIO_BAD_PAYLOAD },
        { T("61-1\"a\""), SIO_BAD_PAYLOAD },
        { T("2[\"connect\"]"), SIO_RESERVED_EVENT },
        { T("2[\"connect_error\"]"), SIO_RESERVED_EVENT },
        { T("2[\"disconnect\",1]"), SIO_RESERVED_EVENT },
        { T("2[\"disconnecting\"]"), SIO_RESERVED_EVENT },
        { T("20[\"newListener\"]"), SIO_RESERVED_EVENT },
        { T("2/chat,[\"removeListener\"]"), SIO_RESERVED_EVENT },
        { T("51-[\"disconnect\"]"), SIO_RESERVED_EVENT },
        { T("2[ \"c\\u006fnnect\" ]"), SIO_RESERVED_EVENT },
        /* placeholders of attachments that do not come */
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":1}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":-1}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":null}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":1e400}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":[0]}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"num\":5,\"x\":[1],\"_placeholder\":true}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"\\u005fplaceholder\":true,\"n\\u0075m\":1}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":0,\"num\":1}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":false,\"_placeholder\":true,\"num\":1}]"),
          SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",[{\"b\":[[{\"_placeholder\":true,\"num\":1}]]}]]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"x\":{\"num\":0},\"_placeholder\":true}]"), SIO_BAD_ATTACHMENTS },
        { T("51-[\"a\",{\"_placeholder\":true,\"num\":0},{ \"_placeholder\" : true , \"num\" : 1 "
            "}]"),
          SIO_BAD_ATTACHMENTS },
        { T("510-[\"a\",{\"_placeholder\":true,\"num\":10}]"), SIO_BAD_ATTACHMENTS },
        { T("61-1[{\"_placeholder\":true,\"num\":1}]"), SIO_BAD_ATTACHMENTS },
    };
    struct sio_packet p;

    (void)state;
    for EACH(i, cases) {
        enum sio_status status = parse(cases[i].text, &p);
        if (status != cases[i].status)
            fail_msg("%s: %.*s", sio_strerror(status), (int)cases[i].text.len, cases[i].text.p);
    }
}

static void what_only_resembles_a_placeholder_is_left_alone(void **state)
{
    static const struct span taken[] = {
        T("51-[\"a\",{\"_placeholder\":false,\"num\":9}]"),
        T("51-[\"a\",{\"_placeholder\":\"true\",\"num\":9}]"),
        T("51-[\"a\",{\"_placeholder\":1,\"num\":9}]"),
        T("51-[\"a\",{\"_placeholder\":true,\"_placeholder\":false,\"num\":9}]"),
        T("51-[\"a\",{\"_placeholder\":[true],\"num\":9}]"),
        T("51-[\"a\",{\"_Placeholder\":true,\"num\":9}]"), T("51-[\"a\",{\"num\":9}]"),
        T("51-[\"a\",\"{\\\"_placeholder\\\":true,\\\"num\\\":9}\"]"),
        T("51-[\"a\",[\"_placeholder\",true,\"num\",9]]"),
        T("51-[\"a\",{\"x\":\"_placeholder\",\"y\":true}]"),
        T("51-[\"a\",{\"_placeholder\":{\"x\":true}}]"),
        T("51-[\"a\",{\"_placeholder\":true,\"num\":1,\"num\":0}]"),
        T("51-[\"a\",{\"_placeholder\":true,\"num\":0,\"x\":{\"num\":9}}]"),
        T("52-[\"a\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":1}]"),
        T("51-[\"_placeholder\",true]"), T("51-[7]"),
    };
    struct sio_packet p;

    (void)state;
    for EACH(i, taken) {
        enum sio_status status = parse(taken[i], &p);
        if (status != SIO_OK)
            fail_msg("%s: %.*s", sio_strerror(status), (int)taken[i].len, taken[i].p);
    }
}

static void namespaces_are_as_long_as_they_may_be(void **state)
{
    struct buf b = BUF_EMPTY;
    struct sio_packet p;

    (void)state;
    for (size_t len = SIO_NSP_MAX - 1; len <= SIO_NSP_MAX + 1; len++) {
        buf_clear(&b);
        buf_add_text(&b, "2/");
        while (b.len < 1 + len)
            buf_add_char(&b, 'n');
        buf_add_text(&b, "?a-query-does-not-count,7[\"a\"]");
        assert_int_equal(parse(buf_span(&b), &p), len > SIO_NSP_MAX ? SIO_BAD_NAMESPACE : SIO_OK);
        assert_int_equal(p.nsp.len, len);
    }
    buf_release(&b);
}

/* LEVELS brackets around VALUE, as the argument of an event of text HEAD. */
static void nested_event(struct buf *b, const char *head, size_t levels, const char *value)
{
    buf_clear(b);
    buf_add_text(b, head);
    buf_add_text(b, "[\"a\",");
    for (size_t i = 0; i < levels; i++)
        buf_add_text(b, i % 2 ? "[" : "{\"k\":");
    buf_add_text(b, value);
    for (size_t i = levels; i-- > 0;)
        buf_add_text(b, i % 2 ? "]" : "}");
    buf_add_text(b, "]");
}

static void depth_is_refused_beyond_its_limit_alone(void **state)
{
    struct buf b = BUF_EMPTY;
    struct sio_packet p;

    (void)state;
    nested_event(&b, "2", JSON_DEPTH_MAX - 1, "null");
    assert_int_equal(parse(buf_span(&b), &p), SIO_OK);
    assert_int_equal(p.data.len, b.len - 1);
    nested_event(&b, "2", JSON_DEPTH_MAX, "null");
    assert_int_equal(parse(buf_span(&b), &p), SIO_TOO_DEEP);
    nested_event(&b, "51-", JSON_DEPTH_MAX - 2, "{\"_placeholder\":true,\"num\":0}");
    assert_int_equal(parse(buf_span(&b), &p), SIO_OK);
    nested_event(&b, "51-", JSON_DEPTH_MAX - 2, "{\"_placeholder\":true,\"num\":1}");
    assert_int_equal(parse(buf_span(&b), &p), SIO_BAD_ATTACHMENTS);
    buf_release(&b);
}

/* Payloads that a relay which prints JSON again would change. */
static void payloads_are_lent_as_they_stand(void **state)
{
    static const struct span payloads[] = {
        T("\"a\\u0000b\""), T("\"\\ud800\""), T("12345678901234567890"), T("1e400"),
        T("{\"a\":1,\"a\":2}"), T("{ \"b\" : [ 1 ] }"), T("\"\\u001e\\/\""),
    };
    struct buf b = BUF_EMPTY, large = BUF_EMPTY;
    struct sio_packet p;

    (void)state;
    buf_add_char(&large, '"');
    while (large.len < 1048576)
        buf_add_text(&large, "a=candidate:1 1 udp 2122260223 192.0.2.1 46154 typ host\\r\\n");
    buf_add_char(&large, '"');
    for (size_t i = 0; i <= sizeof payloads / sizeof payloads[0]; i++) {
        struct span payload =
            i < sizeof payloads / sizeof payloads[0] ? payloads[i] : buf_span(&large);
        buf_clear(&b);
        buf_add_text(&b, "2/x,1[\"m\",");
        buf_add_span(&b, payload);
        buf_add_text(&b, "]");
        assert_int_equal(sio_parse(buf_span(&b), &p), SIO_OK);
        assert_true(span_equals(sio_event_args(p.data), payload));
        assert_ptr_equal(sio_event_args(p.data).p, b.data + 10);
    }
    buf_release(&large);
    buf_release(&b);
}

static void name_and_arguments_are_found(void **state)
{
    static const struct {
        struct span data, name, args;
    } cases[] = {
        { T("[\"a\"]"), T("\"a\""), T("") }, { T("[\"a\",1]"), T("\"a\""), T("1") },
        { T("[ \"a]\" , 1, [2] ]"), T("\"a]\""), T("1, [2]") },
        { T("[7]"), T("7"), T("") }, { T("[ 7 ]"), T("7"), T("") },
        { T("[\"a\",[]]"), T("\"a\""), T("[]") },
        { T("[\"a\",{\"b\":\",]\"},null]"), T("\"a\""), T("{\"b\":\",]\"},null") },
        { T("[\"\\\",\",\"x\"]"), T("\"\\\",\""), T("\"x\"") },
    };

    (void)state;
    for EACH(i, cases) {
        assert_span(sio_event_name(cases[i].data), cases[i].name, cases[i].data);
        assert_span(sio_event_args(cases[i].data), cases[i].args, cases[i].data);
    }
}

static void packets_begin_as_they_are_read(void **state)
{
    static const struct {
        enum sio_type type;
        unsigned attachments;
        struct span nsp, ack_id;
        const char *text;
    } cases[] = {
        { SIO_CONNECT, 0, T("/"), T(""), "0" }, { SIO_CONNECT, 0, T("/chat"), T(""), "0/chat," },
        { SIO_DISCONNECT, 0, T("/"), T(""), "1" },
        { SIO_EVENT, 0, T("/"), T(""), "2" }, { SIO_EVENT, 0, T("/chat"), T("7"), "2/chat,7" },
        { SIO_ACK, 0, T("/"), T("12"), "312" },
        { SIO_CONNECT_ERROR, 0, T("/x"), T(""), "4/x," },
        { SIO_BINARY_EVENT, 1, T("/"), T(""), "51-" },
        { SIO_BINARY_EVENT, 10, T("/chat"), T("3"), "510-/chat,3" },
        { SIO_BINARY_ACK, 2, T("/"), T("3"), "62-3" },
    };
    struct buf b = BUF_EMPTY;

    (void)state;
    for EACH(i, cases) {
        buf_clear(&b);
        sio_begin(&b, cases[i].type, cases[i].attachments, cases[i].nsp, cases[i].ack_id);
        assert_string_equal(buf_text(&b), cases[i].text);
    }
    buf_release(&b);
}

static void each_status_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (int a = SIO_OK; a <= SIO_FROM_CLIENT; a++) {
        assert_string_not_equal(sio_strerror((enum sio_status)a), "unknown error");
        for (int b = SIO_OK; b < a; b++)
            assert_string_not_equal(sio_strerror((enum sio_status)a),
                                    sio_strerror((enum sio_status)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_read),
        cmocka_unit_test(each_refusal_is_named),
        cmocka_unit_test(what_only_resembles_a_placeholder_is_left_alone),
        cmocka_unit_test(namespaces_are_as_long_as_they_may_be),
        cmocka_unit_test(depth_is_refused_beyond_its_limit_alone),
        cmocka_unit_test(payloads_are_lent_as_they_stand),
        cmocka_unit_test(name_and_arguments_are_found),
        cmocka_unit_test(packets_begin_as_they_are_read),
        cmocka_unit_test(each_status_has_a_sentence_of_its_own),
    };

    return cmocka_run_group_tests_name("sio", tests, NULL, NULL);
}
