;; What a guest hands back lies about itself.

;;;; huge-string
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 700)))
  (memory.fill (i32.const 262144) (i32.const 49) (i32.const 40000000))
  (call $emit (i32.const 262144) (i32.const 40000000)))

;;;; string-of-two-gigabytes
(func $attack (param i32) (result i32) (call $emit (i32.const 0) (i32.const 0x7fffffff)))

;;;; string-around-the-end
(func $attack (param i32) (result i32) (call $emit (i32.const 0xfffffff0) (i32.const 0x20)))

;;;; string-with-the-highest-bit
(func $attack (param i32) (result i32) (call $emit (i32.const 0x80000000) (i32.const 0x80000000)))

;;;; one-string-a-million-times
;; 1.5 million emissions that all point to the same megabyte: 1.5 TB if anybody believed it.
(func $attack (param i32) (result i32) (local $at i32)
  (drop (memory.grow (i32.const 760)))
  (memory.fill (i32.const 262144) (i32.const 49) (i32.const 1000000))
  (local.set $at (i32.const 1310720))
  (loop
    (i32.store (local.get $at) (i32.const 262144))
    (i32.store offset=4 (local.get $at) (i32.const 1000000))
    (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 28))) (i32.const 43310720))))
  (call $emit_list (i32.const 1310720) (i32.const 1500000)))

;;;; a-million-empty-emissions
(func $attack (param i32) (result i32) (local $at i32)
  (drop (memory.grow (i32.const 760)))
  (local.set $at (i32.const 1310720))
  (loop
    (i32.store (local.get $at) (i32.const 1063))
    (i32.store offset=4 (local.get $at) (i32.const 0))
    (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 28))) (i32.const 43310720))))
  (call $emit_list (i32.const 1310720) (i32.const 1500000)))

;;;; list-of-two-billion
(func $attack (param i32) (result i32) (call $emit_list (i32.const 4096) (i32.const 0x7fffffff)))

;;;; list-unaligned
(func $attack (param i32) (result i32) (call $emit_list (i32.const 4097) (i32.const 1)))

;;;; result-beyond-memory
(func $attack (param i32) (result i32) (i32.const 0xfffffff0))

;;;; result-unaligned
(func $attack (param i32) (result i32) (i32.const 2049))

;;;; case-that-is-not
(func $attack (param i32) (result i32)
  (i32.store8 (i32.const 2048) (i32.const 0)) (i32.store8 (i32.const 2056) (i32.const 77)) (i32.const 2048))

;;;; not-utf-8
(data (i32.const 3072) "\"\c3\28\"")
(func $attack (param i32) (result i32) (call $emit (i32.const 3072) (i32.const 4)))

;;;; surrogates-in-utf-8
(data (i32.const 3072) "\"\ed\a0\80\"")
(func $attack (param i32) (result i32) (call $emit (i32.const 3072) (i32.const 5)))

;;;; overlong-utf-8
(data (i32.const 3072) "\"\c0\80\"")
(func $attack (param i32) (result i32) (call $emit (i32.const 3072) (i32.const 4)))

;;;; utf-16-surrogates
;; The guest says that it speaks UTF-16, and returns half a character.
(data (i32.const 3072) "\22\00\00\d8\22\00")
(func $attack (param i32) (result i32) (call $emit (i32.const 3072) (i32.const 3)))
;; == encoding
string-encoding=utf16
;; == ok
(data (i32.const 3088) "t\00r\00u\00e\00")
(func $ok (result i32) (call $emit (i32.const 3088) (i32.const 4)))
;; == id
i32.load16_u

;;;; tagged-utf-16-without-end
(func $attack (param i32) (result i32) (call $emit (i32.const 3072) (i32.const 0xffffffff)))
;; == encoding
string-encoding=latin1+utf16

;;;; skip-reason-of-forty-megabytes
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 700)))
  (memory.fill (i32.const 262144) (i32.const 27) (i32.const 40000000))
  (call $skip (i32.const 262144) (i32.const 40000000)))

;;;; failure-of-forty-megabytes
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 700)))
  (memory.fill (i32.const 262144) (i32.const 27) (i32.const 40000000))
  (call $fail (i32.const 262144) (i32.const 20000000) (i32.const 262144) (i32.const 40000000)))

;;;; floats-that-are-not-numbers
;; Every NaN has one shape, so that a replay sees the same bits.
(func $attack (param i32) (result i32) (local $nan f64)
  (local.set $nan (f64.div (f64.mul (f64.const 0) (f64.const inf)) (f64.const -nan:0x7777777777777)))
  (if (i64.ne (i64.reinterpret_f64 (local.get $nan)) (i64.const 0x7ff8000000000000)) (then (unreachable)))
  (call $ok))
