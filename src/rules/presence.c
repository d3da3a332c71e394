/* presence.c - is somebody there? See presence.h. */
#include "rules/presence.h"

enum presence presence_of(const struct signs *s, int64_t now, int64_t begun_ms, int64_t until_ms,
                          int64_t grace_ms)
{
    if (s->ended_ms != 0)
        return now - s->ended_ms >= grace_ms ? PRESENCE_GONE : PRESENCE_UNSURE;
    if (s->watched && begun_ms + PRESENCE_TOLD_MS < until_ms)
        until_ms = begun_ms + PRESENCE_TOLD_MS;
    return s->polled_ms >= begun_ms || now >= until_ms ? PRESENCE_HERE : PRESENCE_UNSURE;
}
