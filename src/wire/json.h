/* json.h - JSON texts by place: what is valid, and where its pieces lie.
 *
 * Payloads are forwarded as the bytes they came in, so nothing here builds a tree
 * or prints a value again. Validation is strict RFC 8259 over valid UTF-8:
 * whatever passes, every browser's JSON.parse takes. Pure; no recursion.
 */
#ifndef POLLUX_WIRE_JSON_H
#define POLLUX_WIRE_JSON_H

#include "base/buf.h"

#define JSON_DEPTH_MAX 4096             /* arrays and objects inside one another */

enum json_status { JSON_OK, JSON_INVALID, JSON_TOO_DEEP, JSON_NOT_UTF8 };
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Is TEXT exactly one JSON value, white space around it allowed? On refusal *AT (may be NULL)
 * is the offset of the first byte that cannot stand. */
enum json_status json_check(struct span text, size_t *at);

/* All that follow take a text that json_check() has passed (or a piece of one); anything else is
 * our error. */

/* The kind of VALUE, by its first byte. */
enum json_type json_type(struct span value);

/* VALUE without white space around it. */
struct span json_trim(struct span value);

/* Walk an array: start with *REST = the array; each call sets *ITEM to the next element, trimmed,
 * and returns true; false after the last, or when *REST was no array. */
bool json_array_next(struct span *rest, struct span *item);

/* Walk an object likewise. KEY includes its quotes. Duplicate keys come each in turn. */
bool json_object_next(struct span *rest, struct span *key, struct span *value);

/* Take the next token off *REST, wherever in a text that is: a bracket, comma, colon, or a whole
 * string, number or word. False at the end. The way through values of any depth without
 * recursion. */
bool json_token(struct span *rest, struct span *token);

/* The member of OBJECT named NAME (compared after decoding escapes); of several the last, as
 * JSON.parse has it. False when there is none or OBJECT is not an object. */
bool json_member(struct span object, const char *name, struct span *value);

/* Does the JSON string STRING (with quotes) decode to TEXT? False for any other type. */
bool json_string_is(struct span string, const char *text);

/* Decode the JSON string STRING into OUT as UTF-8 with a NUL behind it, at most CAP bytes in
 * all. Returns the number of bytes before the NUL, or -1: not a string, too long, holds U+0000,
 * or a lone surrogate. */
long json_string_decode(struct span string, char *out, size_t cap);

/* Append UTF-8 TEXT as a JSON string with quotes. Escapes what JSON demands, all control
 * characters among it. Invalid UTF-8 becomes U+FFFD. */
void json_string_encode(struct buf *out, struct span text);

/* Is S valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF)? */
bool utf8_valid(struct span s);

#endif
