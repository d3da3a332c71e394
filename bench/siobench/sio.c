/* sio.c - what a Socket.IO client says, and what it makes of what it hears; see sio.h. */
#include "sio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "load.h"
#include "options.h"

#define SEP '\x1e'                      /* between Engine.IO packets of one payload */

static void sio_send_text(struct session *s, const char *text)
{
    struct packet *p = packet_new(strlen(text));
    packet_add(p, text, strlen(text));
    session_queue(s, p);
    sio_flush(s);
}

#define POST_FIELDS "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "

/* Begin a POST with head and a body of len bytes. */
static void post_begin(struct conn *c, const struct buf *head, size_t len)
{
    c->req.len = 0;
    buf_add(&c->req, head->p, head->len);
    buf_room(&c->req, 32);
    c->req.len += put_uint(c->req.p + c->req.len, len);
    buf_add(&c->req, "\r\n\r\n", 4);
    st.posts++;
}

static void post_add(struct conn *c, struct packet *p)
{
    buf_add(&c->req, p->data, p->len);
    free(p);
    st.post_packets++;
}

/* Put together what never changes in this session's requests. */
static void sio_prepare(struct session *s)
{
    for (int i = 0; i < 2; i++) {
        struct buf *h = i == 0 ? &s->poll.head : &s->post.head;
        h->len = 0;
        buf_fmt(h, "%s %s?EIO=4&transport=polling%s%s HTTP/1.1\r\n", i == 0 ? "GET" : "POST",
                opt.path,
                s->sid[0] ? "&sid=" : opt.together ? "&pollux=1" : "", s->sid);
        buf_add(h, g.head.p, g.head.len);
        buf_fmt(h, "%s", i == 0 ? "\r\n" : POST_FIELDS);
    }
    s->both.len = 0;
    buf_fmt(&s->both, "POST %s?EIO=4&transport=polling&wait=true&sid=%s HTTP/1.1\r\n", opt.path,
            s->sid);
    buf_add(&s->both, g.head.p, g.head.len);
    buf_fmt(&s->both, POST_FIELDS);
}

static void sio_get(struct session *s)
{
    struct conn *c = &s->poll;
    c->req.len = 0;
    buf_add(&c->req, c->head.p, c->head.len);
    st.polls++;
    conn_request(c);
}

/* POST on C, beginning with HEAD, as many queued packets as the server takes in one payload. */
static void sio_post(struct session *s, struct conn *c, const struct buf *head)
{
    size_t len = 0, n = 0;
    for (struct packet *p = s->q_head; p
         && (n == 0 || len + 1 + p->len <= s->max_payload); p = p->next)
        len += p->len + (n++ > 0);
    post_begin(c, head, len);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add(&c->req, &(char){ SEP }, 1);
        post_add(c, session_unqueue(s));
    }
    conn_request(c);
}

void sio_flush(struct session *s)
{
    if (s->st != S_DEAD && !s->post.busy && s->q_head && s->sid[0] && !s->taking)
        sio_post(s, &s->post, &s->post.head);
}

/* The next poll; with --together it carries what is to be sent. */
static void sio_poll_on(struct session *s)
{
    bool both = opt.together && s->q_head && !s->post.busy && s->st == S_CONNECTED;

    s->taking = false;
    if (both)
        sio_post(s, &s->poll, &s->both);
    else
        sio_get(s);
    sio_flush(s);
}

static void sio_emit_join(struct session *s)
{
    char text[96];
    if (s->side == 1)
        s->pair->join_sent = true;
    snprintf(text, sizeof text, "42[\"create or join\",\"%s-%d\"]", g.nonce, s->pair->id);
    sio_send_text(s, text);
}

/* Engine.IO "open": take the session id and the limits. */
static void sio_on_open(struct session *s, const char *p, const char *end)
{
    uint64_t interval = 25000, timeout = 20000, payload = 1000000;
    struct js_walk w = { p, end, false };
    struct slice k, v;
    int rc;
    if (s->st != S_OPENING) {
        st.warnings++;
        return;
    }
    while ((rc = js_member(&w, &k, &v)) == 1) {
        size_t n = (size_t)(v.end - v.p);
        if (slice_is(k, "sid") && *v.p == '"' && n > 2 && n - 2 < sizeof s->sid) {
            memcpy(s->sid, v.p + 1, n - 2);
            s->sid[n - 2] = 0;
        } else if (slice_is(k, "pingInterval")) {
            js_uint(v, &interval);
        } else if (slice_is(k, "pingTimeout")) {
            js_uint(v, &timeout);
        } else if (slice_is(k, "maxPayload")) {
            js_uint(v, &payload);
        }
    }
    if (rc < 0 || !s->sid[0] || s->sid[strcspn(s->sid, " \\&#?\r\n\t")]) {
        session_fail(s, F_PROTOCOL, "bad Engine.IO handshake");
        return;
    }
    s->ping_limit = (interval + timeout) * MS;
    s->last_ping = now_ns();
    s->max_payload = (size_t)payload;
    s->st = S_CONNECTING;
    sio_prepare(s);
    sio_send_text(s, "40");
}

