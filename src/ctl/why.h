/* why.h - why what somebody said reached nobody. */
#ifndef POLLUX_CTL_WHY_H
#define POLLUX_CTL_WHY_H

#include "ctl/page.h"

/* Append the reason for S, which reached nobody, as far as the log knows: "the other joined 1.7 s
 * later (...)". */
void why_nobody(struct ctl *c, struct buf *out, const struct said *s);

#endif
