/* dates.h - times as people write and read them: local, or as a distance from now. */
#ifndef POLLUX_CTL_DATES_H
#define POLLUX_CTL_DATES_H

#include "base/buf.h"

/* Read TEXT as a time in *MS since 1970. Understood: how long ago ("90s", "10m", "2h", "3d",
 * "1w"), "now", "today", "yesterday", local dates and times ("2026-03-01", "2026-03-01 12:30",
 * "2026-03-01T12:30:15.250"), local times of today ("12:30", "12:30:15"), and seconds since 1970
 * ("@1772366400"). False for anything else. */
bool time_read(const char *text, int64_t now_ms, int64_t *ms);

/* Append MS as local "2026-03-01", "12:30:15.250", both, or in UTC as
 * "2026-03-01T12:30:15.250Z". */
void time_add_date(struct buf *out, int64_t ms);
void time_add_clock(struct buf *out, int64_t ms);
void time_add(struct buf *out, int64_t ms);
void time_add_utc(struct buf *out, int64_t ms);

#endif
