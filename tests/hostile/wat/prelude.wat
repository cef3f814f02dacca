;; A whole plugin in text, written by hand down to the canonical ABI. What differs from one attack to the next stands in the
;; sections of its own file, and takes the place of `@name@` here.
;;
;; Items whose id starts with `n` are the neighbours and yield `true`; all others go to `$attack`, which gets the address of
;; the arguments and returns that of the result.
(component
  @imports@
  (core module $libc
    (memory (export "memory") @pages@)
    (global $next (mut i32) (i32.const 131072))
    (func $bump (param $size i32) (param $align i32) (result i32)
      (local $at i32)
      ;; rounded up to the alignment
      (local.set $at (i32.and
        (i32.sub (i32.add (global.get $next) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
      (local.get $at))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      @realloc@
      (call $bump (local.get $size) (local.get $align)))
    @libc@
  )
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  @lower@
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    @core-imports@
    (data (i32.const 1024) "hostile")
    (data (i32.const 1040) "1.0.0")
    (data (i32.const 1056) "{\"ok\":true}")
    @fields@

    ;; The results live here, at fixed places: process 2048, describe 2176, an emission 2304.
    (func $emit_list (param $list i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 2048) (i32.const 0))
      (i32.store8 (i32.const 2056) (i32.const 0))
      (i32.store (i32.const 2060) (local.get $list))
      (i32.store (i32.const 2064) (local.get $length))
      (i32.const 2048))
    (func $emit (param $text i32) (param $length i32) (result i32)
      (i32.store (i32.const 2304) (local.get $text))
      (i32.store (i32.const 2308) (local.get $length))
      (call $emit_list (i32.const 2304) (i32.const 1)))
    @ok@
    (func $skip (param $text i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 2048) (i32.const 0))
      (i32.store8 (i32.const 2056) (i32.const 1))
      (i32.store (i32.const 2060) (local.get $text))
      (i32.store (i32.const 2064) (local.get $length))
      (i32.const 2048))
    (func $fail (param $code i32) (param $code_length i32) (param $text i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 2048) (i32.const 1))
      (i32.store (i32.const 2080) (local.get $code))
      (i32.store (i32.const 2084) (local.get $code_length))
      (i32.store (i32.const 2088) (local.get $text))
      (i32.store (i32.const 2092) (local.get $length))
      (i32.const 2048))

    @attack@

    (func (export "process") (param $arguments i32) (result i32)
      (if (result i32) (i32.eq (@id@ (i32.load (local.get $arguments))) (i32.const 110))
        (then (call $ok))
        (else (call $attack (local.get $arguments)))))
    (func (export "describe") (result i32)
      (i32.store (i32.const 2176) (i32.const 1024))
      (i32.store (i32.const 2180) (i32.const 7))
      (i32.store (i32.const 2184) (i32.const 1040))
      (i32.store (i32.const 2188) (i32.const 5))
      @describe@
      (i32.const 2176))
    (func (export "post") (param $result i32)
      @post@
    )
    @start@
  )
  (core instance $main (instantiate $main (with "libc" (instance $libc)) @with@))
  (alias core export $main "post" (core func $post))

  (type $pair_ (record (field "name" string) (field "value" string)))
  (export $pair "pair" (type $pair_))
  (type $blob_ (record (field "name" string) (field "mime-type" string) (field "size" u64) (field "digest" string)
    (field "extra" (list $pair))))
  (export $blob "blob" (type $blob_))
  (type $item_ (record (field "id" string) (field "index" u64) (field "json" string) (field "blobs" (list $blob))
    (field "extra" (list $pair))))
  (export $item "item" (type $item_))
  (type $budget_ (record (field "calls" (option u64)) (field "tokens" (option u64)) (field "micro-dollars" (option u64))
    (field "extra" (list $pair))))
  (export $budget "budget" (type $budget_))
  (type $context_ (record (field "job" string) (field "attempt" u32) (field "config" string) (field "budget" $budget)
    (field "extra" (list $pair))))
  (export $context "context" (type $context_))
  (type $emission_ (record (field "value" string) (field "name" (option string)) (field "extra" (list $pair))))
  (export $emission "emission" (type $emission_))
  (type $skip_ (record (field "reason" string) (field "extra" (list $pair))))
  (export $skip "skip" (type $skip_))
  (type $outcome_ (variant (case "emit" (list $emission)) (case "skip" $skip)))
  (export $outcome "outcome" (type $outcome_))
  (type $failure-kind_ (variant (case "permanent") (case "retryable" (option u64))))
  (export $failure-kind "failure-kind" (type $failure-kind_))
  (type $failure_ (record (field "kind" $failure-kind) (field "code" string) (field "message" string)
    (field "detail" (option string)) (field "extra" (list $pair))))
  (export $failure "failure" (type $failure_))
  (type $model-role_ (record (field "name" string) (field "description" string) (field "optional" bool)
    (field "extra" (list $pair))))
  (export $model-role "model-role" (type $model-role_))
  (type $manifest_ (record (field "name" string) (field "version" string) (field "description" string)
    (field "config-schema" (option string)) (field "output-schema" (option string)) (field "required-fields" (list string))
    (field "model-roles" (list $model-role)) (field "extra" (list $pair))))
  (export $manifest "manifest" (type $manifest_))

  (func $describe (result $manifest)
    (canon lift (core func $main "describe") (memory $memory) (realloc $realloc)))
  (func $process (param "item" $item) (param "context" $context) (result (result $outcome (error $failure)))
    (canon lift (core func $main "process") (memory $memory) (realloc $realloc)
      (post-return $post) @encoding@))
  (instance $handler (export "describe" (func $describe)) (export "process" (func $process)))
  (export "@world@" (instance $handler))
  @after@
)
