/* mask.c - hide network addresses in text. Knows nothing of SDP, and of JSON only its escapes, so
 * that `\n10.0.0.1` is seen for what it is. What comes in is a payload on its way to the log; peers
 * get theirs untouched.
 *
 * One pass, each byte looked at a bounded number of times. At each place where an address could
 * start there is a *run*, the longest stretch of bytes that could belong to one; the run as a whole
 * is an address or is not. (Trying its tail as well would find an IPv6 address at the end of every
 * certificate fingerprint.) IPv4 may stand inside of a run that is no IPv6 address, as in
 * `10.0.0.1:5000`.
 */
#include "store/mask.h"

#include "base/ascii.h"

static bool is_word(char c)
{
    return ascii_is_alnum(c) || c == '_';
}

/* The length of the stretch of bytes that IS holds for, at the start of TEXT. */
static size_t stretch(struct span text, bool (*is)(char))
{
    size_t len = 0;

    while (len < text.len && is(text.p[len]))
        len++;
    return len;
}

static struct span from(struct span text, size_t at)
{
    return (struct span){ text.p + at, text.len - at };
}

/* ---- IPv4 */

static bool is_dotted(char c)
{
    return ascii_is_digit(c) || c == '.';
}

/* Is TEXT four numbers up to 255 with dots between? */
static bool is_ipv4(struct span text)
{
    int parts = 0;

    for (;;) {
        size_t len = stretch(text, ascii_is_digit);
        int64_t value;
        if (len == 0 || len > 3 || !span_int((struct span){ text.p, len }, &value) || value > 255)
            return false;
        parts++;
        if (len == text.len)
            return parts == 4;
        if (text.p[len] != '.')
            return false;
        text = from(text, len + 1);
    }
}

/* The digits and dots at the start of TEXT, without dots at the end: those close a sentence. */
static struct span dotted_run(struct span text)
{
    struct span run = { text.p, stretch(text, is_dotted) };

    while (run.len != 0 && run.p[run.len - 1] == '.')
        run.len--;
    return run;
}

/* ---- IPv6 */

static bool is_of_ipv6(char c)
{
    return ascii_is_hex(c) || c == ':' || c == '.';
}

/* The run at the start of TEXT, without a full stop or single colon at its end. Empty when a letter
 * follows that could not belong to it. */
static struct span ipv6_run(struct span text)
{
    struct span run = { text.p, stretch(text, is_of_ipv6) };

    if (run.len < text.len && is_word(text.p[run.len]))
        run.len = 0;
    while (run.len != 0 && run.p[run.len - 1] == '.')
        run.len--;
    if (run.len >= 2 && run.p[run.len - 1] == ':' && run.p[run.len - 2] != ':')
        run.len--;
    return run;
}

/* Is TEXT eight groups of up to four hex digits, or fewer with one `::`? An IPv4 address at the end
 * counts as two. */
static bool is_ipv6(struct span text)
{
    int groups = 0;
    bool gap = false;

    if (span_starts(text, "::")) {
        gap = true;
        text = from(text, 2);
    }
    while (text.len != 0) {
        size_t len = stretch(text, ascii_is_hex);
        if (len < text.len && text.p[len] == '.')
            return is_ipv4(text) && (gap ? groups + 2 < 8 : groups + 2 == 8);
        if (len == 0 || len > 4)
            return false;
        groups++;
        text = from(text, len);
        if (text.len == 0)
            break;
        text = from(text, 1);                   /* the colon: nothing else can stand here */
        if (text.len == 0)
            return false;
        if (text.p[0] == ':') {
            if (gap)
                return false;
            gap = true;
            text = from(text, 1);
        }
    }
    return gap ? groups < 8 : groups == 8;
}

/* ---- the pass */

/* Addresses that everybody has. */
static bool says_nothing(struct span address)
{
    return span_is(address, "0.0.0.0") || span_is(address, "127.0.0.1") || span_is(address, "::")
        || span_is(address, "::1");
}

/* The length of the JSON escape at the start of TEXT, or 0. */
static size_t escape_length(struct span text)
{
    if (text.len < 2 || text.p[0] != '\\')
        return 0;
    if (text.p[1] != 'u')
        return text.p[1] != '\0' && strchr("\"\\/bfnrt", text.p[1]) != NULL ? 2 : 0;
    return text.len >= 6 && stretch((struct span){ text.p + 2, 4 }, ascii_is_hex) == 4 ? 6 : 0;
}

/* How many bytes at the start of TEXT are of one piece, and what is to stand in their place:
 * NULL for themselves. FRESH: no letter or digit stands in front. TRY_IPV6: no run that was
 * tried reaches to here; *RUN_LEN is set when one is. */
static size_t next_piece(struct span text, bool fresh, bool try_ipv6, size_t *run_len,
                         const char **instead)
{
    size_t escape = escape_length(text);

    *instead = NULL;
    if (escape != 0)
        return escape;
    if (fresh && try_ipv6 && (ascii_is_hex(text.p[0]) || text.p[0] == ':')) {
        struct span run = ipv6_run(text);
        *run_len = stretch(text, is_of_ipv6);
        if (is_ipv6(run)) {
            *instead = says_nothing(run) ? NULL : "x::x";
            return run.len;
        }
    }
    if (!ascii_is_digit(text.p[0]))
        return 1;
    struct span run = dotted_run(text);
    if (is_ipv4(run) && !says_nothing(run))
        *instead = "x.x.x.x";
    return run.len;
}

void mask_addresses(struct buf *out, struct span text)
{
    size_t at = 0, copied = 0, tried = 0;       /* all before COPIED is in OUT */
    bool fresh = true;

    while (at < text.len) {
        const char *instead;
        size_t run_len = 0;
        size_t len = next_piece(from(text, at), fresh, at >= tried, &run_len, &instead);
        if (run_len != 0)
            tried = at + run_len;
        if (instead != NULL) {
            buf_add(out, text.p + copied, at - copied);
            buf_add_text(out, instead);
            copied = at + len;
        }
        fresh = text.p[at] == '\\' || !is_word(text.p[at + len - 1]);
        at += len;
    }
    if (at != copied)
        buf_add(out, text.p + copied, at - copied);
}
