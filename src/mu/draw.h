/* Draws a job's machine, for people. */
#ifndef MU_DRAW_H
#define MU_DRAW_H

#include <stdio.h>

#include "mu/job.h"
#include "util/error.h"

/* Writes the machine in graphviz's DOT language: a box a state with its request, an arrow a branch with its
 * guard; what comes of failures is dashed, of time limits dotted. The same job gives the same bytes. */
int draw_dot(const struct job *job, FILE *stream, struct error *error);

#endif