static void sio_on_connect(struct session *s, const char *p, const char *end)
{
    struct js_walk w = { p, end, false };
    struct slice k, v;
    bool has_sid = false;
    if (s->st != S_CONNECTING) {
        st.warnings++;
        return;
    }
    while (js_member(&w, &k, &v) == 1)
        has_sid |= slice_is(k, "sid");
    if (!has_sid) {
        session_fail(s, F_PROTOCOL, "Socket.IO CONNECT without a sid");
        return;
    }
    s->st = S_CONNECTED;
    if (!s->pair)
        session_ready(s);
    else if (s->side == 0 || s->pair->created)
        sio_emit_join(s);
}

static void sio_on_created(struct session *s)
{
    struct pair *p = s->pair;
    if (s->side != 0 || p->created)
        return;
    p->created = true;
    session_ready(s);
    if (p->side[1]->st == S_CONNECTED)
        sio_emit_join(p->side[1]);
}

static void sio_on_event(struct session *s, const char *p, const char *end)
{
    struct event ev;
    if (!parse_event(p, end, &ev)) {
        session_fail(s, F_PROTOCOL, "malformed EVENT packet");
        return;
    }
    bool message = slice_is(ev.name, "message"), response = slice_is(ev.name, "response");
    if (message || response) {
        load_delivery(s, message ? 0 : 1, ev.has_arg ? ev.arg : (struct slice){ p, p });
    } else if (!s->pair) {
        return;
    } else if (slice_is(ev.name, "created")) {
        sio_on_created(s);
    } else if (slice_is(ev.name, "full")) {
        session_fail(s, F_PROTOCOL, "the channel is full");
    } else if (s->side == 0 && s->pair->join_sent && !s->pair->ready &&
               (slice_is(ev.name, "broadcast: joined") || slice_is(ev.name, "remotePeerJoining") ||
                slice_is(ev.name, "join") || slice_is(ev.name, "ready"))) {
        s->pair->ready = true;
        session_ready(s->pair->side[1]);
    }
}

static void sio_on_packet(struct session *s, const char *p, const char *end)
{
    char type = p < end ? *p : 0, sub = end - p > 1 ? p[1] : 0;
    if (type == '0') {
        sio_on_open(s, p + 1, end);
    } else if (type == '1') {
        session_fail(s, F_CLOSED, "closed by server (Engine.IO close)");
    } else if (type == '2') {
        st.pings++;
        st.pings_window += g.phase == PH_MEASURE;
        s->last_ping = now_ns();
        sio_send_text(s, "3");
    } else if (type == '4' && sub == '2') {
        sio_on_event(s, p + 2, end);
    } else if (type == '4' && sub == '0') {
        sio_on_connect(s, p + 2, end);
    } else if (type == '4' && sub == '1') {
        session_fail(s, F_CLOSED, "closed by server (Socket.IO DISCONNECT)");
    } else if (type == '4' && sub == '4') {
        session_fail(s, F_PROTOCOL, "Socket.IO CONNECT_ERROR");
    } else if (type != '6') {
        st.warnings++;                  /* not a packet this client knows */
    }
}

static void sio_on_poll(struct session *s)
{
    struct conn *c = &s->poll;
    const char *p = resp_body(&c->r), *end = p + c->r.body_len;
    if (s->st == S_CLOSING)
        return;
    if (c->r.status != 200) {
        fail_status(c);
        return;
    }
    s->taking = opt.together;
    while (p <= end && s->st != S_DEAD) {
        const char *sep = memchr(p, SEP, (size_t)(end - p));
        if (!sep)
            sep = end;
        sio_on_packet(s, p, sep);
        p = sep + 1;
    }
    if (s->st == S_OPENING)
        session_fail(s, F_PROTOCOL, "no Engine.IO handshake in the first response");
    else if (s->st != S_DEAD)
        sio_poll_on(s);
}

static void sio_on_post(struct session *s)
{
    struct conn *c = &s->post;
    if (c->r.status != 200) {
        fail_status(c);
        return;
    }
    if (c->r.body_len != 2 || memcmp(resp_body(&c->r), "ok", 2) != 0)
        st.warnings++;
    if (s->q_head)
        sio_flush(s);
    else if (s->st == S_CLOSING)
        session_shut(s);
}

void sio_open(struct session *s)
{
    s->started = true;
    if (s->pair && s->pair->broken) {
        session_settle(s);
        return;
    }
    s->st = S_OPENING;
    sio_prepare(s);
    sio_get(s);
}

void sio_on_response(struct conn *c)
{
    (c->is_poll ? sio_on_poll : sio_on_post)(c->s);
}

void sio_close(struct session *s)
{
    if (s->st != S_CONNECTED) {
        session_shut(s);
        return;
    }
    while (s->q_head)
        free(session_unqueue(s));
    s->st = S_CLOSING;
    g.closing++;
    struct packet *a = packet_new(2), *b = packet_new(1);
    packet_add(a, "41", 2);
    packet_add(b, "1", 1);
    session_queue(s, a);
    session_queue(s, b);
    sio_flush(s);
}
