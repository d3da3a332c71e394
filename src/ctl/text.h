/* text.h - text for terminals: people's bytes made safe, columns that line up, colour where it
 * is wanted.
 *
 * What peers send may hold anything, escape sequences that rename a terminal's window or worse
 * among it. Every text that comes from outside goes through text_add_safe() on its way out.
 */
#ifndef POLLUX_CTL_TEXT_H
#define POLLUX_CTL_TEXT_H

#include "base/buf.h"

enum tint { TINT_NONE, TINT_PEER, TINT_SERVER, TINT_DIM, TINT_BOLD, TINT_WARN };

/* Append TEXT. Control characters (C0, DEL, C1), line separators and marks that reverse the
 * direction of writing come out as \u0000 escapes, as JSON writes them; bytes that are not UTF-8
 * as U+FFFD. */
void text_add_safe(struct buf *out, struct span text);

/* Append JSON (valid) on one line: line breaks between its tokens become spaces. Or safe: also
 * write what text_add_safe() would not let through as escapes, which inside of JSON strings mean
 * the same. No other byte changes. */
enum json_line { JSON_LINE_AS_IS, JSON_LINE_SAFE };
void text_add_json_line(struct buf *out, struct span json, enum json_line how);

/* Append JSON (valid) over several lines, each begun by INDENT spaces; safe as by
 * text_add_safe(). */
void text_add_json_pretty(struct buf *out, struct span json, size_t indent);

/* Columns that TEXT (safe) takes on a terminal. */
size_t text_width(struct span text);

/* Append TEXT (safe), cut to WIDTH columns, an ellipsis in the last of them if anything was cut. */
void text_add_cut(struct buf *out, struct span text, size_t width);

/* Append TEXT between what switches TINT on and off; just TEXT when not COLOUR. */
void text_add_tinted(struct buf *out, struct span text, enum tint tint, bool colour);

/* OUT fails if PIECE has: what is made of less than all is not printed as if it were. */
void text_need(struct buf *out, const struct buf *piece);

/* Append "1.5 MB", "12 ms", "3 min" and the like. */
void text_add_bytes(struct buf *out, int64_t bytes);
void text_add_duration(struct buf *out, int64_t ms);

/* ---- tables */

#define TABLE_COLUMNS 10

struct table_column {
    const char *title;                  /* NULL in the first column: no line of titles */
    bool right;                         /* numbers */
};

struct table {
    const struct table_column *columns; /* borrowed */
    size_t column_count;
    struct table_cell *cells;           /* row after row */
    size_t used, cap;
    size_t widths[TABLE_COLUMNS];       /* the widest so far; columns never get narrower again */
    bool titled;                        /* the titles have been printed */
};

void table_init(struct table *t, const struct table_column *columns, size_t count);
void table_release(struct table *t);

/* The next cell, row by row: add its text, safe, to what is returned (lent until the next call).
 * NULL without memory. */
struct buf *table_cell(struct table *t, enum tint tint);

/* Append all rows to OUT and forget them. WIDTH columns in all, by cutting the last column; 0:
 * unlimited. */
void table_print(struct table *t, struct buf *out, bool colour, size_t width);

/* Write OUT to standard output and clear it. 0; -1: it could not be written, and that has been
 * said. */
int text_flush(struct buf *out);

#endif
