-- Format 1. One file holds one job. Times are milliseconds since the Unix epoch.
-- Hot tables grow at their end and have integer keys; look-ups by request hash are per item, on replay only.

-- One row.
CREATE TABLE job (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  name TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  arguments TEXT NOT NULL,            -- JSON: how `resume` runs it again
  input TEXT                          -- JSON: what was last registered in full; NULL while it never was
) STRICT;

-- What outcomes depend on: plugin, configuration, model. Outcomes of two generations are two kinds of output.
CREATE TABLE generation (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  plugin_name TEXT NOT NULL,
  plugin_version TEXT NOT NULL,
  plugin_digest TEXT NOT NULL,        -- SHA-256 of the component
  config TEXT NOT NULL,               -- JSON
  model TEXT NOT NULL,                -- empty: none
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL REFERENCES generation (id),
  pid INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER,                   -- NULL: under way, or its process died
  state TEXT,
  reason TEXT,
  exit_code INTEGER,
  summary TEXT,                       -- JSON
  tags TEXT NOT NULL                  -- JSON: an object of texts
) STRICT;

-- One row an id, in the order in which ids were first seen.
CREATE TABLE item (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  position INTEGER,                   -- in the input as last registered, from 0; NULL: it is no longer there
  line INTEGER NOT NULL,              -- of the input, from 1
  fingerprint BLOB NOT NULL,          -- SHA-256 of id and content
  input TEXT NOT NULL,                -- the item as JSON; the line as it stood if it is no item
  problem TEXT,                       -- why the line is no item
  pass INTEGER NOT NULL               -- the registration that saw it last
) STRICT;
CREATE UNIQUE INDEX item_id ON item (id);
CREATE INDEX item_position ON item (position);

-- One row each time an item was begun.
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY,
  item INTEGER NOT NULL,
  number INTEGER NOT NULL,            -- 1, and one more for each attempt that the plugin itself rejected
  run INTEGER NOT NULL,
  context TEXT NOT NULL,              -- JSON: what the guest was handed beside item and configuration
  began_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_item ON attempt (item);

-- Attempts that the plugin rejected. Their answers are spent.
CREATE TABLE attempt_retry (
  attempt INTEGER PRIMARY KEY,
  ended_ms INTEGER NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  detail TEXT                         -- JSON
) STRICT;

-- How an item ended; replaced when a failed one is run again. No row: pending.
CREATE TABLE outcome (
  item INTEGER PRIMARY KEY,
  state TEXT NOT NULL,                -- done, skipped, failed
  attempt INTEGER,                    -- NULL: never begun (the line is no item)
  generation INTEGER,
  run INTEGER,
  ended_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL,          -- executions in all runs
  emissions TEXT,                     -- done: JSON
  reason TEXT,                        -- skipped
  class TEXT,                         -- failed: who or what failed it
  code TEXT,
  message TEXT,
  detail TEXT,                        -- JSON, from the plugin
  backtrace TEXT
) STRICT;

-- One row an HTTP attempt, committed right before the bytes leave.
CREATE TABLE call (
  id INTEGER PRIMARY KEY,
  item INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  hash BLOB NOT NULL,                 -- SHA-256 of what was asked
  occurrence INTEGER NOT NULL,        -- how often the attempt had asked the same before
  try INTEGER NOT NULL,
  route TEXT NOT NULL,
  model TEXT NOT NULL,
  price INTEGER REFERENCES price (id),
  reserved INTEGER NOT NULL,          -- the most that it may cost, in millionths of a dollar
  intent_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX call_item ON call (item);

-- How it ended, committed before the plugin is told.
CREATE TABLE call_end (
  call INTEGER PRIMARY KEY,
  ended_ms INTEGER NOT NULL,
  state TEXT NOT NULL,                -- answered, failed, unknown (sent, and then the process died)
  status INTEGER,
  class TEXT,
  code TEXT,
  message TEXT,
  request_id TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cache_read_tokens INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost INTEGER,                       -- in millionths of a dollar; NULL: the route has no prices
  answer TEXT,                        -- answered: JSON
  body TEXT                           -- failed: the start of what came
) STRICT;

-- In millionths of a dollar for a million tokens, as they stood when calls were made.
CREATE TABLE price (
  id INTEGER PRIMARY KEY,
  rates TEXT NOT NULL UNIQUE          -- JSON
) STRICT;

-- Transitions of circuit breakers.
CREATE TABLE route_event (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  route TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL                -- JSON
) STRICT;

-- What guests logged.
CREATE TABLE guest_log (
  id INTEGER PRIMARY KEY,
  item INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  level TEXT NOT NULL,
  message TEXT NOT NULL
) STRICT;
