/* waking.c - whoever stored something for a session says so, and the process that holds its poll
 * looks.
 *
 *     store_wake(session)
 *       │
 *       ├ held here ──────▶ the list of this turn: store_woken()
 *       ├ held elsewhere ─▶ engine_notify(), which is part of the transaction
 *       └ by nobody ──────▶ nothing: its next poll finds what there is
 *
 *     the commit ─▶ the engine tells the others ─▶ their store_watch() is readable
 *                ─▶ store_news() asks it whom they have woken ─▶ store_woken()
 */
#include "store/work.h"

#include <stdlib.h>

#define NEWS_BATCH 256

static void wake_here(struct store *s, int64_t session)
{
    struct woken *w = &s->woken;

    if (w->count == w->cap) {
        size_t cap = w->cap != 0 ? w->cap * 2 : 64;
        int64_t *list = realloc(w->list, cap * sizeof *list);
        if (list == NULL) {
            store_no_memory(s, "remember whom to wake");
            return;
        }
        w->list = list;
        w->cap = cap;
    }
    w->list[w->count++] = session;
}

void store_wake_others(struct store *s, int64_t session)
{
    if (store_begin(s))
        engine_notify(s->engine, session);
}

void store_wake(struct store *s, int64_t session)
{
    const struct session *object = session != 0 ? store_session_by_id(s, session) : NULL;
    int64_t holder = object != NULL ? store_holder(object) : 0;

    if (holder == 0)
        return;
    if (engine_is_self(s->engine, holder))
        wake_here(s, session);
    else
        store_wake_others(s, session);
}

bool store_woken(struct store *s, int64_t *session)
{
    if (s->woken.next == s->woken.count) {
        store_forget_woken(s);
        return false;
    }
    *session = s->woken.list[s->woken.next++];
    return true;
}

void store_forget_woken(struct store *s)
{
    s->woken.next = s->woken.count = 0;
}

void store_release_woken(struct store *s)
{
    free(s->woken.list);
}

int store_watch(struct store *s)
{
    return engine_watch(s->engine);
}

int store_news(struct store *s)
{
    int64_t sessions[NEWS_BATCH];
    size_t count;

    do {
        if (engine_news(s->engine, sessions, NEWS_BATCH, &count) == -1)
            return -1;
        for (size_t i = 0; i < count; i++)
            wake_here(s, sessions[i]);
    } while (count == NEWS_BATCH);
    return 0;
}
