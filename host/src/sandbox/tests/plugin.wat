;; A plugin in text. `@name@` is replaced by a test: memory in pages, what the functions do, what is imported.
(component
  @imports@
  (core module $libc
    (memory (export "memory") @pages@)
    (global $next (mut i32) (i32.const 8192))
    (func $down (param i32) (result i32) (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      @realloc@
      ;; From the start again when the four pages are used up: what was handed over before is not looked at any more.
      (if (i32.gt_u (i32.add (global.get $next) (local.get $size)) (i32.const 262100))
        (then (global.set $next (i32.const 8192))))
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (local.set $old (global.get $next))
      (global.set $next (i32.add (global.get $next) (local.get $size)))
      (local.get $old)))
  (core instance $libc (instantiate $libc))
  @lower@
  (core module $main
    (import "libc" "memory" (memory 1))
    @core-imports@
    ;; The manifest at 2048, a message at 1024, an empty result at 3072.
    (data (i32.const 1024) "a message")
    (data (i32.const 2048) "\00\04\00\00\09\00\00\00")
    @fields@
    (func (export "process") (param $arguments i32) (result i32) @process@ (i32.const 3072))
    (func (export "describe") (result i32) @describe@ (i32.const 2048))
    (func (export "post") (param i32) @post@)
    @start@)
  (core instance $main (instantiate $main (with "libc" (instance $libc)) @with@))

  (type $pair_ (record (field "name" string) (field "value" string)))
  (export $pair "pair" (type $pair_))
  (type $blob_ (record (field "name" string) (field "mime-type" string) (field "size" u64) (field "digest" string)))
  (export $blob "blob" (type $blob_))
  (type $item_ (record (field "id" string) (field "index" u64) (field "json" string) (field "blobs" (list $blob))
    (field "extra" (list $pair))))
  (export $item "item" (type $item_))
  (type $budget_ (record (field "calls" (option u64)) (field "tokens" (option u64)) (field "micro-dollars" (option u64))))
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
    (field "detail" (option string))))
  (export $failure "failure" (type $failure_))
  (type $model-role_ (record (field "name" string) (field "description" string) (field "optional" bool)))
  (export $model-role "model-role" (type $model-role_))
  (type $manifest_ (record (field "name" string) (field "version" string) (field "description" string)
    (field "config-schema" (option string)) (field "output-schema" (option string)) (field "required-fields" (list string))
    (field "model-roles" (list $model-role)) (field "extra" (list $pair))))
  (export $manifest "manifest" (type $manifest_))

  (func $describe (result $manifest)
    (canon lift (core func $main "describe") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (func $process (param "item" $item) (param "context" $context) (result (result $outcome (error $failure)))
    (canon lift (core func $main "process") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))
      (post-return (core func $main "post"))))
  (instance $handler (export "describe" (func $describe)) (export "process" (func $process)))
  (export "sandmill:plugin/handler@0.1.0" (instance $handler)))
