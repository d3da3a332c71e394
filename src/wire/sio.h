/* sio.h - Engine.IO messages and Socket.IO v5 packets.
 *
 *     type [attachments "-"] [namespace ","] [ack id] [JSON]
 *
 * Pieces are lent from the text they were found in and forwarded as they stand. Pure: no clock, no
 * log, no I/O.
 */
#ifndef POLLUX_WIRE_SIO_H
#define POLLUX_WIRE_SIO_H

#include "base/buf.h"

enum sio_type {
    SIO_CONNECT, SIO_DISCONNECT, SIO_EVENT, SIO_ACK, SIO_CONNECT_ERROR, SIO_BINARY_EVENT,
    SIO_BINARY_ACK
};

#define SIO_ATTACHMENTS_MAX 10          /* as the reference parser has it */
#define SIO_ACK_ID_MAX 20               /* digits */
#define SIO_NSP_MAX 128                 /* bytes, the leading slash included */

enum sio_status {
    SIO_OK,
    SIO_BAD_TYPE,                       /* empty, or a first byte that is no type */
    SIO_BAD_ATTACHMENTS,                /* count missing, not 1 to 10, or a placeholder beyond it */
    SIO_BAD_NAMESPACE,                  /* over SIO_NSP_MAX, a control character, or not UTF-8 */
    SIO_BAD_ACK_ID,                     /* more than 20 digits, or missing where an ACK needs it */
    SIO_BAD_JSON,                       /* not strict JSON */
    SIO_TOO_DEEP,                       /* JSON deeper than JSON_DEPTH_MAX */
    SIO_BAD_PAYLOAD,                    /* JSON of a kind that the type does not carry */
    SIO_RESERVED_EVENT,                 /* connect, disconnect and the like as an event's name */
    SIO_FROM_CLIENT                     /* CONNECT_ERROR, which only servers send */
};

struct sio_packet {
    enum sio_type type;
    unsigned attachments;               /* binary packets that follow */
    struct span nsp;                    /* "/" when the packet names none; without a query part */
    struct span ack_id;                 /* digits; empty when no ack is asked for */
    struct span data;                   /* the JSON; empty when there is none */
};

/* Read TEXT, the data of an Engine.IO message from a client. Checked per type as the reference
 * server does: CONNECT carries an object or nothing; DISCONNECT nothing; EVENT and BINARY_EVENT
 * a non-empty array whose first item is a string or number and not a reserved name; ACK and
 * BINARY_ACK an array and an id. */
enum sio_status sio_parse(struct span text, struct sio_packet *packet);

/* Append a packet's text up to its JSON, e.g. `2/chat,7`; NSP "/" is left out, ACK_ID may be
 * empty. The caller appends the JSON. */
void sio_begin(struct buf *out, enum sio_type type, unsigned attachments, struct span nsp,
               struct span ack_id);

/* The first item of an event's array, with its quotes if a string. DATA as checked by
 * sio_parse(). */
struct span sio_event_name(struct span data);

/* What is in an event's array behind the name: items separated by commas, no brackets; empty when
 * there are none. Lent from DATA. */
struct span sio_event_args(struct span data);

/* A short sentence for people: "not valid JSON". */
const char *sio_strerror(enum sio_status status);

#endif
