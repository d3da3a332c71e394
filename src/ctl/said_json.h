/* said_json.h - what polluxctl prints with --json: one object a line. Texts and payloads go in as
 * raw JSON, so that cJSON changes no byte of them. */
#ifndef POLLUX_CTL_SAID_JSON_H
#define POLLUX_CTL_SAID_JSON_H

#include <cjson/cJSON.h>

#include "ctl/page.h"

/* A new object, for json_add_line() or to go into one that is. Memory that is refused on the way
 * there makes that fail. */
cJSON *json_object(void);

/* Add TEXT as a JSON string. */
void json_add_text(cJSON *object, const char *name, struct span text);

/* Add MS as a number, or null if it is 0. */
void json_add_ms(cJSON *object, const char *name, int64_t ms);

/* Add the whole public id of SOCKET; null for 0. */
void json_add_socket(struct ctl *c, cJSON *object, const char *name, int64_t socket);

/* A message with its deliveries. To be deleted by the caller; NULL without memory. */
cJSON *json_said(struct ctl *c, const struct page *p, const struct said *s);

/* Append OBJECT (given; NULL fails) and a line break to OUT. */
void json_add_line(struct buf *out, cJSON *object);

#endif
