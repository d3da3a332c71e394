/* fuzz_query.c - any query string: what is found in it is decoded within its bounds, and says the
 * same when it is encoded again. */
#include "fuzz.h"
#include "wire/http.h"

#define NAMES_MAX 8                     /* of the query's own names, besides ours */

static long find(struct span query, const char *name, char *out, size_t cap)
{
    struct http_field f = { name, out, cap, 0 };

    http_query(query, &f, 1);
    return f.len;
}

/* NAME's value in QUERY is the LEN bytes at VALUE: so it is with just the room for it, with none to
 * spare it is refused, and escaped byte by byte it is read as the same. */
static void try_value(struct span query, const char *name, const char *value, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    struct buf again = BUF_EMPTY;
    char *out = malloc(len + 1);

    must(out != NULL);
    must(find(query, name, out, len + 1) == (long)len && strcmp(out, value) == 0);
    must(find(query, name, out, len) == -2 && (len == 0 || out[0] == '\0'));
    buf_add_text(&again, name);
    buf_add_char(&again, '=');
    for (size_t i = 0; i < len; i++) {
        buf_add_char(&again, '%');
        buf_add_char(&again, digits[(unsigned char)value[i] >> 4]);
        buf_add_char(&again, digits[(unsigned char)value[i] & 15]);
    }
    must(find(buf_span(&again), name, out, len + 1) == (long)len);
    must(strcmp(out, value) == 0);
    free(out);
    buf_release(&again);
}

/* Is there a piece of QUERY whose name is NAME as it stands? */
static bool has_name(struct span query, const char *name)
{
    struct span pair, key;

    while (take_piece(&query, '&', &pair)) {
        key = SPAN("");
        take_piece(&pair, '=', &key);
        if (span_is(key, name))
            return true;
    }
    return false;
}

static void try_name(struct span query, const char *name)
{
    char *value = malloc(query.len + 1);
    char few[8];

    must(value != NULL);
    memset(value, 'x', query.len + 1);
    long len = find(query, name, value, query.len + 1);
    must(len >= -2 && len <= (long)query.len);
    must((len != -1) == has_name(query, name));
    must(strlen(value) == (len < 0 ? 0 : (size_t)len));
    if (len >= 0)
        try_value(query, name, value, (size_t)len);
    long short_len = find(query, name, few, sizeof few);
    must(short_len == (len < (long)sizeof few ? len : -2));
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "EIO", "transport", "sid", "t", "j", "" };
    struct span query = span_of_input(data, size), rest = query, pair, key;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        try_name(query, names[i]);
    for (int i = 0; i < NAMES_MAX && take_piece(&rest, '&', &pair); i++) {
        key = SPAN("");
        take_piece(&pair, '=', &key);
        if (key.len != 0 && memchr(key.p, '\0', key.len) != NULL)
            continue;
        char *name = text_of(key);
        try_name(query, name);
        free(name);
    }
    return 0;
}
