/* conn.c - connections to the server, edge-triggered; see conn.h. */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"
#include "run.h"
#include "session.h"
#include "sio.h"

void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->connecting = false;
    c->gen++;
}

/* Spread source addresses so that ephemeral ports never run out. */
static int bind_source(int fd, uint32_t n)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int one = 1;
    if (opt.sources < 2)
        return 0;
    n %= (uint32_t)opt.sources;
    a.sin_addr.s_addr = htonl(0x7f000001u + ((n / 250) << 8) + n % 250);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&a, sizeof a);
}

static void conn_open(struct conn *c)
{
    int one = 1;
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        session_fail(c->s, F_CONNECT, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ev.data.u64 = (uint64_t)c->id << 32 | c->gen;
    if (bind_source(c->fd, (uint32_t)c->s->id) < 0 ||
        (connect(c->fd, (struct sockaddr *)&opt.addr, sizeof opt.addr) < 0
         && errno != EINPROGRESS) ||
        epoll_ctl(g.ep, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
        session_fail(c->s, F_CONNECT, "connect: %s", strerror(errno));
        return;
    }
    c->connecting = true;
    st.connects++;
}

/* The connection went away.  Between requests that is the server's right; a
 * request without any response byte is sent once more on a new connection. */
static void conn_lost(struct conn *c, const char *why)
{
    conn_close(c);
    if (!c->busy) {
        st.idle_closes++;
    } else if (!c->r.any && !c->retried) {
        st.retries++;
        c->retried = true;
        c->sent = 0;
        conn_open(c);
    } else {
        session_fail(c->s, F_DROPPED, "%s: connection lost %s (%s)", c->is_poll ? "poll" : "post",
                     c->r.any ? "in the middle of a response" : "twice without a response", why);
    }
}

static void conn_write(struct conn *c)
{
    while (c->sent < c->req.len) {
        ssize_t n = send(c->fd, c->req.p + c->sent, c->req.len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                conn_lost(c, strerror(errno));
            return;
        }
        c->sent += (size_t)n;
        st.bytes_out += (uint64_t)n;
    }
}

void conn_request(struct conn *c)
{
    resp_reset(&c->r);
    c->busy = true;
    c->retried = false;
    c->sent = 0;
    c->since = now_ns();
    if (c->fd < 0)
        conn_open(c);
    else if (!c->connecting)
        conn_write(c);
}

static void conn_complete(struct conn *c)
{
    c->busy = false;
    if (!c->r.keep_alive)
        conn_close(c);
    sio_on_response(c);
}

static void conn_eof(struct conn *c)
{
    if (c->busy && c->r.st == RS_TO_EOF)
        conn_complete(c);
    else
        conn_lost(c, "closed by server");
}

static void conn_input(struct conn *c, const char *data, size_t n)
{
    st.bytes_in += n;
    if (!c->busy) {
        st.unsolicited++;
        conn_close(c);
        return;
    }
    int rc = resp_feed(&c->r, data, n);
    if (rc < 0)
        session_fail(c->s, F_HTTP, "malformed HTTP response");
    else if (rc > 0)
        conn_complete(c);
}

static void conn_read(struct conn *c, uint32_t events)
{
    static char chunk[1 << 18];
    bool to_the_end = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    uint32_t gen = c->gen;
    while (c->gen == gen) {             /* the handlers may close or reopen it */
        ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
        if (n > 0) {
            conn_input(c, chunk, (size_t)n);
            if (!to_the_end && (size_t)n < sizeof chunk)
                return;                 /* edge-triggered: more data is a new edge */
        } else if (n == 0) {
            conn_eof(c);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            conn_lost(c, strerror(errno));
        }
    }
}

void conn_event(struct conn *c, uint32_t events)
{
    uint32_t gen = c->gen;
    if (c->connecting) {
        int err = 0;
        socklen_t len = sizeof err;
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        if (err) {
            session_fail(c->s, F_CONNECT, "connect: %s", strerror(err));
            return;
        }
        c->connecting = false;
        if (c->busy)
            conn_write(c);
    } else if ((events & EPOLLOUT) && c->busy && c->sent < c->req.len) {
        conn_write(c);
    }
    if (c->gen == gen && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        conn_read(c, events);
}
