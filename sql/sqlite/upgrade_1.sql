-- From schema 1 to 2: sockets know their greeting; what changes with a session's requests is in a table of its own, and so is
-- which requests came already, of which those of before are forgotten.
ALTER TABLE socket ADD COLUMN greeting INTEGER NOT NULL DEFAULT 0;
CREATE TABLE polling (
    session     INTEGER PRIMARY KEY,
    ping_ms     INTEGER NOT NULL,
    pinged      INTEGER NOT NULL,
    last_post   INTEGER NOT NULL,
    last_poll   INTEGER NOT NULL,
    poll        INTEGER NOT NULL,
    polled_ms   INTEGER NOT NULL,
    holder      INTEGER NOT NULL,
    answer      INTEGER NOT NULL,
    rate_ms     INTEGER NOT NULL,
    rate        INTEGER NOT NULL,
    nudge       INTEGER NOT NULL,
    closing     INTEGER NOT NULL,
    partial     BLOB
) STRICT;
INSERT INTO polling
SELECT id, ping_ms, pinged, 0, 0, poll, polled_ms, holder, answer, rate_ms, rate, nudge, closing, partial FROM session;
CREATE TABLE request (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    marks       BLOB    NOT NULL
) STRICT;
ALTER TABLE session DROP COLUMN ping_ms;
ALTER TABLE session DROP COLUMN pinged;
ALTER TABLE session DROP COLUMN posts;
ALTER TABLE session DROP COLUMN polls;
ALTER TABLE session DROP COLUMN poll;
ALTER TABLE session DROP COLUMN polled_ms;
ALTER TABLE session DROP COLUMN holder;
ALTER TABLE session DROP COLUMN answer;
ALTER TABLE session DROP COLUMN rate_ms;
ALTER TABLE session DROP COLUMN rate;
ALTER TABLE session DROP COLUMN nudge;
ALTER TABLE session DROP COLUMN closing;
ALTER TABLE session DROP COLUMN partial;
