#include "mu/machine.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "mu/request.h"
#include "mu/scope.h"
#include "mu/value.h"

/* ---- Setting variables --------------------------------------------------------------------- */

static int add(const struct scope *scope, const struct job_setting *setting,
               struct job_value *value, struct error *error)
{
    char name[JOB_ACTOR_SIZE];
    struct job_value before;
    scope_value(scope, setting->variable, &before, name);
    if (__builtin_add_overflow(before.integer, value->integer, &value->integer))
        return error_set(error, -ERANGE, "variable '%s' grows beyond 64 bits",
                         job_variable_name(scope->job, setting->variable));
    return 0;
}

static int read_member(const struct scope *scope, const struct job_setting *setting,
                       const json_t *values, struct job_value *value, struct error *error)
{
    const char *name = job_variable_name(scope->job, setting->variable);
    enum job_type type = job_variable_type(scope->job, setting->variable);
    if (value_from_json(json_object_get(values, name), type, value))
        return 0;
    return error_set(error, -EBADMSG, "the file does not say '%s' as %s", name,
                     job_type_name(type));
}

static int apply(const struct scope *scope, const struct job_setting *setting, const json_t *values,
                 struct actor_state *after, struct error *error)
{
    struct arena arena = {0};
    struct job_value value;
    int code = setting->kind == JOB_READ
                   ? read_member(scope, setting, values, &value, error)
                   : scope_operand(scope, &setting->operand, &arena, &value, error);
    if (code >= 0 && setting->kind == JOB_ADD)
        code = add(scope, setting, &value, error);
    if (code >= 0)
        code = actor_state_set(after, setting->variable, &value, error);
    arena_free(&arena);
    return code;
}

/* All of the settings or, where one cannot be made, none. Operands are as they were before the first. */
static int apply_all(const struct job *job, struct actor actor, const struct job_request *request,
                     const json_t *values, struct actor_state *state, struct error *error)
{
    struct actor_state after;
    const struct scope scope = {.job = job, .actor = actor, .state = state};
    int code = actor_state_copy(state, &after, error);
    for (int i = 0; i < request->settings && code >= 0; i++)
        code = apply(&scope, &request->setting[i], values, &after, error);
    if (code < 0) {
        actor_state_free(&after);
        return code;
    }
    actor_state_free(state);
    *state = after;
    return 0;
}

/* ---- Steps --------------------------------------------------------------------------------- */

static int choose(const struct job *job, struct actor actor, const struct job_next *next,
                  const struct actor_state *state, struct error *error)
{
    const struct scope scope = {.job = job, .actor = actor, .state = state};
    int i = 0;
    for (; i < next->count - 1; i++) {
        int truth = scope_guard(&scope, next->branch[i].guard, error);
        if (truth < 0)
            return truth;
        if (truth == SCOPE_TRUE)
            break;
    }
    return next->branch[i].to;
}

/* Goes on to the next state that a worker has to do with. The loader makes sure that there is one. */
static int enter(const struct job *job, struct actor actor, const struct job_next *next,
                 struct actor_state *state, struct error *error)
{
    for (;;) {
        int to = choose(job, actor, next, state, error);
        if (to < 0)
            return to;
        state->state = to;
        state->tries = 0;
        const struct job_state *entered = &job->state[to];
        if (entered->request.kind == JOB_QUIT)
            return MACHINE_FINISHED;
        if (!job_is_instant(entered))
            return MACHINE_REQUEST;
        int code = apply_all(job, actor, &entered->request, NULL, state, error);
        if (code < 0)
            return error_prefix(error, "state '%s'", entered->name);
        next = &entered->next[JOB_OK];
    }
}

/* Says who in an error; leaves nothing of the state. */
static int give_up(const struct job *job, struct actor actor, struct actor_state *state,
                   struct error *error)
{
    char name[JOB_ACTOR_SIZE];
    actor_name(job, actor, name);
    actor_state_free(state);
    return error_prefix(error, "actor '%s'", name);
}

int machine_start(const struct job *job, struct actor actor, struct actor_state *state,
                  struct error *error)
{
    *state = (struct actor_state){0};
    int result = enter(job, actor, &job->start, state, error);
    return result < 0 ? give_up(job, actor, state, error) : result;
}

/* 1, or 0 where the values are not what was asked for (`error` says why), or a negative errno. */
static int take_values(const struct job *job, struct actor actor,
                       const struct machine_outcome *outcome, struct actor_state *state,
                       struct error *error)
{
    const struct job_request *request = &job->state[state->state].request;
    if (outcome->length > JOB_MOST_FILE_VALUES) {
        error_set(error, -EBADMSG, "the file has more than %d bytes", JOB_MOST_FILE_VALUES);
        return 0;
    }
    int line;
    json_t *values = value_parse(outcome->content, outcome->length, &line, error);
    if (values == NULL && error->code == -ENOMEM)
        return -ENOMEM;
    if (values == NULL) {
        error_prefix(error, "the file's line %d", line);
        return 0;
    }
    if (!json_is_object(values)) {
        error_set(error, -EBADMSG, "the file is not a JSON object");
        json_decref(values);
        return 0;
    }
    int code = apply_all(job, actor, request, values, state, error);
    json_decref(values);
    return code >= 0 ? 1 : code == -EBADMSG ? 0 : code;
}

static int step(const struct job *job, struct actor actor, const struct machine_outcome *outcome,
                struct actor_state *state, struct error *error)
{
    const struct job_state *left = &job->state[state->state];
    enum job_outcome what = outcome->outcome;
    if (left->request.kind == JOB_SET && what == JOB_OK) {
        int taken = take_values(job, actor, outcome, state, error);
        if (taken < 0)
            return error_prefix(error, "state '%s'", left->name);
        if (taken == 0)
            what = JOB_FAILED;
    }
    if (what != JOB_OK && state->tries < left->retries) {
        state->tries++;
        return MACHINE_REQUEST;
    }
    if (left->next[what].count == 0)
        return MACHINE_UNHANDLED;
    return enter(job, actor, &left->next[what], state, error);
}

int machine_step(const struct job *job, struct actor actor, const struct actor_state *before,
                 const struct machine_outcome *outcome, struct actor_state *after,
                 struct error *error)
{
    error->message[0] = '\0';
    int result = actor_state_copy(before, after, error);
    if (result >= 0)
        result = step(job, actor, outcome, after, error);
    return result < 0 ? give_up(job, actor, after, error) : result;
}

int machine_request(const struct job *job, struct actor actor, const struct actor_state *state,
                    struct machine_request *request, struct error *error)
{
    const struct scope scope = {.job = job, .actor = actor, .state = state};
    int code = request_fill(&scope, &job->state[state->state], request, error);
    if (code >= 0)
        return code;
    char name[JOB_ACTOR_SIZE];
    actor_name(job, actor, name);
    return error_prefix(error, "actor '%s', state '%s'", name, job->state[state->state].name);
}
