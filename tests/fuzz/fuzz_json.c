/* fuzz_json.c - any text: whether it is JSON is said with the place where it ceases to be, what the
 * walks yield is JSON by itself, strings decode and encode to the same. */
#include "wire/eio.h"
#include "fuzz.h"
#include "wire/json.h"

static bool is_json(struct span text)
{
    return json_check(text, NULL) == JSON_OK;
}

/* A string can be decoded, or not; once it can, encoding and decoding it again gives the same. */
static void try_string(struct span string)
{
    struct buf again = BUF_EMPTY;
    char *text = malloc(string.len + 1), *second = malloc(string.len + 1);

    must(text != NULL && second != NULL);
    long len = json_string_decode(string, text, string.len + 1);
    must(len == -1 || ((size_t)len == strlen(text) && (size_t)len + 2 <= string.len));
    if (len != -1) {
        must(utf8_valid((struct span){ text, (size_t)len }));
        must(json_string_is(string, text));
        json_string_encode(&again, (struct span){ text, (size_t)len });
        must(is_json(buf_span(&again)) && json_string_is(buf_span(&again), text));
        must(json_string_decode(buf_span(&again), second, (size_t)len + 1) == len);
        must(strcmp(text, second) == 0);
        must(len == 0 || json_string_decode(string, second, (size_t)len) == -1);
    }
    buf_release(&again);
    free(text);
    free(second);
}

/* Tokens cover the text but for white space, in order. */
static void try_tokens(struct span text)
{
    struct span rest = text, token;
    const char *at = text.p;

    while (json_token(&rest, &token)) {
        must(token.len != 0 && lies_in(token, text) && token.p >= at);
        must(json_trim((struct span){ at, (size_t)(token.p - at) }).len == 0);
        at = token.p + token.len;
    }
    must(json_trim((struct span){ at, (size_t)(text.p + text.len - at) }).len == 0);
}

/* What the walks yield is JSON by itself. */
static void try_items(struct span text)
{
    struct span rest = text, key, item;
    size_t items = 0, members = 0;

    while (json_array_next(&rest, &item)) {
        must(lies_in(item, text) && is_json(item) && json_trim(item).len == item.len);
        items++;
    }
    must(items == 0 || json_type(text) == JSON_ARRAY);
    rest = text;
    while (json_object_next(&rest, &key, &item)) {
        must(lies_in(key, text) && is_json(key) && json_type(key) == JSON_STRING);
        must(lies_in(item, text) && is_json(item) && json_trim(item).len == item.len);
        try_string(key);
        members++;
    }
    must(members == 0 || json_type(text) == JSON_OBJECT);
    must(!json_member(text, "num", &item) || (members != 0 && is_json(item)));
}

static void try_json(struct span text)
{
    size_t at = 0;

    if (json_check(text, &at) != JSON_OK) {
        must(at <= text.len);
        return;
    }
    must(utf8_valid(text));
    must(is_json(json_trim(text)));
    try_tokens(text);
    try_items(text);
    if (json_type(text) == JSON_STRING)
        try_string(json_trim(text));
}

/* Any text can be said in JSON. */
static void try_encode(struct span text)
{
    struct buf json = BUF_EMPTY;

    json_string_encode(&json, text);
    must(is_json(buf_span(&json)));
    must(eio_count(buf_span(&json)) == 1);     /* fit for a payload */
    if (utf8_valid(text) && (text.len == 0 || memchr(text.p, '\0', text.len) == NULL)) {
        char *copy = text_of(text);
        must(json_string_is(buf_span(&json), copy));
        free(copy);
    }
    buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of_input(data, size);

    try_json(text);
    try_encode(text);
    return 0;
}
