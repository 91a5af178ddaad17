/*
 * The commands of `excamera`. Each gets its own arguments (argv[0] is the command's name), prints
 * what it has to say, and returns the exit status of the process: 0, 1 for a failure, 2 for wrong
 * usage.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <getopt.h>

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* What those that use the profile file take, behind the last one a name that is NULL. */
extern const struct option encode_options_taken[], run_options_taken[], coordinator_options_taken[],
    jobs_options_taken[];

int command_encode(int argc, char **argv);
int command_split(int argc, char **argv);
int command_task(int argc, char **argv);
/* Loads what this task will need; says nothing where that fails, which the task does. */
void command_task_prepare(int argc, char **argv);
int command_vp8(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_rendezvous(int argc, char **argv);
int command_run(int argc, char **argv);
int command_lambda(int argc, char **argv);
int command_worker(int argc, char **argv);
int command_coordinator(int argc, char **argv);
int command_jobs(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_cancel(int argc, char **argv);
int command_clean(int argc, char **argv);

#endif
