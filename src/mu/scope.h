/*
 * What an actor's variables are at some moment, as far as it is known, and what texts and guards come to
 * with them. While a job runs everything is known; when it is checked, what differs between a family's
 * members or changes on the way is not.
 */
#ifndef MU_SCOPE_H
#define MU_SCOPE_H

#include "mu/actor.h"
#include "mu/job.h"
#include "util/error.h"

enum scope_of {
    SCOPE_ACTOR, /* `actor` */
    SCOPE_GROUP, /* whatever member of actor.group: its index is not known */
    SCOPE_JOB,   /* whatever actor of the job */
};

struct scope {
    const struct job *job;
    enum scope_of of;
    struct actor actor;
    const struct actor_state *state; /* NULL: the variables that change are not known */
};

/* False where it is not known. `value` may point into `name`. */
bool scope_value(const struct scope *scope, int variable, struct job_value *value,
                 char name[JOB_ACTOR_SIZE]);

/* True where all variables of the text are known, the number of a point aside. */
bool scope_knows(const struct scope *scope, const struct job_text *text);

/* What takes the place of a variable that is not known. No name has this character. */
#define SCOPE_UNKNOWN_CHARACTER '*'

/*
 * The text with its variables filled in, in `arena`; the number of a point stays "${number}", for
 * scope_number to fill in. -E2BIG where the result is longer than JOB_MOST_TEXT.
 */
int scope_expand(const struct scope *scope, const struct job_text *text, struct arena *arena,
                 const char **expanded, struct error *error);

/* Fills in the number of a point, in `arena`. NULL where there is no memory. */
char *scope_number(const char *text, int64_t number, struct arena *arena);

/* 1, or 0 where it is not known, or a negative errno. Strings lie in `arena` or in the scope. */
int scope_operand(const struct scope *scope, const struct job_operand *operand, struct arena *arena,
                  struct job_value *value, struct error *error);

enum scope_truth { SCOPE_FALSE, SCOPE_TRUE, SCOPE_UNKNOWN };

/* An enum scope_truth, or a negative errno. */
int scope_guard(const struct scope *scope, const struct job_guard *guard, struct error *error);

#endif
