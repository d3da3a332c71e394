/* gist.c - finds descriptions and candidates in payloads, and says in a few words what they are. */
#include "ctl/gist.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "ctl/text.h"
#include "wire/json.h"

#define DEPTH_MAX 12                    /* objects, lists and JSON in strings inside one another */
#define TYPE_MAX 24
#define MEDIA_MAX 8                     /* sections that are named; the others are counted */

/* On the way down: what was said nearest above of what it may be. */
struct way {
    struct gist *g;
    char type[TYPE_MAX];                /* "offer"; empty: nothing yet */
    bool named;                         /* a key or the event says it, and no type does */
    int depth;
};

static enum gist_kind kind_of(const char *type)
{
    static const struct { const char *name; enum gist_kind kind; } kinds[] = {
        { "offer", GIST_OFFER },       { "answer", GIST_ANSWER },
        { "pranswer", GIST_PRANSWER }, { "rollback", GIST_ROLLBACK },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(type, kinds[i].name) == 0)
            return kinds[i].kind;
    return GIST_DESCRIPTION;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* NAME, a key or an event's name, may say it: "call-offer", "videoAnswer". */
static void learn_name(struct way *w, struct span name)
{
    char text[128];

    if (!span_copy(name, text, sizeof text))
        return;
    lower(text);
    const char *said = strstr(text, "pranswer") != NULL ? "pranswer"
                       : strstr(text, "answer") != NULL ? "answer"
                       : strstr(text, "offer") != NULL  ? "offer"
                                                        : NULL;
    if (said != NULL) {
        span_copy(span_of(said), w->type, sizeof w->type);
        w->named = true;
    }
}

/* ---- the thing itself */

static bool begins_sdp(const char *text)
{
    return strncmp(text, "v=0\r", 4) == 0 || strncmp(text, "v=0\n", 4) == 0;
}

static bool begins_candidate(const char *text)
{
    return strncmp(text, "candidate:", 10) == 0 || strncmp(text, "a=candidate:", 12) == 0;
}

bool gist_line(struct span *rest, struct span *line)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->p, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->p) : rest->len;
    *line = (struct span){ rest->p, len };
    rest->p += len + (end != NULL);
    rest->len -= len + (end != NULL);
    if (line->len != 0 && line->p[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* Of a description that nothing is said of: who is active decides only in an answer. */
static enum gist_kind guess(struct span sdp)
{
    struct span line;

    while (gist_line(&sdp, &line)) {
        if (span_is(line, "a=setup:actpass"))
            return GIST_OFFER;
        if (span_is(line, "a=setup:active") || span_is(line, "a=setup:passive"))
            return GIST_ANSWER;
    }
    return GIST_DESCRIPTION;
}

static bool take(struct way *w, const char *text)
{
    struct gist *g = w->g;

    if (begins_candidate(text)) {
        g->kind = GIST_CANDIDATE;
    } else if (begins_sdp(text)) {
        g->kind = kind_of(w->type);
        g->guessed = g->kind == GIST_DESCRIPTION;
        if (g->guessed)
            g->kind = guess(span_of(text));
    } else {
        return false;
    }
    buf_clear(&g->text);
    buf_add_text(&g->text, text);
    return true;
}

/* ---- where it is */

static bool look(struct way w, struct span value);

/* A string may be the thing, or JSON with it inside. */
static bool look_at_string(struct way *w, struct span string)
{
    char *text = malloc(string.len + 1);
    bool found = false;

    if (text == NULL)
        return false;
    if (json_string_decode(string, text, string.len + 1) > 0) {
        struct span inner = json_trim(span_of(text));
        found = take(w, text);
        if (!found && inner.len > 1 && (inner.p[0] == '{' || inner.p[0] == '[')
            && json_check(inner, NULL) == JSON_OK)
            found = look(*w, inner);
    }
    free(text);
    return found;
}

static bool is_empty(struct span value)
{
    return json_type(value) == JSON_NULL || json_string_is(value, "");
}

/* { candidate: '' } and { candidate: null } say that there are no more; a rollback has no
 * description. */
static bool look_at_end(struct way *w, struct span object)
{
    struct span value;

    if (json_member(object, "candidate", &value) && is_empty(value))
        w->g->kind = GIST_CANDIDATES_END;
    else if (strcmp(w->type, "rollback") == 0 && !w->named)
        w->g->kind = GIST_ROLLBACK;
    else
        return false;
    buf_clear(&w->g->text);
    return true;
}

static bool look_at_object(struct way *w, struct span object)
{
    struct span rest = object, key, value;
    char type[TYPE_MAX];

    if (json_member(object, "type", &value) && json_type(value) == JSON_STRING
        && json_string_decode(value, type, sizeof type) > 0) {
        lower(type);
        if (kind_of(type) != GIST_DESCRIPTION) {
            span_copy(span_of(type), w->type, sizeof w->type);
            w->named = false;
        }
    }
    while (json_object_next(&rest, &key, &value)) {
        struct way below = *w;
        if (below.type[0] == '\0' || below.named)
            learn_name(&below, (struct span){ key.p + 1, key.len - 2 });
        if (look(below, value))
            return true;
    }
    return look_at_end(w, object);
}

static bool look(struct way w, struct span value)
{
    struct span rest = value, item;

    if (w.depth++ >= DEPTH_MAX)
        return false;
    switch (json_type(value)) {
    case JSON_STRING:
        return look_at_string(&w, value);
    case JSON_OBJECT:
        return look_at_object(&w, value);
    case JSON_ARRAY:
        while (json_array_next(&rest, &item))
            if (look(w, item))
                return true;
        return false;
    default:
        return false;
    }
}

void gist_find(struct gist *g, struct span name, struct span arguments)
{
    struct way w = { .g = g, .type = "" };

    g->kind = GIST_NONE;
    g->guessed = false;
    buf_clear(&g->text);
    if (json_check(arguments, NULL) != JSON_OK)
        return;
    learn_name(&w, name);
    if (!look(w, json_trim(arguments)) || !buf_ok(&g->text))
        g->kind = GIST_NONE;
}

void gist_release(struct gist *g)
{
    buf_release(&g->text);
}

/* ---- in a few words */

/* The word of LINE that comes Nth, from 0, separated by spaces. */
static struct span word(struct span line, int n)
{
    size_t at = 0;

    for (;; n--) {
        while (at < line.len && line.p[at] == ' ')
            at++;
        size_t end = at;
        while (end < line.len && line.p[end] != ' ')
            end++;
        if (n == 0 || end == at)
            return (struct span){ line.p + at, end - at };
        at = end;
    }
}

static bool is_word(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alnum(s.p[i]))
            return false;
    return s.len != 0 && s.len < GIST_SORT_MAX / 2 - 2;
}

/* candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE ... */
void gist_sort(const struct gist *g, char out[GIST_SORT_MAX])
{
    struct span line = buf_span(&g->text);
    struct span transport = word(line, 2), type = word(line, 7);
    size_t at = 0;

    if (!span_is(word(line, 6), "typ") || !is_word(transport) || !is_word(type)) {
        span_copy(SPAN("unreadable"), out, GIST_SORT_MAX);
        return;
    }
    memcpy(out, type.p, type.len);
    out[at = type.len] = ' ';
    memcpy(out + at + 1, transport.p, transport.len);
    out[at + 1 + transport.len] = '\0';
    lower(out);
}

/* "audio, video (refused), data": the sections of a description. */
static void add_media(struct buf *out, struct span sdp)
{
    struct span line, kind, port;
    int count = 0;

    while (gist_line(&sdp, &line)) {
        if (!span_starts(line, "m="))
            continue;
        kind = word((struct span){ line.p + 2, line.len - 2 }, 0);
        port = word((struct span){ line.p + 2, line.len - 2 }, 1);
        if (count++ >= MEDIA_MAX)
            continue;
        buf_add_text(out, count > 1 ? ", " : " ");
        if (span_is(kind, "application"))
            buf_add_text(out, "data");
        else if (is_word(kind))
            buf_add_span(out, kind);
        else
            buf_add_text(out, "something unknown");
        if (span_is(port, "0"))
            buf_add_text(out, " (refused)");
    }
    if (count > MEDIA_MAX)
        buf_addf(out, " and %d more", count - MEDIA_MAX);
    if (count == 0)
        buf_add_text(out, " of nothing");
}

static void add_candidates(struct buf *out, struct span sdp)
{
    struct span line;
    int count = 0;

    while (gist_line(&sdp, &line))
        count += span_starts(line, "a=candidate:");
    if (count != 0)
        buf_addf(out, ", %d candidate%s inside", count, count != 1 ? "s" : "");
}

void gist_add(struct buf *out, const struct gist *g)
{
    static const char *const names[] = {
        [GIST_NONE] = "",           [GIST_OFFER] = "offer",
        [GIST_ANSWER] = "answer",   [GIST_PRANSWER] = "provisional answer",
        [GIST_ROLLBACK] = "rollback", [GIST_DESCRIPTION] = "description",
        [GIST_CANDIDATE] = "candidate", [GIST_CANDIDATES_END] = "no more candidates",
    };
    char sort[GIST_SORT_MAX];

    buf_add_text(out, names[g->kind]);
    if (g->guessed)
        buf_add_char(out, '?');
    if (g->kind == GIST_CANDIDATE) {
        gist_sort(g, sort);
        buf_addf(out, " %s", sort);
    } else if (g->text.len != 0) {
        add_media(out, buf_span(&g->text));
        add_candidates(out, buf_span(&g->text));
    }
}
