-- The store: one SQLite file. Times are milliseconds since 1970 UTC.
--
-- What is live (session, polling, request, socket, channel, member, asking, holder, notice) is small and changes often; the log
-- (message, delivery) is append-mostly and read by people through the views in views.sql.
-- Ids grow. Tables have rowids and few indexes, since each further index costs more than the row.

-- An Engine.IO session: one client's polling.
CREATE TABLE session (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: deliveries refer to it
    sid         TEXT    NOT NULL UNIQUE,    -- the client's secret; never shown to a peer
    address     TEXT    NOT NULL,           -- whom the limit of sessions counts it for: an address, or an IPv6 network
    origin      TEXT    NOT NULL,           -- of its page, if of another site; else ''
    shim        INTEGER NOT NULL,           -- 1: the client file of this project, which counts what it sends
    opened_ms   INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,           -- look at it again no later than then; moved on lazily
    opened_t    INTEGER NOT NULL DEFAULT 0  -- hash of the handshake's t: one that stays the same says nothing
) STRICT;
CREATE INDEX session_due ON session (due_ms);

-- What changes with a session's requests: written often, so it is few bytes, apart from the rest.
CREATE TABLE polling (
    session     INTEGER PRIMARY KEY,        -- session.id
    ping_ms     INTEGER NOT NULL,           -- when the next heartbeat is due, or was
    pinged      INTEGER NOT NULL,           -- 1: that heartbeat was put in an answer
    last_post   INTEGER NOT NULL,           -- hash of the last POST applied, its t and its body (src/store/seen.h)
    last_poll   INTEGER NOT NULL,           -- hash of the last poll's t
    poll        INTEGER NOT NULL,           -- counts polls
    polled_ms   INTEGER NOT NULL,           -- when the last poll came
    holder      INTEGER NOT NULL,           -- holder.id of the process that holds the last poll; 0: it was answered
    answer      INTEGER NOT NULL,           -- what its answer held, bits: 1 a noop, 2 a ping, 4 deliveries, 8 a close
    rate_ms     INTEGER NOT NULL,           -- the second in which requests are being counted began then
    rate        INTEGER NOT NULL,           -- requests in it
    nudge       INTEGER NOT NULL,           -- 1: the held poll is to be answered, be it with nothing
    closing     INTEGER NOT NULL,           -- 1: over; the held poll or the next is told so
    ended_ms    INTEGER NOT NULL,           -- when the connection of its last poll ended unanswered; 0: it has not
    ports       INTEGER NOT NULL,           -- the client's, in its last four requests, 16 bits each: its connections
    watched     INTEGER NOT NULL,           -- 1: if the held poll's connection ends, the web server will say so
    overtaken   INTEGER NOT NULL,           -- 1: a poll of before came again after the last
    probe       INTEGER NOT NULL,           -- 1: the answer to the held poll is to be begun, so that it looks
    posting     INTEGER NOT NULL DEFAULT 0, -- a POST that is applied in part, as last_post; 0: none
    posted      INTEGER NOT NULL DEFAULT 0  -- how many bytes of it are
) STRICT;

-- Binary events some of whose attachments have yet to come: what has come, one piece behind the other. Apart from the rest,
-- since they can be large, and each piece is written once.
CREATE TABLE partial (
    id          INTEGER PRIMARY KEY,
    session     INTEGER NOT NULL,           -- session.id
    piece       BLOB    NOT NULL
) STRICT;
CREATE INDEX partial_session ON partial (session);

-- The requests that each turn took, so that one that comes again is known. Kept for half a minute, or less where there are
-- very many; the newest row always stays, so that ids keep growing.
CREATE TABLE request (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    marks       BLOB    NOT NULL            -- struct mark (src/store/seen.h), one behind the other
) STRICT;

