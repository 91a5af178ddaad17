/* What tests in C share with their surroundings: how much to do, a scratch folder, other programs, and
 * folders of real material. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* How much to test: the variable XC_TESTS is `quick` (sanitizer runs), `normal` or `all`. */
enum test_level { TEST_QUICK, TEST_NORMAL, TEST_ALL };
enum test_level test_level(void);

/* Exit status of a test whose material is missing. */
#define EXIT_SKIPPED 77

/* Longest path that these functions make. */
#define SCRATCH_PATH 4096

/* The path of a file in a folder of this process, which is removed at its end. Fails the test when
 * there can be no folder. */
void scratch_path(char path[SCRATCH_PATH], const char *name);

/* Runs a program found along PATH with its output thrown away; `argv` ends with NULL. Returns its exit
 * status, or 127 where it could not be run. */
int scratch_run(const char *const argv[]);

/* The folder that the environment's `variable` names, else ../shared/`name` beside the project's root;
 * false where there is none. */
bool scratch_material(char path[SCRATCH_PATH], const char *variable, const char *name);

#endif
