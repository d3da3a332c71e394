-- From schema 1 to 2: sockets know their greeting; and which requests came already is in a table of its own; those of before are forgotten. The columns that
-- had it stay, since processes of the version before may go on for a while.
ALTER TABLE session ADD COLUMN last_post INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN last_poll INTEGER NOT NULL DEFAULT 0;
ALTER TABLE socket ADD COLUMN greeting INTEGER NOT NULL DEFAULT 0;
CREATE TABLE request (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    marks       BLOB    NOT NULL
) STRICT;
