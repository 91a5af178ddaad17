/* Where a worker works: what a dead one leaves goes, what living ones have stays; files that are kept. */
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/worker_files.h"
#include "mu/worker_scratch.h"
#include "worker_support.h"

#define CALL(actor_, attempt_, request_)                                                           \
    ((struct call){.actor = actor_, .attempt = attempt_, .request = request_})

/* The path of the only thing of this pattern in the farm's folder. */
static char *the_only(struct farm *farm, const char *pattern)
{
    char whole[256];
    glob_t found;
    snprintf(whole, sizeof whole, "%s/%s", farm->folder, pattern);
    assert_int_equal(glob(whole, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    char *path = strdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static void what_dead_ones_left_goes(void **state)
{
    struct farm *farm = *state;
    struct worker_scratch living;
    struct error error;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1, 1), "mkdir -p deep/er; echo x >deep/er/file; chmod 0 deep", NULL);
    farm_expect_ok(farm, CALL("a", 1, 1));
    char *dead = the_only(farm, "scratch/excamera-" JOB "/12-*");
    uv_process_kill(&farm->process, SIGKILL);
    UNTIL(farm, !farm->running);
    assert_int_equal(access(dead, F_OK), 0);
    assert_int_equal(worker_scratch_make(farm->invocation.scratch, JOB, 7, &living, &error), 0);
    farm_start(farm);
    UNTIL(farm, access(dead, F_OK) != 0);
    /* By now the whole folder has been looked at: the other two are still there. */
    farm_run(farm, 100);
    assert_int_equal(farm_entries(farm, "scratch/excamera-" JOB), 2);
    assert_int_equal(access(living.path, F_OK), 0);
    assert_int_equal(rmdir(living.path), 0);
    worker_scratch_release(&living);
    farm_dismiss(farm);
    free(dead);
}

static void a_job_s_folder_is_its_own(void **state)
{
    struct farm *farm = *state;
    const char *scratch = farm->invocation.scratch;
    struct worker_scratch first, second;
    struct error error;
    struct stat status;
    assert_int_equal(worker_scratch_make(scratch, "j", 1, &first, &error), 0);
    assert_int_equal(worker_scratch_make(scratch, "j", 1, &second, &error), 0);
    assert_string_not_equal(first.path, second.path);
    assert_int_equal(stat(first.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    /* One that ends leaves the other's. */
    assert_int_equal(rmdir(first.path), 0);
    worker_scratch_release(&first);
    assert_int_equal(access(second.path, F_OK), 0);
    assert_int_equal(worker_scratch_remove_job(scratch, "j"), 0);
    assert_int_equal(access(second.job, F_OK), -1);
    worker_scratch_release(&second);
    assert_int_equal(worker_scratch_remove_job(scratch, "j"), 0);
    /* A folder that others may write to is none. */
    char path[256];
    snprintf(path, sizeof path, "%s/excamera-j", scratch);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(worker_scratch_make(scratch, "j", 1, &first, &error), -EPERM);
    worker_scratch_release(&first);
    assert_int_equal(access(path, F_OK), -1); /* it was empty */
}

/* ---- Kept ---------------------------------------------------------------------------------- */

static void work(struct farm *farm, uint32_t attempt, const char *word)
{
    char script[256];
    snprintf(script, sizeof script,
             "mkdir -p deep/er; echo %s >deep/er/file; echo out >out; chmod +x out; "
             "ln -s out link; mkfifo pipe",
             word);
    ask_sh(farm, CALL("a", attempt, 1), script, NULL);
    farm_expect_ok(farm, CALL("a", attempt, 1));
    ask_quit(farm, CALL("a", attempt, 2));
    farm_expect_ok(farm, CALL("a", attempt, 2));
}

static void check_kept(const char *folder, const char *word)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s/a && test \"$(cat deep/er/file)\" = %s && test -x out && test ! -L out && "
             "test \"$(readlink link)\" = out && test $(ls .. | wc -l) = 1",
             folder, word);
    assert_int_equal(system(command), 0);
}

static void keep_in(struct farm *farm, const char *folder)
{
    farm->invocation.keep = strdup(folder);
    farm_start(farm);
    work(farm, 1, "first");
    check_kept(folder, "first");
    work(farm, 2, "second");
    check_kept(folder, "second");
    /* What ended otherwise is not kept. */
    ask_sh(farm, CALL("b", 1, 1), "echo x >y", NULL);
    farm_expect_ok(farm, CALL("b", 1, 1));
    farm_drop(farm, "b", 1);
    farm_dismiss(farm);
    check_kept(folder, "second");
}

static void files_are_kept(void **state)
{
    struct farm *farm = *state;
    char folder[256];
    snprintf(folder, sizeof folder, "%s/kept", farm->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    keep_in(farm, folder);
}

static void files_are_kept_elsewhere(void **state)
{
    struct farm *farm = *state;
    char folder[] = "/dev/shm/test-worker-XXXXXX";
    struct stat here, there;
    if (mkdtemp(folder) == NULL)
        skip();
    bool other =
        stat(farm->folder, &here) == 0 && stat(folder, &there) == 0 && here.st_dev != there.st_dev;
    if (other)
        keep_in(farm, folder);
    worker_files_remove_now(-1, folder);
    if (!other)
        skip();
}

static void files_that_cannot_be_kept(void **state)
{
    struct farm *farm = *state;
    farm->invocation.keep = strdup("/no/such/folder");
    farm_start(farm);
    ask_sh(farm, CALL("a", 1, 1), "echo x >y", NULL);
    farm_expect_ok(farm, CALL("a", 1, 1));
    ask_quit(farm, CALL("a", 1, 2));
    const Mu__Outcome *outcome = farm_outcome(farm, CALL("a", 1, 2));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__FAILED);
    assert_non_null(strstr(outcome->error, "/no/such/folder"));
    farm_dismiss(farm);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FARM_TEST(what_dead_ones_left_goes),
        FARM_TEST(a_job_s_folder_is_its_own),
        FARM_TEST(files_are_kept),
        FARM_TEST(files_are_kept_elsewhere),
        FARM_TEST(files_that_cannot_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
