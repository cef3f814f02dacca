/* Tests of a plugin run as an ordinary program, where there is no host. This stands in for it: compile it with the plugin's own files
 * and `sandmill.c`, by the machine's own compiler.
 *
 *   sm_test_reply("{\"urgency\": 5}");
 *   sm_tested result = sm_test_run("{\"text\": \"It burns.\"}", NULL);
 *   SM_TEST(result.ending == SM_EMITTED);
 *   SM_TEST_TEXT(result.values[0], "{\"urgency\":5}");
 */
#ifndef SANDMILL_TEST_H
#define SANDMILL_TEST_H

#include "sandmill.h"

/* How an item ended. */
typedef struct {
  sm_ending ending;
  /* JSON texts, and their names (NULL: none). */
  const char **values;
  const char **names;
  size_t count;
  /* Of a failure; of a skip `message` is the reason. */
  const char *code;
  const char *message;
  /* JSON, or NULL. */
  const char *detail;
} sm_tested;

/* Forgets replies, questions, log and blobs. */
void sm_test_reset(void);
/* The next question's answer. A question without one is refused as `no_reply`. */
void sm_test_reply(const char *text);
void sm_test_reply_error(sm_error_kind kind, const char *code, const char *message);
void sm_test_blob(const char *name, const void *bytes, size_t size);
/* `config`: NULL for none. */
sm_tested sm_test_run(const char *item, const char *config);
/* The same at a later attempt. */
sm_tested sm_test_run_attempt(const char *item, const char *config, uint32_t attempt);
/* What was asked since the last `sm_test_reset`; "" where there was none. */
size_t sm_test_asked(void);
const char *sm_test_user(size_t question);
const char *sm_test_system(size_t question);
const char *sm_test_schema(size_t question);
/* What was logged, as "warn: careful n=1". */
size_t sm_test_logged(void);
const char *sm_test_line(size_t line);

/* Ends the test, with its place, unless it holds. */
#define SM_TEST(holds) sm_test_check(holds, #holds, __FILE__, __LINE__)
#define SM_TEST_TEXT(text, expected) sm_test_check_text(text, expected, __FILE__, __LINE__)
void sm_test_check(bool holds, const char *what, const char *file, int line);
void sm_test_check_text(const char *text, const char *expected, const char *file, int line);

#endif
