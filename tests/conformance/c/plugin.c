/* Does what its item says; the same in every language. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandmill.h"

#define ROLE(name) {name, "answers", true}

const sm_manifest sm_plugin = {
    .name = "conform",
    .version = "1.0.0",
    .description = "Does what its item says.",
    .config_schema = "{\"type\":\"object\",\"properties\":{\"team\":{\"type\":\"string\"}}}",
    .required = {"do"},
    .roles = {ROLE("default"), ROLE("transient"), ROLE("small"), ROLE("rejected"), ROLE("refused"), ROLE("sloppy"),
              ROLE("stubborn"), ROLE("slow")},
};

static const char ANSWER[] = "{\"type\":\"object\",\"title\":\"Answer\",\"properties\":{\"topic\":{\"type\":\"string\"},"
                             "\"urgency\":{\"type\":\"integer\"}},\"required\":[\"topic\",\"urgency\"],"
                             "\"additionalProperties\":false}";

static sm_value *told(const sm_error *error) {
  static const char *const KINDS[] = {"transient", "too-large", "rejected", "refused", "limit", "denied", "cancelled", "bad-answer"};
  sm_value *made = sm_set(sm_object(), "kind", sm_text(KINDS[error->kind]));
  return sm_set(made, "code", sm_text(error->code));
}

static sm_value *shown(const sm_answer *answer) {
  return answer->error ? told(answer->error) : sm_text(answer->text);
}

static sm_result emit_answer(sm_answer answer) {
  return answer.error ? sm_fail_with(answer.error) : sm_emit(sm_text(answer.text));
}

static sm_result numbers(void) {
  sm_value *list = sm_list();
  sm_push(list, sm_integer(9007199254740991));
  sm_push(list, sm_integer(9007199254740993));
  sm_push(list, sm_copy(sm_parse("18446744073709551615")));
  sm_push(list, sm_integer(INT64_MIN));
  sm_push(list, sm_real(1e308));
  sm_push(list, sm_real(5e-324));
  sm_push(list, sm_real(-0.0));
  sm_push(list, sm_real(0.1));
  return sm_emit(list);
}

static sm_result sort(sm_ask ask) {
  ask.system = "Sort it.";
  ask.schema = ANSWER;
  sm_answer answer = sm_chat_json(ask);
  if (answer.error) return sm_fail_with(answer.error);
  sm_value *sorted = sm_set(sm_object(), "topic", sm_text(sm_get_text(answer.json, "topic", NULL)));
  return sm_emit(sm_set(sorted, "next", sm_integer(sm_get_integer(answer.json, "urgency", -1) + 1)));
}

static sm_result several(void) {
  sm_ask asks[3] = {{.user = "a"}, {.user = "b", .role = "transient"}, {.user = "c", .system = "d"}};
  sm_answer answers[3];
  const sm_error *error = sm_chat_many(asks, 3, answers);
  if (error) return sm_fail_with(error);
  sm_value *list = sm_list();
  for (int index = 0; index < 3; index++) sm_push(list, shown(&answers[index]));
  return sm_emit(list);
}

static sm_result too_many(void) {
  static sm_ask asks[1001];
  static sm_answer answers[1001];
  for (int index = 0; index < 1001; index++) asks[index].user = "a";
  const sm_error *error = sm_chat_many(asks, 1001, answers);
  return sm_emit(error ? told(error) : sm_integer(1001));
}

static sm_result ask_on(void) {
  for (int asked = 0;; asked++) {
    sm_answer answer = sm_chat((sm_ask){.user = sm_format("question %d", asked)});
    if (!answer.error) continue;
    return sm_emit(sm_set(sm_set(sm_object(), "asked", sm_integer(asked)), "error", told(answer.error)));
  }
}

static sm_result count(const char *text) {
  sm_token_count count;
  const sm_error *error = sm_count_tokens((sm_ask){.user = text}, &count);
  if (error) return sm_fail_with(error);
  sm_value *made = sm_set(sm_object(), "tokens", sm_integer((int64_t)count.tokens));
  sm_set(made, "window", count.window.is_set ? sm_integer((int64_t)count.window.value) : sm_null());
  return sm_emit(sm_set(made, "exact", sm_bool(count.exact)));
}

static sm_value *part(const sm_blob *blob, uint64_t offset, uint32_t length) {
  char *text = calloc(1, length + 1);
  sm_read_blob(blob->name, offset, text, length);
  return sm_text(text);
}

static sm_result blob(const sm_blob *blob) {
  sm_value *made = sm_set(sm_object(), "name", sm_text(blob->name));
  sm_set(made, "mime_type", sm_text(blob->mime_type));
  sm_set(made, "size", sm_integer((int64_t)blob->size));
  sm_set(made, "digest", sm_text(blob->digest));
  sm_set(made, "text", part(blob, 0, (uint32_t)blob->size));
  sm_set(made, "middle", part(blob, 2, 3));
  return sm_emit(sm_set(made, "behind", part(blob, 1000, 3)));
}

static sm_result logged(void) {
  const char *words[] = {"finest", "fine", "plain", "careful", "wrong"};
  for (int level = SM_LOG_TRACE; level <= SM_LOG_ERROR; level++) {
    sm_value *fields = sm_set(sm_set(sm_object(), "n", sm_integer(1)), "who", sm_text("Jürgen"));
    sm_log((sm_level)level, fields, "%s", words[level]);
  }
  printf("printed\n");
  return sm_emit(sm_text("logged"));
}

static sm_result hog(void) {
  /* So that the compiler keeps it. */
  static char *volatile held;
  for (;;) {
    held = malloc(1 << 20);
    if (!held) sm_crash("out of memory");
    memset(held, 1, 1 << 20);
  }
}

