/* session.c - sessions, their queues and their ends; see session.h. */
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packet *packet_new(size_t cap)
{
    struct packet *p = xrealloc(NULL, sizeof *p + cap);
    p->next = NULL;
    p->len = 0;
    return p;
}

void packet_add(struct packet *p, const char *data, size_t n)
{
    memcpy(p->data + p->len, data, n);
    p->len += n;
}

void session_queue(struct session *s, struct packet *p)
{
    *s->q_tail = p;
    s->q_tail = &p->next;
}

struct packet *session_unqueue(struct session *s)
{
    struct packet *p = s->q_head;
    s->q_head = p->next;
    if (!s->q_head)
        s->q_tail = &s->q_head;
    return p;
}

void session_shut(struct session *s)
{
    if (s->st == S_CLOSING)
        g.closing--;
    s->st = S_DEAD;
    conn_close(&s->poll);
    conn_close(&s->post);
    s->poll.busy = s->post.busy = false;
    while (s->q_head)
        free(session_unqueue(s));
}

void session_settle(struct session *s)
{
    if (s->settled)
        return;
    s->settled = true;
    g.ramp_settled++;
    g.ramp_ready += s->ready;
}

void session_ready(struct session *s)
{
    if (s->ready)
        return;
    s->ready = true;
    session_settle(s);
}

static void pair_break(struct pair *p)
{
    if (p->broken)
        return;
    p->broken = true;
    st.pairs_broken++;
    for (int i = 0; i < 2; i++) {       /* a partner that waits, waits for nothing */
        struct session *s = p->side[i];
        if (!s->ready) {
            if (s->st != S_DEAD)
                session_shut(s);
            if (!s->failed)
                st.abandoned++;
            session_settle(s);
        }
    }
}

static void count_reason(const char *text)
{
    int i = 0;
    while (i < st.nreasons && strcmp(st.reason[i].text, text) != 0)
        i++;
    if (i == st.nreasons) {
        if (i == MAX_REASONS)
            return;
        st.nreasons++;
        snprintf(st.reason[i].text, sizeof st.reason[i].text, "%s", text);
        say("session failed: %s", text);
    }
    st.reason[i].n++;
}

void session_fail(struct session *s, enum fail_kind kind, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    if (s->st == S_DEAD)
        return;
    if (s->st == S_CLOSING || g.phase >= PH_CLOSE) {    /* it was leaving anyway */
        session_shut(s);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    count_reason(text);
    s->failed = true;
    st.failed++;
    st.failed_kind[kind]++;
    if (s->role == R_IDLE) {
        st.failed_idle++;
        st.failed_idle_kind[kind]++;
    }
    session_shut(s);
    session_settle(s);
    if (s->pair)
        pair_break(s->pair);
}

/* "poll: HTTP 400 <start of the body>" */
void fail_status(struct conn *c)
{
    char text[64];
    size_t n = c->r.body_len < sizeof text - 1 ? c->r.body_len : sizeof text - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)resp_body(&c->r)[i];
        text[i] = ch < 32 || ch > 126 ? ' ' : (char)ch;
    }
    text[n] = 0;
    session_fail(c->s, F_HTTP, "%s: HTTP %d %s", c->is_poll ? "poll" : "post", c->r.status, text);
}
