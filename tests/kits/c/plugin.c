/* Does what its item says; the same in every language. */

#include <stdio.h>
#include <string.h>

#include "sandmill.h"

const sm_manifest sm_plugin = {
    .name = "conform",
    .version = "0.1.0",
    .description = "Does what its item says.",
    .config_schema = "{\"type\":\"object\",\"properties\":{\"team\":{\"type\":\"string\"}}}",
    .required = {"do"},
    .roles = {{"default", "answers", false}},
};

static const char ANSWER[] = "{\"type\":\"object\",\"title\":\"Answer\",\"properties\":{\"topic\":{\"type\":\"string\"},"
                             "\"urgency\":{\"type\":\"integer\"}},\"required\":[\"topic\",\"urgency\"],"
                             "\"additionalProperties\":false}";

static sm_result sort(const char *text) {
  sm_answer answer = sm_chat_json((sm_ask){.user = text, .system = "Sort it.", .schema = ANSWER});
  if (answer.error) return sm_fail_with(answer.error);
  sm_value *sorted = sm_set(sm_object(), "topic", sm_text(sm_get_text(answer.json, "topic", NULL)));
  return sm_emit(sm_set(sorted, "next", sm_integer(sm_get_integer(answer.json, "urgency", -1) + 1)));
}

static sm_result several(void) {
  sm_ask asks[2] = {{.user = "a"}, {.user = "b", .system = "c"}};
  sm_answer answers[2];
  const sm_error *error = sm_chat_many(asks, 2, answers);
  if (error) return sm_fail_with(error);
  sm_value *texts = sm_list();
  for (int index = 0; index < 2; index++) {
    sm_push(texts, sm_text(answers[index].error ? answers[index].error->code : answers[index].text));
  }
  return sm_emit(texts);
}

__attribute__((noinline)) static sm_result crash(const char *work) { sm_crash("cannot do %s", work); }

sm_result sm_process(const sm_item *item, const sm_context *cx) {
  const char *work = sm_get_text(item->data, "do", ""), *text = sm_get_text(item->data, "text", "");
  if (!strcmp(work, "config")) return sm_emit(sm_text(sm_get_text(cx->config, "team", "nobody")));
  if (!strcmp(work, "chat")) {
    sm_answer answer = sm_chat((sm_ask){.user = text, .system = "Be brief.", .temperature = SM_SET(0.5)});
    return answer.error ? sm_fail_with(answer.error) : sm_emit(sm_text(answer.text));
  }
  if (!strcmp(work, "json")) return sort(text);
  if (!strcmp(work, "several")) return several();
  if (!strcmp(work, "denied")) {
    sm_answer answer = sm_chat((sm_ask){.user = "?", .role = "stranger"});
    return answer.error ? sm_fail_with(answer.error) : sm_emit(sm_text(answer.text));
  }
  if (!strcmp(work, "log")) {
    sm_log(SM_LOG_WARN, sm_set(sm_object(), "n", sm_integer(1)), "careful");
    printf("printed\n");
    return sm_emit(sm_text("logged"));
  }
  if (!strcmp(work, "many")) {
    sm_result result = sm_emit(sm_integer(1));
    sm_add(&result, sm_set(sm_object(), "two", sm_text(text)), "second");
    return result;
  }
  if (!strcmp(work, "fail")) {
    sm_result result = sm_fail("no_text", "there is nothing here");
    result.detail = sm_set(sm_object(), "seen", sm_text(text));
    return result;
  }
  if (!strcmp(work, "retry")) {
    if (cx->attempt < 2) return sm_retry("not_yet", 1, "once more");
    return sm_emit(sm_integer(cx->attempt));
  }
  if (!strcmp(work, "skip")) return sm_skip("nothing to do");
  return crash(work);
}
