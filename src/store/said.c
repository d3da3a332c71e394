/* said.c - messages: what was said in this turn, for those who hear it in the same turn; and what
 * becomes of a message once it was heard. What is owed to whom stands in queues.c. */
#include "store/work.h"

#include <stdlib.h>

#include "store/mask.h"

#define WORDS_KEPT (1 << 20)            /* bytes of room for what a turn's messages say */

/* ---- storing */

/* Keep what M says for those who hear it in this turn. */
static void keep_words(struct store *s, const struct message *m)
{
    struct said *said = &s->said;

    if (said->count == said->cap) {
        size_t cap = said->cap != 0 ? said->cap * 2 : 64;
        struct said_message *list = realloc(said->list, cap * sizeof *list);
        if (list == NULL) {
            store_no_memory(s, "keep a message for those who hear it");
            return;
        }
        said->list = list;
        said->cap = cap;
    }
    said->list[said->count++] = (struct said_message){ m->type, m->attachments, said->words.len,
                                                       m->ack_id.len, m->body.len,
                                                       m->attached.len };
    buf_add_span(&said->words, m->ack_id);
    buf_add_span(&said->words, m->body);
    buf_add_span(&said->words, m->attached);
    if (!buf_ok(&said->words))
        store_no_memory(s, "keep a message for those who hear it");
}

bool store_keeps_all(const struct store *s)
{
    return s->set->keep_payloads && s->set->keep_addresses;
}

struct span store_reduced(struct store *s, struct span body)
{
    buf_clear(&s->said.scratch);
    if (s->set->keep_payloads)
        mask_addresses(&s->said.scratch, body);
    if (!buf_ok(&s->said.scratch))
        store_no_memory(s, "mask addresses");
    return buf_span(&s->said.scratch);
}

/* What somebody is to hear is kept until it was heard; see store_settle(). */
static struct kept kept_of(struct store *s, const struct message *m)
{
    if (m->recipients != 0 || store_keeps_all(s))
        return (struct kept){ m->body, m->attached };
    return (struct kept){ .body = store_reduced(s, m->body) };
}

int64_t store_message(struct store *s, const struct message *m, int64_t now)
{
    if (!store_begin(s))
        return 0;
    int64_t seq = engine_add_message(s->engine, m, kept_of(s, m), now);
    keep_words(s, m);
    return s->failure.failed ? 0 : seq;
}

void store_said_over(struct store *s)
{
    s->said.count = 0;
    if (s->said.words.cap > WORDS_KEPT)
        buf_release(&s->said.words);
    buf_clear(&s->said.words);
}

/* ---- having been heard */

void store_settle(struct store *s, int64_t seq)
{
    struct buf *body = &s->said.heard;

    if (store_keeps_all(s))
        return;
    buf_clear(body);
    if (!engine_hear_message(s->engine, seq, body))
        return;
    if (!buf_ok(body))
        store_no_memory(s, "settle a message");
    engine_reduce_message(s->engine, seq, store_reduced(s, buf_span(body)));
}

#define SETTLE_BATCH 64

void store_settle_all(struct store *s, const struct arriving *a)
{
    int64_t seqs[SETTLE_BATCH], after = 0;
    size_t count;

    if (store_keeps_all(s))
        return;
    do {
        count = engine_arriving(s->engine, a, &after, seqs, SETTLE_BATCH);
        for (size_t i = 0; i < count && !s->failure.failed; i++)
            store_settle(s, seqs[i]);
    } while (count == SETTLE_BATCH && !s->failure.failed);
}
