/* json.c - JSON texts by place. Builds no tree and prints no value again: it says whether a text is
 * valid and where its pieces lie. Texts come from eio and sio, and go on as the bytes they are.
 *
 * Two halves. json_check() trusts nothing. All behind it is handed what json_check() has passed,
 * and only looks for quotes, brackets and commas; its loops stop at the end of the text all the
 * same.
 */
#include "wire/json.h"

#include <assert.h>

#include "base/ascii.h"

/* ---- UTF-8 */

/* The length of the well-formed sequence that starts at P, where LEFT bytes are; 0 when there is
 * none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;      /* bounds of the second byte */
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            low = 0xa0;                         /* less is overlong */
        else if (p[0] == 0xed)
            high = 0x9f;                        /* more is a surrogate */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        else if (p[0] == 0xf4)
            high = 0x8f;                        /* more is beyond U+10FFFF */
    } else {
        return 0;
    }
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

/* Eight bytes at once: is none of them a quote, a backslash, a control character, or outside of
 * ASCII? Subtracting sets the high bit of a byte below what is subtracted; a borrow can only add
 * to a hit, never hide or invent one. */
static bool eight_plain(const unsigned char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    uint64_t quote = w ^ EACH_BYTE * '"', backslash = w ^ EACH_BYTE * '\\';
    uint64_t hits = w | ((w - EACH_BYTE * 0x20) & ~w) | ((quote - EACH_BYTE) & ~quote)
                  | ((backslash - EACH_BYTE) & ~backslash);
    return (hits & HIGH_BITS) == 0;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

bool utf8_valid(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t at = 0;

    while (at < s.len) {
        size_t len = utf8_sequence(p + at, s.len - at);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

/* ---- checking */

/* A walk over a text. Each check_ function below starts at P, and leaves P behind what it took,
 * or at the byte that cannot stand. */
struct check {
    const unsigned char *p, *end;
    size_t depth;                               /* brackets open */
    uint64_t in_object[JSON_DEPTH_MAX / 64];    /* bit N: the bracket at depth N is a '{' */
};

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void check_space(struct check *k)
{
    while (k->p < k->end && is_space(*k->p))
        k->p++;
}

/* An escape, P at its backslash. Any four hex digits will do: a lone surrogate is a valid JSON
 * text. */
static bool check_escape(struct check *k)
{
    if (++k->p == k->end)
        return false;
    if (*k->p != 'u') {
        if (*k->p == '\0' || strchr("\"\\/bfnrt", *k->p) == NULL)
            return false;
        k->p++;
        return true;
    }
    k->p++;
    for (int i = 0; i < 4; i++, k->p++)
        if (k->p == k->end || ascii_hex_value((char)*k->p) < 0)
            return false;
    return true;
}

/* A string, P at its opening quote. */
static enum json_status check_string(struct check *k)
{
    for (k->p++;;) {
        while (k->end - k->p >= 8 && eight_plain(k->p))
            k->p += 8;
        while (k->p < k->end && is_plain(*k->p))
            k->p++;
        if (k->p == k->end || *k->p < 0x20)
            return JSON_INVALID;
        if (*k->p == '"') {
            k->p++;
            return JSON_OK;
        }
        if (*k->p == '\\') {
            if (!check_escape(k))
                return JSON_INVALID;
        } else {
            size_t len = utf8_sequence(k->p, (size_t)(k->end - k->p));
            if (len == 0)
                return JSON_NOT_UTF8;
            k->p += len;
        }
    }
}

static bool check_digits(struct check *k)
{
    const unsigned char *first = k->p;

    while (k->p < k->end && ascii_is_digit((char)*k->p))
        k->p++;
    return k->p != first;
}

static bool check_number(struct check *k)
{
    if (*k->p == '-')
        k->p++;
    if (k->p < k->end && *k->p == '0')
        k->p++;                                 /* no digit may follow; the caller refuses it */
    else if (!check_digits(k))
        return false;
    if (k->p < k->end && *k->p == '.') {
        k->p++;
        if (!check_digits(k))
            return false;
    }
    if (k->p < k->end && (*k->p == 'e' || *k->p == 'E')) {
        k->p++;
        if (k->p < k->end && (*k->p == '+' || *k->p == '-'))
            k->p++;
        return check_digits(k);
    }
    return true;
}

static bool check_word(struct check *k, const char *word)
{
    for (; *word != '\0'; word++, k->p++)
        if (k->p == k->end || *k->p != (unsigned char)*word)
            return false;
    return true;
}

static enum json_status check_scalar(struct check *k)
{
    bool ok = false;

    switch (*k->p) {
    case '"':
        return check_string(k);
    case 't':
        ok = check_word(k, "true");
        break;
    case 'f':
        ok = check_word(k, "false");
        break;
    case 'n':
        ok = check_word(k, "null");
        break;
    default:
        ok = (*k->p == '-' || ascii_is_digit((char)*k->p)) && check_number(k);
    }
    return ok ? JSON_OK : JSON_INVALID;
}

static enum json_status check_open(struct check *k)
{
    uint64_t bit = UINT64_C(1) << k->depth % 64;

    if (k->depth == JSON_DEPTH_MAX)
        return JSON_TOO_DEEP;
    if (k->depth % 64 == 0)
        k->in_object[k->depth / 64] = 0;        /* its first bit; those behind it come later */
    if (*k->p == '{')
        k->in_object[k->depth / 64] |= bit;
    else
        k->in_object[k->depth / 64] &= ~bit;
    k->depth++;
    k->p++;
    return JSON_OK;
}

static bool innermost_is_object(const struct check *k)
{
    return (k->in_object[(k->depth - 1) / 64] >> (k->depth - 1) % 64 & 1) != 0;
}

/* A key and the colon behind it, P at the key. */
static enum json_status check_key(struct check *k)
{
    if (k->p == k->end || *k->p != '"')
        return JSON_INVALID;
    enum json_status status = check_string(k);
    if (status != JSON_OK)
        return status;
    check_space(k);
    return check_word(k, ":") ? JSON_OK : JSON_INVALID;
}

/* What may stand behind a complete value: closing brackets, then a comma (and a key, in an
 * object) if another value is to follow. *MORE says whether one is. */
static enum json_status check_after_value(struct check *k, bool *more)
{
    *more = false;
    for (;;) {
        check_space(k);
        if (k->depth == 0)
            return k->p == k->end ? JSON_OK : JSON_INVALID;
        if (k->p == k->end)
            return JSON_INVALID;
        bool object = innermost_is_object(k);
        if (*k->p == ',') {
            *more = true;
            k->p++;
            check_space(k);
            return object ? check_key(k) : JSON_OK;
        }
        if (*k->p != (object ? '}' : ']'))
            return JSON_INVALID;
        k->p++;
        k->depth--;
    }
}

/* What stands where a value must. Opening a bracket that does not close at once leaves *COMPLETE
 * false: a value must stand next again. */
static enum json_status check_value(struct check *k, bool *complete)
{
    *complete = true;
    check_space(k);
    if (k->p == k->end)
        return JSON_INVALID;
    if (*k->p != '[' && *k->p != '{')
        return check_scalar(k);

    enum json_status status = check_open(k);
    if (status != JSON_OK)
        return status;
    check_space(k);
    bool object = innermost_is_object(k);
    if (k->p < k->end && *k->p == (object ? '}' : ']')) {
        k->p++;
        k->depth--;
        return JSON_OK;
    }
    *complete = false;
    return object ? check_key(k) : JSON_OK;
}

enum json_status json_check(struct span text, size_t *at)
{
    struct check k;
    enum json_status status;
    bool complete, more = true;

    if (text.len == 0)
        text = SPAN("");                        /* a place to point at */
    k.p = (const unsigned char *)text.p;
    k.end = k.p + text.len;
    k.depth = 0;
    do {
        status = check_value(&k, &complete);
        if (status == JSON_OK && complete)
            status = check_after_value(&k, &more);
    } while (status == JSON_OK && more);
    if (status != JSON_OK && at != NULL)
        *at = (size_t)(k.p - (const unsigned char *)text.p);
    return status;
}

/* ---- finding pieces of a text that is valid */

struct span json_trim(struct span value)
{
    while (value.len != 0 && is_space((unsigned char)value.p[0])) {
        value.p++;
        value.len--;
    }
    while (value.len != 0 && is_space((unsigned char)value.p[value.len - 1]))
        value.len--;
    return value;
}

enum json_type json_type(struct span value)
{
    value = json_trim(value);
    assert(value.len != 0);
    switch (value.p[0]) {
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOL;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return JSON_NUMBER;
    }
}

/* Move *REST on by N bytes, and by the white space behind them. */
static void step(struct span *rest, size_t n)
{
    rest->p += n;
    rest->len -= n;
    while (rest->len != 0 && is_space((unsigned char)rest->p[0])) {
        rest->p++;
        rest->len--;
    }
}

/* The length of the string at the start of TEXT, quotes included: up to the first quote that an
 * even number of backslashes precedes. */
static size_t string_length(struct span text)
{
    size_t at = 1;

    while (at < text.len) {
        const char *quote = memchr(text.p + at, '"', text.len - at);
        if (quote == NULL)
            break;
        size_t slashes = 0;
        while (quote[-1 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        at = (size_t)(quote - text.p) + 1;
        if (slashes % 2 == 0)
            return at;
    }
    return text.len;
}

static bool is_punctuation(char c)
{
    return c == '[' || c == ']' || c == '{' || c == '}' || c == ',' || c == ':';
}

static bool ends_scalar(char c)
{
    return is_punctuation(c) || is_space((unsigned char)c);
}

/* The length of the token at the start of TEXT. */
static size_t token_length(struct span text)
{
    size_t len = 1;

    if (text.p[0] == '"')
        return string_length(text);
    if (!is_punctuation(text.p[0]))
        while (len < text.len && !ends_scalar(text.p[len]))
            len++;
    return len;
}

bool json_token(struct span *rest, struct span *token)
{
    step(rest, 0);
    if (rest->len == 0)
        return false;
    *token = (struct span){ rest->p, token_length(*rest) };
    step(rest, token->len);
    return true;
}

/* The length of the array or object at the start of TEXT. */
static size_t bracket_length(struct span text)
{
    size_t at = 0, depth = 0;

    while (at < text.len) {
        switch (text.p[at]) {
        case '"':
            at += string_length((struct span){ text.p + at, text.len - at });
            continue;
        case '[':
        case '{':
            depth++;
            break;
        case ']':
        case '}':
            if (--depth == 0)
                return at + 1;
            break;
        default:
            break;
        }
        at++;
    }
    return text.len;
}

/* Take the value at the start of *REST, and the white space behind it. */
static struct span take_value(struct span *rest)
{
    struct span value = { rest->p, 0 };

    if (rest->len == 0)
        return value;
    if (rest->p[0] == '[' || rest->p[0] == '{')
        value.len = bracket_length(*rest);
    else
        value.len = token_length(*rest);
    step(rest, value.len);
    return value;
}

/* Step over what precedes the next item: the opening bracket at first, later the comma, where
 * the last call left off. False at the closing bracket, or when OPEN is not how *REST starts. */
static bool step_to_item(struct span *rest, char open)
{
    step(rest, 0);
    if (rest->len == 0 || (rest->p[0] != open && rest->p[0] != ','))
        return false;
    step(rest, 1);
    return rest->len != 0 && rest->p[0] != ']' && rest->p[0] != '}';
}

bool json_array_next(struct span *rest, struct span *item)
{
    if (!step_to_item(rest, '['))
        return false;
    *item = take_value(rest);
    return true;
}

bool json_object_next(struct span *rest, struct span *key, struct span *value)
{
    if (!step_to_item(rest, '{'))
        return false;
    *key = take_value(rest);
    assert(rest->len != 0 && rest->p[0] == ':');
    step(rest, 1);
    *value = take_value(rest);
    return true;
}

bool json_member(struct span object, const char *name, struct span *value)
{
    struct span key, member;
    bool found = false;

    while (json_object_next(&object, &key, &member)) {
        if (json_string_is(key, name)) {
            *value = member;
            found = true;
        }
    }
    return found;
}

/* ---- strings */

/* The four hex digits at P. */
static unsigned hex4(const char *p)
{
    unsigned unit = 0;

    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)ascii_hex_value(p[i]);
    return unit;
}

static int utf8_put(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    int len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> len & 0xff) | code);
    return len;
}

/* Decode what a \uXXXX at the start of *REST stands for, the second half of a pair included. -1:
 * a lone surrogate. */
static int take_unicode_escape(struct span *rest, char out[4])
{
    unsigned code = hex4(rest->p + 2);

    rest->p += 6;
    rest->len -= 6;
    if (code < 0xd800 || code > 0xdfff)
        return utf8_put(code, out);
    if (code > 0xdbff || rest->len < 6 || rest->p[0] != '\\' || rest->p[1] != 'u')
        return -1;
    unsigned low = hex4(rest->p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    rest->p += 6;
    rest->len -= 6;
    return utf8_put(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
}

/* Decode the next byte, or the next escape, of *REST (the inside of a string). Returns the
 * number of bytes put into OUT, or -1 for a lone surrogate. */
static int take_char(struct span *rest, char out[4])
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

    if (rest->p[0] == '\\' && rest->p[1] == 'u')
        return take_unicode_escape(rest, out);
    if (rest->p[0] != '\\') {
        out[0] = *rest->p++;
        rest->len--;
        return 1;
    }
    const char *which = strchr(escapes, rest->p[1]);
    assert(which != NULL && *which != '\0');
    out[0] = meant[which - escapes];
    rest->p += 2;
    rest->len -= 2;
    return 1;
}

/* What is between the quotes. False when STRING is none. */
static bool inside(struct span *string)
{
    *string = json_trim(*string);
    if (string->len < 2 || string->p[0] != '"')
        return false;
    string->p++;
    string->len -= 2;
    return true;
}

bool json_string_is(struct span string, const char *text)
{
    size_t left = strlen(text);

    if (!inside(&string))
        return false;
    if (memchr(string.p, '\\', string.len) == NULL)
        return string.len == left && memcmp(string.p, text, left) == 0;
    while (string.len != 0) {
        char c[4];
        int len = take_char(&string, c);
        if (len < 0 || (size_t)len > left || memcmp(c, text, (size_t)len) != 0)
            return false;
        text += len;
        left -= (size_t)len;
    }
    return left == 0;
}

long json_string_decode(struct span string, char *out, size_t cap)
{
    size_t used = 0;

    if (!inside(&string))
        return -1;
    while (string.len != 0) {
        char c[4];
        int len = take_char(&string, c);
        if (len < 0 || c[0] == '\0' || used + (size_t)len >= cap)
            return -1;
        memcpy(out + used, c, (size_t)len);
        used += (size_t)len;
    }
    if (used >= cap)
        return -1;
    out[used] = '\0';
    return (long)used;
}

static void encode_special(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char meant[] = "\"\\\b\f\n\r\t", escapes[] = "\"\\bfnrt";
    const char *which = c != '\0' ? strchr(meant, c) : NULL;

    if (which != NULL) {
        buf_add_char(out, '\\');
        buf_add_char(out, escapes[which - meant]);
    } else {
        char unit[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
        buf_add(out, unit, sizeof unit);
    }
}

void json_string_encode(struct buf *out, struct span text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t at = 0, copied = 0;                  /* all before COPIED is in OUT */

    buf_add_char(out, '"');
    while (at < text.len) {
        size_t len = is_plain(p[at]) ? 1 : utf8_sequence(p + at, text.len - at);
        if (is_plain(p[at]) || len > 1) {
            at += len;
            continue;
        }
        buf_add(out, p + copied, at - copied);
        if (len == 1)
            encode_special(out, p[at]);
        else
            buf_add_span(out, SPAN("\xef\xbf\xbd"));
        copied = ++at;
    }
    if (at != copied)
        buf_add(out, p + copied, at - copied);
    buf_add_char(out, '"');
}
