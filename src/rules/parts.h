/* parts.h - what the files of the rules share, and nobody else sees.
 *
 * signaling.c  the events of clients, a rule each
 * seats.c      who gets a seat, who keeps it, who is away and who has left
 * say.c        saying something to clients
 */
#ifndef POLLUX_RULES_PARTS_H
#define POLLUX_RULES_PARTS_H

#include "rules/signaling.h"

/* ---- say.c */

/* Store MESSAGE and owe it to everyone in TO but EXCEPT (a socket's id, or 0). Returns its seq. */
int64_t say_message(struct signaling *g, struct message *message, const struct members *to,
                    int64_t except);

/* Begin the server's event NAME in g->body; its arguments follow, each with a comma in front. */
void say_begin(struct signaling *g, const char *name);
void say_string(struct signaling *g, struct span text);

/* End it, and send it to TO but EXCEPT, as being about CHANNEL. */
void say_end(struct signaling *g, const char *name, struct span channel, const struct members *to,
             int64_t except);

/* The event NAME with CHANNEL's name, and ID unless NULL. */
void say_channel(struct signaling *g, const char *name, struct span channel, const char *id,
                 const struct members *to, int64_t except);

/* M alone, which is borrowed; and a socket as a recipient, wherever it is. */
struct members say_only(struct member *m);
struct member say_recipient(struct signaling *g, const struct socket *k);

/* ---- seats.c */

/* K takes a seat in CHANNEL (0: there is none of that name), or hears that it is full, or will be
 * told which of the two. */
void signaling_take_seat(struct signaling *g, const struct socket *k, int64_t channel,
                         struct span name);

/* Read CHANNEL's members into g->seats. Returns the one, a socket's id, that would lose its seat to a
 * newcomer now; 0: none. */
int64_t signaling_vacant(struct signaling *g, int64_t channel);

#endif
