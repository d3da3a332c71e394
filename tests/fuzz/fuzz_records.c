/* fuzz_records.c - any bytes at all as FastCGI's records: however they are cut into pieces, the
 * same comes of them, and nothing of it lies outside of what came.
 *
 * The first byte of the input says how long the pieces are; the rest is what the web server
 * sends. */
#include "fuzz.h"
#include "host/record.h"

#define BODY_MAX 100

/* Read all of TEXT in pieces of LEN bytes. */
static enum record_state read_all(struct records *r, struct span text, size_t len,
                                  struct span *rest)
{
    enum record_state state = RECORDS_MORE;

    while (state == RECORDS_MORE && text.len != 0) {
        struct span piece = { text.p, len < text.len ? len : text.len };
        size_t before = piece.len;
        state = records_take(r, &piece);
        must(state != RECORDS_MORE || piece.len == 0);
        text.p += before - piece.len;
        text.len -= before - piece.len;
    }
    *rest = text;
    return state;
}

/* The variables fill the head, one behind the other. */
static void try_variables(const struct records *r)
{
    char *const *next = records_variables(r);
    struct span head = buf_span(&r->head);

    must(*next == NULL ? head.len == 0 : *next == head.p);
    for (; *next != NULL; next++) {
        const char *end = next[1] != NULL ? next[1] : head.p + head.len;
        must(end > *next && lies_in((struct span){ *next, (size_t)(end - *next) }, head));
        must(end[-1] == '\0' && memchr(*next, '=', (size_t)(end - *next)) != NULL);
    }
}

static void try_request(const struct records *r)
{
    must(r->body.len <= BODY_MAX && r->head.len <= RECORD_HEAD_MAX && buf_ok(&r->replies));
    must(r->replies.len < 8000);
    must(r->begun || (!r->head_whole && r->head.len == 0 && r->body.len == 0));
    must(r->head_whole || r->body.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of_input(data + (size != 0), size - (size != 0)), rest, other;
    struct records whole, pieces;

    records_init(&whole, BODY_MAX);
    records_init(&pieces, BODY_MAX);
    enum record_state state = read_all(&whole, text, text.len, &rest);
    must(read_all(&pieces, text, size != 0 && data[0] > 1 ? data[0] : 1, &other) == state);
    must(state == RECORDS_OVER || (rest.p == other.p && rest.len == other.len));
    must(span_equals(buf_span(&whole.head), buf_span(&pieces.head)));
    must(span_equals(buf_span(&whole.body), buf_span(&pieces.body)));
    must(span_equals(buf_span(&whole.replies), buf_span(&pieces.replies)));
    must(whole.begun == pieces.begun && whole.id == pieces.id && whole.keep == pieces.keep);
    must(whole.head_whole == pieces.head_whole && whole.head_too_long == pieces.head_too_long);
    must(state != RECORDS_WHOLE || whole.head_whole);
    try_request(&whole);
    if (state != RECORDS_OVER && whole.head_whole)
        try_variables(&whole);
    records_release(&whole);
    records_release(&pieces);
    return 0;
}
