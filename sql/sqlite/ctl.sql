-- Every statement of polluxctl, by name: they only read. What it writes the store does. Parameters are bound in the order
-- of their numbers, columns read in the order listed. None of them reads for long: the log is walked in windows of ids,
-- which only ever grow.

-- name: read_begin
BEGIN;
-- name: end
COMMIT;

-- The log

-- name: message_first
SELECT id FROM message ORDER BY id LIMIT 1;
-- name: message_newest
SELECT id FROM message ORDER BY id DESC LIMIT 1;
-- name: message_time
SELECT id, at_ms FROM message WHERE id >= ?1 ORDER BY id LIMIT 1;
-- Of the ids beyond ?1 up to ?2 what is of channel ?3 (NULL: any) and within times [?4, ?5); with ?6 = 0 neither the
-- server's log echoes nor packets that are no events. What a CONNECT answers holds a secret, the pid: it stays here.
-- name: message_window
SELECT id, at_ms, type, sender, channel, name, size, recipients, attachments,
       CASE WHEN type <> 0 THEN body WHEN json_valid(body) THEN json_remove(body, '$.pid') END
  FROM message
 WHERE id > ?1 AND id <= ?2 AND (?3 IS NULL OR channel = ?3) AND at_ms >= ?4 AND at_ms < ?5
   AND (?6 OR (type IN (2, 5) AND name <> 'log'))
 ORDER BY id;
-- The same backwards, the ids alone: for the last few.
-- name: message_window_back
SELECT id
  FROM message
 WHERE id > ?1 AND id <= ?2 AND (?3 IS NULL OR channel = ?3) AND at_ms >= ?4 AND at_ms < ?5
   AND (?6 OR (type IN (2, 5) AND name <> 'log'))
 ORDER BY id DESC;
-- When somebody else than ?3 asked for channel ?2 next, after message ?1; and when somebody had left it before. A while on
-- and back, no more.
-- name: message_next_join
SELECT at_ms FROM message
 WHERE id > ?1 AND id <= ?1 + 4096 AND channel = ?2 AND name = 'create or join' AND sender IS NOT NULL AND sender <> ?3
 ORDER BY id LIMIT 1;
-- name: message_last_leave
SELECT at_ms FROM message
 WHERE id < ?1 AND id >= ?1 - 4096 AND channel = ?2 AND name IN ('leave', 'Bye') AND (sender IS NULL OR sender <> ?3)
 ORDER BY id DESC LIMIT 1;
-- name: message_attached
SELECT attached FROM message WHERE id = ?1;
-- name: delivery_first
SELECT id FROM delivery ORDER BY id LIMIT 1;
-- name: delivery_newest
SELECT id FROM delivery ORDER BY id DESC LIMIT 1;
-- name: delivery_from
SELECT id, message, socket, sent_ms, arrived_ms FROM delivery WHERE id >= ?1 ORDER BY id;

-- Who

-- name: socket_label
SELECT public, (SELECT public FROM socket WHERE public < s.public ORDER BY public DESC LIMIT 1),
       (SELECT public FROM socket WHERE public > s.public ORDER BY public LIMIT 1)
  FROM socket s WHERE id = ?1;
-- name: socket_state
SELECT k.public, k.away_ms, k.gone_ms,
       (SELECT m.role FROM member m JOIN channel c ON c.id = m.channel WHERE m.socket = k.id AND c.name = ?2 LIMIT 1)
  FROM socket k WHERE k.id = ?1;
-- name: channel_list
SELECT c.name, c.nsp, c.opened_ms, count(m.socket), sum(k.away_ms IS NOT NULL),
       (SELECT count(*) FROM asking a JOIN socket s ON s.id = a.socket WHERE a.channel = c.name AND s.nsp = c.nsp)
  FROM channel c LEFT JOIN member m ON m.channel = c.id LEFT JOIN socket k ON k.id = m.socket
 GROUP BY c.id ORDER BY c.name, c.nsp;
-- name: member_list
SELECT c.name, c.nsp, m.socket, m.role, m.joined_ms, k.away_ms, k.address,
       (SELECT count(*) FROM delivery d WHERE d.socket = k.id AND d.arrived_ms IS NULL)
  FROM member m JOIN channel c ON c.id = m.channel JOIN socket k ON k.id = m.socket
 WHERE ?1 IS NULL OR c.name = ?1
 ORDER BY c.name, c.nsp, m.joined_ms, m.socket;
-- name: socket_alone
SELECT '', k.nsp, k.id, '', k.opened_ms, k.away_ms, k.address,
       (SELECT count(*) FROM delivery d WHERE d.socket = k.id AND d.arrived_ms IS NULL)
  FROM socket k
 WHERE k.gone_ms IS NULL AND NOT EXISTS (SELECT 1 FROM member m WHERE m.socket = k.id)
 ORDER BY k.id;

-- name: channel_named
SELECT id, nsp FROM channel WHERE name = ?1 AND (?2 IS NULL OR nsp = ?2) ORDER BY nsp;

-- Checking. Each returns a sentence a finding.

