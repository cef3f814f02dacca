SELECT at_ms, kind, item, text FROM (
  SELECT started_ms AS at_ms, 'run' AS kind, '' AS item, 'run ' || id || ' started by process ' || pid AS text, 0 AS rank
    FROM run WHERE ?1 IS NULL
  UNION ALL
  SELECT ended_ms, 'run', '', 'run ' || id || ' ended: ' || state || ', exit code ' || exit_code || ': ' || reason, 4
    FROM run WHERE ended_ms IS NOT NULL AND ?1 IS NULL
  UNION ALL
  SELECT at_ms, kind, '', CASE route WHEN '' THEN 'job: ' ELSE 'route ' || route || ': ' END
         || CASE kind WHEN 'breaker' THEN '' WHEN 'concurrency' THEN 'calls at once: ' WHEN 'pace' THEN 'by the minute: ' ELSE '' END
         || (detail ->> 'from') || ' -> ' || (detail ->> 'to') || ': '
         || (detail ->> 'reason')
         || CASE WHEN detail ->> 'pause_ms' IS NULL THEN '' ELSE ', for ' || (detail ->> 'pause_ms') / 1000 || ' s' END, 1
    FROM route_event WHERE ?1 IS NULL AND kind <> 'guests'
  UNION ALL
  SELECT e.ended_ms, 'call', i.id,
         CASE e.state WHEN 'unknown' THEN 'call ' || c.id || ' was sent, and the process died before an answer came'
              || CASE WHEN coalesce(e.cost, 0) = 0 THEN '' ELSE printf('; it may have cost $%.6f', e.cost / 1e6) END
         ELSE 'call ' || c.id || ' try ' || c.try || ' failed after ' || (e.ended_ms - c.intent_ms) || ' ms: ' || e.class || ': ' || e.message
              || CASE WHEN coalesce(e.cost, 0) = 0 THEN '' ELSE printf('; it may have cost $%.6f', e.cost / 1e6) END END, 1
    FROM call_end e JOIN call c ON c.id = e.call JOIN item i ON i.seq = c.item
    WHERE e.state IN ('failed', 'unknown') AND (?1 IS NULL OR i.id = ?1)
  UNION ALL
  SELECT e.ended_ms, 'call', i.id,
         'call ' || c.id || ' try ' || c.try || ' answered after ' || (e.ended_ms - c.intent_ms) || ' ms, '
         || e.input_tokens || ' tokens in, ' || e.output_tokens || ' out'
         || CASE WHEN e.cost IS NULL THEN '' ELSE printf(', $%.6f', e.cost / 1e6) END, 1
    FROM call_end e JOIN call c ON c.id = e.call JOIN item i ON i.seq = c.item
    WHERE e.state = 'answered' AND i.id = ?1
  UNION ALL
  SELECT e.ended_ms, 'call', i.id, 'the answer to call ' || c.id || ' was taken from job ' || e.source, 1
    FROM call_end e JOIN call c ON c.id = e.call JOIN item i ON i.seq = c.item
    WHERE e.state = 'taken' AND i.id = ?1
  UNION ALL
  SELECT r.ended_ms, 'retry', i.id, 'attempt ' || a.number || ' rejected by the plugin: ' || r.code || ': ' || r.message, 2
    FROM attempt_retry r JOIN attempt a ON a.id = r.attempt JOIN item i ON i.seq = a.item
    WHERE ?1 IS NULL OR i.id = ?1
  UNION ALL
  SELECT g.at_ms, g.level, i.id, g.message, 2
    FROM guest_log g JOIN item i ON i.seq = g.item WHERE ?1 IS NULL OR i.id = ?1
  UNION ALL
  SELECT o.ended_ms, 'failed', i.id,
         o.class || ': ' || CASE WHEN o.code <> o.class THEN o.code || ': ' ELSE '' END || o.message
         || CASE WHEN ?1 IS NOT NULL AND o.backtrace IS NOT NULL THEN char(10) || o.backtrace ELSE '' END, 3
    FROM outcome o JOIN item i ON i.seq = o.item WHERE o.state = 'failed' AND (?1 IS NULL OR i.id = ?1)
  UNION ALL
  SELECT o.ended_ms, o.state, i.id, coalesce(o.reason, ''), 3
    FROM outcome o JOIN item i ON i.seq = o.item WHERE o.state <> 'failed' AND i.id = ?1
) ORDER BY at_ms, rank
