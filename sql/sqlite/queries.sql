-- Every statement of the store, by name: noun_verb. Parameters are bound in the order of their numbers and columns are
-- read in the order listed. What each is for stands where it is used, in src/store/sqlite.

-- name: turn_begin
BEGIN IMMEDIATE;
-- name: turn_commit
COMMIT;
-- name: turn_rollback
ROLLBACK;

-- Grows whenever another process has stored something.
-- name: store_version
PRAGMA data_version;

-- Sessions

-- name: session_find
SELECT s.id, s.sid, s.address, s.origin, s.shim, s.opened_ms, s.due_ms, p.ping_ms, p.pinged, p.last_post, p.last_poll,
       p.poll, p.polled_ms, p.holder, p.answer, p.rate_ms, p.rate, p.nudge, p.closing,
       p.ended_ms, p.ports, p.watched, p.probe, s.opened_t, p.overtaken, p.posting, p.posted,
       EXISTS (SELECT 1 FROM partial h WHERE h.session = s.id)
  FROM session s JOIN polling p ON p.session = s.id WHERE s.sid = ?1;
-- name: session_get
SELECT s.id, s.sid, s.address, s.origin, s.shim, s.opened_ms, s.due_ms, p.ping_ms, p.pinged, p.last_post, p.last_poll,
       p.poll, p.polled_ms, p.holder, p.answer, p.rate_ms, p.rate, p.nudge, p.closing,
       p.ended_ms, p.ports, p.watched, p.probe, s.opened_t, p.overtaken, p.posting, p.posted,
       EXISTS (SELECT 1 FROM partial h WHERE h.session = s.id)
  FROM session s JOIN polling p ON p.session = s.id WHERE s.id = ?1;
-- name: session_insert
INSERT INTO session (sid, address, origin, shim, opened_ms, due_ms, opened_t) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);
-- The whole row is written, and none read.
-- name: polling_write
REPLACE INTO polling (session, ping_ms, pinged, last_post, last_poll, poll, polled_ms, holder, answer, rate_ms, rate, nudge,
                      closing, ended_ms, ports, watched, probe, overtaken, posting, posted)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20);
-- name: session_move_due
UPDATE session SET due_ms = ?2 WHERE id = ?1;
-- name: session_delete
DELETE FROM session WHERE id = ?1;
-- name: polling_delete
DELETE FROM polling WHERE session = ?1;
-- Half a binary event, piece by piece.
-- name: partial_read
SELECT piece FROM partial WHERE session = ?1 ORDER BY id;
-- name: partial_add
INSERT INTO partial (session, piece) VALUES (?1, ?2);
-- name: partial_delete
DELETE FROM partial WHERE session = ?1;
-- name: session_due
SELECT id, due_ms FROM session ORDER BY due_ms LIMIT 1;
-- name: visitor_count
SELECT sessions FROM visitor WHERE address = ?1;

-- Requests

-- name: request_insert
INSERT INTO request (at_ms, marks) VALUES (?1, ?2);
-- name: request_newest
SELECT id, at_ms, marks FROM request WHERE id > ?1 ORDER BY id DESC;
-- Of the oldest ?1 rows those of before ?2, or after ?3 by a clock that was wrong, and those up to id ?4.
-- name: request_trim
DELETE FROM request WHERE id IN (SELECT id FROM request ORDER BY id LIMIT ?1) AND (at_ms < ?2 OR at_ms > ?3 OR id <= ?4);

-- Sockets

-- name: socket_list
SELECT id, public, private, nsp, session, away_ms, gone_ms, heard, greeting
  FROM socket WHERE session = ?1 ORDER BY id;
-- name: socket_get
SELECT id, public, private, nsp, session, away_ms, gone_ms, heard, greeting FROM socket WHERE id = ?1;
-- Those that have gone as well: what is for them is for nobody else.
-- name: socket_by_public
SELECT id, public, private, nsp, session, away_ms, gone_ms, heard, greeting FROM socket WHERE public = ?1;
-- name: socket_by_private
SELECT id, public, private, nsp, session, away_ms, gone_ms, heard, greeting
  FROM socket WHERE private = ?1 AND gone_ms IS NULL;
