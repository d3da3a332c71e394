/* ask.h - what tests ask the store, in the store's own words. ask.c looks it up in SQLite's file,
 * apart from the store's own connection; a store of another engine has an ask.c of its own, and no
 * test changes.
 *
 * Tests of the engine itself, of its file and its statements (test_store.c, test_store_faults.c,
 * test_power.c), ask in SQL: rig_sql().
 */
#ifndef POLLUX_TESTS_ASK_H
#define POLLUX_TESTS_ASK_H

#include <stdbool.h>
#include <stdint.h>

struct rig;

enum ask {
    ASK_SESSIONS, ASK_POLLINGS,         /* there must be one of each */
    ASK_NEXT_PING,                      /* when the last of them is due */
    /* addresses with sessions; sessions in all, as they are counted */
    ASK_VISITORS, ASK_VISITING,
    ASK_HOLDERS, ASK_HELD,              /* processes that hold polls; polls that are held */
    ASK_PIECES, ASK_PIECES_EVER, ASK_PIECE_BYTES,       /* of half events */
    ASK_SOCKETS, ASK_STAYING, ASK_AWAY, /* in all; that have not gone; that are away */
    ASK_HEARD, ASK_GREETINGS,           /* of the only socket; that are still to be sent */
    ASK_CHANNELS, ASK_MEMBERS, ASK_ASKING, ASK_FORMERS,
    ASK_OWED, ASK_OWED_AND_LOST,        /* deliveries; those whose message has gone */
    ASK_LOG_ROWS,                       /* messages and deliveries */
    ASK_LAST_SEQ, ASK_ACKS,             /* of all messages; those that are acknowledgements */
    ASK_LONGEST_NAME,                   /* of an event, bytes */
    ASK_KEPT_BYTES, ASK_BROKEN,         /* bodies; those that are no JSON */
    ASK_BYTES,                          /* that the store takes */
    ASKS
};

/* About TEXT. */
enum ask_of {
    ASK_SESSION,                        /* number of the session with this sid; -1: none */
    ASK_SOCKET_ROWS, ASK_OWED_TO,       /* with this public id; deliveries to it */
    /* with this address; with addresses that begin so */
    ASK_SOCKETS_FROM, ASK_VISITORS_FROM,
    ASK_CHANNELS_NAMED,
    ASK_SAID, ASK_FIRST_SAID, ASK_LAST_SAID,    /* messages named so: how many; their seqs */
    /* how many say [name,N], N being their place among them from 0 */
    ASK_SAID_IN_ORDER,
    ASK_REFUSALS,                       /* errors with this code */
    ASKS_OF
};

/* A number; -1: there is none. */
int64_t ask(const struct rig *r, enum ask what);
int64_t ask_of(const struct rig *r, enum ask_of what, const char *text);

/* The same many times: it stays open. */
struct asker;
struct asker *asker_open(const struct rig *r);
void asker_close(struct asker *a);
int64_t asker_ask(struct asker *a, enum ask what);

/* Tell EACH about the public ids of those in the channel. */
void asker_members(struct asker *a, const char *channel,
                   void (*each)(void *arg, const char *public),
                   void *arg);

/* Has the session with this sid been sent a POST that MARK stands for? */
bool asker_has_post(struct asker *a, const char *sid, uint64_t mark);

/* Somebody reads, all the while. */
struct asker *asker_begin_reading(const struct rig *r);
void asker_end_reading(struct asker *a);

#endif
