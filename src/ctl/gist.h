/* gist.h - what an event is about, as far as WebRTC is concerned: an offer, an answer, a candidate,
 * wherever in its arguments the application has put it.
 *
 * Applications wrap them each in a way of their own. What is looked for is not the wrapping but the
 * thing: a string that begins "v=0" and a line break is a session description (RFC 8866), one that
 * begins "candidate:" a candidate (RFC 8839), in objects, lists, and JSON inside of strings. Pure.
 */
#ifndef POLLUX_CTL_GIST_H
#define POLLUX_CTL_GIST_H

#include "base/buf.h"

enum gist_kind {
    GIST_NONE, GIST_OFFER, GIST_ANSWER, GIST_PRANSWER, GIST_ROLLBACK, GIST_DESCRIPTION,
    GIST_CANDIDATE, GIST_CANDIDATES_END
};

struct gist {
    enum gist_kind kind;
    bool guessed;                       /* nothing said which kind of description it is */
    struct buf text;                    /* the description or candidate, decoded */
};

/* What ARGUMENTS (a JSON array) of the event NAME are about; the first thing that is found. G is
 * overwritten, its memory kept: start with zeros. GIST_NONE also without memory. */
void gist_find(struct gist *g, struct span name, struct span arguments);
void gist_release(struct gist *g);

/* Append it for people: "offer audio, video, 4 candidates inside", "candidate srflx udp". What is
 * of peers in it is safe for terminals. */
void gist_add(struct buf *out, const struct gist *g);

/* "host udp": a candidate's type and transport into OUT; "unreadable" if it has none. */
#define GIST_SORT_MAX 32
void gist_sort(const struct gist *g, char out[GIST_SORT_MAX]);

/* The next line of a description, without its end; false after the last. */
bool gist_line(struct span *rest, struct span *line);

#endif