-- name: socket_insert
INSERT INTO socket (public, private, nsp, session, address, opened_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6);
-- name: socket_update
UPDATE socket SET heard = ?2, greeting = ?3 WHERE id = ?1;
-- name: socket_attach
UPDATE socket SET session = ?2, away_ms = NULL, leave_ms = NULL WHERE id = ?1;
-- name: socket_away
UPDATE socket SET session = NULL, away_ms = ?2, leave_ms = ?3 WHERE id = ?1 AND gone_ms IS NULL;
-- name: socket_gone
UPDATE socket SET session = NULL, away_ms = NULL, leave_ms = NULL, private = NULL, gone_ms = coalesce(gone_ms, ?2) WHERE id = ?1;
-- name: socket_gone_keep
UPDATE socket SET away_ms = NULL, leave_ms = NULL, private = NULL, gone_ms = coalesce(gone_ms, ?2) WHERE id = ?1;
-- name: socket_expired
SELECT id, public, private, nsp, session, away_ms, gone_ms, heard, greeting
  FROM socket WHERE away_ms < ?1 ORDER BY away_ms LIMIT 1;
-- name: socket_leaving
SELECT id, public, private, nsp, session, away_ms, gone_ms, heard, greeting, leave_ms
  FROM socket WHERE leave_ms IS NOT NULL ORDER BY leave_ms LIMIT 1;
-- name: socket_left
UPDATE socket SET leave_ms = NULL WHERE id = ?1;

-- Channels

-- name: channel_find
SELECT id FROM channel WHERE nsp = ?1 AND name = ?2;
-- name: channel_insert
INSERT INTO channel (nsp, name, opened_ms) VALUES (?1, ?2, ?3);
-- name: channel_delete_empty
DELETE FROM channel WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM member WHERE channel = ?1);
-- name: member_insert
INSERT INTO member (channel, socket, role, joined_ms) VALUES (?1, ?2, ?3, ?4);
-- name: member_delete
DELETE FROM member WHERE channel = ?1 AND socket = ?2;
-- name: member_list
SELECT m.socket, k.session, k.away_ms, k.public
  FROM member m JOIN socket k ON k.id = m.socket WHERE m.channel = ?1 ORDER BY m.joined_ms, m.socket;
-- name: member_channels
SELECT c.id, c.name FROM member m JOIN channel c ON c.id = m.channel
 WHERE m.socket = ?1 AND m.channel > ?2 ORDER BY m.channel LIMIT 1;
-- name: former_insert
INSERT OR IGNORE INTO former (socket, channel) VALUES (?1, ?2);
-- name: former_take
DELETE FROM former WHERE (socket, channel) IN (SELECT socket, channel FROM former WHERE socket = ?1 LIMIT 1) RETURNING channel;
-- name: former_delete
DELETE FROM former WHERE socket = ?1;
-- name: asking_insert
INSERT INTO asking (channel, socket, due_ms) VALUES (?1, ?2, ?3);
-- name: asking_next
SELECT id, channel, socket, due_ms FROM asking WHERE id > ?1 ORDER BY id LIMIT 1;
-- name: asking_find
SELECT 1 FROM asking WHERE channel = ?1 AND socket = ?2;
-- How many ask for channels named ?1, and how many channels socket ?2 asks for.
-- name: asking_count
SELECT (SELECT count(*) FROM asking WHERE channel = ?1), (SELECT count(*) FROM asking WHERE socket = ?2);
-- name: asking_delete
DELETE FROM asking WHERE id = ?1;
-- name: asking_delete_socket
DELETE FROM asking WHERE socket = ?1;

-- Messages and deliveries

