/* cold.c - how soon a program that has just been started has answered its first request.
 *
 *   cold fcgi|cgi COUNT PROGRAM
 *
 * fcgi: the socket listens and the request waits in it before the program starts; the clock runs
 * from fork() to the end of the answer. cgi: from fork() to the end of the program. Either way the
 * request is a handshake. Prints each time in milliseconds, one a line. The first start, which
 * creates the store, is made too and not printed.
 *
 * Exit status: 0, or 1 with a line on standard error when an answer is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fastcgi.h>

#define LIMIT_MS 10000

static const char *const variables[][2] = {
    { "GATEWAY_INTERFACE", "CGI/1.1" },
    { "SERVER_PROTOCOL", "HTTP/1.1" },
    { "SERVER_NAME", "127.0.0.1" },
    { "REQUEST_METHOD", "GET" },
    { "REQUEST_URI", "/socket.io/?EIO=4&transport=polling" },
    { "SCRIPT_NAME", "/socket.io/" },
    { "QUERY_STRING", "EIO=4&transport=polling" },
    { "HTTP_HOST", "127.0.0.1" },
    { "REMOTE_ADDR", "127.0.0.1" },
};

static pid_t running; /* the program, while it has not ended; 0 */

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;

    fputs("cold: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (running > 0)
        kill(running, SIGKILL);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Read what comes until the other side closes; it must hold a handshake. */
static void read_answer(int fd)
{
    char text[8192];
    size_t len = 0;
    ssize_t got;

    while (len < sizeof text - 1) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        if (poll(&ready, 1, LIMIT_MS) == 0)
            fail("no answer within %d ms", LIMIT_MS);
        if ((got = read(fd, text + len, sizeof text - 1 - len)) == 0)
            break;
        if (got == -1 && errno != EINTR)
            fail("cannot read the answer: %s", strerror(errno));
        len += got > 0 ? (size_t)got : 0;
    }
    if (memmem(text, len, "\"sid\"", 5) == NULL)
        fail("the answer is no handshake: %.*s", (int)len, text);
}

/* Start PROGRAM with IN and OUT (-1: as they are) as its descriptors 0 and 1. */
static void start(const char *program, int in, int out)
{
    running = fork();
    if (running == -1)
        fail("fork: %s", strerror(errno));
    if (running > 0)
        return;
    if (dup2(in, 0) == -1 || (out != -1 && dup2(out, 1) == -1))
        _exit(126);
    execl(program, program, (char *)NULL);
    _exit(127);
}

/* ---- FastCGI */

static size_t put_record(char *out, unsigned type, const void *content, size_t len)
{
    const FCGI_Header header = { FCGI_VERSION_1,
                                 (unsigned char)type,
                                 0,
                                 1,
                                 (unsigned char)(len >> 8),
                                 (unsigned char)len,
                                 0,
                                 0 };

    memcpy(out, &header, sizeof header);
    if (len > 0)
        memcpy(out + sizeof header, content, len);
    return sizeof header + len;
}

static size_t put_variables(char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        size_t name = strlen(variables[i][0]), value = strlen(variables[i][1]);
        out[len++] = (char)name;
        out[len++] = (char)value;
        memcpy(out + len, variables[i][0], name);
        memcpy(out + len + name, variables[i][1], value);
        len += name + value;
    }
    return len;
}

static void send_request(int fd)
{
    static const FCGI_BeginRequestBody begin = { 0, FCGI_RESPONDER, 0, { 0 } };
    char all[2048], content[1024];
    size_t len = put_record(all, FCGI_BEGIN_REQUEST, &begin, sizeof begin);

    len += put_record(all + len, FCGI_PARAMS, content, put_variables(content));
    len += put_record(all + len, FCGI_PARAMS, NULL, 0);
    len += put_record(all + len, FCGI_STDIN, NULL, 0);
    if (write(fd, all, len) != (ssize_t)len)
        fail("cannot send the request: %s", strerror(errno));
}

static double time_fcgi(const char *program)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* An abstract name that is this process's own: there is no file to remove. */
    int n = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "pollux-cold-%d", getpid());
    socklen_t size = (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)n);
    if (bind(listener, (struct sockaddr *)&name, size) == -1 || listen(listener, 16) == -1
        || connect(client, (struct sockaddr *)&name, size) == -1)
        fail("socket: %s", strerror(errno));
    send_request(client);

    double began = now_ms();
    start(program, listener, -1);
    close(listener);
    read_answer(client);
    double took = now_ms() - began;

    close(client);
    kill(running, SIGTERM);
    waitpid(running, NULL, 0);
    running = 0;
    return took;
}

/* ---- CGI */

static double time_cgi(const char *program)
{
    int out[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC), status;

    if (nothing == -1 || pipe2(out, O_CLOEXEC) == -1)
        fail("pipe: %s", strerror(errno));
    double began = now_ms();
    start(program, nothing, out[1]);
    close(out[1]);
    read_answer(out[0]);
    waitpid(running, &status, 0);
    running = 0;
    double took = now_ms() - began;

    close(out[0]);
    close(nothing);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("%s ended with status %d", program, status);
    return took;
}

int main(int argc, char **argv)
{
    bool cgi = argc == 4 && strcmp(argv[1], "cgi") == 0;
    int count = argc == 4 ? atoi(argv[2]) : 0;

    if (count < 1 || (!cgi && strcmp(argv[1], "fcgi") != 0)) {
        fputs("usage: cold fcgi|cgi COUNT PROGRAM\n", stderr);
        return 2;
    }
    for (size_t i = 0; cgi && i < sizeof variables / sizeof variables[0]; i++)
        setenv(variables[i][0], variables[i][1], 1);
    for (int i = 0; i <= count; i++) {
        double took = cgi ? time_cgi(argv[3]) : time_fcgi(argv[3]);
        if (i > 0)
            printf("%.3f\n", took);
    }
    return 0;
}
