/* supervise.h - several workers on one listening socket. */
#ifndef POLLUX_SUPERVISE_H
#define POLLUX_SUPERVISE_H

/* Fork COUNT workers, each running WORK(ARG) and ending with what it returns. One that dies is
 * replaced at once, so that the others and the web server hardly notice. TERM or INT: end them
 * in order. Returns the exit status: 0 after an orderly end. */
int supervise(int count, int (*work)(void *arg), void *arg);

#endif
