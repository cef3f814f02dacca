-- Format 2: what an outcome took, blobs of items, answers taken from another job, a place for calls that are answered
-- much later, and views for people.

-- What the execution that ended the item took; NULL in rows of format 1.
ALTER TABLE outcome ADD COLUMN replayed INTEGER;    -- answers taken from the journal
ALTER TABLE outcome ADD COLUMN truncated INTEGER;   -- requests that were shortened
ALTER TABLE outcome ADD COLUMN cpu_us INTEGER;      -- processor time of the guest, in microseconds
ALTER TABLE outcome ADD COLUMN memory_bytes INTEGER;-- the most memory that it had
ALTER TABLE outcome ADD COLUMN last_request TEXT;   -- failed: what its plugin asked last, JSON, the start of it if it is long

-- Reserved: a call that was handed over to be answered later, under the provider's own name for it. Such a call is
-- *submitted*, and not unknown, until its end is written.
ALTER TABLE call ADD COLUMN remote_id TEXT;
-- The job that an answer was *taken* from (a fourth state); what it took and cost is in the books of that job.
ALTER TABLE call_end ADD COLUMN source TEXT;

-- Bytes that came with an item. They stay where they are; the digest tells whether they are still the same.
CREATE TABLE item_blob (
  item INTEGER NOT NULL,
  nth INTEGER NOT NULL,
  name TEXT NOT NULL,
  mime_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  digest TEXT NOT NULL,               -- SHA-256
  path TEXT NOT NULL,
  PRIMARY KEY (item, nth)
) STRICT, WITHOUT ROWID;

-- What is looked for among a million items must not read their bodies: these hold all that is asked.
DROP INDEX item_position;
CREATE INDEX item_position ON item (position, problem);
CREATE INDEX outcome_item ON outcome (item, state, run);
CREATE INDEX call_end_books ON call_end (state, input_tokens, output_tokens, cost);

-- For people with sqlite3: stable names, times in UTC, money in dollars.
CREATE VIEW items AS
  SELECT i.id, i.position, i.line, coalesce(o.state, 'pending') AS state, coalesce(o.attempts, 0) AS attempts,
         strftime('%Y-%m-%dT%H:%M:%fZ', o.ended_ms / 1000.0, 'unixepoch') AS ended_at,
         o.class, o.code, o.message, o.reason, o.emissions ->> '$.e[0].value' AS output,
         g.plugin_name || ' ' || g.plugin_version AS plugin, g.digest AS generation, i.input, i.seq
  FROM item i LEFT JOIN outcome o ON o.item = i.seq LEFT JOIN generation g ON g.id = o.generation
  WHERE i.position IS NOT NULL;

CREATE VIEW calls AS
  SELECT c.id, i.id AS item, a.number AS attempt, c.try, a.run, c.route, c.model,
         coalesce(e.state, CASE WHEN c.remote_id IS NULL THEN 'under way' ELSE 'submitted' END) AS state,
         strftime('%Y-%m-%dT%H:%M:%fZ', c.intent_ms / 1000.0, 'unixepoch') AS sent_at,
         e.ended_ms - c.intent_ms AS milliseconds, e.status, e.class, e.code, e.message, e.request_id,
         e.input_tokens, e.output_tokens, e.cost / 1e6 AS dollars, e.answer ->> '$.text' AS answer, e.source
  FROM call c JOIN item i ON i.seq = c.item JOIN attempt a ON a.id = c.attempt LEFT JOIN call_end e ON e.call = c.id;

CREATE VIEW runs AS
  SELECT r.id, strftime('%Y-%m-%dT%H:%M:%fZ', r.started_ms / 1000.0, 'unixepoch') AS started_at,
         strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_ms / 1000.0, 'unixepoch') AS ended_at,
         r.state, r.reason, r.exit_code, g.plugin_name || ' ' || g.plugin_version AS plugin, g.model, g.digest AS generation
  FROM run r JOIN generation g ON g.id = r.generation;

-- `job prune` may drop the input of a done item, which is '' then. If such an item is to be done again, the next run reads
-- the input anew.
CREATE TRIGGER outcome_wants_input AFTER DELETE ON outcome
  WHEN EXISTS (SELECT 1 FROM item WHERE seq = old.item AND input = '' AND problem IS NULL)
BEGIN
  UPDATE job SET input = NULL;
END;

-- What a call may take in tokens, as `reserved` is in money; and what one without an answer may have taken.
ALTER TABLE call ADD COLUMN reserved_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE call_end ADD COLUMN lost_tokens INTEGER;

-- What a guest was told of the size of a request: how long it is and how much fits, or that it is too large. That follows from
-- what a run has learned of a model, and guests split by it; so it is committed before the guest sees it, and a replay is told
-- the same. Found by hash and occurrence, as answers are.
CREATE TABLE told (
  id INTEGER PRIMARY KEY,
  item INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  hash BLOB NOT NULL,
  occurrence INTEGER NOT NULL,
  fact TEXT NOT NULL                  -- JSON
) STRICT;
CREATE INDEX told_item ON told (item);
