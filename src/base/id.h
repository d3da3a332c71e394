/* id.h - identifiers that nobody can guess. */
#ifndef POLLUX_BASE_ID_H
#define POLLUX_BASE_ID_H

#include <stdbool.h>

#define ID_LEN 20                       /* characters; 15 random bytes as base64url */

/* Write a fresh identifier and a NUL to OUT, from the kernel's cryptographic
 * source. 0, or -1 with errno when the kernel gives none. */
int id_make(char out[ID_LEN + 1]);

/* Does TEXT (with its NUL) look like one, whether or not it ever was? */
bool id_is(const char *text);

#endif
