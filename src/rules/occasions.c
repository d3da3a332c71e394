/* occasions.c - what the application says by itself: the book's events, a line each. Pages rely on
 * their names, their arguments and their order; see docs/PROTOCOL.md.
 */
#include "rules/occasions.h"

#include "rules/parts.h"
#include "wire/json.h"

static const struct line lines[] = {
    { OCCASION_CREATED, HEARER_ONE, "created", { ARGUMENT_CHANNEL, ARGUMENT_ID } },
    { OCCASION_JOINING, HEARER_OTHERS, "remotePeerJoining", { ARGUMENT_CHANNEL } },
    { OCCASION_JOINING, HEARER_OTHERS, "join", { ARGUMENT_CHANNEL } },
    { OCCASION_JOINED, HEARER_OTHERS, "broadcast: joined", { ARGUMENT_SENTENCE } },
    { OCCASION_JOINED, HEARER_ONE, "joined", { ARGUMENT_CHANNEL, ARGUMENT_ID } },
    { OCCASION_JOINED, HEARER_ALL, "ready", { ARGUMENT_CHANNEL } },
    { OCCASION_THERE, HEARER_ONE, "joined", { ARGUMENT_CHANNEL, ARGUMENT_ID } },
    { OCCASION_FULL, HEARER_ONE, "full", { ARGUMENT_CHANNEL } },
    { OCCASION_LEFT, HEARER_OTHERS, "leave", { ARGUMENT_CHANNEL, ARGUMENT_ID } },
    { OCCASION_FAREWELL, HEARER_OTHERS, "Bye", { ARGUMENT_NONE } },
    { OCCASION_WORD, HEARER_OTHERS, "bye", { ARGUMENT_CHANNEL } },
};

#define LINES (sizeof lines / sizeof lines[0])

const struct line *occasion_line(enum occasion on, const struct line *at)
{
    for (at = at == NULL ? lines : at + 1; at < lines + LINES; at++)
        if (at->on == on)
            return at;
    return NULL;
}

bool occasion_has(struct span event)
{
    for (size_t i = 0; i < LINES; i++)
        if (json_string_is(event, lines[i].event))
            return true;
    return false;
}

/* The book's server says so, for the others' console. */
static void add_sentence(struct signaling *g, struct span channel, const char *id)
{
    struct buf text = { 0 };

    buf_addf(&text, "S --> broadcast(): client %s joined channel %.*s", id, (int)channel.len,
             channel.p);
    if (!buf_ok(&text))
        store_no_memory(g->store, "make up an event");
    say_string(g, buf_span(&text));
    buf_release(&text);
}

static void add_argument(struct signaling *g, enum argument argument, struct span channel,
                         const char *id)
{
    switch (argument) {
    case ARGUMENT_NONE:
        break;
    case ARGUMENT_CHANNEL:
        if (channel.len != 0)
            say_string(g, channel);
        break;
    case ARGUMENT_ID:
        say_string(g, span_of(id));
        break;
    case ARGUMENT_SENTENCE:
        add_sentence(g, channel, id);
        break;
    }
}

void occasion_make(struct signaling *g, const struct line *line, struct span channel,
                   const char *id)
{
    say_begin(g, line->event);
    for (size_t i = 0; i < OCCASION_ARGUMENTS_MOST; i++)
        add_argument(g, line->arguments[i], channel, id);
    buf_add_char(&g->body, ']');
}

static void say_line(struct signaling *g, const struct line *line, const struct concerned *who)
{
    struct member one = say_recipient(g, who->one);
    struct members only = say_only(&one);
    const struct members *to = line->to == HEARER_ONE ? &only : who->members;
    int64_t except = line->to == HEARER_OTHERS ? who->one->id : 0;

    if (to == NULL || to->count == 0)
        return;
    occasion_make(g, line, who->channel, who->one->public);
    say_event(g, line->event, who->channel, to, except);
}

void occasion_say(struct signaling *g, enum occasion on, const struct concerned *who)
{
    for (const struct line *line = occasion_line(on, NULL); line != NULL;
         line = occasion_line(on, line))
        say_line(g, line, who);
}
