/* What Slurm's commands print, as the engine reads it, and what it gives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/slurm_text.h"

static void test_lines_of_squeue(void **state)
{
    static const struct {
        uint32_t array, index;
        enum slurm_state state;
    } expected[] = {
        {12, 0, SLURM_RUNNING}, {12, 1, SLURM_WAITING}, {12, 2, SLURM_STUCK},
        {13, 7, SLURM_ENDED},   {13, 8, SLURM_ENDING},  {13, 9, SLURM_ENDED},
    };
    char text[] = "12|0|RUNNING|None\n"
                  "12|1|PENDING|Resources\n"
                  "slurm_load_jobs: a word about something else\n"
                  "12|2|PENDING|PartitionTimeLimit\n"
                  "12|N/A|PENDING|None\n"
                  "\n"
                  "13|7|OUT_OF_MEMORY|OutOfMemory\n"
                  "13|8|COMPLETING|None\n"
                  "13|9|PREEMPTED|a | in it";
    char *at = text;
    struct slurm_line line;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_true(slurm_next_line(&at, &line));
        assert_int_equal(line.array, expected[i].array);
        assert_int_equal(line.index, expected[i].index);
        assert_int_equal(line.state, expected[i].state);
    }
    assert_string_equal(line.word, "PREEMPTED");
    assert_string_equal(line.reason, "a | in it");
    assert_false(slurm_next_line(&at, &line));
}

static void assert_failure(const char *said, enum slurm_failure kind, const char *sentence)
{
    char text[80];
    slurm_sentence(said, text, sizeof text);
    assert_string_equal(text, sentence);
    assert_int_equal(slurm_failure(said), kind);
}

static void test_failures(void **state)
{
    assert_failure("sbatch: error: invalid partition specified: x\n"
                   "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
                   SLURM_REFUSED, "Invalid partition name specified");
    assert_failure("sbatch: error: Batch job submission failed: Unable to contact slurm controller "
                   "(connect failure)\n\n",
                   SLURM_LATER, "Unable to contact slurm controller (connect failure)");
    assert_failure("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy "
                   "(job submit limit, user's size and/or time limits)",
                   SLURM_TOO_MANY,
                   "Job violates accounting/QOS policy (job submit limit, user's size and/or time "
                   "l");
    assert_failure("scontrol: fatal: no configuration\n", SLURM_REFUSED, "no configuration");
    assert_failure("", SLURM_REFUSED, "");
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds; /* 0: it is none */
    } times[] = {
        {"30", 1800},          {"1:30", 90},     {"2:00:05", 7205}, {"1-12", 129600},
        {"1-12:30", 131400},   {"0-0:0:9", 9},   {"0", 0},          {"", 0},
        {"1:2:3:4", 0},        {"1-", 0},        {"-1", 0},         {"1-2-3", 0},
        {"99999999999999", 0}, {"UNLIMITED", 0}, {"5m", 0},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        uint64_t ms = 0;
        assert_int_equal(slurm_time(times[i].text, &ms), times[i].seconds > 0);
        if (times[i].seconds > 0)
            assert_int_equal(ms, 1000 * times[i].seconds);
    }
}

static void test_configuration(void **state)
{
    const char *text =
        "MaxArraySizes           = 5\nMaxArraySize            = 1001\nMaxJobCount = x";
    assert_int_equal(slurm_config(text, "MaxArraySize", 7), 1001);
    assert_int_equal(slurm_config(text, "MaxJobCount", 7), 7);
    assert_int_equal(slurm_config(text, "Nothing", 7), 7);
    assert_int_equal(slurm_config("", "MaxArraySize", 7), 7);
}

static void test_script_quotes(void **state)
{
    char *script = slurm_script("/a b/it's", 3, "/opt/$x/excamera");
    assert_non_null(script);
    assert_non_null(strstr(script, "document='/a b/it'\\''s'/3-$SLURM_ARRAY_TASK_ID\n"));
    assert_non_null(strstr(script, "exec '/opt/$x/excamera' worker --invocation -\n"));
    free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_squeue), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_times),           cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_script_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
