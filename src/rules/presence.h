/* presence.h - is somebody there? What speaks for it and against it, and since when; no store, no
 * clock, no wire.
 *
 * A seat is taken from somebody on evidence alone:
 *
 *     its socket is away                   its client closed the session, or answered no heartbeat
 *     its poll's connection has ended      the web server said so, or a probe made it say so
 *
 * and only when a grace has passed since: whoever was cut off for a moment comes back in it. Slow
 * is not gone. A page that sits in a blocking prompt() takes an answer and asks for no other, for
 * minutes; a line may take seconds. So a poll that does not come is no evidence. A held poll of
 * whose end the web server would tell is a sign of life, once the word of an end just then has had
 * the time to come; where it may not tell, the answer is begun (a probe), which makes it look, and
 * for so long nothing is sure.
 */
#ifndef POLLUX_RULES_PRESENCE_H
#define POLLUX_RULES_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

enum presence {
    PRESENCE_HERE,
    PRESENCE_UNSURE,                    /* it may yet prove to be gone */
    PRESENCE_GONE
};

/* The end of a connection that is watched is told within this time. */
#define PRESENCE_TOLD_MS 250

/* What is known of a channel's member. Times are milliseconds since 1970. */
struct signs {
    int64_t ended_ms;                   /* away, or its connection has ended, since; 0: neither */
    int64_t polled_ms;                  /* when its last poll came */
    bool watched;                       /* a poll is held, and its end would be told */
};

/* Is it there at NOW, for somebody who asks since BEGUN_MS and will be told by UNTIL_MS? */
enum presence presence_of(const struct signs *s, int64_t now, int64_t begun_ms, int64_t until_ms,
                          int64_t grace_ms);

#endif
