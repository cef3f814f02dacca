;; What a plugin imports that calls the host: a log, a clock, blobs, stdout.
(import "sandmill:plugin/log@1.0.0" (instance $log
  (type $level_ (enum "trace" "debug" "info" "warn" "error"))
  (export "level" (type $level (eq $level_)))
  (type $pair_ (record (field "name" string) (field "value" string)))
  (export "pair" (type $pair (eq $pair_)))
  (export "log" (func (param "level" $level) (param "message" string) (param "fields" (list $pair))))))
(import "sandmill:plugin/blobs@1.0.0" (instance $blobs
  (export "read" (func (param "name" string) (param "offset" u64) (param "length" u32)
    (result (result (list u8) (error string)))))))
(import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
  (alias outer 1 $pollable (type $outer))
  (export "pollable" (type $pollable (eq $outer)))
  (export "now" (func (result u64)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
(import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
(alias export $error "error" (type $io-error))
(import "wasi:io/streams@0.2.0" (instance $streams
  (export "output-stream" (type $stream (sub resource)))
  (alias outer 1 $io-error (type $outer))
  (export "error" (type $error (eq $outer)))
  (type $failed_ (variant (case "last-operation-failed" (own $error)) (case "closed")))
  (export "stream-error" (type $failed (eq $failed_)))
  (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $stream))
    (param "contents" (list u8)) (result (result (error $failed)))))))
(alias export $streams "output-stream" (type $stream))
(import "wasi:cli/stdout@0.2.0" (instance $stdout
  (alias outer 1 $stream (type $outer))
  (export "output-stream" (type $stream (eq $outer)))
  (export "get-stdout" (func (result (own $stream))))))
