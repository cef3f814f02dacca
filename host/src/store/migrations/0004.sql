-- Format 4: indexes that hold what is added up of a million items and calls, so that no body is read for it; and in the order
-- in which rows come, so that they grow at their end.

DROP INDEX outcome_item;
CREATE INDEX outcome_item ON outcome (item, state, run, attempt, ended_ms, truncated);

DROP INDEX call_end_books;
CREATE INDEX call_end_books ON call_end (call, state, ended_ms, class, input_tokens, output_tokens, lost_tokens, cost);
