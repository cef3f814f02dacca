#include "sandmill_test.h"

static void a_message_is_sorted_for_the_team(void) {
  sm_test_reset();
  sm_test_reply("{\"urgency\":\"high\",\"topic\":\"fire\"}");
  sm_tested result = sm_test_run("{\"text\":\"The printer is on fire.\"}", "{\"team\":\"fire brigade\"}");
  SM_TEST(result.ending == SM_EMITTED && result.count == 1);
  SM_TEST_TEXT(result.values[0], "{\"urgency\":\"high\",\"topic\":\"fire\"}");
  SM_TEST_TEXT(sm_test_system(0), "You sort messages for the team fire brigade.");
}

static void an_empty_message_is_skipped(void) {
  sm_test_reset();
  sm_tested result = sm_test_run("{\"text\":\" \"}", NULL);
  SM_TEST(result.ending == SM_SKIPPED && sm_test_asked() == 0);
  SM_TEST_TEXT(result.message, "the message is empty");
}

static void an_answer_without_a_topic_is_asked_for_again(void) {
  sm_test_reset();
  sm_test_reply("{\"urgency\":\"low\",\"topic\":\"\"}");
  sm_tested result = sm_test_run("{\"text\":\"Hm.\"}", NULL);
  SM_TEST(result.ending == SM_REJECTED);
  SM_TEST_TEXT(result.code, "no_topic");
}

static void a_model_that_refuses_fails_the_item(void) {
  sm_test_reset();
  sm_test_reply_error(SM_REFUSED, "content_filter", "not this");
  sm_tested result = sm_test_run("{\"text\":\"Hm.\"}", NULL);
  SM_TEST(result.ending == SM_FAILED);
  SM_TEST_TEXT(result.code, "content_filter");
}

int main(void) {
  a_message_is_sorted_for_the_team();
  an_empty_message_is_skipped();
  an_answer_without_a_topic_is_asked_for_again();
  a_model_that_refuses_fails_the_item();
}
