/* Write Sandmill plugins in C.
 *
 * A plugin defines `sm_plugin`, which says what it is, and `sm_process`, which does the work for one item. It is built from its own
 * files and `sandmill.c`.
 *
 * Memory: whatever the kit hands out lasts until the item has ended, and is never freed. Each item runs in a fresh instance, so there
 * is nothing to clean up, and `malloc` without `free` is the style here. Out of memory ends the item, and is not to be checked for.
 *
 * Texts are UTF-8 and end in a NUL; what stands behind a NUL inside of a text (JSON's \u0000) is cut off, except in values that are
 * handed on with `sm_copy`. */
#ifndef SANDMILL_H
#define SANDMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "yyjson/yyjson.h"

#ifdef __cplusplus
extern "C" {
#endif

/* JSON that was read. All of yyjson may be used on it: https://ibireme.github.io/yyjson/doc/doxygen/html/ */
typedef yyjson_val sm_json;
/* JSON that is being made. */
typedef yyjson_mut_val sm_value;

/* A number that may not be there. `SM_SET(0.5)` is one that is. */
typedef struct {
  bool is_set;
  double value;
} sm_number;
#define SM_SET(number) ((sm_number){.is_set = true, .value = (double)(number)})

/* ---- What a plugin is ---- */

/* Entries in a list of the manifest. */
#define SM_LIST_MAX 32

/* A model that the plugin wants to talk to, by the part it plays. Which model that is, is the operator's business. */
typedef struct {
  const char *name;
  /* For the operator: what the model has to be good at. */
  const char *description;
  /* Whether the plugin works without it. */
  bool optional;
  /* What a newer host may know: a JSON object, or NULL. */
  const char *extra;
} sm_role;

typedef struct {
  const char *name;
  /* The plugin's own, such as "1.4.0". */
  const char *version;
  /* What it does with an item, in a sentence or two. */
  const char *description;
  /* A JSON Schema (2020-12), or NULL. The host refuses a configuration that does not fit, before the first item. */
  const char *config_schema;
  /* A JSON Schema, or NULL. The host refuses an emission that does not fit: the item fails. */
  const char *output_schema;
  /* Fields that every item must have. An item without one fails before the plugin sees it. */
  const char *required[SM_LIST_MAX];
  /* Without a role every call to a model is denied. */
  sm_role roles[SM_LIST_MAX];
} sm_manifest;

/* ---- What it is handed ---- */

/* Bytes that the host holds. Attach them to a question, and they never enter the plugin. */
typedef struct {
  /* Unique within the item. */
  const char *name;
  /* Such as "image/png". */
  const char *mime_type;
  /* In bytes. */
  uint64_t size;
  /* SHA-256, as 64 lower case hexadecimal digits. */
  const char *digest;
} sm_blob;

typedef struct {
  /* Unique within the job, and the same in every run. */
  const char *id;
  /* Position in the input, from 0. */
  uint64_t index;
  sm_json *data;
  const sm_blob *blobs;
  size_t blob_count;
} sm_item;

typedef struct {
  const char *job;
  /* 1, and one more each time the plugin answered `sm_retry` for this item. */
  uint32_t attempt;
  /* An object; empty if no configuration was given. */
  sm_json *config;
  /* What is left for the item before the host refuses: calls, tokens, millionths of a US dollar. */
  sm_number calls_left, tokens_left, micro_dollars_left;
} sm_context;

/* ---- How an item ends ---- */

typedef enum { SM_EMITTED, SM_SKIPPED, SM_FAILED, SM_REJECTED } sm_ending;

typedef struct {
  sm_value *value;
  /* NULL: it goes by its position. */
  const char *name;
} sm_emission;

/* Made by the functions below. On one that failed `detail` may be set, which is kept beside the item, and `extra`, an object of what
 * a newer host may know. */
typedef struct {
  sm_ending ending;
  sm_emission *emissions;
  size_t emission_count;
  const char *code;
  const char *message;
  sm_number after_ms;
  sm_value *detail;
  sm_value *extra;
} sm_result;

/* One value: one line of the output. */
sm_result sm_emit(sm_value *value);
/* Nothing, which is no skip. For several values: begin with it, and `sm_add` each. */
sm_result sm_emit_nothing(void);
/* `name`: unique among the item's values, so that their order shall not matter; or NULL. */
void sm_add(sm_result *result, sm_value *value, const char *name);
/* There is nothing to do for the item. It counts as done. */
sm_result sm_skip(const char *reason);
/* The same again would fail the same way: the item goes to the dead letters. `code`: lower case words joined by underscores, by
 * which they are grouped. The message is for a person, and best says what would help. */
sm_result sm_fail(const char *code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An answer was no good: the item is begun anew, with fresh answers, which are paid again. Not for a provider that fails; the host
 * has already retried that. `after_ms`: the least wait in milliseconds; 0 for none. */
sm_result sm_retry(const char *code, double after_ms, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The plugin is broken: the text, a backtrace, and the end of this item, as its class `trap`. */
_Noreturn void sm_crash(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Models ---- */

typedef enum {
  /* The provider did not answer properly, however often it was asked. */
  SM_TRANSIENT,
  /* The request does not fit the model's context. Send less: split it. */
  SM_TOO_LARGE,
  /* The provider says that the request is wrong. */
  SM_NOT_ACCEPTED,
  /* The provider, or the model, will not answer this for reasons of policy. */
  SM_REFUSED,
  /* A limit of the item or of the plugin is reached. */
  SM_LIMIT,
  /* The plugin was not granted what it asked for. */
  SM_DENIED,
  /* The batch is being stopped; what the plugin returns no longer counts. */
  SM_CANCELLED,
  /* The answer came, and is no JSON. Another attempt may do better. */
  SM_BAD_ANSWER,
} sm_error_kind;

/* Why there is no answer. Final for this attempt. */
typedef struct {
  sm_error_kind kind;
  /* For programs; the provider's own where it has one. */
  const char *code;
  const char *message;
} sm_error;

/* A question. What is left out is as the operator set it, else as the provider does. */
typedef struct {
  const char *user;
  const char *system;
  /* NULL: "default". */
  const char *role;
  /* For `sm_chat_json`: the JSON Schema that the answer shall fit; NULL: any JSON. */
  const char *schema;
  const sm_blob *attach;
  size_t attach_count;
  sm_number temperature, top_p, max_output_tokens, seed;
  /* "truncate", "truncate-middle" or "error" if it is too long for the model. */
  const char *on_overflow;
} sm_ask;

typedef struct {
  /* NULL: there is an answer. */
  const sm_error *error;
  const char *text;
  /* Of `sm_chat_json`: the answer, read. */
  sm_json *json;
  /* Why the model stopped: "stop", "length" (the text is incomplete), "content-filter", "refusal", or another. */
  const char *finish;
  const char *model;
  uint64_t input_tokens, output_tokens;
} sm_answer;

/* Asks, and gives the text. There is no retry loop to write: the host retries what is worth it. */
sm_answer sm_chat(sm_ask ask);
/* Asks for JSON. The host asks again for what does not fit the schema. */
sm_answer sm_chat_json(sm_ask ask);
/* Asks all at the same time. The answers stand in the order of the questions; those with a `schema` are read as JSON. An error that
 * is returned means that the whole was refused and nothing was asked, and `answers` is left as it was. */
const sm_error *sm_chat_many(const sm_ask *asks, size_t count, sm_answer *answers);
typedef struct {
  uint64_t tokens;
  /* How much the model can take in all, if that is known. */
  sm_number window;
  /* Whether the model's own encoding was used. If not, it is an estimate. */
  bool exact;
} sm_token_count;

/* How long a question would be; costs nothing. An error is returned, and NULL is none. */
const sm_error *sm_count_tokens(sm_ask ask, sm_token_count *count);
/* The item fails with the error's code; after SM_BAD_ANSWER it is begun anew. */
sm_result sm_fail_with(const sm_error *error);

/* ---- Blobs ---- */

/* At most `length` bytes from `offset` into `buffer`; fewer, or 0, where the blob ends. A blob that is not there is a crash. */
size_t sm_read_blob(const char *name, uint64_t offset, void *buffer, uint32_t length);

/* ---- Log ---- */

typedef enum { SM_LOG_TRACE, SM_LOG_DEBUG, SM_LOG_INFO, SM_LOG_WARN, SM_LOG_ERROR } sm_level;

/* Kept with the item. `fields`: an object, or NULL. What `printf` prints arrives there, too. */
void sm_log(sm_level level, sm_value *fields, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define sm_info(...) sm_log(SM_LOG_INFO, NULL, __VA_ARGS__)
#define sm_warn(...) sm_log(SM_LOG_WARN, NULL, __VA_ARGS__)

/* ---- JSON ---- */

/* NULL if the text is no JSON. */
sm_json *sm_parse(const char *text);
/* All of these take what is not there (NULL, no object, no such field, another type) for the fallback. */
sm_json *sm_get(sm_json *object, const char *name);
const char *sm_get_text(sm_json *object, const char *name, const char *fallback);
double sm_get_number(sm_json *object, const char *name, double fallback);
int64_t sm_get_integer(sm_json *object, const char *name, int64_t fallback);
bool sm_get_bool(sm_json *object, const char *name, bool fallback);

sm_value *sm_object(void);
sm_value *sm_list(void);
sm_value *sm_text(const char *text);
sm_value *sm_integer(int64_t number);
/* NaN and infinities have no JSON form: they fail the item as `bad_output`. */
sm_value *sm_real(double number);
sm_value *sm_bool(bool truth);
sm_value *sm_null(void);
/* What was read, to be written as it is. */
sm_value *sm_copy(sm_json *json);
/* Both return what they were given first. */
sm_value *sm_set(sm_value *object, const char *name, sm_value *value);
sm_value *sm_push(sm_value *list, sm_value *value);

/* As printf prints it, however long. */
char *sm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- To be defined by the plugin ---- */

extern const sm_manifest sm_plugin;
sm_result sm_process(const sm_item *item, const sm_context *cx);

#ifdef __cplusplus
}
#endif
#endif
