-- From schema 2 to 3: half a binary event has a table of its own; who is gone is told by the ends of
-- connections, and leaves its channels before its window is over.
CREATE TABLE partial (
    id          INTEGER PRIMARY KEY,
    session     INTEGER NOT NULL,
    piece       BLOB    NOT NULL
) STRICT;
CREATE INDEX partial_session ON partial (session);
INSERT INTO partial (session, piece) SELECT session, partial FROM polling WHERE length(partial) > 0;
ALTER TABLE polling DROP COLUMN partial;
ALTER TABLE session ADD COLUMN opened_t INTEGER NOT NULL DEFAULT 0;
ALTER TABLE polling ADD COLUMN overtaken INTEGER NOT NULL DEFAULT 0;
ALTER TABLE polling ADD COLUMN ended_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE polling ADD COLUMN ports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE polling ADD COLUMN watched INTEGER NOT NULL DEFAULT 0;
ALTER TABLE polling ADD COLUMN probe INTEGER NOT NULL DEFAULT 0;
ALTER TABLE socket ADD COLUMN leave_ms INTEGER;
UPDATE socket SET leave_ms = away_ms + 4000 WHERE away_ms IS NOT NULL;
CREATE INDEX socket_leave ON socket (leave_ms) WHERE leave_ms IS NOT NULL;
CREATE INDEX asking_channel ON asking (channel);
CREATE INDEX asking_socket ON asking (socket);
CREATE TABLE former (
    socket      INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    PRIMARY KEY (socket, channel)
) STRICT, WITHOUT ROWID;
