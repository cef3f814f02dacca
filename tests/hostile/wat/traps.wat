;; Traps of every kind.

;;;; unreachable
(func $attack (param i32) (result i32) (unreachable))

;;;; divide-by-zero
(func $attack (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 0)))

;;;; integer-overflow
(func $attack (param i32) (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))

;;;; not-a-number-to-integer
(func $attack (param i32) (result i32) (i32.trunc_f64_s (f64.const nan:0x4000000000001)))

;;;; memory-out-of-bounds
(func $attack (param i32) (result i32) (i32.load offset=0xfffffff0 (i32.const -1)))

;;;; guard-pages
;; As far beyond the memory as an address can reach.
(func $attack (param i32) (result i32) (i64.store offset=0xffffffff (i32.const 0x7fffffff) (i64.const -1)) (call $ok))

;;;; table-out-of-bounds
(table 1 funcref)
(func $attack (param i32) (result i32) (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 7)))

;;;; null-function
(table 1 funcref)
(func $attack (param i32) (result i32) (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0)))

;;;; function-of-another-type
(table 1 1 funcref)
(elem (i32.const 0) $ok)
(func $attack (param i32) (result i32) (call_indirect (param i64 i64) (result i32) (i64.const 1) (i64.const 2) (i32.const 0)))

;;;; trap-in-describe
;; == describe
(unreachable)

;;;; trap-in-realloc
;; In the middle of what the host does.
;; == realloc
(if (i32.gt_u (local.get $size) (i32.const 5000)) (then (unreachable)))

;;;; realloc-beyond-memory
;; The host is told to write where no memory is.
;; == realloc
(if (i32.gt_u (local.get $size) (i32.const 5000)) (then (return (i32.const 0xfffffff0))))

;;;; trap-in-post-return
(global $attacked (mut i32) (i32.const 0))
(func $attack (param i32) (result i32) (global.set $attacked (i32.const 1)) (call $ok))
;; == post
(if (global.get $attacked) (then (unreachable)))

;;;; call-out-of-post-return
;; A guest may not call the host while it lets go.
(global $attacked (mut i32) (i32.const 0))
(func $attack (param i32) (result i32) (global.set $attacked (i32.const 1)) (call $ok))
;; == post
(if (global.get $attacked) (then (drop (call $now))))
;; == imports
(import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock (export "now" (func (result u64)))))
;; == lower
(core func $now (canon lower (func $clock "now")))
;; == core-imports
(import "host" "now" (func $now (result i64)))
;; == with
(with "host" (instance (export "now" (func $now))))

;;;; forged-handle
;; A handle that nobody gave.
(func $attack (param i32) (result i32) (call $block (i32.const 12345)) (call $ok))
;; == imports
(import "wasi:io/poll@0.2.6" (instance $poll
  (export "pollable" (type $pollable (sub resource)))
  (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
;; == lower
(core func $block (canon lower (func $poll "[method]pollable.block")))
;; == core-imports
(import "host" "block" (func $block (param i32)))
;; == with
(with "host" (instance (export "block" (func $block))))

;;;; handle-of-another-kind
;; The handle of a stream, dropped as that of a timer.
(func $attack (param i32) (result i32) (call $drop (call $stdout)) (call $ok))
;; == imports
(import "wasi:io/poll@0.2.6" (instance $poll (export "pollable" (type (sub resource)))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:io/streams@0.2.6" (instance $streams (export "output-stream" (type (sub resource)))))
(alias export $streams "output-stream" (type $stream))
(import "wasi:cli/stdout@0.2.6" (instance $stdout
  (alias outer 1 $stream (type $outer))
  (export "output-stream" (type $stream (eq $outer)))
  (export "get-stdout" (func (result (own $stream))))))
;; == lower
(core func $stdout (canon lower (func $stdout "get-stdout")))
(core func $drop (canon resource.drop $pollable))
;; == core-imports
(import "host" "stdout" (func $stdout (result i32)))
(import "host" "drop" (func $drop (param i32)))
;; == with
(with "host" (instance (export "stdout" (func $stdout)) (export "drop" (func $drop))))

;;;; dropped-twice
(func $attack (param i32) (result i32) (local $handle i32)
  (local.set $handle (call $stdout))
  (call $drop (local.get $handle)) (call $drop (local.get $handle)) (call $ok))
;; == imports
(import "wasi:io/streams@0.2.6" (instance $streams (export "output-stream" (type (sub resource)))))
(alias export $streams "output-stream" (type $stream))
(import "wasi:cli/stdout@0.2.6" (instance $stdout
  (alias outer 1 $stream (type $outer))
  (export "output-stream" (type $stream (eq $outer)))
  (export "get-stdout" (func (result (own $stream))))))
;; == lower
(core func $stdout (canon lower (func $stdout "get-stdout")))
(core func $drop (canon resource.drop $stream))
;; == core-imports
(import "host" "stdout" (func $stdout (result i32)))
(import "host" "drop" (func $drop (param i32)))
;; == with
(with "host" (instance (export "stdout" (func $stdout)) (export "drop" (func $drop))))
