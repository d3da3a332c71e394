/* channels.c - channels and their members, as they were last read, for as long as nobody stores
 * anything else. */
#include "store/work.h"

#include <stdlib.h>

#include "base/hash.h"

/* ---- lists of members */

void members_release(struct members *m)
{
    free(m->list);
    *m = (struct members){ 0 };
}

bool members_add(struct members *m, const struct member *member)
{
    if (m->count == m->cap) {
        size_t cap = m->cap != 0 ? m->cap * 2 : 8;
        struct member *list = realloc(m->list, cap * sizeof *list);
        if (list == NULL)
            return false;
        m->list = list;
        m->cap = cap;
    }
    m->list[m->count++] = *member;
    return true;
}

/* False: the store has failed. */
static bool add_member(struct store *s, struct members *m, const struct member *member)
{
    if (members_add(m, member))
        return true;
    store_no_memory(s, "list a channel's members");
    return false;
}

/* ---- channels as they were last read */

static struct known_channel *place_of(struct store *s, int64_t channel)
{
    return &s->known.list[(uint64_t)channel % KNOWN_MOST];
}

static struct known_channel *find_known(struct store *s, int64_t channel)
{
    struct known_channel *k = place_of(s, channel);

    return k->id == channel && k->epoch == s->known.epoch ? k : NULL;
}

static size_t place_of_name(struct span nsp, struct span name)
{
    return hash_on(hash_on(HASH_BASIS, nsp), name) % KNOWN_MOST;
}

static bool is_named(const struct known_channel *k, struct span nsp, struct span name)
{
    return k->key_len == nsp.len + 1 + name.len && memcmp(k->key, nsp.p, nsp.len) == 0
           && k->key[nsp.len] == '\0'
           && memcmp(k->key + nsp.len + 1, name.p, name.len) == 0;
}

static struct known_channel *find_named(struct store *s, struct span nsp, struct span name)
{
    struct known_channel *k = find_known(s, s->known.named[place_of_name(nsp, name)]);

    return k != NULL && k->id != 0 && is_named(k, nsp, name) ? k : NULL;
}

/* CHANNEL has this name. Without memory it is read again the next time. */
static void keep_known(struct store *s, int64_t channel, struct span nsp, struct span name)
{
    struct known_channel *k = place_of(s, channel);
    size_t len = nsp.len + 1 + name.len;

    k->id = 0;
    if (len > k->key_cap) {
        char *key = realloc(k->key, len);
        if (key == NULL)
            return;
        k->key = key;
        k->key_cap = len;
    }
    memcpy(k->key, nsp.p, nsp.len);
    k->key[nsp.len] = '\0';
    memcpy(k->key + nsp.len + 1, name.p, name.len);
    k->key_len = len;
    k->id = channel;
    k->epoch = s->known.epoch;
    k->listed = false;
    s->known.named[place_of_name(nsp, name)] = channel;
}

/* Who is in CHANNEL changes. */
static void forget_known(struct store *s, int64_t channel)
{
    struct known_channel *k = find_known(s, channel);

    if (k == NULL)
        return;
    k->id = 0;
    k->listed = false;
}

void store_unlist(struct store *s, int64_t socket)
{
    struct channel channel = { .id = 0 };

    while (engine_channel_of(s->engine, socket, channel.id, &channel))
        forget_known(s, channel.id);
}

void store_release_known(struct store *s)
{
    for (size_t i = 0; i < KNOWN_MOST; i++) {
        free(s->known.list[i].key);
        members_release(&s->known.list[i].members);
    }
}

/* ---- channels */

int64_t store_channel(struct store *s, struct span nsp, struct span name)
{
    if (!store_begin(s))
        return 0;
    const struct known_channel *k = find_named(s, nsp, name);
    if (k != NULL)
        return k->id;
    int64_t id = engine_channel(s->engine, nsp, name);
    if (id != 0)
        keep_known(s, id, nsp, name);
    return id;
}

int64_t store_channel_open(struct store *s, struct span nsp, struct span name, int64_t now)
{
    return store_begin(s) ? engine_add_channel(s->engine, nsp, name, now) : 0;
}

bool store_channel_of(struct store *s, int64_t socket, int64_t *after, struct channel *out)
{
    if (!store_begin(s) || !engine_channel_of(s->engine, socket, *after, out))
        return false;
    *after = out->id;
    return true;
}

void store_join(struct store *s, int64_t channel, int64_t socket, const char *role, int64_t now)
{
    if (!store_begin(s))
        return;
    engine_add_member(s->engine, channel, socket, role, now);
    forget_known(s, channel);
}

void store_part(struct store *s, int64_t channel, int64_t socket)
{
    if (!store_begin(s))
        return;
    engine_drop_member(s->engine, channel, socket);
    forget_known(s, channel);
}

/* ---- members */

/* The members of CHANNEL, in the order of their joining. */
static const struct members *members_of(struct store *s, int64_t channel)
{
    struct known_channel *k = find_known(s, channel);

    if (k == NULL) {
        k = place_of(s, channel);       /* without a name until somebody asks for it */
        k->id = channel;
        k->epoch = s->known.epoch;
        k->listed = false;
        k->key_len = 0;
    }
    if (!k->listed) {
        engine_members(s->engine, channel, &k->members);
        k->listed = !s->failure.failed;
    }
    return &k->members;
}

static bool is_listed(const struct members *m, int64_t socket)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].socket == socket)
            return true;
    return false;
}

bool store_is_member(struct store *s, int64_t channel, int64_t socket)
{
    return store_begin(s) && is_listed(members_of(s, channel), socket);
}

void store_members(struct store *s, int64_t channel, struct members *m)
{
    m->count = 0;
    if (!store_begin(s))
        return;
    const struct members *all = members_of(s, channel);
    for (size_t i = 0; i < all->count && add_member(s, m, &all->list[i]); i++)
        ;
}

void store_peers(struct store *s, int64_t socket, struct members *m)
{
    struct channel channel;
    int64_t after = 0;

    m->count = 0;
    while (store_channel_of(s, socket, &after, &channel)) {
        const struct members *all = members_of(s, channel.id);
        for (size_t i = 0; i < all->count; i++) {
            if (all->list[i].socket == socket || is_listed(m, all->list[i].socket))
                continue;
            if (!add_member(s, m, &all->list[i]))
                return;
        }
    }
}
