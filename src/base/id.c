/* id.c - 120 random bits as 20 characters. Keeps nothing: a forked process has
 * no state in common with its parent. */
#include "base/id.h"

#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#define ID_BYTES 15

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool id_is(const char *text)
{
    return strlen(text) == ID_LEN && strspn(text, alphabet) == ID_LEN;
}

int id_make(char out[ID_LEN + 1])
{
    unsigned char raw[ID_BYTES];

    /* Up to 256 bytes come whole or not at all (getrandom(2)). */
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        return -1;
    for (int i = 0, o = 0; i < ID_BYTES; i += 3) {
        unsigned three = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            out[o++] = alphabet[three >> shift & 63];
    }
    out[ID_LEN] = '\0';
    explicit_bzero(raw, sizeof raw);
    return 0;
}
