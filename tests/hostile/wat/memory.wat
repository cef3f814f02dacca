;; Attacks on memory: the guest's, and what the host keeps for it.

;;;; memory-storm
;; Page by page to the limit, each one written to, then a trap as from an allocator that got nothing.
(func $attack (param i32) (result i32) (local $page i32)
  (loop $more
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.eq (local.get $page) (i32.const -1)) (then (unreachable)))
    (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
    (br $more))
  (unreachable))

;;;; memory-all-at-once
(func $attack (param i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 65000)) (i32.const -1)) (then (unreachable))) (call $ok))

;;;; memory-refused-and-lived-with
(func $attack (param i32) (result i32) (drop (memory.grow (i32.const 65000))) (call $ok))

;;;; many-small-memories
;; Each within the limit, together beyond it.
(func $attack (param i32) (result i32)
  (if (i32.eq (call $a (i32.const 700)) (i32.const -1)) (then (unreachable)))
  (if (i32.eq (call $b (i32.const 700)) (i32.const -1)) (then (unreachable)))
  (call $ok))
;; == lower
(core module $room (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
(core instance $a (instantiate $room))
(core instance $b (instantiate $room))
;; == core-imports
(import "a" "grow" (func $a (param i32) (result i32)))
(import "b" "grow" (func $b (param i32) (result i32)))
;; == with
(with "a" (instance $a)) (with "b" (instance $b))

;;;; ninety-memories
;; == fields
@repeat 90 (memory 1)@

;;;; table-storm
(table $table 1 funcref)
(func $attack (param i32) (result i32)
  (loop (br_if 0 (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable))

;;;; a-hundred-tables
;; == fields
@repeat 100 (table 1 funcref)@

;;;; a-table-of-ten-million
(table 10000000 funcref)
(func $attack (param i32) (result i32) (call $ok))

;;;; two-hundred-instances
;; == after
(core module $small (func (export "f")))
@repeat 200 (core instance (instantiate $small))@

;;;; globals-by-the-million
;; They stand in the host's memory, once an instance.
;; == after
(core module $globals @repeat 30000 (global (mut i64) (i64.const 1))@)
@repeat 100 (core instance (instantiate $globals))@

;;;; own-handles
;; Handles of a resource of the guest's own: the host keeps a table of them.
(func $attack (param i32) (result i32) (loop (drop (call $new (i32.const 7))) (br 0)) (unreachable))
;; == imports
(type $own (resource (rep i32)))
;; == lower
(core func $new (canon resource.new $own))
;; == core-imports
(import "host" "new" (func $new (param i32) (result i32)))
;; == with
(with "host" (instance (export "new" (func $new))))

;;;; leaked-timers
;; 100,000 timers that nobody drops.
(func $attack (param i32) (result i32) (local $n i32)
  (loop (drop (call $timer (i64.const 1)))
    (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))
  (call $ok))
;; == imports
(import "wasi:io/poll@0.2.6" (instance $poll (export "pollable" (type (sub resource)))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
  (alias outer 1 $pollable (type $outer))
  (export "pollable" (type $pollable (eq $outer)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
;; == lower
(core func $timer (canon lower (func $clock "subscribe-duration")))
;; == core-imports
(import "host" "timer" (func $timer (param i64) (result i32)))
;; == with
(with "host" (instance (export "timer" (func $timer))))

;;;; one-timer-polled-by-the-million
;; A list of ten million borrows of one handle, each of which the host has to look at.
(func $attack (param i32) (result i32) (local $timer i32) (local $at i32)
  (drop (memory.grow (i32.const 700)))
  (local.set $timer (call $timer (i64.const 1)))
  (local.set $at (i32.const 262144))
  (loop
    (i32.store (local.get $at) (local.get $timer))
    (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 40262144))))
  (call $poll (i32.const 262144) (i32.const 10000000) (i32.const 2560))
  (call $ok))
;; == imports
(import "wasi:io/poll@0.2.6" (instance $poll
  (export "pollable" (type $pollable (sub resource)))
  (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
  (alias outer 1 $pollable (type $outer))
  (export "pollable" (type $pollable (eq $outer)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
;; == lower
(core func $timer (canon lower (func $clock "subscribe-duration")))
(core func $poll (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))
;; == core-imports
(import "host" "timer" (func $timer (param i64) (result i32)))
(import "host" "poll" (func $poll (param i32 i32 i32)))
;; == with
(with "host" (instance (export "timer" (func $timer)) (export "poll" (func $poll))))

;;;; random-by-the-gigabyte
(func $attack (param i32) (result i32) (call $random (i64.const 0xffffffffffff) (i32.const 2560)) (call $ok))
;; == imports
(import "wasi:random/random@0.2.6" (instance $random (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
;; == lower
(core func $random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
;; == core-imports
(import "host" "random" (func $random (param i64 i32)))
;; == with
(with "host" (instance (export "random" (func $random))))

;;;; zeroes-without-end
;; The host is to write 2^63 zeroes to stdout.
(func $attack (param i32) (result i32)
  (call $zeroes (call $stdout) (i64.const 0x7fffffffffffffff) (i32.const 2560)) (call $ok))
;; == imports
(import "wasi:io/error@0.2.6" (instance $error (export "error" (type (sub resource)))))
(alias export $error "error" (type $error))
(import "wasi:io/streams@0.2.6" (instance $streams
  (alias outer 1 $error (type $outer))
  (export "error" (type $error (eq $outer)))
  (type $stream-error_ (variant (case "last-operation-failed" (own $error)) (case "closed")))
  (export "stream-error" (type $stream-error (eq $stream-error_)))
  (export "output-stream" (type $stream (sub resource)))
  (export "[method]output-stream.write-zeroes"
    (func (param "self" (borrow $stream)) (param "len" u64) (result (result (error $stream-error)))))))
(alias export $streams "output-stream" (type $stream))
(import "wasi:cli/stdout@0.2.6" (instance $stdout
  (alias outer 1 $stream (type $outer))
  (export "output-stream" (type $stream (eq $outer)))
  (export "get-stdout" (func (result (own $stream))))))
;; == lower
(core func $stdout (canon lower (func $stdout "get-stdout")))
(core func $zeroes (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $memory)))
;; == core-imports
(import "host" "stdout" (func $stdout (result i32)))
(import "host" "zeroes" (func $zeroes (param i32 i64 i32)))
;; == with
(with "host" (instance (export "stdout" (func $stdout)) (export "zeroes" (func $zeroes))))
