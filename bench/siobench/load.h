/* load.h - which messages are sent when, and what becomes of them.
 *
 *     relay   closed loop: each pair keeps --window messages going round; what comes is answered
 *     paced   open loop: messages leave when they are due, whether or not those before have come
 *     idle    paced, beside sessions that only wait
 */
#ifndef SIOBENCH_LOAD_H
#define SIOBENCH_LOAD_H

#include "json.h"
#include "session.h"

/* Begin, at NOW. */
void load_start(uint64_t now);

/* Send what is due; when the next is, if that is earlier than WAKE. */
void load_pump(uint64_t now);
uint64_t load_due(uint64_t wake);

/* A relayed message came in at S, where direction DIR was expected: count it, or what is wrong with
 * it. */
void load_delivery(struct session *s, int dir, struct slice text);

/* Messages sent on unbroken pairs and not delivered yet. */
uint64_t load_outstanding(void);

#endif
