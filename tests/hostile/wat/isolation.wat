;; Looks for what an earlier instance may have left, and leaves as much as it can itself.

;;;; isolation
;; Every item: looks at all of its fresh memories, tables and globals for a byte that is not as it was compiled, then fills them
;; with a secret of its own. Items end in different ways, since that may be where something is forgotten.
(memory $second 4)
(table $table 64 10000 funcref)
(elem (i32.const 3) $secret_function)
(global $first (mut i64) (i64.const 0))
(global $other (mut i64) (i64.const 0x1122334455667788))
(data (i32.const 3072) "leak")
(data (i32.const 3080) "as compiled")
(func $secret_function)

;; Whether anything but zeroes stands there; whole words.
(func $dirty (param $at i32) (param $end i32) (result i32) (local $found i64)
  (loop $more (if (i32.lt_u (local.get $at) (local.get $end)) (then
    (local.set $found (i64.or (local.get $found) (i64.load (local.get $at))))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br $more))))
  (i64.ne (local.get $found) (i64.const 0)))
(func $dirty_second (param $at i32) (param $end i32) (result i32) (local $found i64)
  (loop $more (if (i32.lt_u (local.get $at) (local.get $end)) (then
    (local.set $found (i64.or (local.get $found) (i64.load $second (local.get $at))))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br $more))))
  (i64.ne (local.get $found) (i64.const 0)))
(func $dirty_table (param $at i32) (param $end i32) (result i32) (local $found i32)
  (loop $more (if (i32.lt_u (local.get $at) (local.get $end)) (then
    (local.set $found (i32.or (local.get $found) (i32.eqz (ref.is_null (table.get $table (local.get $at))))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $more))))
  (local.get $found))

(func $look (result i32) (local $grown i32)
  (if (call $dirty (i32.const 4096) (i32.const 131072)) (then (return (i32.const 1))))
  ;; The arguments stand at 131072.
  (if (call $dirty (i32.const 163840) (i32.const 262144)) (then (return (i32.const 1))))
  (if (i64.ne (i64.load (i32.const 3080)) (i64.const 0x69706d6f63207361)) (then (return (i32.const 1))))
  (if (i64.ne (global.get $first) (i64.const 0)) (then (return (i32.const 1))))
  (if (i64.ne (global.get $other) (i64.const 0x1122334455667788)) (then (return (i32.const 1))))
  (if (call $dirty_table (i32.const 4) (i32.const 64)) (then (return (i32.const 1))))
  (if (call $dirty_second (i32.const 0) (i32.const 262144)) (then (return (i32.const 1))))
  ;; And what is added.
  (if (i32.ne (memory.grow (i32.const 96)) (i32.const 4)) (then (unreachable)))
  (if (call $dirty (i32.const 262144) (i32.const 6553600)) (then (return (i32.const 1))))
  (if (i32.ne (memory.grow $second (i32.const 46)) (i32.const 4)) (then (unreachable)))
  (if (call $dirty_second (i32.const 262144) (i32.const 3276800)) (then (return (i32.const 1))))
  (if (i32.ne (table.grow $table (ref.null func) (i32.const 9000)) (i32.const 64)) (then (unreachable)))
  (call $dirty_table (i32.const 64) (i32.const 9064)))

(func $leave
  (memory.fill (i32.const 4096) (i32.const 0xa5) (i32.const 126976))
  (memory.fill (i32.const 163840) (i32.const 0xa5) (i32.const 6389760))
  (i64.store (i32.const 3080) (i64.const -1))
  (memory.fill $second (i32.const 0) (i32.const 0x5a) (i32.const 3276800))
  (table.fill $table (i32.const 0) (ref.func $secret_function) (i32.const 9064))
  (global.set $first (i64.const -1))
  (global.set $other (i64.const -1)))

(func $attack (param $arguments i32) (result i32) (local $kind i32)
  (local.set $kind (i32.and (i32.wrap_i64 (i64.load offset=8 (local.get $arguments))) (i32.const 15)))
  (if (call $look) (then (return (call $fail (i32.const 3072) (i32.const 4) (i32.const 3072) (i32.const 4)))))
  (call $leave)
  (if (i32.eq (local.get $kind) (i32.const 1)) (then (unreachable)))
  (if (i32.eq (local.get $kind) (i32.const 2)) (then (loop (br 0))))
  (if (i32.eq (local.get $kind) (i32.const 3)) (then (drop (i32.load (i32.const -4)))))
  (call $ok))
