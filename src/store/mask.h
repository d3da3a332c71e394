/* mask.h - hide network addresses in a payload that is kept for reading. Session descriptions
 * and candidates hold people's IP addresses as text. Pure. */
#ifndef POLLUX_STORE_MASK_H
#define POLLUX_STORE_MASK_H

#include "base/buf.h"

/* Append TEXT to OUT with every IPv4 address written as `x.x.x.x` and every IPv6 address as
 * `x::x`; all else, JSON punctuation among it, stays. Version numbers such as 1.2.3 and times
 * such as 12:30:45 are no addresses; what has four parts, such as 118.0.0.0, is taken for one.
 * `0.0.0.0`, `127.0.0.1`, `::` and `::1` say nothing about anybody and stay. mDNS names
 * (`….local`) stay. */
void mask_addresses(struct buf *out, struct span text);

#endif
