;; What a plugin says of itself.

;;;; name-of-ten-megabytes
;; == describe
(drop (memory.grow (i32.const 160)))
(memory.fill (i32.const 262144) (i32.const 27) (i32.const 10000000))
(i32.store (i32.const 2176) (i32.const 262144))
(i32.store (i32.const 2180) (i32.const 10000000))

;;;; nameless
;; == describe
(i32.store (i32.const 2180) (i32.const 0))

;;;; a-million-required-fields
;; Each of them `ok`, which no item has.
;; == describe
(call $fields)
(i32.store (i32.const 2224) (i32.const 262144))
(i32.store (i32.const 2228) (i32.const 1000000))
;; == fields
(func $fields (local $at i32)
  (drop (memory.grow (i32.const 140)))
  (local.set $at (i32.const 262144))
  (loop
    (i32.store (local.get $at) (i32.const 1058))
    (i32.store offset=4 (local.get $at) (i32.const 2))
    (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 8262144)))))

;;;; required-field-with-escapes
;; == describe
(i32.store (i32.const 2224) (i32.const 3072))
(i32.store (i32.const 2228) (i32.const 1))
;; == fields
(data (i32.const 3072) "\10\0c\00\00\15\00\00\00")
(data (i32.const 3088) "\1b[2J\1b]0;owned\07\nall: done")
