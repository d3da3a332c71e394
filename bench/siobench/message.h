/* message.h - what the bench's clients say to each other, of --size bytes, so that each message
 * proves who sent it, when, and that nothing changed on the way:
 *
 *     {"p":pair,"d":direction,"s":seq,"t":time,"pad":"..."}
 *
 * Where the padding is cut from depends on all four numbers, so that the padding also vouches for
 * them.
 */
#ifndef SIOBENCH_MESSAGE_H
#define SIOBENCH_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "session.h"

/* Before all else, with --seed. */
void message_init(void);

/* Append one to PK, which has the room. */
void message_add(struct packet *pk, uint64_t p, uint64_t d, uint64_t s, uint64_t t);

struct message { uint64_t p, d, s, t; };

/* False: not a message of this bench, or not as it was sent. */
bool message_parse(struct slice m, struct message *out);

#endif
