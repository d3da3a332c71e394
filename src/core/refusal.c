/* refusal.c - the sentences, a row a code. */
#include "core/refusal.h"

#include <stdio.h>

#include "wire/eio.h"
#include "wire/http.h"

#define RETRY_S 5

static const struct {
    enum log_code code;
    const char *why;
} rows[] = {
    { P002, "its settings are refused" },
    { P003, "its store cannot be used" },
    { P004, "its store lies where the web server shows it to everybody" },
    { P005, "it lacks memory or descriptors" },
    { P007, "its store is a newer version's" },
};

void refusal_write(struct buf *out, enum log_code code)
{
    char body[EIO_ERROR_MAX], sentence[200];
    size_t i = 0;

    while (i < sizeof rows / sizeof rows[0] - 1 && rows[i].code != code)
        i++;
    snprintf(sentence, sizeof sentence,
             "Service unavailable: the signaling server cannot serve, since %s; the operator finds "
             "more in the web server's error log under %s",
             rows[i].why, log_entry(code)->code);
    struct http_answer a = { .status = 503,
                             .type = "application/json",
                             .body = eio_error_body(body, EIO_FORBIDDEN, sentence),
                             .retry_after_s = RETRY_S };
    http_write(out, &a);
}
