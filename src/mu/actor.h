/* The actors of a job, by place and by name, and what is to be remembered of one: a small value. */
#ifndef MU_ACTOR_H
#define MU_ACTOR_H

#include "mu/job.h"
#include "util/error.h"

/* Actors are admitted in order of group, then index. */
struct actor {
    int group;
    int64_t index; /* in the family, from 0; 0 for an actor alone */
};

/* A family's member is called as its family, "-", and its index in six digits or more. */
void actor_name(const struct job *job, struct actor actor, char name[JOB_ACTOR_SIZE]);
/* False where the job has no actor of that name. An open family has any member. */
bool actor_find(const struct job *job, const char *name, struct actor *actor);
/* The same among one group's. */
bool actor_find_in(const struct job *job, int group, const char *name, struct actor *actor);
bool actor_exists(const struct job *job, struct actor actor);

/* What a family's number looks like in names: six digits or more. */
enum { ACTOR_NUMBER_SIZE = 20 };
void actor_number(int64_t number, char text[ACTOR_NUMBER_SIZE]);

/* A variable that a state has set. */
struct actor_variable {
    int variable;
    struct job_value value; /* owns its string */
};

/* Where an actor is. Zero-initialise or let machine_start fill it; free in any case. */
struct actor_state {
    int state; /* index in job->state */
    int tries; /* of the state's request that did not end well */
    int count;
    struct actor_variable *set; /* [count], by rising variable */
};

void actor_state_free(struct actor_state *state);
int actor_state_copy(const struct actor_state *state, struct actor_state *copy,
                     struct error *error);
bool actor_state_equal(const struct actor_state *a, const struct actor_state *b);

/* `value`, whose string is copied, is of the variable's type. */
int actor_state_set(struct actor_state *state, int variable, const struct job_value *value,
                    struct error *error);
/* NULL where the variable was not set. */
const struct job_value *actor_state_get(const struct actor_state *state, int variable);

/* As one line of JSON with all names in words, so that it can be read again with the same job file by
 * another build: {"state": "encode", "tries": 0, "set": {"position": 3}}. The caller frees `text`. Equal
 * states of one job give equal texts. */
int actor_state_write(const struct job *job, const struct actor_state *state, char **text,
                      struct error *error);
/* Reads what actor_state_write wrote; -EINVAL for anything else. On failure `state` is empty. */
int actor_state_read(const struct job *job, const char *text, size_t length,
                     struct actor_state *state, struct error *error);

#endif
