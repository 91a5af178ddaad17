#include "mu/actor.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/value.h"

/* ---- Names --------------------------------------------------------------------------------- */

void actor_number(int64_t number, char text[ACTOR_NUMBER_SIZE])
{
    snprintf(text, ACTOR_NUMBER_SIZE, "%06" PRId64, number);
}

void actor_name(const struct job *job, struct actor actor, char name[JOB_ACTOR_SIZE])
{
    const struct job_group *group = &job->group[actor.group];
    char number[ACTOR_NUMBER_SIZE];
    actor_number(actor.index, number);
    snprintf(name, JOB_ACTOR_SIZE, "%s%s%s", group->name, group->is_family ? "-" : "",
             group->is_family ? number : "");
}

bool actor_exists(const struct job *job, struct actor actor)
{
    if (actor.group < 0 || actor.group >= job->groups || actor.index < 0)
        return false;
    const struct job_group *group = &job->group[actor.group];
    return actor.index < (group->is_open ? JOB_MOST_ACTORS : group->count);
}

/* Reads the member's index behind "family-"; -1 where that is not how it would be written. */
static int64_t read_index(const char *text)
{
    char written[ACTOR_NUMBER_SIZE];
    size_t length = strspn(text, "0123456789");
    if (length < 6 || length > 7 || text[length] != '\0')
        return -1;
    int64_t index = strtoll(text, NULL, 10);
    actor_number(index, written);
    return strcmp(written, text) == 0 ? index : -1;
}

bool actor_find_in(const struct job *job, int group, const char *name, struct actor *actor)
{
    const struct job_group *among = &job->group[group];
    size_t length = strlen(among->name);
    *actor = (struct actor){group, 0};
    if (!among->is_family)
        return strcmp(among->name, name) == 0;
    if (strncmp(name, among->name, length) != 0 || name[length] != '-')
        return false;
    actor->index = read_index(name + length + 1);
    return actor_exists(job, *actor);
}

bool actor_find(const struct job *job, const char *name, struct actor *actor)
{
    for (int i = 0; i < job->groups; i++)
        if (actor_find_in(job, i, name, actor))
            return true;
    return false;
}

/* ---- Values -------------------------------------------------------------------------------- */

void actor_state_free(struct actor_state *state)
{
    for (int i = 0; i < state->count; i++)
        value_free(&state->set[i].value);
    free(state->set);
    *state = (struct actor_state){0};
}

int actor_state_copy(const struct actor_state *state, struct actor_state *copy, struct error *error)
{
    *copy = (struct actor_state){.state = state->state, .tries = state->tries};
    for (int i = 0; i < state->count; i++) {
        int code = actor_state_set(copy, state->set[i].variable, &state->set[i].value, error);
        if (code < 0) {
            actor_state_free(copy);
            return code;
        }
    }
    return 0;
}

bool actor_state_equal(const struct actor_state *a, const struct actor_state *b)
{
    if (a->state != b->state || a->tries != b->tries || a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++)
        if (a->set[i].variable != b->set[i].variable ||
            !value_equal(&a->set[i].value, &b->set[i].value))
            return false;
    return true;
}

/* The place of `variable` among those set, or where it would have to be. */
static int find_place(const struct actor_state *state, int variable)
{
    int place = 0;
    while (place < state->count && state->set[place].variable < variable)
        place++;
    return place;
}

const struct job_value *actor_state_get(const struct actor_state *state, int variable)
{
    int place = find_place(state, variable);
    bool found = place < state->count && state->set[place].variable == variable;
    return found ? &state->set[place].value : NULL;
}

static bool insert(struct actor_state *state, int place, int variable)
{
    struct actor_variable *grown =
        realloc(state->set, ((size_t)state->count + 1) * sizeof *state->set);
    if (grown == NULL)
        return false;
    state->set = grown;
    memmove(grown + place + 1, grown + place, (size_t)(state->count - place) * sizeof *grown);
    grown[place] = (struct actor_variable){.variable = variable};
    state->count++;
    return true;
}

int actor_state_set(struct actor_state *state, int variable, const struct job_value *value,
                    struct error *error)
{
    struct job_value copy;
    int code = value_copy(value, &copy, error);
    if (code < 0)
        return code;
    int place = find_place(state, variable);
    bool found = place < state->count && state->set[place].variable == variable;
    if (!found && !insert(state, place, variable)) {
        value_free(&copy);
        return error_set(error, -ENOMEM, "out of memory");
    }
    value_free(&state->set[place].value);
    state->set[place].value = copy;
    return 0;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

int actor_state_write(const struct job *job, const struct actor_state *state, char **text,
                      struct error *error)
{
    json_t *set = json_object();
    bool good = set != NULL;
    for (int i = 0; i < state->count && good; i++)
        good = json_object_set_new(set, job_variable_name(job, state->set[i].variable),
                                   value_to_json(&state->set[i].value)) == 0;
    json_t *whole = json_pack("{s:s, s:i, s:o}", "state", job->state[state->state].name, "tries",
                              state->tries, "set", set);
    *text = good && whole != NULL ? json_dumps(whole, JSON_COMPACT) : NULL;
    json_decref(whole);
    return *text != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

static int find_state(const struct job *job, const char *name)
{
    for (int i = 0; i < job->states; i++)
        if (strcmp(job->state[i].name, name) == 0)
            return i;
    return -1;
}

static int bad_state(struct error *error, const char *what)
{
    return error_set(error, -EINVAL, "an actor's state that was kept cannot be read: %s", what);
}

static int read_variables(const struct job *job, json_t *set, struct actor_state *state,
                          struct error *error)
{
    const char *name;
    json_t *json;
    json_object_foreach(set, name, json)
    {
        int variable;
        struct job_value value;
        if (!job_find_variable(job, name, &variable) || variable < 0 ||
            !value_from_json(json, job->variable[variable].value.type, &value))
            return bad_state(error, "a variable is not as the job file declares it");
        int code = actor_state_set(state, variable, &value, error);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_state(const struct job *job, json_t *whole, struct actor_state *state,
                      struct error *error)
{
    const char *name;
    json_t *set;
    if (json_unpack(whole, "{s:s, s:i, s:o!}", "state", &name, "tries", &state->tries, "set",
                    &set) < 0 ||
        !json_is_object(set))
        return bad_state(error, "its members are not those of an actor's state");
    state->state = find_state(job, name);
    if (state->state < 0)
        return bad_state(error, "the job's machine has no such state");
    if (state->tries < 0 || state->tries > job->state[state->state].retries)
        return bad_state(error, "it has more tries than the job file allows");
    return read_variables(job, set, state, error);
}

int actor_state_read(const struct job *job, const char *text, size_t length,
                     struct actor_state *state, struct error *error)
{
    *state = (struct actor_state){0};
    json_t *whole = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    int code =
        whole != NULL ? read_state(job, whole, state, error) : bad_state(error, "it is not JSON");
    json_decref(whole);
    if (code < 0)
        actor_state_free(state);
    return code;
}
