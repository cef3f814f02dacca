/* The kit: between the bindings of the contract and the plugin's function. To be compiled with the plugin's own files. */

#include "sandmill.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __wasm__
#include "bindings/processor.c"
/* `sandmill plugin build` writes the type of the component itself. */
void __component_type_object_force_link_processor(void) {}
#else
/* In a test `sandmill_test.c` stands in for the host. */
#include "bindings/processor.h"
#endif

#include "yyjson/yyjson.c"

/* ---- Memory and texts ---- */

static void *take(size_t size) {
  void *memory = calloc(1, size ? size : 1);
  if (!memory) sm_crash("out of memory");
  return memory;
}

#define TAKE(type, count) ((type *)take(sizeof(type) * (count)))

static char *format_list(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) sm_crash("`%s` cannot be formatted", format);
  char *text = take((size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

char *sm_format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = format_list(format, arguments);
  va_end(arguments);
  return text;
}

static const char *text_of(processor_string_t text) {
  char *copy = take(text.len + 1);
  memcpy(copy, text.ptr, text.len);
  return copy;
}

/* To be read by the host during a call. */
static processor_string_t lent(const char *text) {
  return (processor_string_t){.ptr = (uint8_t *)text, .len = text ? strlen(text) : 0};
}

/* To be handed over: the host's side frees it. */
static processor_string_t given(const char *text) {
  processor_string_t made = {0};
  if (text) processor_string_dup(&made, text);
  return made;
}

/* ---- JSON ---- */

static yyjson_mut_doc *document(void) {
  static yyjson_mut_doc *made;
  if (!made) made = yyjson_mut_doc_new(NULL);
  if (!made) sm_crash("out of memory");
  return made;
}

static sm_value *made(sm_value *value) {
  if (!value) sm_crash("out of memory, or a text that is no UTF-8");
  return value;
}

static sm_json *parse(const char *text, size_t length) {
  /* Numbers that no double holds stay as they were written. */
  yyjson_doc *read = yyjson_read(text, length, YYJSON_READ_BIGNUM_AS_RAW);
  return read ? yyjson_doc_get_root(read) : NULL;
}

sm_json *sm_parse(const char *text) { return parse(text, strlen(text)); }
sm_json *sm_get(sm_json *object, const char *name) { return yyjson_obj_get(object, name); }

const char *sm_get_text(sm_json *object, const char *name, const char *fallback) {
  const char *text = yyjson_get_str(sm_get(object, name));
  return text ? text : fallback;
}

double sm_get_number(sm_json *object, const char *name, double fallback) {
  sm_json *found = sm_get(object, name);
  return yyjson_is_num(found) ? yyjson_get_num(found) : fallback;
}

int64_t sm_get_integer(sm_json *object, const char *name, int64_t fallback) {
  sm_json *found = sm_get(object, name);
  /* Of those that have no sign, some are too large. */
  bool fits = yyjson_is_sint(found) || (yyjson_is_uint(found) && yyjson_get_uint(found) <= INT64_MAX);
  return fits ? yyjson_get_sint(found) : fallback;
}

bool sm_get_bool(sm_json *object, const char *name, bool fallback) {
  sm_json *found = sm_get(object, name);
  return yyjson_is_bool(found) ? yyjson_get_bool(found) : fallback;
}

sm_value *sm_object(void) { return made(yyjson_mut_obj(document())); }
sm_value *sm_list(void) { return made(yyjson_mut_arr(document())); }
sm_value *sm_text(const char *text) { return text ? made(yyjson_mut_strcpy(document(), text)) : sm_null(); }
sm_value *sm_integer(int64_t number) { return made(yyjson_mut_sint(document(), number)); }
sm_value *sm_real(double number) { return made(yyjson_mut_real(document(), number)); }
sm_value *sm_bool(bool truth) { return made(yyjson_mut_bool(document(), truth)); }
sm_value *sm_null(void) { return made(yyjson_mut_null(document())); }
sm_value *sm_copy(sm_json *json) { return json ? made(yyjson_val_mut_copy(document(), json)) : sm_null(); }

sm_value *sm_set(sm_value *object, const char *name, sm_value *value) {
  if (!yyjson_mut_obj_put(object, sm_text(name), value)) sm_crash("`%s` cannot be set: it is no object", name);
  return object;
}

sm_value *sm_push(sm_value *list, sm_value *value) {
  if (!yyjson_mut_arr_append(list, value)) sm_crash("nothing can be added: it is no list");
  return list;
}

/* NULL if it has no JSON form. */
static const char *written(sm_value *value) { return value ? yyjson_mut_val_write(value, YYJSON_WRITE_NOFLAG, NULL) : NULL; }

/* The properties of an object, each text lent or given. */
static sandmill_plugin_types_list_pair_t pairs_of(sm_value *object, processor_string_t (*handed)(const char *)) {
  sandmill_plugin_types_list_pair_t pairs = {.ptr = TAKE(sandmill_plugin_types_pair_t, yyjson_mut_obj_size(object)), .len = 0};
  size_t index, count;
  sm_value *name, *value;
  yyjson_mut_obj_foreach(object, index, count, name, value) {
    const char *shown = written(value);
    pairs.ptr[pairs.len].name = handed(yyjson_mut_get_str(name));
    /* It never fails: a number that JSON does not have is none. */
    pairs.ptr[pairs.len++].value = handed(shown ? shown : "null");
  }
  return pairs;
}

/* ---- How an item ends ---- */

sm_result sm_emit_nothing(void) { return (sm_result){.ending = SM_EMITTED}; }

sm_result sm_emit(sm_value *value) {
  sm_result result = sm_emit_nothing();
  sm_add(&result, value, NULL);
  return result;
}

void sm_add(sm_result *result, sm_value *value, const char *name) {
  size_t count = result->emission_count;
  /* Room doubles: it is full whenever the count is a power of two. */
  if ((count & (count - 1)) == 0) {
    sm_emission *more = TAKE(sm_emission, count ? 2 * count : 1);
    if (count) memcpy(more, result->emissions, count * sizeof *more);
    result->emissions = more;
  }
  result->emissions[count] = (sm_emission){.value = value, .name = name};
  result->emission_count = count + 1;
}

sm_result sm_skip(const char *reason) { return (sm_result){.ending = SM_SKIPPED, .message = reason}; }

sm_result sm_fail(const char *code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = format_list(format, arguments);
  va_end(arguments);
  return (sm_result){.ending = SM_FAILED, .code = code, .message = message};
}

sm_result sm_retry(const char *code, double after_ms, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = format_list(format, arguments);
  va_end(arguments);
  sm_result result = {.ending = SM_REJECTED, .code = code, .message = message};
  if (after_ms > 0) result.after_ms = SM_SET(after_ms);
  return result;
}

sm_result sm_fail_with(const sm_error *error) {
  sm_result result = sm_fail(error->code, "%s", error->message);
  if (error->kind == SM_BAD_ANSWER) result.ending = SM_REJECTED;
  return result;
}

void sm_crash(const char *format, ...) {
  fflush(stdout);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(stderr);
  abort();
}

/* ---- Models ---- */

/* Whether a provider can enforce the schema: every object is closed, and all its properties are required. */
static bool is_strict(sm_json *schema);

static bool are_strict(sm_json *schemas) {
  size_t index, count;
  sm_json *name, *one;
  if (yyjson_is_arr(schemas)) {
    yyjson_arr_foreach(schemas, index, count, one) if (!is_strict(one)) return false;
  } else if (yyjson_is_obj(schemas)) {
    yyjson_obj_foreach(schemas, index, count, name, one) if (!is_strict(one)) return false;
  }
  return true;
}

static bool is_required(sm_json *schema, const char *name) {
  size_t index, count;
  sm_json *one;
  yyjson_arr_foreach(sm_get(schema, "required"), index, count, one) if (yyjson_equals_str(one, name)) return true;
  return false;
}

static bool is_strict(sm_json *schema) {
  if (!yyjson_is_obj(schema) || yyjson_obj_size(schema) == 0) return false;
  size_t index, count;
  sm_json *properties = sm_get(schema, "properties"), *type = sm_get(schema, "type"), *name, *one;
  bool is_object = properties || yyjson_equals_str(type, "object");
  if (yyjson_is_arr(type)) {
    yyjson_arr_foreach(type, index, count, one) is_object = is_object || yyjson_equals_str(one, "object");
  }
  if (is_object) {
    if (!properties || sm_get_bool(schema, "additionalProperties", true)) return false;
    yyjson_obj_foreach(properties, index, count, name, one) if (!is_required(schema, yyjson_get_str(name))) return false;
  }
  sm_json *items = sm_get(schema, "items");
  return are_strict(properties) && are_strict(sm_get(schema, "$defs")) && are_strict(sm_get(schema, "anyOf")) &&
         are_strict(sm_get(schema, "oneOf")) && are_strict(sm_get(schema, "allOf")) &&
         are_strict(sm_get(schema, "prefixItems")) && (!items || is_strict(items));
}

/* Of the title what the contract allows. */
static const char *schema_name(sm_json *schema) {
  char *name = sm_format("%.64s", sm_get_text(schema, "title", "answer"));
  for (char *at = name; *at; at++) {
    bool fits = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') || *at == '-';
    if (!fits) *at = '_';
  }
  return *name ? name : "answer";
}

static sandmill_plugin_llm_message_t message(sandmill_plugin_llm_speaker_t speaker, const char *text, const sm_ask *ask) {
  size_t attached = ask ? ask->attach_count : 0;
  sandmill_plugin_llm_part_t *parts = TAKE(sandmill_plugin_llm_part_t, 1 + attached);
  parts[0].tag = SANDMILL_PLUGIN_LLM_PART_TEXT;
  parts[0].val.text = lent(text);
  for (size_t index = 0; index < attached; index++) {
    sandmill_plugin_llm_part_t *part = &parts[1 + index];
    part->tag = SANDMILL_PLUGIN_LLM_PART_MEDIA;
    part->val.media.mime_type = lent(ask->attach[index].mime_type);
    part->val.media.source.tag = SANDMILL_PLUGIN_LLM_MEDIA_SOURCE_BLOB;
    part->val.media.source.val.blob = lent(ask->attach[index].name);
  }
  return (sandmill_plugin_llm_message_t){.speaker = speaker, .parts = {.ptr = parts, .len = 1 + attached}};
}

static sandmill_plugin_llm_request_t request(const sm_ask *ask, bool is_json) {
  sandmill_plugin_llm_message_t *messages = TAKE(sandmill_plugin_llm_message_t, 2);
  size_t count = 0;
  if (ask->system) messages[count++] = message(SANDMILL_PLUGIN_LLM_SPEAKER_SYSTEM, ask->system, NULL);
  messages[count++] = message(SANDMILL_PLUGIN_LLM_SPEAKER_USER, ask->user, ask);
  sandmill_plugin_llm_request_t made = {
      .role = lent(ask->role ? ask->role : "default"),
      .messages = {.ptr = messages, .len = count},
      .temperature = {.is_some = ask->temperature.is_set, .val = ask->temperature.value},
      .top_p = {.is_some = ask->top_p.is_set, .val = ask->top_p.value},
      .max_output_tokens = {.is_some = ask->max_output_tokens.is_set, .val = (uint32_t)ask->max_output_tokens.value},
      .seed = {.is_some = ask->seed.is_set, .val = (uint64_t)ask->seed.value},
      .on_overflow = {.is_some = ask->on_overflow != NULL, .val = lent(ask->on_overflow)},
  };
  made.format.tag = is_json ? SANDMILL_PLUGIN_LLM_RESPONSE_FORMAT_JSON : SANDMILL_PLUGIN_LLM_RESPONSE_FORMAT_TEXT;
  if (is_json && ask->schema) {
    sm_json *schema = sm_parse(ask->schema);
    if (!schema) sm_crash("the schema of a question is no JSON: %s", ask->schema);
    made.format.tag = SANDMILL_PLUGIN_LLM_RESPONSE_FORMAT_JSON_SCHEMA;
    made.format.val.json_schema = (sandmill_plugin_llm_json_schema_t){
        .name = lent(schema_name(schema)), .schema = lent(ask->schema), .strict = is_strict(schema)};
  }
  return made;
}

static const sm_error *error_of(const sandmill_plugin_llm_error_t *told) {
  sm_error *error = TAKE(sm_error, 1);
  /* The kinds stand in the contract's order. */
  *error = (sm_error){.kind = (sm_error_kind)told->kind, .code = text_of(told->code), .message = text_of(told->message)};
  return error;
}

static sm_answer answer_of(const sandmill_plugin_llm_response_t *response, bool is_json) {
  sm_answer answer = {
      .text = text_of(response->text),
      .finish = text_of(response->finish),
      .model = text_of(response->model),
      .input_tokens = response->usage.input_tokens,
      .output_tokens = response->usage.output_tokens,
  };
  if (!is_json) return answer;
  answer.json = parse((const char *)response->text.ptr, response->text.len);
  if (!answer.json) {
    sm_error *error = TAKE(sm_error, 1);
    const char *message = sm_format("the model's answer is no JSON (it ended by `%s`)", answer.finish);
    *error = (sm_error){.kind = SM_BAD_ANSWER, .code = "bad_answer", .message = message};
    answer.error = error;
  }
  return answer;
}

static sm_answer ask_for(const sm_ask *ask, bool is_json) {
  sandmill_plugin_llm_request_t asked = request(ask, is_json);
  sandmill_plugin_llm_response_t response;
  sandmill_plugin_llm_error_t error;
  if (sandmill_plugin_llm_complete(&asked, &response, &error)) return answer_of(&response, is_json);
  return (sm_answer){.error = error_of(&error)};
}

sm_answer sm_chat(sm_ask ask) { return ask_for(&ask, false); }
sm_answer sm_chat_json(sm_ask ask) { return ask_for(&ask, true); }

const sm_error *sm_chat_many(const sm_ask *asks, size_t count, sm_answer *answers) {
  sandmill_plugin_llm_list_request_t requests = {.ptr = TAKE(sandmill_plugin_llm_request_t, count), .len = count};
  for (size_t index = 0; index < count; index++) requests.ptr[index] = request(&asks[index], asks[index].schema != NULL);
  sandmill_plugin_llm_list_result_response_error_t results;
  sandmill_plugin_llm_error_t error;
  if (!sandmill_plugin_llm_complete_many(&requests, &results, &error)) return error_of(&error);
  for (size_t index = 0; index < count && index < results.len; index++) {
    sandmill_plugin_llm_result_response_error_t *result = &results.ptr[index];
    answers[index] = result->is_err ? (sm_answer){.error = error_of(&result->val.err)}
                                    : answer_of(&result->val.ok, asks[index].schema != NULL);
  }
  return NULL;
}

const sm_error *sm_count_tokens(sm_ask ask, sm_token_count *count) {
  sandmill_plugin_llm_request_t asked = request(&ask, ask.schema != NULL);
  sandmill_plugin_llm_token_count_t told;
  sandmill_plugin_llm_error_t error;
  if (!sandmill_plugin_llm_count_tokens(&asked, &told, &error)) return error_of(&error);
  sm_number window = {.is_set = told.window.is_some, .value = (double)told.window.val};
  *count = (sm_token_count){.tokens = told.tokens, .window = window, .exact = told.exact};
  return NULL;
}

/* ---- Blobs and log ---- */

size_t sm_read_blob(const char *name, uint64_t offset, void *buffer, uint32_t length) {
  processor_string_t asked = lent(name), error;
  processor_list_u8_t bytes;
  if (!sandmill_plugin_blobs_read(&asked, offset, length, &bytes, &error)) sm_crash("%s", text_of(error));
  memcpy(buffer, bytes.ptr, bytes.len);
  size_t read = bytes.len;
  if (read) free(bytes.ptr);
  return read;
}

void sm_log(sm_level level, sm_value *fields, const char *format, ...) {
  /* So that what was printed stands before it. */
  fflush(stdout);
  va_list arguments;
  va_start(arguments, format);
  processor_string_t text = lent(format_list(format, arguments));
  va_end(arguments);
  sandmill_plugin_types_list_pair_t made = pairs_of(fields, lent);
  sandmill_plugin_log_list_pair_t pairs = {.ptr = made.ptr, .len = made.len};
  sandmill_plugin_log_log((sandmill_plugin_log_level_t)level, &text, &pairs);
}

/* ---- The exports ---- */

static sandmill_plugin_types_option_json_t given_option(const char *text) {
  return (sandmill_plugin_types_option_json_t){.is_some = text != NULL, .val = given(text)};
}

void exports_sandmill_plugin_handler_describe(exports_sandmill_plugin_handler_manifest_t *ret) {
  *ret = (exports_sandmill_plugin_handler_manifest_t){
      .name = given(sm_plugin.name),
      .version = given(sm_plugin.version),
      .description = given(sm_plugin.description),
      .config_schema = given_option(sm_plugin.config_schema),
      .output_schema = given_option(sm_plugin.output_schema),
  };
  ret->required_fields.ptr = TAKE(processor_string_t, SM_LIST_MAX);
  while (ret->required_fields.len < SM_LIST_MAX && sm_plugin.required[ret->required_fields.len]) {
    ret->required_fields.ptr[ret->required_fields.len] = given(sm_plugin.required[ret->required_fields.len]);
    ret->required_fields.len++;
  }
  ret->model_roles.ptr = TAKE(sandmill_plugin_types_model_role_t, SM_LIST_MAX);
  while (ret->model_roles.len < SM_LIST_MAX && sm_plugin.roles[ret->model_roles.len].name) {
    const sm_role *role = &sm_plugin.roles[ret->model_roles.len];
    sm_json *extra = role->extra ? sm_parse(role->extra) : NULL;
    if (role->extra && !yyjson_is_obj(extra)) sm_crash("the extra of the role `%s` is no JSON object", role->name);
    ret->model_roles.ptr[ret->model_roles.len++] = (sandmill_plugin_types_model_role_t){
        .name = given(role->name),
        .description = given(role->description),
        .optional = role->optional,
        .extra = pairs_of(extra ? sm_copy(extra) : NULL, given)};
  }
}

static sm_number number_of(processor_option_u64_t number) {
  return (sm_number){.is_set = number.is_some, .value = (double)number.val};
}

static sm_item item_of(const exports_sandmill_plugin_handler_item_t *item) {
  sm_blob *blobs = TAKE(sm_blob, item->blobs.len);
  for (size_t index = 0; index < item->blobs.len; index++) {
    const sandmill_plugin_types_blob_t *blob = &item->blobs.ptr[index];
    blobs[index] = (sm_blob){.name = text_of(blob->name),
                             .mime_type = text_of(blob->mime_type),
                             .size = blob->size,
                             .digest = text_of(blob->digest)};
  }
  return (sm_item){.id = text_of(item->id),
                   .index = item->index,
                   .data = parse((const char *)item->json.ptr, item->json.len),
                   .blobs = blobs,
                   .blob_count = item->blobs.len};
}

static bool failed(const sm_result *result, exports_sandmill_plugin_handler_failure_t *err) {
  *err = (exports_sandmill_plugin_handler_failure_t){.code = given(result->code), .message = given(result->message)};
  err->kind.tag = result->ending == SM_REJECTED ? SANDMILL_PLUGIN_TYPES_FAILURE_KIND_RETRYABLE
                                                : SANDMILL_PLUGIN_TYPES_FAILURE_KIND_PERMANENT;
  err->kind.val.retryable.is_some = result->after_ms.is_set;
  err->kind.val.retryable.val = (uint64_t)result->after_ms.value;
  err->detail = given_option(written(result->detail));
  err->extra = pairs_of(result->extra, given);
  return false;
}

bool exports_sandmill_plugin_handler_process(exports_sandmill_plugin_handler_item_t *item,
                                             exports_sandmill_plugin_handler_context_t *context,
                                             exports_sandmill_plugin_handler_outcome_t *ret,
                                             exports_sandmill_plugin_handler_failure_t *err) {
  sm_item handed = item_of(item);
  sm_context cx = {.job = text_of(context->job),
                   .attempt = context->attempt,
                   .config = parse((const char *)context->config.ptr, context->config.len),
                   .calls_left = number_of(context->budget.calls),
                   .tokens_left = number_of(context->budget.tokens),
                   .micro_dollars_left = number_of(context->budget.micro_dollars)};
  sm_result bad = sm_fail("bad_item", "the item is JSON that the plugin's kit cannot read");
  sm_result result = handed.data && cx.config ? sm_process(&handed, &cx) : bad;
  fflush(stdout);
  if (result.ending == SM_SKIPPED) {
    ret->tag = SANDMILL_PLUGIN_TYPES_OUTCOME_SKIP;
    ret->val.skip = (sandmill_plugin_types_skip_t){.reason = given(result.message)};
    return true;
  }
  if (result.ending != SM_EMITTED) return failed(&result, err);
  sandmill_plugin_types_list_emission_t list = {.ptr = TAKE(sandmill_plugin_types_emission_t, result.emission_count)};
  for (; list.len < result.emission_count; list.len++) {
    const sm_emission *emission = &result.emissions[list.len];
    const char *value = written(emission->value);
    if (!value) {
      sm_result no = sm_fail("bad_output", "value %zu of the plugin's cannot be written as JSON", list.len + 1);
      return failed(&no, err);
    }
    list.ptr[list.len].value = given(value);
    list.ptr[list.len].name = (processor_option_string_t){.is_some = emission->name != NULL, .val = given(emission->name)};
  }
  ret->tag = SANDMILL_PLUGIN_TYPES_OUTCOME_EMIT;
  ret->val.emit = list;
  return true;
}
