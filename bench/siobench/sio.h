/* sio.h - the simulated client: Engine.IO 4 over polling, Socket.IO 5 on it, and how the two sides
 * of a pair join their channel. With --together it sends as Pollux's own client file does.
 */
#ifndef SIOBENCH_SIO_H
#define SIOBENCH_SIO_H

#include "session.h"

/* Begin: the handshake. From then on it polls by itself, until it is shut. */
void sio_open(struct session *s);

/* Say goodbye, and be shut when that was answered. */
void sio_close(struct session *s);

/* Send what is queued, at once or when the POST under way was answered. */
void sio_flush(struct session *s);

/* The request on C was answered. */
void sio_on_response(struct conn *c);

#endif
