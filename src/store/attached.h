/* attached.h - a message's attachments, as the store keeps them: base64, each behind a byte 0x1e.
 *
 * Rows of all versions of the store have this form, so it stays, whatever clients speak: that
 * Engine.IO 4 has the same byte between packets is by chance. Half a binary event is kept so too,
 * behind its text. Pure: no clock, no log, no I/O.
 */
#ifndef POLLUX_STORE_ATTACHED_H
#define POLLUX_STORE_ATTACHED_H

#include "base/buf.h"

/* One more attachment begins in KEPT; its base64 is to be appended. */
void attached_begin(struct buf *kept);

/* Take the first attachment off *REST: into *BASE64, lent from it, maybe of no bytes. False: there
 * is none. */
bool attached_next(struct span *rest, struct span *base64);

/* How many attachments there are in ATTACHED. */
size_t attached_count(struct span attached);

/* The attachments in KEPT, lent from it; what stands in front of them goes to *TEXT. */
struct span attached_behind(struct span kept, struct span *text);

#endif
