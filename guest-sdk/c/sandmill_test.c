/* Stands in for the host in tests: the functions of the bindings that a component imports, and the way of an item through its exports. */

#include "sandmill_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/processor.h"

#define MOST 1000

typedef struct {
  const char *text;
  bool is_error;
  sm_error error;
} reply;

typedef struct {
  const char *name;
  const uint8_t *bytes;
  size_t size;
} blob;

static reply replies[MOST];
static size_t reply_count, reply_next;
static const char *users[MOST], *systems[MOST], *schemas[MOST], *lines[MOST];
static size_t asked_count, line_count;
static blob blobs[MOST];
static size_t blob_count;

static void room(size_t count) {
  if (count < MOST) return;
  fprintf(stderr, "a test has room for %d of each\n", MOST);
  exit(1);
}

void sm_test_reset(void) { reply_count = reply_next = asked_count = line_count = blob_count = 0; }

void sm_test_reply(const char *text) {
  room(reply_count);
  replies[reply_count++] = (reply){.text = text};
}

void sm_test_reply_error(sm_error_kind kind, const char *code, const char *message) {
  room(reply_count);
  replies[reply_count++] = (reply){.is_error = true, .error = {.kind = kind, .code = code, .message = message}};
}

void sm_test_blob(const char *name, const void *bytes, size_t size) {
  room(blob_count);
  blobs[blob_count++] = (blob){.name = name, .bytes = bytes, .size = size};
}

size_t sm_test_asked(void) { return asked_count; }
const char *sm_test_user(size_t question) { return question < asked_count ? users[question] : ""; }
const char *sm_test_system(size_t question) { return question < asked_count ? systems[question] : ""; }
const char *sm_test_schema(size_t question) { return question < asked_count ? schemas[question] : ""; }
size_t sm_test_logged(void) { return line_count; }
const char *sm_test_line(size_t line) { return line < line_count ? lines[line] : ""; }

/* ---- What a component imports ---- */

void processor_string_dup(processor_string_t *ret, const char *s) {
  ret->len = strlen(s);
  ret->ptr = (uint8_t *)strcpy(malloc(ret->len + 1), s);
}

static processor_string_t dup(const char *text) {
  processor_string_t made;
  processor_string_dup(&made, text);
  return made;
}

static const char *text_of(processor_string_t text) { return sm_format("%.*s", (int)text.len, (const char *)text.ptr); }

static const char *said_by(const sandmill_plugin_llm_request_t *request, sandmill_plugin_llm_speaker_t speaker) {
  const char *said = "";
  for (size_t index = 0; index < request->messages.len; index++) {
    const sandmill_plugin_llm_message_t *message = &request->messages.ptr[index];
    if (message->speaker != speaker) continue;
    for (size_t part = 0; part < message->parts.len; part++) {
      if (message->parts.ptr[part].tag != SANDMILL_PLUGIN_LLM_PART_TEXT) continue;
      said = sm_format("%s%s%s", said, *said ? "\n" : "", text_of(message->parts.ptr[part].val.text));
    }
  }
  return said;
}

bool sandmill_plugin_llm_complete(sandmill_plugin_llm_request_t *request, sandmill_plugin_llm_response_t *ret,
                                  sandmill_plugin_llm_error_t *err) {
  room(asked_count);
  bool has_schema = request->format.tag == SANDMILL_PLUGIN_LLM_RESPONSE_FORMAT_JSON_SCHEMA;
  users[asked_count] = said_by(request, SANDMILL_PLUGIN_LLM_SPEAKER_USER);
  systems[asked_count] = said_by(request, SANDMILL_PLUGIN_LLM_SPEAKER_SYSTEM);
  schemas[asked_count++] = has_schema ? text_of(request->format.val.json_schema.schema) : "";
  reply none = {.is_error = true, .error = {SM_NOT_ACCEPTED, "no_reply", "the test has no reply left for this question"}};
  reply next = reply_next < reply_count ? replies[reply_next++] : none;
  if (next.is_error) {
    *err = (sandmill_plugin_llm_error_t){
        .kind = (uint8_t)next.error.kind, .code = dup(next.error.code), .message = dup(next.error.message)};
    return false;
  }
  *ret = (sandmill_plugin_llm_response_t){.text = dup(next.text), .finish = dup("stop"), .model = dup("fake")};
  return true;
}

bool sandmill_plugin_llm_complete_many(sandmill_plugin_llm_list_request_t *requests,
                                       sandmill_plugin_llm_list_result_response_error_t *ret,
                                       sandmill_plugin_llm_error_t *err) {
  (void)err;
  *ret = (sandmill_plugin_llm_list_result_response_error_t){.ptr = calloc(requests->len + 1, sizeof *ret->ptr),
                                                            .len = requests->len};
  for (size_t index = 0; index < requests->len; index++) {
    sandmill_plugin_llm_result_response_error_t *result = &ret->ptr[index];
    sandmill_plugin_llm_response_t response;
    sandmill_plugin_llm_error_t error;
    result->is_err = !sandmill_plugin_llm_complete(&requests->ptr[index], &response, &error);
    if (result->is_err) result->val.err = error;
    else result->val.ok = response;
  }
  return true;
}

