/* json.h - as much of JSON as it takes to read what servers say: a walk over text that stays where
 * it is. Nothing is decoded; strings keep their escapes.
 */
#ifndef SIOBENCH_JSON_H
#define SIOBENCH_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* From P up to END, lent by whoever holds the text. */
struct slice { const char *p, *end; };

bool slice_is(struct slice s, const char *text);

/* What comes after blanks. */
const char *js_space(const char *p, const char *end);

/* Walks through the members of an object. */
struct js_walk { const char *p, *end; bool inside; };

/* 1: key (without its quotes) and value are the next member, 0: that was the
 * closing brace, -1: not an object. */
int js_member(struct js_walk *w, struct slice *key, struct slice *val);

/* Plain non-negative integers only, which is all the bench ever sends. */
bool js_uint(struct slice v, uint64_t *out);

/* A Socket.IO event, ["name", first argument, ...more], behind an acknowledgement id if it has one.
 * False: it is none. */
struct event { struct slice name, arg; bool has_arg; };
bool parse_event(const char *p, const char *end, struct event *ev);

#endif
