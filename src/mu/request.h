/* From a state's request as the job file has it to one with everything filled in. */
#ifndef MU_REQUEST_H
#define MU_REQUEST_H

#include "mu/machine.h"
#include "mu/scope.h"

/*
 * Fills `request`, for the caller to free with machine_request_free, and checks names, files, keys and
 * actors in it. What is not known in the scope is left with SCOPE_UNKNOWN_CHARACTER in its place, and
 * checked as far as it can be. -EINVAL where something is not allowed. On failure `request` is empty.
 */
int request_fill(const struct scope *scope, const struct job_state *state,
                 struct machine_request *request, struct error *error);

#endif