/* An estimate of four bytes a token, and no window. */
bool sandmill_plugin_llm_count_tokens(sandmill_plugin_llm_request_t *request, sandmill_plugin_llm_token_count_t *ret,
                                      sandmill_plugin_llm_error_t *err) {
  (void)err;
  size_t bytes = strlen(said_by(request, SANDMILL_PLUGIN_LLM_SPEAKER_USER)) +
                 strlen(said_by(request, SANDMILL_PLUGIN_LLM_SPEAKER_SYSTEM));
  *ret = (sandmill_plugin_llm_token_count_t){.tokens = (bytes + 3) / 4};
  return true;
}

void sandmill_plugin_log_log(sandmill_plugin_log_level_t level, processor_string_t *message,
                             sandmill_plugin_log_list_pair_t *fields) {
  static const char *const LEVELS[] = {"trace", "debug", "info", "warn", "error"};
  const char *line = sm_format("%s: %s", LEVELS[level], text_of(*message));
  for (size_t index = 0; index < fields->len; index++) {
    line = sm_format("%s %s=%s", line, text_of(fields->ptr[index].name), text_of(fields->ptr[index].value));
  }
  room(line_count);
  lines[line_count++] = line;
}

bool sandmill_plugin_blobs_read(processor_string_t *name, uint64_t offset, uint32_t length, processor_list_u8_t *ret,
                                processor_string_t *err) {
  for (size_t index = 0; index < blob_count; index++) {
    const blob *found = &blobs[index];
    if (strcmp(found->name, text_of(*name)) != 0) continue;
    size_t rest = offset < found->size ? found->size - (size_t)offset : 0, size = rest < length ? rest : length;
    *ret = (processor_list_u8_t){.ptr = malloc(size + 1), .len = size};
    if (size) memcpy(ret->ptr, found->bytes + offset, size);
    else free(ret->ptr);
    return true;
  }
  *err = dup(sm_format("there is no blob `%s`", text_of(*name)));
  return false;
}

/* ---- The way of an item ---- */

sm_tested sm_test_run(const char *item, const char *config) { return sm_test_run_attempt(item, config, 1); }

sm_tested sm_test_run_attempt(const char *item, const char *config, uint32_t attempt) {
  sandmill_plugin_types_blob_t *handles = calloc(blob_count + 1, sizeof *handles);
  for (size_t index = 0; index < blob_count; index++) {
    handles[index] = (sandmill_plugin_types_blob_t){.name = dup(blobs[index].name),
                                                    .mime_type = dup("application/octet-stream"),
                                                    .size = blobs[index].size,
                                                    .digest = dup("")};
  }
  exports_sandmill_plugin_handler_item_t handed = {
      .id = dup("item-0"), .json = dup(item), .blobs = {.ptr = handles, .len = blob_count}};
  exports_sandmill_plugin_handler_context_t context = {
      .job = dup("test"), .attempt = attempt, .config = dup(config ? config : "{}")};
  exports_sandmill_plugin_handler_outcome_t outcome;
  exports_sandmill_plugin_handler_failure_t failure;
  if (!exports_sandmill_plugin_handler_process(&handed, &context, &outcome, &failure)) {
    bool is_rejected = failure.kind.tag == SANDMILL_PLUGIN_TYPES_FAILURE_KIND_RETRYABLE;
    return (sm_tested){.ending = is_rejected ? SM_REJECTED : SM_FAILED,
                       .code = text_of(failure.code),
                       .message = text_of(failure.message),
                       .detail = failure.detail.is_some ? text_of(failure.detail.val) : NULL};
  }
  if (outcome.tag == SANDMILL_PLUGIN_TYPES_OUTCOME_SKIP) {
    return (sm_tested){.ending = SM_SKIPPED, .message = text_of(outcome.val.skip.reason)};
  }
  size_t count = outcome.val.emit.len;
  sm_tested tested = {.ending = SM_EMITTED,
                      .values = calloc(count + 1, sizeof *tested.values),
                      .names = calloc(count + 1, sizeof *tested.names),
                      .count = count};
  for (size_t index = 0; index < count; index++) {
    tested.values[index] = text_of(outcome.val.emit.ptr[index].value);
    if (outcome.val.emit.ptr[index].name.is_some) tested.names[index] = text_of(outcome.val.emit.ptr[index].name.val);
  }
  return tested;
}

void sm_test_check(bool holds, const char *what, const char *file, int line) {
  if (holds) return;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  exit(1);
}

void sm_test_check_text(const char *text, const char *expected, const char *file, int line) {
  if (text && !strcmp(text, expected)) return;
  fprintf(stderr, "%s:%d: is  %s\nshall be %s\n", file, line, text ? text : "(nothing)", expected);
  exit(1);
}
