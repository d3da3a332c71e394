/* places.h - where things are when nobody has said so: the file of settings, and the store. It
 * looks, and makes nothing.
 *
 *     settings   pollux.conf beside the program; pollux.conf in the home of the program's user;
 *                /etc/pollux.conf: the first that is there
 *     store      /var/lib/pollux, if it is there and this user may write in it; else pollux-data
 *                in the home of the program's user
 *
 * The home is the one of the user that the program runs as, by the system's list of users; by HOME
 * where that list does not have it.
 */
#ifndef POLLUX_BASE_PLACES_H
#define POLLUX_BASE_PLACES_H

#include "base/buf.h"

/* Each returns a whole path, to be freed; NULL: there is none, or no memory. */
char *places_config(void);
char *places_home(void);

/* The directory that the program's file is in. */
char *places_program(void);

/* The directory for the store. NULL with a sentence for the operator in WHY. */
char *places_store(struct buf *why);

/* Is PATH, which need not exist, the directory FOLDER or below it? Links are followed. */
bool places_is_below(const char *path, const char *folder);

#endif
