/* text.c - makes text fit for terminals. Knows nothing of the store. */
#include "ctl/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

#define REPLACEMENT 0xfffd

/* ---- characters */

/* Take one character off *S (not empty). REPLACEMENT, and one byte less, for what is not UTF-8. */
static uint32_t take(struct span *s, bool *valid)
{
    const unsigned char *p = (const unsigned char *)s->p;
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    size_t more = p[0] < 0x80   ? 0
                  : p[0] < 0xc2 ? 4
                  : p[0] < 0xe0 ? 1
                  : p[0] < 0xf0 ? 2
                  : p[0] < 0xf5 ? 3
                                : 4;
    uint32_t c = more == 0 ? p[0] : p[0] & (0x3fu >> (more & 3));

    *valid = more < 4 && more < s->len;
    for (size_t i = 1; *valid && i <= more; i++) {
        *valid = (p[i] & 0xc0) == 0x80;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (*valid && (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)))
        *valid = false;
    size_t used = *valid ? more + 1 : 1;
    s->p += used;
    s->len -= used;
    return *valid ? c : REPLACEMENT;
}

/* Could printing C do anything but show a character? */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0x200e
           || c == 0x200f || c == 0x061c || (c >= 0x202a && c <= 0x202e)
           || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void add_char_safe(struct buf *out, struct span *s)
{
    const char *start = s->p;
    bool valid;
    uint32_t c = take(s, &valid);

    if (!valid)
        buf_add_text(out, "\xef\xbf\xbd");
    else if (is_unsafe(c))
        buf_addf(out, "\\u%04x", (unsigned)c);
    else
        buf_add(out, start, (size_t)(s->p - start));
}

void text_add_safe(struct buf *out, struct span text)
{
    while (text.len != 0)
        add_char_safe(out, &text);
}

/* ---- JSON */

void text_add_json_line(struct buf *out, struct span json, enum json_line how)
{
    while (json.len != 0) {
        unsigned char c = (unsigned char)json.p[0];
        if (c < 0x20)
            buf_add_char(out, ' ');     /* valid JSON has these between tokens alone */
        else if (how == JSON_LINE_SAFE && c >= 0x7f) {
            add_char_safe(out, &json);
            continue;
        } else
            buf_add_char(out, (char)c);
        json.p++;
        json.len--;
    }
}

struct pretty {
    struct buf *out;
    size_t indent, depth;
};

static void new_line(struct pretty *p)
{
    size_t depth = p->depth < 32 ? p->depth : 32;

    buf_add_char(p->out, '\n');
    for (size_t i = 0; i < p->indent + 2 * depth; i++)
        buf_add_char(p->out, ' ');
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct span *s)
{
    while (s->len != 0 && is_space(s->p[0])) {
        s->p++;
        s->len--;
    }
}

/* The string that *S begins with, with its quotes. */
static void pretty_string(struct pretty *p, struct span *s)
{
    bool escaped = false;
    size_t len = 1;

    for (; len < s->len; len++) {
        if (!escaped && s->p[len] == '"') {
            len++;
            break;
        }
        escaped = !escaped && s->p[len] == '\\';
    }
    text_add_safe(p->out, (struct span){ s->p, len });
    s->p += len;
    s->len -= len;
}

static void pretty_token(struct pretty *p, struct span *s)
{
    char c = s->p[0];

    if (c == '"') {
        pretty_string(p, s);
        return;
    }
    s->p++;
    s->len--;
    if (c == '[' || c == '{') {
        buf_add_char(p->out, c);
        skip_space(s);
        if (s->len != 0 && s->p[0] == (c == '[' ? ']' : '}'))
            return;                     /* empty: closed by the next token on the same line */
        p->depth++;
        new_line(p);
    } else if (c == ']' || c == '}') {
        char last = p->out->len != 0 ? p->out->data[p->out->len - 1] : '\0';
        if (last != (c == ']' ? '[' : '{') && p->depth > 0) {
            p->depth--;
            new_line(p);
        }
        buf_add_char(p->out, c);
    } else if (c == ',') {
        buf_add_char(p->out, c);
        new_line(p);
    } else if (c == ':') {
        buf_add_text(p->out, ": ");
    } else {
        text_add_safe(p->out, (struct span){ s->p - 1, 1 });
    }
}

void text_add_json_pretty(struct buf *out, struct span json, size_t indent)
{
    struct pretty p = { out, indent, 0 };

    for (size_t i = 0; i < indent; i++)
        buf_add_char(out, ' ');
    for (skip_space(&json); json.len != 0 && buf_ok(out); skip_space(&json))
        pretty_token(&p, &json);
}

/* ---- widths */

static size_t char_width(uint32_t c)
{
    int width = wcwidth((wchar_t)c);

    return width < 0 ? 1 : (size_t)width;
}

size_t text_width(struct span text)
{
    size_t width = 0;
    bool valid;

    while (text.len != 0)
        width += char_width(take(&text, &valid));
    return width;
}

void text_add_cut(struct buf *out, struct span text, size_t width)
{
    struct span rest = text;
    size_t used = 0;
    bool valid;

    if (text.len <= width || text_width(text) <= width) {
        buf_add_span(out, text);
        return;
    }
    while (rest.len != 0) {
        struct span before = rest;
        used += char_width(take(&rest, &valid));
        if (used + 1 > width) {
            rest = before;
            break;
        }
    }
    buf_add(out, text.p, text.len - rest.len);
    if (width > 0)
        buf_add_text(out, "…");
}

