/* hold.c - who holds a session's poll. Holders are numbers, which the engine gives; whether one
 * lives it alone can tell.
 *
 * The life of a poll:
 *
 *     comes ──▶ HERE ───────── answered ───────────────────────▶ NOBODY
 *                │ the process dies              ▲
 *                ▼                               │ the other answers
 *              LOST ── comes again here ─▶ HERE ─┘
 *
 *     seen from the other processes: HERE is ELSEWHERE
 *
 * A poll that comes again to another process (a proxy asked twice, or the client's connection was
 * lost) while the first still has it is a twin: both hold it, since nobody knows which of the two
 * the client waits for. The one that it came to last is the holder; who answers wakes the other,
 * which then answers the same.
 */
#include "store/work.h"

int64_t store_holder(const struct session *session)
{
    return ((const struct entry *)session)->holder;
}

enum hold store_hold(const struct store *s, const struct session *session)
{
    int64_t holder = store_holder(session);

    if (holder == 0)
        return HOLD_NOBODY;
    if (engine_is_self(s->engine, holder))
        return HOLD_HERE;
    return engine_lives(s->engine, holder) ? HOLD_ELSEWHERE : HOLD_LOST;
}

void store_hold_here(struct store *s, struct session *session)
{
    int64_t self = store_begin(s) ? engine_hold(s->engine) : 0;

    if (self == 0)
        return;
    store_entry(session)->holder = self;
    session->changed = true;
}

void store_hold_over(struct session *session)
{
    store_entry(session)->holder = 0;
    session->changed = true;
}

void store_count_me(struct store *s)
{
    if (!engine_counts(s->engine) && store_begin(s))
        engine_hold(s->engine);
}

int64_t store_polls(struct store *s, void (*see)(void *arg, const struct poll *p), void *arg)
{
    struct cursor *c = engine_polls(s->engine);
    struct poll poll;

    while (engine_next_poll(s->engine, c, &poll))
        see(arg, &poll);
    engine_end_load(s->engine, c, "see which polls wait");
    return engine_holders(s->engine);
}
