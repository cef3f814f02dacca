;; Attacks on processor time.

;;;; endless-loop
(func $attack (param i32) (result i32) (loop (br 0)) (unreachable))

;;;; endless-tail-call
;; No loop, and a stack that never grows.
(func $round (result i32) (return_call $round))
(func $attack (param i32) (result i32) (call $round))

;;;; endless-call-indirect
(table 1 funcref)
(elem (i32.const 0) $round)
(func $round (result i32) (i32.const 1))
(func $attack (param i32) (result i32) (loop (br_if 0 (call_indirect (result i32) (i32.const 0)))) (i32.const 0))

;;;; two-to-the-fortieth
;; Neither a loop nor deep.
(func $halve (param $depth i32)
  (if (local.get $depth) (then
    (call $halve (i32.sub (local.get $depth) (i32.const 1)))
    (call $halve (i32.sub (local.get $depth) (i32.const 1))))))
(func $attack (param i32) (result i32) (call $halve (i32.const 40)) (call $ok))

;;;; endless-loop-in-realloc
;; The host is in the middle of handing over the item: the long strings of attackers give it away.
;; == realloc
(if (i32.gt_u (local.get $size) (i32.const 5000)) (then (loop (br 0))))

;;;; endless-loop-in-post-return
;; The answer is there, and the guest does not let go.
(global $attacked (mut i32) (i32.const 0))
(func $attack (param i32) (result i32) (global.set $attacked (i32.const 1)) (call $ok))
;; == post
(if (global.get $attacked) (then (loop (br 0))))

;;;; endless-loop-in-start
;; Before `process` is called. While it describes itself the guest's clock stands at 1970, by which it knows; later every other
;; item draws an odd number.
(func $start
  (call $now (i32.const 2560))
  (if (i64.gt_u (i64.load (i32.const 2560)) (i64.const 1000000)) (then
    (if (i32.and (i32.wrap_i64 (call $random)) (i32.const 1)) (then (loop (br 0)))))))
(func $attack (param i32) (result i32) (call $ok))
;; == imports
(import "wasi:clocks/wall-clock@0.2.6" (instance $clock
  (type $datetime_ (record (field "seconds" u64) (field "nanoseconds" u32)))
  (export "datetime" (type $datetime (eq $datetime_)))
  (export "now" (func (result $datetime)))))
(import "wasi:random/random@0.2.6" (instance $random (export "get-random-u64" (func (result u64)))))
;; == lower
(core func $now (canon lower (func $clock "now") (memory $memory)))
(core func $random (canon lower (func $random "get-random-u64")))
;; == core-imports
(import "host" "now" (func $now (param i32)))
(import "host" "random" (func $random (result i64)))
;; == with
(with "host" (instance (export "now" (func $now)) (export "random" (func $random))))
;; == start
(start $start)

;;;; endless-loop-in-describe
;; == describe
(loop (br 0))

;;;; bulk-memory
;; One instruction writes 100 MB, and is looked at only once.
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 1600)))
  (loop
    (memory.fill (i32.const 65536) (i32.const 7) (i32.const 100000000))
    (memory.copy (i32.const 65537) (i32.const 65536) (i32.const 100000000))
    (br 0))
  (unreachable))

;;;; bulk-table
(table $table 1 funcref)
(func $attack (param i32) (result i32)
  (drop (table.grow $table (ref.null func) (i32.const 50000)))
  (loop
    (table.fill $table (i32.const 0) (ref.null func) (i32.const 50000))
    (table.copy (i32.const 1) (i32.const 0) (i32.const 49000))
    (br 0))
  (unreachable))

;;;; clock-flood
(func $attack (param i32) (result i32) (loop (drop (call $now)) (br 0)) (unreachable))
;; == imports
(import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock (export "now" (func (result u64)))))
;; == lower
(core func $now (canon lower (func $clock "now")))
;; == core-imports
(import "host" "now" (func $now (result i64)))
;; == with
(with "host" (instance (export "now" (func $now))))

;;;; random-flood
;; A megabyte a call, for ever.
(func $attack (param i32) (result i32)
  (loop (call $random (i64.const 1000000) (i32.const 2560)) (br 0)) (unreachable))
;; == imports
(import "wasi:random/random@0.2.6" (instance $random (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
;; == realloc
(if (i32.gt_u (local.get $size) (i32.const 500000)) (then
  (if (i32.lt_u (memory.size) (i32.const 32)) (then (drop (memory.grow (i32.const 32)))))
  (return (i32.const 1000000))))
;; == lower
(core func $random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
;; == core-imports
(import "host" "random" (func $random (param i64 i32)))
;; == with
(with "host" (instance (export "random" (func $random))))

;;;; log-flood
(func $attack (param i32) (result i32)
  (loop (call $log (i32.const 2) (i32.const 1024) (i32.const 7) (i32.const 0) (i32.const 0)) (br 0)) (unreachable))
;; == imports
(import "sandmill:plugin/log@1.0.0" (instance $log
  (type $level_ (enum "trace" "debug" "info" "warn" "error"))
  (export "level" (type $level (eq $level_)))
  (type $pair_ (record (field "name" string) (field "value" string)))
  (export "pair" (type $pair (eq $pair_)))
  (export "log" (func (param "level" $level) (param "message" string) (param "fields" (list $pair))))))
;; == lower
(core func $log (canon lower (func $log "log") (memory $memory)))
;; == core-imports
(import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
;; == with
(with "host" (instance (export "log" (func $log))))

;;;; handle-flood
;; A timer made and dropped, for ever.
(func $attack (param i32) (result i32) (loop (call $drop (call $timer (i64.const 1))) (br 0)) (unreachable))
;; == imports
(import "wasi:io/poll@0.2.6" (instance $poll (export "pollable" (type (sub resource)))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
  (alias outer 1 $pollable (type $outer))
  (export "pollable" (type $pollable (eq $outer)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
;; == lower
(core func $timer (canon lower (func $clock "subscribe-duration")))
(core func $drop (canon resource.drop $pollable))
;; == core-imports
(import "host" "timer" (func $timer (param i64) (result i32)))
(import "host" "drop" (func $drop (param i32)))
;; == with
(with "host" (instance (export "timer" (func $timer)) (export "drop" (func $drop))))
