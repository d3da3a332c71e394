/* signaling.h - the rules: who joins, who hears what, who is away and who has left.
 *
 * One function an occasion. Knows neither HTTP nor SQL, reads no clock: the turn's time stands in
 * struct signaling. What goes wrong in the store sticks there (store/store.h) and is asked once,
 * at the turn's end.
 */
#ifndef POLLUX_RULES_SIGNALING_H
#define POLLUX_RULES_SIGNALING_H

#include "store/store.h"

/* The event by which the server numbers what clients have heard: they keep its argument as their
 * offset. */
#define SIGNALING_MARKER "pollux"

struct signaling {
    struct store *store;
    const struct settings *set;
    int64_t now;                        /* the turn's time */
    int64_t due_ms;                     /* call signaling_time() no later than then */
    size_t relayed;                     /* in this turn, once for each recipient */
    size_t work;                        /* done since the start besides rows written, in rows */
    int64_t asked;                      /* the roll call that the last slice came to; 0: all */
    struct members members;             /* scratch: recipients of what is being said */
    struct members seats;               /* scratch: a channel's members while it is being joined */
    struct buf body;                    /* scratch: an event being made up */
};

void signaling_init(struct signaling *g, struct store *store, const struct settings *set);
void signaling_release(struct signaling *g);

/* SOCKET of SESSION emitted the event PACKET, which sio_parse() has passed, with its attachments
 * ATTACHED (see store/attached.h). Both are borrowed. May have disconnected the socket afterwards:
 * see its gone_ms. */
void signaling_event(struct signaling *g, struct session *session, const struct socket *socket,
                     const struct sio_packet *packet, struct span attached);

/* SOCKET left of its own will (41), or its time is over: its channels are told, and it is gone. */
void signaling_left(struct signaling *g, const struct socket *socket);

/* SESSION's client is lost: its sockets are away, to be recovered; or, where recovery is off,
 * have left. */
void signaling_lost(struct signaling *g, struct session *session);

/* SOCKET was away and is recovered: it goes back into the channels that it lost meanwhile, as a
 * joiner does; or hears `full`. */
void signaling_back(struct signaling *g, const struct socket *socket);

/* SESSION is over: a poll that is held for it is told so, and to any other request it is unknown.
 * Its sockets were taken care of. */
void signaling_close(struct signaling *g, struct session *session);

/* End CHANNEL, a number of the store's: its members are disconnected, and leave the channels that
 * they are in besides; who is away comes back no more. */
struct closed { size_t disconnected, away; };
struct closed signaling_close_channel(struct signaling *g, int64_t channel);

/* Rows that may be written in one turn for what is due, however much that is: the rest waits for
 * the turns that follow, and requests come in between. */
#define SIGNALING_SLICE 300

/* Look so often when nothing is known to be due: another process may have died. */
#define SIGNALING_SWEEP_MS 1000

/* Whatever is due at the turn's time: windows that are over, roll calls; a slice of it if that is
 * much. Sets due_ms anew. */
void signaling_time(struct signaling *g);

#endif
