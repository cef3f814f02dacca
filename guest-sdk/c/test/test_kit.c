/* The kit's own tests: a plugin that does what its item says, in an ordinary program. */

#include "../sandmill_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char OPEN[] = "{\"title\":\"An answer!\",\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}";

const sm_manifest sm_plugin = {.name = "kit", .version = "1", .description = "tests", .roles = {{"default", "", false}}};

sm_result sm_process(const sm_item *item, const sm_context *cx) {
  const char *work = sm_get_text(item->data, "do", "");
  if (!strcmp(work, "copy")) return sm_emit(sm_copy(sm_get(item->data, "value")));
  if (!strcmp(work, "config")) return sm_emit(sm_integer(sm_get_integer(cx->config, "n", -1)));
  if (!strcmp(work, "nan")) return sm_emit(sm_real(NAN));
  if (!strcmp(work, "null")) return sm_emit(sm_text(NULL));
  if (!strcmp(work, "none")) return sm_emit_nothing();
  if (!strcmp(work, "skip")) return sm_skip("no");
  if (!strcmp(work, "retry")) {
    if (cx->attempt == 1) return sm_retry("again", 0, "%d more", 1);
    return sm_emit(sm_integer(cx->attempt));
  }
  if (!strcmp(work, "seven")) {
    sm_result result = sm_emit_nothing();
    for (int n = 0; n < 7; n++) sm_add(&result, sm_integer(n), n == 6 ? "last" : NULL);
    return result;
  }
  if (!strcmp(work, "fail")) {
    sm_result result = sm_fail("bad", "%s", "so bad");
    result.detail = sm_push(sm_push(sm_list(), sm_bool(true)), sm_null());
    return result;
  }
  if (!strcmp(work, "log")) {
    sm_log(SM_LOG_ERROR, sm_set(sm_set(sm_object(), "n", sm_integer(1)), "x", sm_real(INFINITY)), "oh %s", "no");
    sm_info("fine");
    return sm_emit_nothing();
  }
  if (!strcmp(work, "blob")) {
    char bytes[4] = {0};
    size_t read = sm_read_blob(item->blobs[0].name, 2, bytes, 3);
    return sm_emit(sm_text(sm_format("%zu %s", read, bytes)));
  }
  if (!strcmp(work, "many")) {
    sm_ask asks[2] = {{.user = "a"}, {.user = "b", .schema = OPEN}};
    sm_answer answers[2];
    SM_TEST(!sm_chat_many(asks, 2, answers));
    return sm_emit(sm_text(sm_format("%s %s", answers[0].text, answers[1].error ? answers[1].error->code : "?")));
  }
  if (!strcmp(work, "count")) {
    sm_token_count count;
    SM_TEST(!sm_count_tokens((sm_ask){.user = "12345"}, &count) && !count.window.is_set);
    return sm_emit(sm_integer((int64_t)count.tokens));
  }
  sm_answer answer = sm_chat_json((sm_ask){.user = sm_get_text(item->data, "text", "?"), .system = "Sort.", .schema = OPEN});
  return answer.error ? sm_fail_with(answer.error) : sm_emit(sm_copy(answer.json));
}

static sm_tested run(const char *work) { return sm_test_run(sm_format("{\"do\":\"%s\"}", work), "{\"n\":3}"); }

static void values_are_handed_on_as_they_were_written(void) {
  const char *value = "{\"z\":[1.5,-2,123456789012345678901234567890,\"\xc3\xa4\\u0000\"],\"a\":null}";
  sm_tested result = sm_test_run(sm_format("{\"do\":\"copy\",\"value\":%s}", value), NULL);
  SM_TEST_TEXT(result.values[0], value);
}

static void an_item_ends_as_the_plugin_says(void) {
  SM_TEST_TEXT(run("config").values[0], "3");
  SM_TEST_TEXT(run("null").values[0], "null");
  SM_TEST(run("none").ending == SM_EMITTED && run("none").count == 0);
  SM_TEST(run("skip").ending == SM_SKIPPED);
  SM_TEST_TEXT(run("skip").message, "no");
  sm_tested seven = run("seven");
  SM_TEST(seven.count == 7 && !seven.names[5]);
  SM_TEST_TEXT(seven.values[6], "6");
  SM_TEST_TEXT(seven.names[6], "last");
  sm_tested failed = run("fail");
  SM_TEST(failed.ending == SM_FAILED);
  SM_TEST_TEXT(failed.code, "bad");
  SM_TEST_TEXT(failed.detail, "[true,null]");
  SM_TEST(run("retry").ending == SM_REJECTED);
  SM_TEST_TEXT(run("retry").message, "1 more");
  SM_TEST_TEXT(sm_test_run_attempt("{\"do\":\"retry\"}", NULL, 2).values[0], "2");
}

static void a_value_without_a_json_form_fails_the_item(void) {
  SM_TEST(run("nan").ending == SM_FAILED);
  SM_TEST_TEXT(run("nan").code, "bad_output");
}

static void a_log_takes_whatever_it_is_given(void) {
  sm_test_reset();
  run("log");
  SM_TEST(sm_test_logged() == 2);
  SM_TEST_TEXT(sm_test_line(0), "error: oh no n=1 x=null");
  SM_TEST_TEXT(sm_test_line(1), "info: fine");
}

static void a_blob_ends_where_it_ends(void) {
  sm_test_reset();
  sm_test_blob("b", "abcd", 4);
  SM_TEST_TEXT(run("blob").values[0], "\"2 cd\"");
}

static void an_answer_is_read_and_an_error_ends_the_item(void) {
  sm_test_reset();
  sm_test_reply("{\"n\": 1}");
  SM_TEST_TEXT(run("ask").values[0], "{\"n\":1}");
  SM_TEST_TEXT(sm_test_system(0), "Sort.");
  SM_TEST_TEXT(sm_test_schema(0), OPEN);
  sm_test_reply("no JSON");
  sm_tested result = run("ask");
  SM_TEST(result.ending == SM_REJECTED);
  SM_TEST_TEXT(result.code, "bad_answer");
  sm_test_reply_error(SM_REFUSED, "policy", "not this");
  result = run("ask");
  SM_TEST(result.ending == SM_FAILED);
  SM_TEST_TEXT(result.code, "policy");
  SM_TEST_TEXT(run("ask").code, "no_reply");
  SM_TEST(sm_test_asked() == 4);
}

static void several_questions_have_an_answer_each(void) {
  sm_test_reset();
  sm_test_reply("one");
  sm_test_reply("two");
  SM_TEST_TEXT(run("many").values[0], "\"one bad_answer\"");
  SM_TEST_TEXT(sm_test_user(1), "b");
  SM_TEST_TEXT(run("count").values[0], "2");
}

int main(void) {
  values_are_handed_on_as_they_were_written();
  an_item_ends_as_the_plugin_says();
  a_value_without_a_json_form_fails_the_item();
  a_log_takes_whatever_it_is_given();
  a_blob_ends_where_it_ends();
  an_answer_is_read_and_an_error_ends_the_item();
  several_questions_have_an_answer_each();
  puts("all tests of the C kit hold");
  return 0;
}