-- How many sessions each address has, and under '' how many there are in all.
CREATE TABLE visitor (
    address     TEXT    NOT NULL PRIMARY KEY,
    sessions    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER session_opened AFTER INSERT ON session BEGIN
    INSERT INTO visitor VALUES ('', 1), (new.address, 1)
        ON CONFLICT DO UPDATE SET sessions = sessions + 1;
END;
CREATE TRIGGER session_closed AFTER DELETE ON session BEGIN
    UPDATE visitor SET sessions = sessions - 1 WHERE address IN ('', old.address);
    DELETE FROM visitor WHERE address = old.address AND sessions <= 0;
END;

-- A Socket.IO socket: one client in one namespace. The row stays for the log after the socket has gone.
CREATE TABLE socket (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: deliveries refer to it
    public      TEXT    NOT NULL UNIQUE,    -- socket.id, known to the channel
    private     TEXT    UNIQUE,             -- pid, the secret that recovers it; NULL: cannot be recovered
    nsp         TEXT    NOT NULL,           -- namespace, '/' or '/name'
    session     INTEGER,                    -- session.id; NULL while away and after the session's end
    address     TEXT    NOT NULL,           -- '' when addresses are not kept
    opened_ms   INTEGER NOT NULL,
    away_ms     INTEGER,                    -- since when the client is lost; NULL while it is not
    gone_ms     INTEGER,                    -- when it left for good; NULL while it has not
    heard       INTEGER NOT NULL DEFAULT 0, -- events taken from it; counted for this project's client file alone
    greeting    INTEGER NOT NULL DEFAULT 0, -- delivery.id of the reply to its CONNECT while that is not sent; else 0
    leave_ms    INTEGER                     -- away: when it is to leave its channels; NULL: it has, or is not away
) STRICT;
CREATE INDEX socket_session ON socket (session) WHERE session IS NOT NULL;
CREATE INDEX socket_away ON socket (away_ms) WHERE away_ms IS NOT NULL;
CREATE INDEX socket_leave ON socket (leave_ms) WHERE leave_ms IS NOT NULL;

-- A channel exists while it has members.
CREATE TABLE channel (
    id          INTEGER PRIMARY KEY,
    nsp         TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    opened_ms   INTEGER NOT NULL,
    UNIQUE (nsp, name)
) STRICT;

CREATE TABLE member (
    channel     INTEGER NOT NULL,           -- channel.id
    socket      INTEGER NOT NULL,           -- socket.id
    role        TEXT    NOT NULL,           -- 'creator' or 'joiner'
    joined_ms   INTEGER NOT NULL,
    PRIMARY KEY (channel, socket)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_socket ON member (socket);

-- The channels that a socket lost while it was away. It goes back into them when it is recovered, if there is room.
CREATE TABLE former (
    socket      INTEGER NOT NULL,           -- socket.id
    channel     TEXT    NOT NULL,           -- its name: it may have ended since
    PRIMARY KEY (socket, channel)
) STRICT, WITHOUT ROWID;

-- Newcomers at a full channel, who are told after the roll call.
CREATE TABLE asking (
    id          INTEGER PRIMARY KEY,
    channel     TEXT    NOT NULL,           -- its name: it may end meanwhile
    socket      INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL            -- it is told by then
) STRICT;
CREATE INDEX asking_channel ON asking (channel);
CREATE INDEX asking_socket ON asking (socket);

-- The log: one row an event, whoever said it; and, as they are owed just the same, the other packets to clients.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,        -- the seq that acknowledgements name
    at_ms       INTEGER NOT NULL,           -- when it was stored
    type        INTEGER NOT NULL,           -- Socket.IO packet type: 0 CONNECT, 1 DISCONNECT, 2 EVENT, 3 ACK,
                                            -- 4 CONNECT_ERROR, 5 BINARY_EVENT
    sender      INTEGER,                    -- socket.id; NULL: the server
    channel     TEXT,                       -- the channel's name; NULL when it concerns none
    name        TEXT    NOT NULL,           -- the event's name
    ack_id      TEXT    NOT NULL DEFAULT '',-- ACK: which
    body        TEXT,                       -- the packet's JSON as recipients get it; NULL once removed
    attached    TEXT,                       -- binary attachments: base64, each behind a byte 0x1e
    attachments INTEGER NOT NULL DEFAULT 0, -- how many
    size        INTEGER NOT NULL,           -- bytes of body and attached
    recipients  INTEGER NOT NULL,           -- sockets that it was for
    unheard     INTEGER NOT NULL            -- of these, still owed; kept current only where kept payloads are
                                            -- removed or blanked after arrival
) STRICT;

-- One row a message and recipient.
CREATE TABLE delivery (
    id          INTEGER PRIMARY KEY,        -- grows in the order in which the recipient gets them
    message     INTEGER NOT NULL,           -- message.id
    socket      INTEGER NOT NULL,           -- socket.id of the recipient
    nth         INTEGER NOT NULL,           -- counts up while the recipient's queue is not empty...
    upto_bytes  INTEGER NOT NULL,           -- ...and so does this: last minus first is the queue's size
    session     INTEGER,                    -- session.id in which it was last put in an answer...
    poll        INTEGER,                    -- ...to this poll
    sent_ms     INTEGER,                    -- when first put in an answer
    arrived_ms  INTEGER                     -- when known to have arrived; NULL: owed; 0: never, the recipient left
) STRICT;
CREATE INDEX delivery_owed ON delivery (socket) WHERE arrived_ms IS NULL;

-- The processes that hold polls, or did before they died: each keeps byte ID of the file `bell` locked while it lives.
CREATE TABLE holder (
    id          INTEGER PRIMARY KEY,        -- drawn by chance
    pid         INTEGER NOT NULL,           -- for people: it may be another's since, or in another namespace
    begun_ms    INTEGER NOT NULL
) STRICT;

-- Words between processes about a poll that another one holds. Kept for a minute.
CREATE TABLE notice (
    id          INTEGER PRIMARY KEY,
    session     INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL
) STRICT;
