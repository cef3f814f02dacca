;; Attacks on the stack, the guest's and what the host has above it.

;;;; deep-recursion
(func $down (param i32) (result i32) (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
(func $attack (param i32) (result i32) (call $down (i32.const 0)))

;;;; mutual-recursion
(type $down (func (param i32) (result i32)))
(table 2 2 funcref)
(elem (i32.const 0) $left $right)
(func $left (param i32) (result i32)
  (i32.add (call_indirect (type $down) (local.get 0) (i32.const 1)) (i32.const 1)))
(func $right (param i32) (result i32)
  (i32.add (call_indirect (type $down) (local.get 0) (i32.const 0)) (i32.const 1)))
(func $attack (param i32) (result i32) (call $left (i32.const 0)))

;;;; wide-frames
;; A kilobyte of locals a call.
(func $down (param i32) (result i32)
  (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
  (local v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
  (local.set 29 (v128.const i64x2 1 2))
  (i32.add (call $down (i32.add (local.get 0) (i32x4.extract_lane 0 (local.get 29)))) (i32.const 1)))
(func $attack (param i32) (result i32) (call $down (i32.const 0)))

;;;; recursion-through-the-host
;; Each frame makes the host work, the last one where hardly any stack is left.
(func $down (param i32) (result i32)
  (call $log (i32.const 2) (i32.const 1024) (i32.const 7) (i32.const 0) (i32.const 0))
  (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
(func $attack (param i32) (result i32) (call $down (i32.const 0)))
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

;;;; recursion-in-realloc
;; The host calls the guest, which calls itself until the stack is used up, under the host's own frames.
;; == realloc
(if (i32.gt_u (local.get $size) (i32.const 5000)) (then (drop (call $down (i32.const 0)))))
;; == libc
(func $down (param i32) (result i32) (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
