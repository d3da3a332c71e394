/* refusal.h - what visitors are told by a program that cannot serve: 503, a sentence and the code
 * under which the operator finds more. Nothing that would be of use to a stranger. */
#ifndef POLLUX_CORE_REFUSAL_H
#define POLLUX_CORE_REFUSAL_H

#include "base/buf.h"
#include "base/log.h"

/* Append the whole answer for CODE, one of those that the program can begin with. */
void refusal_write(struct buf *out, enum log_code code);

#endif
