/* half.c - the requests of which only a part has come. There are few, so they are looked through
 * one by one: once when a part brings its variables, or 64 KB more, and some times a second for
 * those that are late. */
#include "host/half.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define STEP_BITS 16                    /* a visitor's bytes are added up once for each 64 KB */

void halves_init(struct halves *all, size_t body_max, int64_t whole_ms)
{
    size_t least = (size_t)HALF_SHARE * 2 * (body_max + RECORD_HEAD_MAX);

    *all = (struct halves){ .body_max = body_max, .whole_ms = whole_ms };
    all->bytes_max = least > HALF_BYTES_MAX ? least : (size_t)HALF_BYTES_MAX;
}

int halves_add(struct halves *all, struct records *in, int fd, bool kept, int64_t now)
{
    int slot = 0;

    while (slot < HALF_MAX && all->slot[slot] != NULL)
        slot++;
    struct half *half = slot < HALF_MAX ? calloc(1, sizeof *half) : NULL;
    if (half == NULL)
        return -1;
    if (records_at_rest(in)) {
        records_init(&half->in, all->body_max);
    } else {
        half->in = *in;
        records_shrink(&half->in);
        records_init(in, all->body_max);
    }
    half->fd = fd;
    half->kept = kept;
    half->begun_ms = now;
    all->slot[slot] = half;
    all->count++;
    return slot;
}

/* A visitor has whole networks of IPv6 addresses. */
static void set_visitor(struct half *half, struct span address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char six[16];

    half->admitted = true;
    if (!span_copy(address, text, sizeof text))
        return;
    if (inet_pton(AF_INET, text, half->visitor) == 1)
        half->visitor[15] = 4;
    else if (inet_pton(AF_INET6, text, six) == 1)
        memcpy(half->visitor, six, 7);
}

/* Have those of HALF's visitor their share of room? */
static bool has_room(const struct halves *all, const struct half *half)
{
    size_t count = 0, bytes = 0;

    for (int i = 0; i < HALF_MAX; i++) {
        const struct half *other = all->slot[i];
        if (other == NULL || !other->admitted
            || memcmp(other->visitor, half->visitor, sizeof half->visitor) != 0)
            continue;
        count++;
        bytes += other->bytes;
    }
    return count <= HALF_MAX / HALF_SHARE && bytes <= all->bytes_max / HALF_SHARE;
}

bool halves_grown(struct halves *all, int slot, struct span address)
{
    struct half *half = all->slot[slot];
    size_t before = half->bytes;
    bool first = half->in.head_whole && !half->admitted;

    half->bytes = half->in.head.len + half->in.body.len;
    all->bytes += half->bytes - before;
    if (first)
        set_visitor(half, address);
    if (all->bytes > all->bytes_max)
        return false;
    return !half->admitted || (!first && before >> STEP_BITS == half->bytes >> STEP_BITS)
           || has_room(all, half);
}

int halves_late(const struct halves *all, int64_t now)
{
    for (int i = 0; i < HALF_MAX && all->count != 0; i++) {
        const struct half *half = all->slot[i];
        if (half == NULL)
            continue;
        int64_t limit = all->whole_ms;
        if (!half->in.head_whole && limit > HALF_HEAD_MS)
            limit = HALF_HEAD_MS;
        if (now - half->begun_ms >= limit)
            return i;
    }
    return -1;
}

void halves_take(struct halves *all, int slot, struct records *in)
{
    struct half *half = all->slot[slot];

    records_release(in);
    *in = half->in;
    all->bytes -= half->bytes;
    all->count--;
    all->slot[slot] = NULL;
    free(half);
}

void halves_drop(struct halves *all, int slot)
{
    struct records in;

    records_init(&in, all->body_max);
    halves_take(all, slot, &in);
    records_release(&in);
}

void halves_release(struct halves *all)
{
    for (int i = 0; i < HALF_MAX; i++)
        if (all->slot[i] != NULL)
            halves_drop(all, i);
}