-- name: check_file
SELECT integrity_check FROM pragma_integrity_check() WHERE integrity_check <> 'ok';
-- name: check_member
SELECT 'socket ' || coalesce(k.public, m.socket) || ' is a member of '
       || CASE WHEN c.id IS NULL THEN 'channel ' || m.channel || ', which does not exist'
               WHEN k.id IS NULL THEN c.name || ', and there is no such socket'
               ELSE c.name || ', but has left for good' END
  FROM member m LEFT JOIN channel c ON c.id = m.channel LEFT JOIN socket k ON k.id = m.socket
 WHERE c.id IS NULL OR k.id IS NULL OR k.gone_ms IS NOT NULL;
-- name: check_channel
SELECT 'channel ' || c.name || ' (' || c.nsp || ') has no members'
  FROM channel c WHERE NOT EXISTS (SELECT 1 FROM member m WHERE m.channel = c.id);
-- name: check_asking
SELECT 'socket ' || a.socket || ' asks to join ' || a.channel || ', but there is no such socket'
  FROM asking a LEFT JOIN socket k ON k.id = a.socket WHERE k.id IS NULL;
-- name: check_socket
SELECT 'socket ' || k.public || ' belongs to session number ' || k.session || ', '
       || CASE WHEN s.id IS NULL THEN 'which does not exist' ELSE 'and is marked away' END
  FROM socket k LEFT JOIN session s ON s.id = k.session
 WHERE k.session IS NOT NULL AND (s.id IS NULL OR k.away_ms IS NOT NULL);
-- name: check_polling
SELECT 'session number ' || id || ' has no row in polling' FROM session WHERE id NOT IN (SELECT session FROM polling)
 UNION ALL
SELECT 'session number ' || session || ' has ended, yet its row in polling is there'
  FROM polling WHERE session NOT IN (SELECT id FROM session);
-- name: check_limbo
SELECT 'socket ' || k.public || ' has no session, yet is neither away nor gone'
  FROM socket k WHERE k.session IS NULL AND k.away_ms IS NULL AND k.gone_ms IS NULL;
-- name: check_secret
SELECT 'socket ' || k.public || ' has left for good, yet could be recovered'
  FROM socket k WHERE k.gone_ms IS NOT NULL AND k.private IS NOT NULL;
-- name: check_delivery
SELECT 'delivery ' || d.id || CASE WHEN m.id IS NULL THEN ' is of message ' || d.message || ', which does not exist'
                                   ELSE ' is owed to socket ' || d.socket || ', which does not exist' END
  FROM delivery d LEFT JOIN message m ON m.id = d.message LEFT JOIN socket k ON k.id = d.socket
 WHERE m.id IS NULL OR (k.id IS NULL AND d.arrived_ms IS NULL);
-- name: check_order
SELECT 'delivery ' || id || ' is of message ' || message || ', but the one before it of the later message ' || earlier
  FROM (SELECT id, message, lag(message) OVER (ORDER BY id) AS earlier FROM delivery) WHERE earlier > message;
-- name: check_owed
SELECT 'delivery ' || d.id || ' is owed to socket ' || k.public || ', which can never get it: it has left for good'
  FROM delivery d JOIN socket k ON k.id = d.socket
 WHERE d.arrived_ms IS NULL AND k.gone_ms IS NOT NULL AND k.session IS NULL;
-- name: check_queue
SELECT 'the queue of socket ' || public || ' is miscounted at delivery ' || id || ': ' || nth || ' after ' || before
       || ', ' || upto_bytes || ' bytes after ' || upto_before || ' for ' || size || ' bytes'
  FROM (SELECT d.id, k.public, d.nth, d.upto_bytes, m.size,
               lag(d.nth) OVER w AS before, lag(d.upto_bytes) OVER w AS upto_before
          FROM delivery d JOIN message m ON m.id = d.message JOIN socket k ON k.id = d.socket
         WHERE d.arrived_ms IS NULL WINDOW w AS (PARTITION BY d.socket ORDER BY d.id))
 WHERE before IS NOT NULL AND (nth <> before + 1 OR upto_bytes <> upto_before + size);
-- name: check_body
SELECT 'message ' || m.id || ' is still owed to socket ' || k.public || ', but what it said has been removed'
  FROM delivery d JOIN message m ON m.id = d.message JOIN socket k ON k.id = d.socket
 WHERE d.arrived_ms IS NULL AND m.body IS NULL AND m.type IN (2, 3, 5);
-- name: check_visitor
SELECT CASE address WHEN '' THEN 'the count of all sessions' ELSE 'the count of sessions from ' || address END
       || ' is ' || counted || ', but there are ' || there
  FROM (SELECT v.address AS address, v.sessions AS counted,
               (SELECT count(*) FROM session s WHERE v.address = '' OR s.address = v.address) AS there
          FROM visitor v)
 WHERE counted <> there;
-- name: check_visitor_missing
SELECT 'sessions from ' || address || ' are not counted'
  FROM (SELECT DISTINCT address FROM session) WHERE address NOT IN (SELECT address FROM visitor);

-- Figures

-- As the statement of that name in queries.sql.
-- name: store_figures
SELECT (SELECT sessions FROM visitor WHERE address = ''),
       (SELECT count(*) FROM socket WHERE session IS NOT NULL AND gone_ms IS NULL)
           + (SELECT count(*) FROM socket WHERE away_ms IS NOT NULL),
       (SELECT count(*) FROM channel),
       (SELECT count(*) FROM delivery WHERE arrived_ms IS NULL),
       (SELECT max(id) FROM message) - (SELECT min(id) FROM message) + 1;
