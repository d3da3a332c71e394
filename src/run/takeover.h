/* takeover.h - the program goes on when its supervisor dies, and is upgraded in place; the web
 * server in front notices neither.
 *
 * lighttpd notices that its child has died, and looks whether somebody listens at the socket's path
 * before it starts another one. The workers of the dead supervisor do: so it goes on sending
 * requests there, but does not start the program again nor end it from then on. Therefore the
 * program sees to itself that it goes on, and that it ends when lighttpd does.
 */
#ifndef POLLUX_RUN_TAKEOVER_H
#define POLLUX_RUN_TAKEOVER_H

#include <stdbool.h>
#include <sys/types.h>

/* Alone: what started it (Apache's mod_fcgid) gives each process one request at a time, and starts
 * as many as it needs. */
enum how { SERVE_FCGI, SERVE_ALONE, SERVE_CGI };

/* How the program was started, and what it listens on. */
struct program {
    enum how how;
    char **argv;                /* main()'s, ended by NULL */
    int listen;                 /* the listening socket */
    bool given;                 /* by whoever started us; else opened by ourselves */
    bool anew;                  /* started by takeover_start() */
    pid_t web_server;           /* with which to end; 0: with none */
};

/* Was this process started by takeover_start()? Then the socket is standard input, and the clock is
 * the other one's. Takes what was said of that out of the environment; to be asked before settings
 * are read. */
void takeover_look(struct program *p);

/* Replace this process by the program started anew. Descriptors other than the standard ones and
 * the socket are closed, no signal stays blocked. Returns only if that fails: -1 with errno. */
int takeover_start(const struct program *p);

/* Would the program start, as it is now and with its settings as they are now? It says on standard
 * error what is wrong. Waits for it, some milliseconds. */
bool takeover_works(const struct program *p);

/* A descriptor that is readable when the web server that started the program, if it was one, has
 * ended, and P says which that is. -1: there is none, or (errno is ESRCH) it has ended already. */
int takeover_watch(struct program *p);

#endif