void text_add_tinted(struct buf *out, struct span text, enum tint tint, bool colour)
{
    static const char *const on[] = {
        [TINT_NONE] = "",       [TINT_PEER] = "\x1b[94m", [TINT_SERVER] = "\x1b[91m",
        [TINT_DIM] = "\x1b[2m", [TINT_BOLD] = "\x1b[1m",  [TINT_WARN] = "\x1b[33m",
    };

    if (!colour || tint == TINT_NONE || text.len == 0) {
        buf_add_span(out, text);
        return;
    }
    buf_add_text(out, on[tint]);
    buf_add_span(out, text);
    buf_add_text(out, "\x1b[0m");
}

void text_need(struct buf *out, const struct buf *piece)
{
    if (!buf_ok(piece))
        out->failed = true;
}

/* ---- quantities */

void text_add_bytes(struct buf *out, int64_t bytes)
{
    static const char *const units[] = { "kB", "MB", "GB", "TB" };
    double n = (double)bytes / 1000;
    size_t unit = 0;

    if (bytes < 1000) {
        buf_addf(out, "%lld %s", (long long)bytes, bytes == 1 ? "byte" : "bytes");
        return;
    }
    while (n >= 999.95 && unit < 3) {
        n /= 1000;
        unit++;
    }
    buf_addf(out, "%.1f %s", n, units[unit]);
}

void text_add_duration(struct buf *out, int64_t ms)
{
    if (ms < 10000)
        buf_addf(out, "%lld ms", (long long)ms);
    else if (ms < 120000)
        buf_addf(out, "%.1f s", (double)ms / 1000);
    else if (ms < 7200000)
        buf_addf(out, "%lld min", (long long)(ms / 60000));
    else if (ms < 172800000)
        buf_addf(out, "%lld h", (long long)(ms / 3600000));
    else
        buf_addf(out, "%lld d", (long long)(ms / 86400000));
}

/* ---- tables */

struct table_cell {
    struct buf text;
    enum tint tint;
};

void table_init(struct table *t, const struct table_column *columns, size_t count)
{
    *t = (struct table){ .columns = columns, .column_count = count };
    for (size_t i = 0; i < count; i++)
        t->widths[i] = columns[i].title != NULL ? text_width(span_of(columns[i].title)) : 0;
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->cap; i++)
        buf_release(&t->cells[i].text);
    free(t->cells);
    *t = (struct table){ 0 };
}

struct buf *table_cell(struct table *t, enum tint tint)
{
    if (t->used == t->cap) {
        size_t cap = t->cap != 0 ? t->cap * 2 : 64;
        struct table_cell *cells = realloc(t->cells, cap * sizeof *cells);
        if (cells == NULL)
            return NULL;
        memset(cells + t->cap, 0, (cap - t->cap) * sizeof *cells);
        t->cells = cells;
        t->cap = cap;
    }
    struct table_cell *cell = &t->cells[t->used++];
    buf_clear(&cell->text);
    cell->tint = tint;
    return &cell->text;
}

static void add_spaces(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_add_char(out, ' ');
}

/* TEXT in column I; LEFT columns of the terminal remain. Returns how many were used. */
static size_t print_cell(const struct table *t, struct buf *out, size_t i, struct span text,
                         enum tint tint, bool colour, size_t left)
{
    bool last = i == t->column_count - 1;
    struct buf cut = BUF_EMPTY;

    if (last && left != 0) {
        text_add_cut(&cut, text, left);
        text_need(out, &cut);
        text = buf_span(&cut);
    }
    size_t width = text_width(text), pad = width < t->widths[i] ? t->widths[i] - width : 0;
    if (t->columns[i].right)
        add_spaces(out, pad);
    text_add_tinted(out, text, tint, colour);
    if (!t->columns[i].right && !last)
        add_spaces(out, pad);
    buf_release(&cut);
    return width + pad;
}

static void print_row(const struct table *t, struct buf *out, const struct table_cell *row,
                      bool colour, size_t width)
{
    size_t used = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        if (t->widths[i] == 0)
            continue;                   /* nothing has stood in it yet */
        struct span text = row != NULL ? buf_span(&row[i].text) : span_of(t->columns[i].title);
        if (used != 0) {
            buf_add_text(out, "  ");
            used += 2;
        }
        size_t left = width == 0 ? 0 : width > used + 8 ? width - used : 8;
        used += print_cell(t, out, i, text, row != NULL ? row[i].tint : TINT_DIM, colour, left);
    }
    while (out->len != 0 && out->data[out->len - 1] == ' ')
        out->len--;
    buf_add_char(out, '\n');
}

void table_print(struct table *t, struct buf *out, bool colour, size_t width)
{
    size_t rows = t->used / t->column_count;

    for (size_t i = 0; i < rows * t->column_count; i++) {
        size_t w = text_width(buf_span(&t->cells[i].text));
        text_need(out, &t->cells[i].text);
        if (w > t->widths[i % t->column_count])
            t->widths[i % t->column_count] = w;
    }
    if (!t->titled && t->columns[0].title != NULL)
        print_row(t, out, NULL, colour, width);
    t->titled = true;
    for (size_t r = 0; r < rows; r++)
        print_row(t, out, t->cells + r * t->column_count, colour, width);
    t->used = 0;
}

int text_flush(struct buf *out)
{
    bool well = buf_ok(out);

    errno = ENOMEM;
    if (well && out->len != 0)
        well = fwrite(out->data, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
    buf_clear(out);
    if (!well)
        fprintf(stderr,
                "polluxctl: cannot write the output: %s; what was printed is not complete\n",
                strerror(errno));
    return well ? 0 : -1;
}
