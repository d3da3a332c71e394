/* empty.c - the least that a FastCGI program can do: read each request, answer it at once. A POST
 * with two bytes, anything else with as many as a poll that brings a message: heads and sizes are
 * those of Pollux's answers.
 *
 * What the web server and libfcgi cost, with nothing of ours in it: the ceiling that bench/run
 * holds Pollux against. Requests are answered as src/host/fcgi.c does it, so that the difference
 * between the two is reading, rules and storing, and not the way of answering.
 *
 * The listening socket is descriptor 0. SIGTERM ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fastcgi.h>
#include <fcgiapp.h>

#define HEAD(type, length)                                                                         \
    "X-Accel-Buffering: no\r\nContent-Type: " type "\r\nContent-Length: " length                   \
    "\r\nCache-Control: no-store\r\n\r\n"
#define FIFTY "01234567890123456789012345678901234567890123456789"

#define MESSAGE "42[\"message\",\"" FIFTY FIFTY FIFTY FIFTY "\"]\x1e" "42[\"pollux\",\"0\"]"

static const char post_answer[] = HEAD("text/html", "2") "ok";
static const char poll_answer[] = HEAD("text/plain; charset=UTF-8", "233") MESSAGE;
_Static_assert(sizeof MESSAGE - 1 == 233, "what Content-Length says");

/* Read parameters and body to their end, as whoever wants to use them must. Returns the answer. */
static const char *read_request(FCGX_Request *rq)
{
    char rest[4096];
    const char *method = FCGX_GetParam("REQUEST_METHOD", rq->envp);

    (void)FCGX_GetParam("QUERY_STRING", rq->envp);
    while (FCGX_GetStr(rest, sizeof rest, rq->in) > 0)
        ;
    return method != NULL && strcmp(method, "POST") == 0 ? post_answer : poll_answer;
}

static size_t put_record(unsigned char *out, unsigned type, int id, const void *content, size_t len)
{
    const FCGI_Header header = { FCGI_VERSION_1,
                                 (unsigned char)type,
                                 (unsigned char)(id >> 8),
                                 (unsigned char)id,
                                 (unsigned char)(len >> 8),
                                 (unsigned char)len,
                                 0,
                                 0 };

    memcpy(out, &header, sizeof header);
    if (len > 0)
        memcpy(out + sizeof header, content, len);
    return sizeof header + len;
}

/* An answer of this size always fits into what a socket buffers. */
static void answer(int fd, int id, const char *text)
{
    static const FCGI_EndRequestBody end = { 0, 0, 0, 0, FCGI_REQUEST_COMPLETE, { 0 } };
    unsigned char out[1024];
    size_t len = put_record(out, FCGI_STDOUT, id, text, strlen(text));

    len += put_record(out + len, FCGI_STDOUT, id, NULL, 0);
    len += put_record(out + len, FCGI_END_REQUEST, id, &end, sizeof end);
    if (send(fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 && errno != EPIPE
        && errno != ECONNRESET)
        perror("empty: cannot answer");
    close(fd);
}

/* Answer all requests that are there. 0, or -1 when no more can come. */
static int take_requests(FCGX_Request *rq)
{
    int code;

    while ((code = FCGX_Accept_r(rq)) == 0) {
        int fd = rq->ipcFd, id = rq->requestId;
        const char *text = read_request(rq);
        FCGX_Free(rq, 0);
        rq->ipcFd = -1;
        answer(fd, id, text);
    }
    if (code == -EAGAIN || code == -EINTR || code == -ECONNABORTED || code == -EMFILE)
        return 0;
    fprintf(stderr, "empty: cannot take a request: %s\n", strerror(-code));
    return -1;
}

int main(void)
{
    FCGX_Request rq;
    struct pollfd ready = { .fd = 0, .events = POLLIN };

    if (FCGX_Init() != 0 || FCGX_InitRequest(&rq, 0, FCGI_FAIL_ACCEPT_ON_INTR) != 0
        || fcntl(0, F_SETFL, O_NONBLOCK) == -1) {
        fputs("empty: descriptor 0 must be a listening socket\n", stderr);
        return 2;
    }
    /* FCGX_Init()'s own handler only sets a flag. */
    signal(SIGTERM, SIG_DFL);
    rq.ipcFd = -1;
    while (poll(&ready, 1, -1) == 1 || errno == EINTR)
        if (take_requests(&rq) == -1)
            return 1;
    return 0;
}
