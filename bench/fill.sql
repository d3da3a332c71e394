-- fill.sql - the log of a server that has been in use for ten days, into a store that the program itself has created.
--
--   sqlite3 -cmd '.parameter set @messages 5000000' STORE/pollux.db < fill.sql
--
-- @messages messages, all arrived, between two thousand clients that have gone. Two fifths are from eight to ten days old,
-- which the default log_age_days has removed; the rest is of the last three days. Nobody else may have the store open.

-- No journal: what is interrupted is made again.
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
BEGIN;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
INSERT INTO socket (public, nsp, address, opened_ms, gone_ms)
SELECT printf('filled-%d', i), '/', '127.0.0.1', (unixepoch() - 10 * 86400) * 1000, (unixepoch() - 60) * 1000 FROM n;

WITH RECURSIVE
    first (id) AS (SELECT coalesce(max(id), 0) FROM message),
    n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT @messages)
INSERT INTO message (id, at_ms, type, sender, channel, name, body, size, recipients, unheard)
SELECT first.id + i,
       unixepoch() * 1000
           - CASE WHEN i * 5 <= @messages * 2
                  THEN 10 * 86400000 - i * 5 * 86400000 / @messages
                  ELSE 3 * 86400000 - (i * 5 - @messages * 2) * 86340000 / @messages END,
       2, 1 + i % 2000, 'room ' || (i % 2000 / 2), 'message',
       printf('["message",{"n":%d,"pad":"%.*c"}]', i, 180, 'x'), 210, 1, 0
  FROM n, first;

INSERT INTO delivery (id, message, socket, nth, upto_bytes, poll, sent_ms, arrived_ms)
SELECT id + (SELECT coalesce(max(id), 0) FROM delivery), id, 1 + sender % 2000, 1, size, 1, at_ms, at_ms + 20 FROM message;

COMMIT;
PRAGMA journal_mode = WAL;
