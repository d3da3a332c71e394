/* options.h - what the command line asks for: read once, before all else. */
#ifndef SIOBENCH_OPTIONS_H
#define SIOBENCH_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

enum mode { M_RELAY, M_PACED, M_IDLE };
extern const char *const mode_name[];

#define MAX_WATCH 16

extern struct options {
    enum mode mode;
    char host[64];
    int port;
    struct sockaddr_in addr;    /* of host and port */
    char path[256];
    int pairs, sessions, window, size, sources, ramp;
    double seconds, warmup, rate, grace, settle, timeout, request_timeout, ramp_rate;
    bool join, poisson, together, quiet;
    uint64_t seed;
    const char *json;
    FILE *json_file;            /* opened at the start: better to fail early */
    const char *watch[MAX_WATCH];
    int nwatch;
    struct buf headers;         /* extra request header lines */
} opt;

/* Read them into opt. Says on standard error what is wrong with them, and ends the program then
 * (2), or after --help. */
void options_read(int argc, char **argv);

#endif
