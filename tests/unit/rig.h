/* rig.h - the core over a real store, with a host that a test drives and a clock that it sets by
 * hand.
 *
 * A request is given and the turn run; what was answered at once, and what the turn answered of
 * polls held before, is kept by the request's number. Everything is in a folder of its own that
 * goes with the rig.
 */
#ifndef POLLUX_TEST_RIG_H
#define POLLUX_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ask.h"
#include "core/core.h"
#include "host/script.h"
#include "base/settings.h"
#include "store/store.h"

/* How much of a POST is done in a turn, in rigs that are started from now on; 0: as much as
 * usual. */
extern int64_t rig_slice;

#define RIG_REQUESTS 4096
#define RIG_GIVEN SCRIPT_GIVEN_MAX

/* When a process dies in its next turn: before it is committed, or after that and before an
 * answer has left. */
enum rig_death { RIG_LIVES, RIG_DIES_BEFORE, RIG_DIES_AFTER };

struct rig {
    struct settings set;
    struct store *store;
    struct core *core;
    struct host *host;
    char dir[64];
    int64_t now;                        /* the clock: milliseconds */
    char *answers[RIG_REQUESTS];        /* "STATUS BODY"; NULL: not answered yet */
    bool begun[RIG_REQUESTS];           /* the answer was begun: it has headers, and no body yet */
    int requests;
    enum rig_death dies;                /* in the next turn; then it is started anew */
    int64_t deaths;
    /* requests come as lighttpd's error handler asks them again */
    bool again;
    bool cut;                           /* requests come as those that did not arrive whole */
    const char *address;                /* of the clients whose requests follow */
    const char *software;               /* the web server that they come through */
    const char *origin, *content_type;  /* their headers; NULL: none, and what browsers say */
    uint16_t port;                      /* the client's connection */
    bool forwarded;                     /* by a proxy, as it says itself */
    bool behind;                        /* requests wait that were not read */
    bool rings;                         /* other processes are to be woken: the test clears it */
};

/* KEYS: settings apart from the defaults, such as "POLLUX_CAPACITY=3", the last NULL. */
void rig_open(struct rig *r, const char *const *keys);
void rig_close(struct rig *r);

/* All processes die and one starts anew: held polls are lost, the store stays. */
void rig_restart(struct rig *r);

/* A second process on the same store, with its clock set to the first one's. Close it first. */
void rig_join(struct rig *second, const struct rig *first);

/* Send a request and run the turn, and those that follow while it is postponed. Returns the
 * request's number. */
int rig_send(struct rig *r, const char *method, const char *query, const char *body);

/* Put a request before the next turn, which may get several. Returns the request's number. */
int rig_give(struct rig *r, const char *method, const char *query, const char *body);

/* The same of bytes that need not be text. The rig's fields above count as they are now. */
int rig_give_bytes(struct rig *r, struct span method, struct span query, struct span body);

/* Forget all answers, and number requests anew. None may be held. */
void rig_forget(struct rig *r);

/* Let MS milliseconds pass, and run the turns that fall due in them. */
void rig_wait(struct rig *r, int64_t ms);

/* Run one turn, as when the bell rang. */
void rig_turn(struct rig *r, bool rang);

/* How many requests are postponed. */
size_t rig_postponed(const struct rig *r);

/* What request N was answered; NULL: it is held. */
const char *rig_answer(const struct rig *r, int n);

/* ---- a client, as far as tests need one */

struct client {
    struct rig *rig;
    char sid[32], id[32], pid[32];
    char offset[32];                    /* from the last marker heard */
    /* the number of the request that is its last poll; -1: none */
    int poll;
    int t;
    /* what the last client_hear() gave, packets separated by newlines, markers left out */
    char heard[1 << 16];
};

/* Handshake alone; and with CONNECT, its reply heard. EXTRA goes behind `40`. */
void client_open(struct client *c, struct rig *r);
void client_connect(struct client *c, struct rig *r, const char *extra);

/* POST packets (joined by 0x1e, as it stands); the answer. */
const char *client_post(struct client *c, const char *body);

/* Poll until nothing more is to be heard; the last poll stays held. Pings are answered. */
const char *client_hear(struct client *c);

/* C has kept the server busy for USED_US microseconds. */
void client_use(const struct client *c, int64_t used_us);

/* connect and `create or join` CHANNEL, hearing nothing of it yet. */
void client_join(struct client *c, struct rig *r, const char *channel);

#define assert_said(client, expected) assert_string_equal(client_hear(client), expected)

#define assert_starts(text, prefix) assert_int_equal(strncmp(text, prefix, strlen(prefix)), 0)

/* The number that SQL gives on the rig's database. For tests of the engine: others ask, see
 * ask.h. */
int64_t rig_sql(const struct rig *r, const char *sql);

#endif
