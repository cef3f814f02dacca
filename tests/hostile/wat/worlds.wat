;; Components that are no plugins, or ask for what no plugin is given.

;;;; unknown-import
;; == imports
(import "acme:spy/keys@1.0.0" (instance $keys (export "read" (func (result (list string))))))

;;;; imports-http
;; It links, and leads nowhere.
(func $attack (param i32) (result i32) (call $ok))
;; == imports
(import "wasi:http/types@0.2.6" (instance $http (export "fields" (type (sub resource)))))

;;;; import-of-another-shape
;; The name is right, the type is not.
;; == imports
(import "sandmill:plugin/blobs@1.0.0" (instance $blobs (export "read" (func (param "path" string) (result string)))))

;;;; newer-interface
;; == world
sandmill:plugin/handler@9.0.0

;;;; newer-minor-interface
;; The linker by itself would take it.
;; == world
sandmill:plugin/handler@1.9.0

;;;; interface-of-two-versions
;; == imports
(import "sandmill:plugin/blobs@1.9.0" (instance $blobs
  (export "read" (func (param "name" string) (param "offset" u64) (param "length" u32) (result (result (list u8) (error string)))))))

;;;; interface-that-was-never-released
;; == world
sandmill:plugin/handler@0.1.0

;;;; another-world
;; == world
wasi:http/incoming-handler@0.2.6

;;;; exports-nothing
;; == whole
(component)

;;;; core-module
;; == whole
(module (func (export "process") (result i32) (i32.const 0)))

;;;; process-of-another-shape
;; == whole
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $h (export "describe" (func $f)) (export "process" (func $f)))
  (export "sandmill:plugin/handler@1.0.0" (instance $h)))

;;;; handler-that-is-a-function
;; == whole
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (export "sandmill:plugin/handler@1.0.0" (func $f)))
