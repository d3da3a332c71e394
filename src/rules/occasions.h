/* occasions.h - what the application says by itself, and when: a table of occasions, and one
 * function that says what stands there. Which occasion it is, and who is concerned, others decide.
 */
#ifndef POLLUX_RULES_OCCASIONS_H
#define POLLUX_RULES_OCCASIONS_H

#include "rules/signaling.h"

enum occasion {
    OCCASION_CREATED,           /* it created a channel, and is alone there */
    OCCASION_JOINING,           /* it is about to join one */
    OCCASION_JOINED,            /* it has joined */
    OCCASION_THERE,             /* it asked to join a channel that it is in */
    OCCASION_FULL,              /* there is no seat for it */
    OCCASION_LEFT,              /* it has left, or is away for too long */
    OCCASION_FAREWELL,          /* it said Bye, and disconnects */
    OCCASION_WORD               /* it said bye, and stays */
};

/* Who hears it: the one whom it is about, the members of the channel besides, or both. */
enum hearer { HEARER_ONE, HEARER_OTHERS, HEARER_ALL };

/* What an argument of the event is. */
enum argument {
    ARGUMENT_NONE,              /* there are no more */
    ARGUMENT_CHANNEL,           /* the channel's name; none where there is no channel */
    ARGUMENT_ID,                /* the public id of the one whom it is about */
    ARGUMENT_SENTENCE           /* the book's, for its console: who joined what */
};

#define OCCASION_ARGUMENTS_MOST 2

struct line {
    enum occasion on;
    enum hearer to;
    const char *event;
    enum argument arguments[OCCASION_ARGUMENTS_MOST];
};

/* The lines for an occasion, one after the other: start with AT = NULL; NULL: there are no more. */
const struct line *occasion_line(enum occasion on, const struct line *at);

/* Make what LINE says in g->body, as a Socket.IO event's JSON: about the socket with the public id
 * ID, in CHANNEL. */
void occasion_make(struct signaling *g, const struct line *line, struct span channel,
                   const char *id);

/* Whom an occasion concerns. */
struct concerned {
    struct span channel;        /* its name */
    const struct socket *one;   /* whom it is about */
    const struct members *members;      /* of the channel; NULL: nobody else hears of it */
};

/* Say all that is to be said on the occasion, to those whom WHO names. */
void occasion_say(struct signaling *g, enum occasion on, const struct concerned *who);

/* Is it an event of the table, which clients take the server's word for? */
bool occasion_has(struct span event);

#endif
