/* said_json.c - messages as JSON lines. */
#include "ctl/said_json.h"

#include <stdlib.h>

#include "ctl/text.h"
#include "ctl/dates.h"
#include "wire/json.h"

/* cJSON leaves out what it has no memory for, and who calls it would have to ask each time. */
static struct {
    bool refused;                       /* to it or to us, since the last line was done */
} memory;

static void *allocate(size_t size)
{
    void *p = malloc(size);

    memory.refused = memory.refused || p == NULL;
    return p;
}

cJSON *json_object(void)
{
    cJSON_Hooks hooks = { allocate, free };

    cJSON_InitHooks(&hooks);
    return cJSON_CreateObject();
}

void json_add_text(cJSON *object, const char *name, struct span text)
{
    struct buf quoted = BUF_EMPTY, safe = BUF_EMPTY;

    json_string_encode(&quoted, text);
    text_add_json_line(&safe, buf_span(&quoted), JSON_LINE_SAFE);
    memory.refused = memory.refused || !buf_ok(&quoted) || !buf_ok(&safe);
    cJSON_AddRawToObject(object, name, buf_text(&safe));
    buf_release(&quoted);
    buf_release(&safe);
}

void json_add_ms(cJSON *object, const char *name, int64_t ms)
{
    if (ms != 0)
        cJSON_AddNumberToObject(object, name, (double)ms);
    else
        cJSON_AddNullToObject(object, name);
}

void json_add_socket(struct ctl *c, cJSON *object, const char *name, int64_t socket)
{
    char label[LABEL_MAX];

    if (socket == 0) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    ctl_label(c, socket, label);
    json_add_text(object, name, span_of(label));
}

/* The payload as it stands. Only what is no JSON, which no server of ours stores, goes in as a
 * string. */
static void add_body(struct ctl *c, cJSON *object, const struct said *s)
{
    struct buf line = BUF_EMPTY;

    if (!s->has_body) {
        cJSON_AddNullToObject(object, "body");
    } else if (json_check(buf_span(&s->body), NULL) != JSON_OK) {
        json_add_text(object, "body", buf_span(&s->body));
    } else {
        text_add_json_line(&line, buf_span(&s->body),
                           c->terminal ? JSON_LINE_SAFE : JSON_LINE_AS_IS);
        memory.refused = memory.refused || !buf_ok(&line);
        cJSON_AddRawToObject(object, "body", buf_text(&line));
    }
    buf_release(&line);
}

static void add_heard(struct ctl *c, cJSON *list, const struct said *s, const struct heard *h)
{
    cJSON *one = json_object();

    json_add_socket(c, one, "socket", h->socket);
    cJSON_AddStringToObject(one, "state", heard_state(h));
    json_add_ms(one, "sent_ms", h->sent_ms);
    json_add_ms(one, "arrived_ms", h->arrived_ms);
    if (h->arrived_ms > 0)
        cJSON_AddNumberToObject(one, "took_ms", (double)(h->arrived_ms - s->at_ms));
    else
        cJSON_AddNullToObject(one, "took_ms");
    if (!cJSON_AddItemToArray(list, one))
        cJSON_Delete(one);
}

cJSON *json_said(struct ctl *c, const struct page *p, const struct said *s)
{
    cJSON *object = json_object();
    struct buf at = BUF_EMPTY;

    time_add_utc(&at, s->at_ms);
    memory.refused = memory.refused || !buf_ok(&at);
    cJSON_AddNumberToObject(object, "seq", (double)s->seq);
    cJSON_AddStringToObject(object, "at", buf_text(&at));
    cJSON_AddNumberToObject(object, "at_ms", (double)s->at_ms);
    cJSON_AddStringToObject(object, "type", said_type(s));
    if (s->has_channel)
        json_add_text(object, "channel", buf_span(&s->channel));
    else
        cJSON_AddNullToObject(object, "channel");
    json_add_socket(c, object, "sender", s->sender);
    json_add_text(object, "event", buf_span(&s->name));
    add_body(c, object, s);
    cJSON_AddNumberToObject(object, "size", (double)s->size);
    cJSON_AddNumberToObject(object, "attachments", (double)s->attachments);
    cJSON *list = cJSON_AddArrayToObject(object, "recipients");
    for (size_t i = 0; i < s->count; i++)
        add_heard(c, list, s, &p->heard[s->first + i]);
    buf_release(&at);
    return object;
}

void json_add_line(struct buf *out, cJSON *object)
{
    char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;

    if (text != NULL && !memory.refused) {
        buf_add_text(out, text);
        buf_add_char(out, '\n');
    } else {
        out->failed = true;
    }
    memory.refused = false;
    cJSON_free(text);
    cJSON_Delete(object);
}
