-- From schema 4 to 5: a holder is known by a number of its own, no process id. Who holds polls by the old numbers is about to
-- end, and answers them before.
CREATE TABLE holder (
    id          INTEGER PRIMARY KEY,
    pid         INTEGER NOT NULL,
    begun_ms    INTEGER NOT NULL
) STRICT;
UPDATE polling SET holder = 0;
