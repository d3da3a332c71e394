/* park.c - held polls in one array that is a heap by due_ms, and a hash from session to place in
 * it. Knows neither what a poll is told nor how. */
#include "core/park.h"

#include <stdlib.h>

struct park {
    struct held *heap;          /* heap[0] is due first */
    uint32_t *slot_of;          /* heap place -> hash slot */
    size_t count, cap;
    uint32_t *slots;            /* hash: heap place + 1, or 0 for free; linear probing */
    size_t slot_count;          /* a power of two, at least twice cap */
};

#define FIRST_CAP 64

struct park *park_new(void)
{
    return calloc(1, sizeof(struct park));
}

void park_free(struct park *p)
{
    if (p == NULL)
        return;
    free(p->heap);
    free(p->slot_of);
    free(p->slots);
    free(p);
}

/* ---- the hash */

static size_t home(const struct park *p, int64_t session)
{
    return (size_t)((uint64_t)session * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (p->slot_count - 1);
}

static size_t after(const struct park *p, size_t slot)
{
    return (slot + 1) & (p->slot_count - 1);
}

static void hash_add(struct park *p, size_t place)
{
    size_t slot = home(p, p->heap[place].session);

    while (p->slots[slot] != 0)
        slot = after(p, slot);
    p->slots[slot] = (uint32_t)place + 1;
    p->slot_of[place] = (uint32_t)slot;
}

/* Free SLOT and close the gap: entries behind it that would no longer be found move up. */
static void hash_remove(struct park *p, size_t slot)
{
    size_t gap = slot;

    for (size_t next = after(p, gap); p->slots[next] != 0; next = after(p, next)) {
        size_t want = home(p, p->heap[p->slots[next] - 1].session);
        bool reachable = gap <= next ? gap < want && want <= next : gap < want || want <= next;
        if (reachable)
            continue;
        p->slots[gap] = p->slots[next];
        p->slot_of[p->slots[gap] - 1] = (uint32_t)gap;
        gap = next;
    }
    p->slots[gap] = 0;
}

/* SESSION's place in the heap, or count when it has none. */
static size_t find(const struct park *p, int64_t session)
{
    if (p->count == 0)
        return 0;
    for (size_t slot = home(p, session); p->slots[slot] != 0; slot = after(p, slot))
        if (p->heap[p->slots[slot] - 1].session == session)
            return p->slots[slot] - 1;
    return p->count;
}

/* ---- the heap */

static void swap(struct park *p, size_t a, size_t b)
{
    struct held held = p->heap[a];
    uint32_t slot = p->slot_of[a];

    p->heap[a] = p->heap[b];
    p->slot_of[a] = p->slot_of[b];
    p->heap[b] = held;
    p->slot_of[b] = slot;
    p->slots[p->slot_of[a]] = (uint32_t)a + 1;
    p->slots[p->slot_of[b]] = (uint32_t)b + 1;
}

static void rise(struct park *p, size_t place)
{
    while (place > 0 && p->heap[place].due_ms < p->heap[(place - 1) / 2].due_ms) {
        swap(p, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static void sink(struct park *p, size_t place)
{
    for (;;) {
        size_t least = place, left = 2 * place + 1;
        for (size_t child = left; child <= left + 1 && child < p->count; child++)
            if (p->heap[child].due_ms < p->heap[least].due_ms)
                least = child;
        if (least == place)
            return;
        swap(p, place, least);
        place = least;
    }
}

/* ---- both together */

static bool grow(struct park *p)
{
    size_t cap = p->cap != 0 ? p->cap * 2 : FIRST_CAP;
    struct held *heap = realloc(p->heap, cap * sizeof *heap);
    if (heap != NULL)
        p->heap = heap;
    uint32_t *slot_of = realloc(p->slot_of, cap * sizeof *slot_of);
    if (slot_of != NULL)
        p->slot_of = slot_of;
    uint32_t *slots = calloc(2 * cap, sizeof *slots);
    if (heap == NULL || slot_of == NULL || slots == NULL) {
        free(slots);
        return false;
    }
    free(p->slots);
    p->slots = slots;
    p->slot_count = 2 * cap;
    p->cap = cap;
    for (size_t place = 0; place < p->count; place++)
        hash_add(p, place);
    return true;
}

bool park_add(struct park *p, const struct held *h)
{
    if (p->count == p->cap && !grow(p))
        return false;
    p->heap[p->count] = *h;
    hash_add(p, p->count);
    rise(p, p->count++);
    return true;
}

static void take_out(struct park *p, size_t place, struct held *out)
{
    size_t last = p->count - 1;

    *out = p->heap[place];
    if (place != last)
        swap(p, place, last);
    hash_remove(p, p->slot_of[last]);
    p->count--;
    if (place != last) {
        rise(p, place);
        sink(p, place);
    }
}

bool park_take(struct park *p, int64_t session, struct held *out)
{
    size_t place = find(p, session);

    if (place == p->count)
        return false;
    take_out(p, place, out);
    return true;
}

/* The place of SESSION's poll on the descriptor FD, or of one (FD -1) whose answer is not begun;
 * p->count when there is none. */
static size_t find_one(const struct park *p, int64_t session, int fd)
{
    if (p->count == 0)
        return 0;
    for (size_t slot = home(p, session); p->slots[slot] != 0; slot = after(p, slot)) {
        const struct held *h = &p->heap[p->slots[slot] - 1];
        if (h->session == session && (fd == -1 ? !h->begun : h->conn.fd == fd))
            return p->slots[slot] - 1;
    }
    return p->count;
}

bool park_take_fd(struct park *p, int64_t session, int fd, struct held *out)
{
    size_t place = find_one(p, session, fd);

    if (place == p->count)
        return false;
    take_out(p, place, out);
    return true;
}

bool park_unbegun(const struct park *p, int64_t session, struct held *out)
{
    size_t place = find_one(p, session, -1);

    if (place == p->count)
        return false;
    *out = p->heap[place];
    return true;
}

void park_begun(struct park *p, int64_t session, int fd)
{
    size_t place = find_one(p, session, fd);

    if (place != p->count)
        p->heap[place].begun = true;
}

bool park_peek(const struct park *p, int64_t session, struct held *out)
{
    size_t place = find(p, session);

    if (place == p->count)
        return false;
    *out = p->heap[place];
    return true;
}

bool park_has(const struct park *p, int64_t session)
{
    return find(p, session) != p->count;
}

int64_t park_deadline(const struct park *p)
{
    return p->count != 0 ? p->heap[0].due_ms : INT64_MAX;
}

bool park_due(const struct park *p, int64_t now, int64_t *session)
{
    if (p->count == 0 || p->heap[0].due_ms > now)
        return false;
    *session = p->heap[0].session;
    return true;
}

void park_put_off(struct park *p, int64_t session, int64_t due_ms)
{
    if (p->count == 0)
        return;
    /* Places in the heap change on the way, slots of the hash do not. */
    for (size_t slot = home(p, session); p->slots[slot] != 0; slot = after(p, slot)) {
        size_t place = p->slots[slot] - 1;
        if (p->heap[place].session != session)
            continue;
        p->heap[place].due_ms = due_ms;
        rise(p, place);
        sink(p, p->slots[slot] - 1);
    }
}

bool park_any(const struct park *p, int64_t *session)
{
    return park_due(p, INT64_MAX, session);
}

size_t park_count(const struct park *p)
{
    return p->count;
}