-- name: message_insert
INSERT INTO message (at_ms, type, sender, channel, name, ack_id, body, attached, attachments, size, recipients, unheard)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11);
-- name: message_heard
UPDATE message SET unheard = unheard - 1 WHERE id = ?1 RETURNING unheard, body;
-- name: message_reduce
UPDATE message SET body = ?2, attached = NULL WHERE id = ?1;
-- name: delivery_insert
INSERT INTO delivery (id, message, socket, nth, upto_bytes, session, poll, sent_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
-- name: delivery_newest
SELECT max(id) FROM delivery;
-- The queue of socket ?1, which is in session ?2.
-- name: delivery_queue
SELECT id, message, nth, upto_bytes, session IS ?2
  FROM delivery WHERE socket = ?1 AND arrived_ms IS NULL ORDER BY id LIMIT ?3;
-- name: delivery_first
SELECT nth, upto_bytes FROM delivery WHERE socket = ?1 AND arrived_ms IS NULL ORDER BY id LIMIT 1;
-- name: delivery_last
SELECT nth, upto_bytes FROM delivery WHERE socket = ?1 AND arrived_ms IS NULL ORDER BY id DESC LIMIT 1;
-- How many messages of ?2 wait for socket ?1, up to ?3.
-- name: delivery_from
SELECT count(*) FROM (SELECT 1 FROM delivery d JOIN message m ON m.id = d.message
                       WHERE d.socket = ?1 AND d.arrived_ms IS NULL AND m.sender = ?2 LIMIT ?3);
-- What session ?2 has not been sent yet: of its only socket, or of all that it has. The first reads the index in order, the
-- second has to sort.
-- name: delivery_owed
SELECT d.id, m.type, d.socket, m.ack_id, m.body, m.attached, m.attachments
  FROM delivery d JOIN message m ON m.id = d.message
 WHERE d.socket = ?1 AND d.arrived_ms IS NULL AND d.session IS NOT ?2 ORDER BY d.id LIMIT ?3;
-- name: delivery_owed_session
SELECT d.id, m.type, d.socket, m.ack_id, m.body, m.attached, m.attachments
  FROM socket k JOIN delivery d ON d.socket = k.id JOIN message m ON m.id = d.message
 WHERE k.session = ?1 AND d.arrived_ms IS NULL AND d.session IS NOT ?2 ORDER BY d.id LIMIT ?3;
-- What was in the answer to its poll ?2.
-- name: delivery_answered
SELECT d.id, m.type, d.socket, m.ack_id, m.body, m.attached, m.attachments
  FROM socket k JOIN delivery d ON d.socket = k.id JOIN message m ON m.id = d.message
 WHERE k.session = ?1 AND d.arrived_ms IS NULL AND d.session = ?1 AND d.poll = ?2 ORDER BY d.id;
-- name: delivery_sent
UPDATE delivery SET session = ?3, poll = ?4, sent_ms = coalesce(sent_ms, ?5)
 WHERE socket = ?1 AND arrived_ms IS NULL AND id <= ?2 AND session IS NOT ?3;
-- name: delivery_sent_one
UPDATE delivery SET session = ?2, poll = ?3, sent_ms = coalesce(sent_ms, ?4) WHERE id = ?1;
-- name: delivery_arrived_one
UPDATE delivery SET arrived_ms = ?2 WHERE id = ?1;
-- Those to socket ?1, at ?2 or never: that were sent in session ?3; that were sent, up to ?3; all.
-- name: delivery_arrived
UPDATE delivery SET arrived_ms = ?2 WHERE socket = ?1 AND arrived_ms IS NULL AND session = ?3;
-- name: delivery_arrived_offset
UPDATE delivery SET arrived_ms = ?2
 WHERE socket = ?1 AND arrived_ms IS NULL AND id <= ?3 AND sent_ms IS NOT NULL;
-- name: delivery_arrived_any
UPDATE delivery SET arrived_ms = ?2 WHERE socket = ?1 AND arrived_ms IS NULL;
-- What a client must not hear again once it is greeted anew.
-- name: delivery_drop_greeting
UPDATE delivery SET arrived_ms = 0
 WHERE socket = ?1 AND arrived_ms IS NULL AND (SELECT m.type FROM message m WHERE m.id = message) = 0;
-- The messages of those to socket ?1 that are about to arrive, beyond ?4: sent in session ?2 if not NULL, sent and up to ?3 if
-- not NULL.
-- name: delivery_arriving
SELECT id, message FROM delivery
 WHERE socket = ?1 AND arrived_ms IS NULL AND (?2 IS NULL OR session = ?2)
   AND (?3 IS NULL OR (id <= ?3 AND sent_ms IS NOT NULL)) AND id > ?4 ORDER BY id LIMIT ?5;

-- Words between processes

-- name: notice_insert
INSERT INTO notice (session, at_ms) VALUES (?1, unixepoch() * 1000);
-- name: notice_newest
SELECT coalesce(max(id), 0) FROM notice;
-- name: notice_news
SELECT id, session FROM notice WHERE id > ?1 ORDER BY id LIMIT ?2;

-- Who holds polls

-- name: holder_insert
INSERT INTO holder (id, pid, begun_ms) VALUES (?1, ?2, unixepoch() * 1000);
-- name: holder_delete
DELETE FROM holder WHERE id = ?1;
-- The next beyond ?1, at most ?2.
-- name: holder_neighbours
SELECT id FROM holder WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: holder_ids
SELECT id FROM holder;
-- The last poll of each session: who holds it, and since when; of one that has not polled yet, since when it is there.
-- name: polling_all
SELECT p.session, p.holder, max(p.polled_ms, s.opened_ms), p.poll, s.shim, p.ended_ms <> 0 OR p.closing
  FROM polling AS p JOIN session AS s ON s.id = p.session;

-- Retention: a walk from the oldest to the newest, a window of rows at a time, so that what must stay keeps nothing behind it.
-- The newest row of message, delivery and notice always stays, so that ids keep growing. A message's deliveries are stored
-- before the next message, so the deliveries of the messages between two of a window are in that window.

-- The newest alone is no reason for a transaction: it always stays.
-- name: message_oldest
SELECT id, at_ms FROM message WHERE id < (SELECT max(id) FROM message) ORDER BY id LIMIT 1;
-- The window of at most ?2 rows beyond id ?1: its last row's id, what it says of message or time, and whether more follow.
-- name: delivery_window
SELECT id, message, id < (SELECT max(id) FROM delivery) FROM delivery
 WHERE id = coalesce((SELECT id FROM delivery WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2 - 1), (SELECT max(id) FROM delivery))
   AND id > ?1;
-- Up to ?3.
-- name: message_window
SELECT id, at_ms, id < (SELECT max(id) FROM message WHERE id <= ?3) FROM message
 WHERE id = coalesce((SELECT id FROM message WHERE id > ?1 AND id <= ?3 ORDER BY id LIMIT 1 OFFSET ?2 - 1),
                     (SELECT max(id) FROM message WHERE id <= ?3))
   AND id > ?1;
-- name: socket_window
SELECT id, opened_ms, id < (SELECT max(id) FROM socket) FROM socket
 WHERE id = coalesce((SELECT id FROM socket WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2 - 1), (SELECT max(id) FROM socket))
   AND id > ?1;
-- What is older than ?1 in the window beyond ?2 up to ?3. Deliveries go by their message's age, up to message ?5; none of
-- them is of one before ?4. A message goes when its deliveries, in (?4, ?5], have gone. What is young, and what has not gone,
-- is looked for once and not for each row: mostly there is none.
-- name: delivery_trim
DELETE FROM delivery
 WHERE id > ?2 AND id <= ?3 AND arrived_ms IS NOT NULL AND id < (SELECT max(id) FROM delivery) AND message <= ?5
   AND message NOT IN (SELECT id FROM message WHERE id >= ?4 AND id <= ?5 AND at_ms >= ?1);
-- name: message_trim
DELETE FROM message
 WHERE id > ?2 AND id <= ?3 AND at_ms < ?1 AND id < (SELECT max(id) FROM message)
   AND id NOT IN (SELECT message FROM delivery WHERE id > ?4 AND id <= ?5);
-- name: socket_trim
DELETE FROM socket WHERE id > ?2 AND id <= ?3 AND gone_ms < ?1 AND session IS NULL;
-- The last delivery beyond ?1 up to ?2 of a message up to ?3.
-- name: delivery_upto
SELECT max(id) FROM delivery WHERE id > ?1 AND id <= ?2 AND message <= ?3;
-- Older than ?1 seconds, by the clock that stamps them.
-- name: notice_old
SELECT 1 FROM notice WHERE id < (SELECT max(id) FROM notice) AND at_ms < (unixepoch() - ?1) * 1000 ORDER BY id LIMIT 1;
-- name: notice_trim
DELETE FROM notice WHERE id IN (SELECT id FROM notice ORDER BY id LIMIT ?2)
   AND at_ms < (unixepoch() - ?1) * 1000 AND id < (SELECT max(id) FROM notice);
-- Bytes that the rows take, as pages and their size; and those that are free inside of the file.
-- name: store_size
SELECT (SELECT page_count FROM pragma_page_count()) - (SELECT freelist_count FROM pragma_freelist_count()),
       (SELECT page_size FROM pragma_page_size());
-- name: store_unused
SELECT (SELECT freelist_count FROM pragma_freelist_count()), (SELECT page_size FROM pragma_page_size());

-- What was kept and is not to be any more

-- name: message_oldest_id
SELECT min(id) FROM message;
-- name: message_newest
SELECT max(id) FROM message;
-- name: socket_newest
SELECT max(id) FROM socket;
-- Of ids beyond ?1 up to ?2 what more is kept of than what describes it, although nobody is owed it.
-- name: message_settled
SELECT id, body FROM message
 WHERE id > ?1 AND id <= ?2 AND (body IS NOT NULL OR attached IS NOT NULL)
   AND id NOT IN (SELECT message FROM delivery WHERE arrived_ms IS NULL)
 ORDER BY id;
-- name: socket_forget_address
UPDATE socket SET address = '' WHERE id > ?1 AND id <= ?2 AND address <> '';

-- Figures

-- What there is: sessions, sockets, channels, deliveries owed, messages. Those go oldest first, so that none need be
-- counted.
-- name: store_figures
SELECT (SELECT sessions FROM visitor WHERE address = ''),
       (SELECT count(*) FROM socket WHERE session IS NOT NULL AND gone_ms IS NULL)
           + (SELECT count(*) FROM socket WHERE away_ms IS NOT NULL),
       (SELECT count(*) FROM channel),
       (SELECT count(*) FROM delivery WHERE arrived_ms IS NULL),
       (SELECT max(id) FROM message) - (SELECT min(id) FROM message) + 1;
