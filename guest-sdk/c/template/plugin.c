/* Says how urgent a message is, and what it is about. */

#include <string.h>

#include "sandmill.h"

/* Longer ones are no messages. */
#define BYTES_MAX 20000

/* What the model is asked for, and what is emitted. */
#define TRIAGE                                                                                           \
  "{\"type\":\"object\",\"title\":\"Triage\",\"additionalProperties\":false,"                            \
  "\"required\":[\"urgency\",\"topic\"],\"properties\":{"                                                \
  "\"urgency\":{\"enum\":[\"low\",\"medium\",\"high\"]},"                                                \
  "\"topic\":{\"type\":\"string\",\"description\":\"In a word or two.\"}}}"

#define CONFIG                                                                                           \
  "{\"type\":\"object\",\"properties\":{"                                                                \
  "\"team\":{\"type\":\"string\",\"description\":\"Whom the answer is for.\"}}}"

const sm_manifest sm_plugin = {
    .name = "{{name}}",
    .version = "0.1.0",
    .description = "Says how urgent a message is, and what it is about.",
    .config_schema = CONFIG,
    .output_schema = TRIAGE,
    .required = {"text"},
    .roles = {{"default", "reads a message and answers in JSON", false}},
};

sm_result sm_process(const sm_item *item, const sm_context *cx) {
  const char *text = sm_get_text(item->data, "text", "");
  if (text[strspn(text, " \t\r\n")] == '\0') return sm_skip("the message is empty");
  size_t size = strlen(text);
  if (size > BYTES_MAX) return sm_fail("too_long", "%zu bytes are no message: split the input", size);
  sm_log(SM_LOG_INFO, sm_set(sm_object(), "bytes", sm_integer((int64_t)size)), "asking");
  sm_answer answer = sm_chat_json((sm_ask){
      .user = text,
      .system = sm_format("You sort messages for the team %s.", sm_get_text(cx->config, "team", "support")),
      .schema = TRIAGE,
  });
  /* An error of the model fails the item for good: the host has already retried it. */
  if (answer.error) return sm_fail_with(answer.error);
  /* Begun anew, with a fresh answer. */
  if (!*sm_get_text(answer.json, "topic", "")) return sm_retry("no_topic", 0, "the model named no topic");
  return sm_emit(sm_copy(answer.json));
}
