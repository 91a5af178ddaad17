/*
 * Options that are always the same, from a file: ~/.config/excamera/config, or excamera/config in XDG_CONFIG_HOME.
 *
 *     [default]              for every command
 *     engine = slurm
 *     engine-opt = partition=main
 *     verbose = yes
 *
 *     [profile lab]          with --profile lab, in place of what [default] says
 *     coordinator = host-a:4601
 *
 * Keys are the names of long options; a command gets those that it has. What the command line says counts before
 * all of it. A coordinator and an engine exclude each other, but for `excamera coordinator`: the one that is said
 * nearer to the command line counts, and the options of an engine only together with it.
 */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include <getopt.h>

#include "util/arena.h"

/* Makes the command line with what the file says in it, and without --profile, in `words`, also where it fails.
 * `options` are the command's, `all` those of every command that uses the file, behind them NULL. Returns the new
 * argc; prints a sentence and returns -1 where the file is wrong or has no such profile. */
int profile_apply(int argc, char **argv, const struct option *options,
                  const struct option *const *all, struct arena *words, char ***made);

#endif