__attribute__((noinline)) static sm_result crash(const char *work, const char *text) {
  sm_crash("cannot do %s: %s", work, text); /* this line */
}

sm_result sm_process(const sm_item *item, const sm_context *cx) {
  const char *work = sm_get_text(item->data, "do", ""), *text = sm_get_text(item->data, "text", "");
  sm_ask ask = {.user = text, .role = sm_get_text(item->data, "role", NULL)};
  if (!strcmp(work, "echo")) return sm_emit(sm_copy(sm_get(item->data, "value")));
  if (!strcmp(work, "identity")) {
    sm_value *made = sm_set(sm_set(sm_object(), "id", sm_text(item->id)), "index", sm_integer((int64_t)item->index));
    sm_set(sm_set(made, "job", sm_text(cx->job)), "attempt", sm_integer(cx->attempt));
    return sm_emit(sm_set(made, "calls", sm_integer((int64_t)cx->calls_left.value)));
  }
  if (!strcmp(work, "numbers")) return numbers();
  if (!strcmp(work, "no-json")) return sm_emit(sm_real(NAN));
  if (!strcmp(work, "config")) return sm_emit(sm_text(sm_get_text(cx->config, "team", "")));
  if (!strcmp(work, "chat")) {
    ask.system = "Be brief.";
    ask.temperature = SM_SET(0.5);
    return emit_answer(sm_chat(ask));
  }
  if (!strcmp(work, "json")) return sort(ask);
  if (!strcmp(work, "error")) {
    ask.on_overflow = "error";
    sm_answer answer = sm_chat(ask);
    return sm_emit(shown(&answer));
  }
  if (!strcmp(work, "several")) return several();
  if (!strcmp(work, "too-many")) return too_many();
  if (!strcmp(work, "ask-on")) return ask_on();
  if (!strcmp(work, "count")) return count(text);
  if (!strcmp(work, "blob")) return blob(&item->blobs[0]);
  if (!strcmp(work, "attach")) {
    return emit_answer(sm_chat((sm_ask){.user = text, .attach = item->blobs, .attach_count = item->blob_count}));
  }
  if (!strcmp(work, "log")) return logged();
  if (!strcmp(work, "none")) return sm_emit_nothing();
  if (!strcmp(work, "many")) {
    sm_result result = sm_emit(sm_integer(1));
    sm_add(&result, sm_set(sm_object(), "two", sm_text(text)), "zweite \xf0\x9f\x98\x80");
    sm_add(&result, sm_null(), NULL);
    return result;
  }
  if (!strcmp(work, "skip")) return sm_skip("nothing to do");
  if (!strcmp(work, "fail")) {
    sm_result result = sm_fail("no_text", "there is nothing here");
    result.detail = sm_set(sm_object(), "seen", sm_text(text));
    return result;
  }
  bool is_first = cx->attempt < 2;
  if (!strcmp(work, "retry")) return is_first ? sm_retry("not_yet", 0, "once more") : sm_emit(sm_integer(cx->attempt));
  if (!strcmp(work, "retry-later")) {
    return is_first ? sm_retry("not_yet", 1, "in a moment") : sm_emit(sm_integer(cx->attempt));
  }
  if (!strcmp(work, "retry-for-ever")) return sm_retry("never", 0, "and again");
  if (!strcmp(work, "loop")) {
    for (volatile unsigned turns = 0;; turns++) {}
  }
  if (!strcmp(work, "hog")) return hog();
  return crash(work, text);
}
