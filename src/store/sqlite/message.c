/* message.c - the log of what was said, and what becomes of it once it was heard. What is owed
 * to whom stands in delivery.c. */
#include "store/sqlite/engine.h"

#include <stdlib.h>

#include "store/sqlite/mask.h"

/* ---- storing */

static void put_optional_text(struct db_query *q, int i, struct span text)
{
    if (text.len != 0)
        db_put_text(q, i, text);
    else
        db_put_null(q, i);
}

/* Keep what M says for those who hear it in this turn. */
static void keep_words(struct store *s, const struct message *m)
{
    if (s->said_count == s->said_cap) {
        size_t cap = s->said_cap != 0 ? s->said_cap * 2 : 64;
        struct said_message *said = realloc(s->said, cap * sizeof *said);
        if (said == NULL) {
            store_no_memory(s);
            return;
        }
        s->said = said;
        s->said_cap = cap;
    }
    s->said[s->said_count++] = (struct said_message){ m->type, m->attachments, s->words.len,
                                                      m->ack_id.len, m->body.len, m->attached.len };
    buf_add_span(&s->words, m->ack_id);
    buf_add_span(&s->words, m->body);
    buf_add_span(&s->words, m->attached);
    if (!buf_ok(&s->words))
        store_no_memory(s);
}

/* What of M, which nobody is to hear, is kept: nothing, or its body without addresses, in s->scratch
 * for the time being. What somebody is to hear is kept until it was heard; see store_settle(). */
static struct span reduced(struct store *s, const struct message *m)
{
    buf_clear(&s->scratch);
    if (s->set->keep_payloads)
        mask_addresses(&s->scratch, m->body);
    if (!buf_ok(&s->scratch))
        store_no_memory(s);
    return buf_span(&s->scratch);
}

int64_t store_message(struct store *s, const struct message *m, int64_t now)
{
    bool whole = m->recipients != 0 || (s->set->keep_payloads && s->set->keep_addresses);
    struct span body = m->body, attached = m->attached;

    if (!store_begin(s))
        return 0;
    if (!whole) {
        body = reduced(s, m);
        attached = (struct span){ NULL, 0 };
    }
    struct db_query *q = db_query(s->db, Q_message_insert);
    db_put_int(q, 1, now);
    db_put_int(q, 2, m->type);
    store_put_id(q, 3, m->sender);
    put_optional_text(q, 4, m->channel);
    db_put_text(q, 5, m->name);
    db_put_text(q, 6, m->ack_id);
    put_optional_text(q, 7, body);
    put_optional_text(q, 8, attached);
    db_put_int(q, 9, m->attachments);
    db_put_int(q, 10, (int64_t)(m->body.len + m->attached.len));
    db_put_int(q, 11, (int64_t)m->recipients);
    store_check(s, db_run(q), "store a message");
    keep_words(s, m);
    s->said_since++;
    return s->failed ? 0 : db_last_id(s->db);
}

/* ---- having been heard */

void store_settle(struct store *s, int64_t seq)
{
    if (s->set->keep_payloads && s->set->keep_addresses)
        return;
    struct db_query *q = db_query(s->db, Q_message_heard);
    bool last = false;

    db_put_int(q, 1, seq);
    buf_clear(&s->scratch);
    if (db_next(q) == DB_ROW) {
        last = db_int(q, 0) <= 0;
        if (last && s->set->keep_payloads)
            mask_addresses(&s->scratch, db_text(q, 1));
        if (!buf_ok(&s->scratch))
            store_no_memory(s);
    }
    store_check(s, db_done(q), "settle a message");
    if (!last || s->failed)
        return;
    q = db_query(s->db, Q_message_reduce);
    db_put_int(q, 1, seq);
    put_optional_text(q, 2, buf_span(&s->scratch));
    store_check(s, db_run(q), "blank a message");
}

#define SETTLE_BATCH 64

void store_settle_all(struct store *s, int64_t socket, int64_t session, int64_t offset)
{
    int64_t seqs[SETTLE_BATCH], after = 0;
    size_t count;

    if (s->set->keep_payloads && s->set->keep_addresses)
        return;
    do {
        struct db_query *q = db_query(s->db, Q_delivery_settling);
        db_put_int(q, 1, socket);
        store_put_id(q, 2, session);
        store_put_id(q, 3, offset);
        db_put_int(q, 4, after);
        db_put_int(q, 5, SETTLE_BATCH);
        for (count = 0; count < SETTLE_BATCH && db_next(q) == DB_ROW; count++) {
            after = db_int(q, 0);
            seqs[count] = db_int(q, 1);
        }
        store_check(s, db_done(q), "settle deliveries");
        for (size_t i = 0; i < count && !s->failed; i++)
            store_settle(s, seqs[i]);
    } while (count == SETTLE_BATCH && !s->failed);
}

