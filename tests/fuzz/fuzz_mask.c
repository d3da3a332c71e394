/* fuzz_mask.c - any text: masking takes addresses away and nothing else. JSON stays JSON, what is
 * masked once is masked, and no IPv4 address that stands by itself is left. */
#include "fuzz.h"
#include "wire/json.h"
#include "store/mask.h"

/* May C be of an address, or of what stands in place of one? */
static bool is_of_address(char c)
{
    return c != '\0' && strchr("0123456789abcdefABCDEF:.x", c) != NULL;
}

/* The bytes of TEXT that are of no address, in order. */
static void keep_others(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_of_address(text.p[i]))
            buf_add_char(out, text.p[i]);
}

static bool is_ipv4(const char *word)
{
    unsigned part[4];
    char rest;

    if (strspn(word, "0123456789.") != strlen(word) || strlen(word) > 15
        || sscanf(word, "%3u.%3u.%3u.%3u%c", &part[0], &part[1], &part[2], &part[3], &rest) != 4)
        return false;
    return part[0] <= 255 && part[1] <= 255 && part[2] <= 255 && part[3] <= 255;
}

/* No word between spaces is an address that says something. */
static void try_words(struct span masked)
{
    struct span word;

    while (take_piece(&masked, ' ', &word)) {
        char *text = text_of(word);
        if (strlen(text) == word.len)
            must(!is_ipv4(text) || strcmp(text, "0.0.0.0") == 0 || strcmp(text, "127.0.0.1") == 0);
        free(text);
    }
}

/* Does what could be of an address follow a masked one without a gap? As a whole it was none; by
 * itself it may be. */
static bool has_glued(struct span masked)
{
    for (size_t i = 0; i + 7 < masked.len; i++)
        if (memcmp(masked.p + i, "x.x.x.x", 7) == 0 && is_of_address(masked.p[i + 7]))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of_input(data, size);
    struct buf masked = BUF_EMPTY, again = BUF_EMPTY, before = BUF_EMPTY, after = BUF_EMPTY;

    mask_addresses(&masked, text);
    must(buf_ok(&masked) && masked.len <= 2 * text.len);
    if (json_check(text, NULL) == JSON_OK)
        must(json_check(buf_span(&masked), NULL) == JSON_OK);
    if (utf8_valid(text))
        must(utf8_valid(buf_span(&masked)));
    keep_others(&before, text);
    keep_others(&after, buf_span(&masked));
    must(span_equals(buf_span(&before), buf_span(&after)));
    mask_addresses(&again, buf_span(&masked));
    must(has_glued(buf_span(&masked)) || span_equals(buf_span(&again), buf_span(&masked)));
    try_words(buf_span(&masked));
    buf_release(&masked);
    buf_release(&again);
    buf_release(&before);
    buf_release(&after);
    return 0;
}
