/* load.c - the kinds of load; see load.h. */
#include "load.h"

#include <math.h>
#include <string.h>

#include "message.h"
#include "options.h"
#include "sio.h"

#define MAX_BURST 256                   /* paced sends before answers are looked at */

/* Mark a sequence number as delivered; false if it was already. */
static bool stream_mark(struct stream *x, uint64_t seq)
{
    size_t byte = seq >> 3;
    uint8_t bit = (uint8_t)(1u << (seq & 7));
    if (byte >= x->seen_cap) {
        size_t cap = x->seen_cap ? x->seen_cap * 2 : 64;
        while (cap <= byte)
            cap *= 2;
        x->seen = xrealloc(x->seen, cap);
        memset(x->seen + x->seen_cap, 0, cap - x->seen_cap);
        x->seen_cap = cap;
    }
    if (x->seen[byte] & bit)
        return false;
    x->seen[byte] |= bit;
    return true;
}

/* Send one message; t is its (intended) time since the start of the run. */
static void send_hop(struct pair *p, int dir, uint64_t t)
{
    struct session *s = p->side[dir];
    struct packet *pk = packet_new((size_t)opt.size + 160);
    uint64_t seq = ++p->stream[dir].sent;
    st.sent++;
    packet_add(pk, p->emit[dir], strlen(p->emit[dir]));
    message_add(pk, (uint64_t)p->id, (uint64_t)dir, seq, t);
    packet_add(pk, "}]", 2);
    session_queue(s, pk);
    sio_flush(s);
}

static void count_hop(uint64_t now, uint64_t sent_at)
{
    uint64_t at = g.t0 + sent_at;
    bool sample = g.phase == PH_MEASURE;
    if (g.phase == PH_MEASURE)
        st.hops++;
    /* Open loop: what was due in the window counts, however late it came. */
    if (opt.mode != M_RELAY)
        sample = g.phase >= PH_MEASURE && at >= g.m_begin && (g.m_end == 0 || at < g.m_end);
    if (sample)
        hist_add(&st.latency, now > at ? now - at : 0);
}

void load_delivery(struct session *s, int dir, struct slice text)
{
    struct message m;
    uint64_t now = now_ns();
    if (!message_parse(text, &m)) {
        st.corrupted++;
        return;
    }
    if (!s->pair || (uint64_t)s->pair->id != m.p || m.d != (uint64_t)dir || s->side == dir) {
        st.misrouted++;
        return;
    }
    struct stream *x = &s->pair->stream[dir];
    if (m.s == 0 || m.s > x->sent) {    /* right in form, but never sent */
        st.corrupted++;
        return;
    }
    if (!stream_mark(x, m.s)) {
        st.duplicated++;
        return;
    }
    if (m.s < x->highest)
        st.out_of_order++;
    else
        x->highest = m.s;
    x->got++;
    st.delivered++;
    count_hop(now, m.t);
    if (opt.mode == M_RELAY && traffic_on() && !s->pair->broken)
        send_hop(s->pair, 1 - dir, now - g.t0);
}

uint64_t load_outstanding(void)
{
    uint64_t n = 0;
    for (int i = 0; i < g.npair; i++)
        for (int d = 0; d < 2 && !g.pair[i].broken; d++)
            n += g.pair[i].stream[d].sent - g.pair[i].stream[d].got;
    return n;
}

void load_start(uint64_t now)
{
    g.next_send = (double)now;
    for (int i = 0; opt.mode == M_RELAY && i < g.nactive; i++)
        for (int w = 0; w < opt.window; w++)
            if (!g.pair[g.first_active + i].broken)
                send_hop(&g.pair[g.first_active + i], 0, now_ns() - g.t0);
}

void load_pump(uint64_t now)
{
    double gap = 1e9 / opt.rate;
    if (opt.mode == M_RELAY || g.nactive == 0 || !traffic_on())
        return;
    for (int n = 0; n < MAX_BURST && g.next_send <= (double)now; n++) {
        uint64_t i = g.send_index++, due = (uint64_t)g.next_send;
        struct pair *p = &g.pair[g.first_active + (int)(i % (uint64_t)g.nactive)];
        if (p->broken)
            st.skipped++;
        else
            send_hop(p, (int)(i / (uint64_t)g.nactive) & 1, due - g.t0);
        if (g.phase == PH_MEASURE) {
            uint64_t t = now_ns();
            hist_add(&st.lag, t > due ? t - due : 0);
        }
        if (opt.poisson) {
            g.rng = mix64(g.rng);
            g.next_send += -log(((double)(g.rng >> 11) + 1) / 9007199254740993.0) * gap;
        } else {
            g.next_send += gap;
        }
    }
}

uint64_t load_due(uint64_t wake)
{
    if (opt.mode != M_RELAY && g.nactive && traffic_on() && g.next_send < (double)wake)
        return (uint64_t)g.next_send;
    return wake;
}
