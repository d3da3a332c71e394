/* waiting.c - who is at the door: newcomers that wait for a roll call, and those that lost their
 * place in a channel while they were away. */
#include "store/work.h"

/* ---- who lost its place while it was away */

void store_former_add(struct store *s, int64_t socket, struct span channel)
{
    if (store_begin(s))
        engine_add_former(s->engine, socket, channel);
}

bool store_former_take(struct store *s, int64_t socket, char *name, size_t cap)
{
    return store_begin(s) && engine_take_former(s->engine, socket, name, cap);
}

/* ---- who asks to get in */

void store_ask(struct store *s, struct span channel, int64_t socket, int64_t due_ms)
{
    if (store_begin(s))
        engine_add_asking(s->engine, channel, socket, due_ms);
}

bool store_asked(struct store *s, int64_t after, struct asking *out)
{
    if (s->failure.failed || !engine_asking(s->engine, after, out))
        return false;
    /* Seen from outside of a transaction, another process may be answering it: look again. */
    return s->begun || (store_begin(s) && engine_asking(s->engine, after, out));
}

void store_ask_end(struct store *s, int64_t id)
{
    if (store_begin(s))
        engine_drop_asking(s->engine, id);
}

void store_ask_end_socket(struct store *s, int64_t socket)
{
    if (store_begin(s))
        engine_drop_asking_of(s->engine, socket);
}

bool store_is_asking(struct store *s, struct span channel, int64_t socket)
{
    return store_begin(s) && engine_is_asking(s->engine, channel, socket);
}

void store_count_asking(struct store *s, struct span channel, int64_t socket, size_t *here,
                        size_t *own)
{
    *here = *own = 0;
    if (store_begin(s))
        engine_count_asking(s->engine, channel, socket, here, own);
}
