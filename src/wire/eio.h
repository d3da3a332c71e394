/* eio.h - bytes and Engine.IO v4 packets, as they travel in polling payloads.
 *
 * A payload is packets joined by the byte 0x1e. A packet is a digit and its data, or 'b' and base64
 * for a binary message. Pure: no clock, no log, no I/O.
 *
 * Nobody else knows this form (tests/unit/test_wire.sh), so that another version is another file
 * with these functions. Version 3, for instance, says each packet's length in front of it
 * (eio_end()), and has bodies of bytes (eio_check_type()), with binary messages as they are
 * (eio_add_base64()). Whom to ask after a session's version, and that clients of version 3 ping by
 * themselves, would be for the core to know.
 */
#ifndef POLLUX_WIRE_EIO_H
#define POLLUX_WIRE_EIO_H

#include "base/buf.h"

enum eio_type {
    EIO_OPEN, EIO_CLOSE, EIO_PING, EIO_PONG, EIO_MESSAGE, EIO_UPGRADE, EIO_NOOP,
    EIO_BINARY                          /* its bytes: eio_add_base64() */
};

enum eio_status {
    EIO_OK,
    EIO_END,                            /* no further packet */
    EIO_EMPTY,                          /* an empty packet or payload */
    EIO_BAD_TYPE,                       /* a first byte that is no packet type */
    EIO_BAD_BASE64,                     /* a binary packet, and no base64 */
    EIO_TRAILING,                       /* ping, pong, close, noop with data where none belongs;
                                           "probe" and the like are for WebSocket upgrades */
    EIO_BINARY_BODY                     /* the payload is of a type that this version has not */
};

struct eio_packet {
    enum eio_type type;
    struct span data;                   /* lent from the payload; of a binary one as it came */
};

/* ---- versions and errors */

/* Is TEXT, what a handshake asks for, the number of this version? */
bool eio_speaks(const char *text);

/* Why a request is refused; clients know these numbers. */
enum eio_error {
    EIO_TRANSPORT_UNKNOWN,
    EIO_SID_UNKNOWN,
    EIO_BAD_METHOD,
    EIO_BAD_REQUEST,
    EIO_FORBIDDEN,
    EIO_BAD_VERSION
};

/* The body of such an answer: JSON, in OUT. MESSAGE needs no escaping; what of it does not fit is
 * left out. */
#define EIO_ERROR_MAX 400
struct span eio_error_body(char out[EIO_ERROR_MAX], enum eio_error code, const char *message);

/* ---- reading */

/* A payload on its way through. Whoever stops may go on later, with another reader of the same
 * payload, from AT. */
struct eio_reader {
    struct span payload;                /* borrowed */
    size_t at;                          /* bytes that are read: 0, or up to the end of a packet */
};

/* May a request whose header says CONTENT_TYPE carry a payload? EIO_OK or EIO_BINARY_BODY. */
enum eio_status eio_check_type(struct span content_type);

/* Take the next packet. EIO_OK sets *PACKET; EIO_END when none is left; anything else is a refusal,
 * after which there is nothing to be had. An empty payload is EIO_EMPTY, and so is a separator
 * with nothing before or behind it. */
enum eio_status eio_next(struct eio_reader *r, struct eio_packet *packet);

/* How many packets PAYLOAD holds, by its framing alone. 0 for the empty payload. */
size_t eio_count(struct span payload);

/* Append the bytes of a binary PACKET, which eio_next() has passed, as base64 as an encoder writes
 * it: clients break theirs into lines, use the alphabet for addresses, leave the padding out or
 * bits over, and some decoders read that differently or not at all. */
void eio_add_base64(struct buf *out, const struct eio_packet *packet);

/* ---- writing */

/* A payload that is being made. */
struct eio_writer {
    struct buf *out;                    /* borrowed; memory that it lacks, it remembers */
    size_t packets;                     /* that have begun */
};

/* Begin a payload in OUT, which is emptied. */
void eio_begin(struct eio_writer *w, struct buf *out);

/* Begin a packet of TYPE. Its data is to be appended to w->out, and holds no byte 0x1e. */
void eio_begin_packet(struct eio_writer *w, enum eio_type type);

/* What a session is opened with. */
struct eio_open {
    const char *sid;
    int64_t ping_interval_ms, ping_timeout_ms;
    int64_t max_payload;                /* bytes */
    bool wait;                          /* a POST may be a poll as well: for our client file */
};
void eio_add_open(struct eio_writer *w, const struct eio_open *open);

/* A whole packet. Of a binary one DATA is base64, which gets the padding that it came without:
 * some clients' decoders insist on it. */
void eio_add(struct eio_writer *w, enum eio_type type, struct span data);

/* The payload is complete. Lent until its buf changes. */
struct span eio_end(struct eio_writer *w);

/* The payload for a poll that has nothing to hear. Lent for ever. */
struct span eio_noop(void);

/* A short sentence for people: "unknown packet type". */
const char *eio_strerror(enum eio_status status);

#endif
