/* parts.h - what the files of the rules share, and nobody else sees. Each stands on those before
 * it:
 *
 * presence.c   is somebody there?
 * say.c        saying something to clients
 * occasions.c  what the application says by itself, as a table
 * absence.c    clients that are lost or have left
 * seats.c      who gets a seat, and who loses it to a newcomer
 * rollcall.c   newcomers that wait until it is known who is there
 * reply.c      what the sender of an event is told
 * relay.c      events that go on to others, and to whom
 * events.c     the application's own events, a rule each
 * signaling.c  an event comes in, time passes
 */
#ifndef POLLUX_RULES_PARTS_H
#define POLLUX_RULES_PARTS_H

#include "rules/presence.h"
#include "rules/signaling.h"

/* What is being handled: one event that one client emitted. */
struct emitted {
    struct session *session;
    struct socket sender;               /* a copy: the session's may move */
    const struct sio_packet *packet;
    struct span attached;               /* its attachments: see store/attached.h */
    struct span name;                   /* the event's name as JSON, with its quotes if a string */
    size_t begun;                       /* the signaling's work as it was before */
    int64_t seq;                        /* once stored; 0: was not */
    size_t recipients;
    const char *error;                  /* a code, when refused; then WHY says more */
    const char *why;
};

/* How a newcomer found the members of a full channel. */
struct roll {
    int64_t begun_ms, until_ms;         /* it asks since then, and is told by then */
    const struct member *gone;          /* among g->seats, for the longest time; NULL: nobody */
    bool unsure;                        /* of somebody else it may yet prove so */
};

/* ---- say.c */

/* Store MESSAGE and owe it to everyone in TO but EXCEPT (a socket's id, or 0). Returns its seq. */
int64_t say_message(struct signaling *g, struct message *message, const struct members *to,
                    int64_t except);

/* Begin the server's event NAME in g->body; its arguments follow, each with a comma in front, and
 * the bracket that ends it. */
void say_begin(struct signaling *g, const char *name);
void say_string(struct signaling *g, struct span text);

/* Say what is in g->body, the server's event NAME, to TO but EXCEPT, as being about CHANNEL. */
void say_event(struct signaling *g, const char *name, struct span channel,
               const struct members *to, int64_t except);

/* M alone, which is borrowed; and a socket as a recipient, wherever it is. */
struct members say_only(struct member *m);
struct member say_recipient(struct signaling *g, const struct socket *k);

/* ---- absence.c */

/* K leaves CHANNEL, and the others there are told. */
void absence_part(struct signaling *g, const struct socket *k, const struct channel *channel);

/* K leaves all channels; those in them are told, except in the channel QUIET. */
void absence_part_all(struct signaling *g, const struct socket *k, int64_t quiet);

/* The server disconnects K, which stays owed what it is owed, the word of it included. */
void absence_disconnect(struct signaling *g, const struct session *session,
                        const struct socket *k);

/* K, which is away, leaves CHANNEL until it is back. */
void absence_leave(struct signaling *g, int64_t channel, struct span name, const struct socket *k);

/* Those that are away for too long leave. Returns when to look again. */
int64_t absence_time(struct signaling *g);

/* ---- seats.c */

/* Let K in if CHANNEL, or a new one if that is 0, has a seat, or one whose member is gone. False:
 * it is full, and ROLL says whether for sure. */
bool seats_take(struct signaling *g, const struct socket *k, int64_t channel, struct span name,
                struct roll *roll);
void seats_tell_full(struct signaling *g, const struct socket *k, struct span channel);

/* Read CHANNEL's members into g->seats. Returns the one, a socket's id, that would lose its seat
 * to a newcomer now; 0: none. */
int64_t seats_vacant(struct signaling *g, int64_t channel);

/* ---- rollcall.c */

/* K takes a seat in CHANNEL (0: there is none of that name), or hears that it is full, or will be
 * told which of the two. */
void rollcall_seat(struct signaling *g, const struct socket *k, int64_t channel, struct span name);

/* Look at those that wait. Returns when to look again. */
int64_t rollcall_time(struct signaling *g);

/* ---- reply.c */

void reply_refuse(struct emitted *emit, const char *code, const char *why);

/* The acknowledgement that the sender asked for; where it asked for none, what was refused comes as
 * an event. */
void reply_acknowledge(struct signaling *g, const struct emitted *emit);
void reply_complain(struct signaling *g, const struct emitted *emit);

/* The book's echo for the sender's console: that the server got a WHAT. */
void reply_echo(struct signaling *g, const struct emitted *emit, const char *what,
                struct span argument);

/* The event's first argument; false: it has none. */
bool emitted_first(const struct emitted *emit, struct span *argument);

/* Is TEXT, a JSON string of the sender's, short enough for what it is told? */
bool emitted_is_short(struct span text);

/* ---- relay.c */

/* Has everyone in TO but EXCEPT (a socket's id) room for SIZE more bytes? Else the event is
 * refused. */
bool relay_has_room(struct signaling *g, struct emitted *emit, const struct members *to,
                    int64_t except, size_t size);

/* Store the event with BODY for g->members but the sender: whatever waits for them; or within the
 * bounds of their queues, and then all of them get it, or nobody, and the sender is told. */
void relay_always(struct signaling *g, struct emitted *emit, struct span channel, struct span body);
void relay_bounded(struct signaling *g, struct emitted *emit, struct span channel,
                   struct span body);
void relay_to_channel(struct signaling *g, struct emitted *emit, const struct channel *channel,
                      struct span body);

/* As it is, to whom its arguments name; else to all who share a channel with the sender. PEERS:
 * the names of channels count for nothing. */
enum names { NAMES_PEERS, NAMES_PEERS_AND_CHANNELS };
void relay_event(struct signaling *g, struct emitted *emit, enum names names);

/* Store the event for the log alone. */
void relay_note(struct signaling *g, struct emitted *emit, struct span channel);

/* The channel that the JSON string NAME names, if the sender is in it; 0: none. */
int64_t relay_own_channel(struct signaling *g, struct emitted *emit, struct span name,
                          struct channel *out);

/* The first of the sender's channels, in *OUT, which is cleared; false: it is in none. */
bool relay_first_channel(struct signaling *g, const struct emitted *emit, struct channel *out);

/* ---- events.c */

/* Do what the rule for the event says. */
void events_apply(struct signaling *g, struct emitted *emit);

/* Is NAME one that a rule is for? */
bool events_know(struct span name);

#endif
