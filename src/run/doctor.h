/* doctor.h - what stands in the way of serving here, or will: a look at the settings, the store,
 * the program's file and user, limits and the clock. Writes nothing. */
#ifndef POLLUX_RUN_DOCTOR_H
#define POLLUX_RUN_DOCTOR_H

#include "base/settings.h"

/* Print a line for each finding to standard output, with what to do below it. SET was read, or is
 * not to be looked at and WRONG says what is wrong with it. Returns the exit status: 0 when
 * nothing stands in the way. */
int doctor(struct settings *set, const char *wrong);

#endif
