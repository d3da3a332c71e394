-- Views for people. They are made anew whenever the program opens the store, so they may change without an upgrade.
--
-- Made for a terminal: times are local, ids are cut to their first six characters (socket.public has them whole), what
-- was said is cut to what fits on a line (message.body has it whole, and so has polluxctl show SEQ).

-- Who said what to whom: a row an event and recipient. Left out are the server's log echoes, which only repeat it, and
-- packets that are no events. The rows come from the deliveries, since looking a message up by its id is cheap, and
-- looking for a message's deliveries is not; events that had no recipient follow in the second half.
DROP VIEW IF EXISTS conversation;
CREATE VIEW conversation AS
WITH heard_by AS (
    SELECT m.id AS seq, d.id AS nth, d.socket AS recipient, d.sent_ms AS sent_ms, d.arrived_ms AS arrived_ms,
           m.at_ms AS at_ms, m.type AS type, m.sender AS sender, m.channel AS channel, m.name AS name,
           m.body AS body, m.size AS size
      FROM delivery d CROSS JOIN message m ON m.id = d.message
     UNION ALL
    SELECT m.id, NULL, NULL, NULL, NULL, m.at_ms, m.type, m.sender, m.channel, m.name, m.body, m.size
      FROM message m WHERE m.recipients = 0
)
SELECT h.seq                                        AS seq,
       strftime('%Y-%m-%d %H:%M:%f', h.at_ms / 1000.0, 'unixepoch', 'localtime') AS sent,
       coalesce(substr(s.public, 1, 6), CASE WHEN h.sender IS NULL THEN 'server' ELSE '?' END) AS sender,
       coalesce(substr(r.public, 1, 6),
                CASE WHEN h.nth IS NOT NULL THEN '?'
                     WHEN h.sender IS NOT NULL AND h.name IN ('create or join', 'leave', 'Bye', 'Ack') THEN 'server'
                     ELSE 'nobody' END)             AS recipient,
       CASE WHEN h.name GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
            THEN '(control characters)' ELSE h.name END AS event,
       -- The body is ["event",arguments...]: only the arguments are of interest here.
       -- Some control characters may stand in it as they are; a terminal would obey them.
       CASE WHEN h.body IS NULL THEN '(' || h.size || ' bytes, not kept)'
            WHEN h.body GLOB '*[' || char(127) || '-' || char(159) || ']*'
                 THEN '(control characters: see polluxctl show ' || h.seq || ')'
            WHEN substr(h.body, 1, length(h.name) + 4) = '["' || h.name || '",'
                 THEN CASE WHEN length(h.body) > length(h.name) + 65
                           THEN substr(h.body, length(h.name) + 5, 59) || '…'
                           ELSE substr(h.body, length(h.name) + 5, length(h.body) - length(h.name) - 5) END
            WHEN h.body = '["' || h.name || '"]' THEN ''
            WHEN length(h.body) > 60 THEN substr(h.body, 1, 59) || '…'
            ELSE h.body END                         AS said,
       CASE WHEN h.arrived_ms > 0
            THEN strftime('%H:%M:%f', h.arrived_ms / 1000.0, 'unixepoch', 'localtime')
            WHEN h.arrived_ms = 0 THEN 'never'
            WHEN h.sent_ms IS NOT NULL THEN 'sent'
            WHEN h.nth IS NOT NULL THEN 'waiting'
            ELSE '' END                             AS heard,
       CASE WHEN h.arrived_ms > 0 THEN h.arrived_ms - h.at_ms END AS took_ms,
       CASE WHEN h.channel GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
            THEN '(control characters)' ELSE h.channel END AS channel
  FROM heard_by h
  LEFT JOIN socket s ON s.id = h.sender
  LEFT JOIN socket r ON r.id = h.recipient
 WHERE h.type IN (2, 5) AND h.name <> 'log'
 ORDER BY h.seq, h.nth;

-- Who is where.
DROP VIEW IF EXISTS who;
CREATE VIEW who AS
SELECT CASE WHEN c.name GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
            THEN '(control characters)' ELSE c.name END AS channel,
       substr(s.public, 1, 6)                       AS member,
       m.role                                       AS role,
       strftime('%Y-%m-%d %H:%M:%S', m.joined_ms / 1000, 'unixepoch', 'localtime') AS joined,
       CASE WHEN s.away_ms IS NULL THEN 'here'
            ELSE 'away since ' || strftime('%H:%M:%S', s.away_ms / 1000, 'unixepoch', 'localtime')
        END                                         AS state,
       (SELECT count(*) FROM delivery d WHERE d.socket = s.id AND d.arrived_ms IS NULL) AS waiting,
       s.address                                    AS address,
       c.nsp                                        AS namespace
  FROM member m
  JOIN channel c ON c.id = m.channel
  JOIN socket s ON s.id = m.socket
 ORDER BY c.name, c.nsp, m.joined_ms, m.socket;

-- What took longer than a second to be heard.
DROP VIEW IF EXISTS slow;
CREATE VIEW slow AS
SELECT * FROM conversation WHERE took_ms > 1000 ORDER BY took_ms DESC;

-- What its recipient never heard: it left first.
DROP VIEW IF EXISTS lost;
CREATE VIEW lost AS
SELECT * FROM conversation WHERE heard = 'never';
