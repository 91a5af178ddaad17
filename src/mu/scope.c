#include "mu/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mu/value.h"

static const char number_text[] = "${number}";

/* ---- Variables ----------------------------------------------------------------------------- */

/* The name of the actor's family's member, or "". */
static void member_name(const struct scope *scope, int64_t index, struct job_value *value,
                        char name[JOB_ACTOR_SIZE])
{
    const struct actor member = {scope->actor.group, index};
    name[0] = '\0';
    if (scope->job->group[member.group].is_family && actor_exists(scope->job, member))
        actor_name(scope->job, member, name);
    value->string = name;
}

/* Of an actor: everything but the number of a point. */
static void built_in(const struct scope *scope, int variable, struct job_value *value,
                     char name[JOB_ACTOR_SIZE])
{
    const struct job_group *group = &scope->job->group[scope->actor.group];
    int64_t index = scope->actor.index;
    switch (variable) {
    case JOB_ACTOR:
        actor_name(scope->job, scope->actor, name);
        value->string = name;
        break;
    case JOB_FAMILY:
        value->string = group->is_family ? group->name : "";
        break;
    case JOB_PREVIOUS:
        member_name(scope, index - 1, value, name);
        break;
    case JOB_NEXT:
        member_name(scope, index + 1, value, name);
        break;
    case JOB_FIRST_ONE:
        member_name(scope, 0, value, name);
        break;
    case JOB_LAST_ONE:
        member_name(scope, group->is_open ? -1 : group->count - 1, value, name);
        break;
    default:
        value->integer = variable == JOB_INDEX ? index : group->count;
        break;
    }
}

static bool built_in_known(const struct scope *scope, int variable)
{
    bool differs = variable == JOB_ACTOR || variable == JOB_PREVIOUS || variable == JOB_NEXT ||
                   variable == JOB_INDEX;
    if (variable == JOB_NUMBER || scope->of == SCOPE_JOB)
        return false;
    return scope->of == SCOPE_ACTOR || !scope->job->group[scope->actor.group].is_family || !differs;
}

static const struct job_value *find_override(const struct job_group *group, int variable)
{
    for (int i = 0; i < group->overrides; i++)
        if (group->override[i].variable == variable)
            return &group->override[i].value;
    return NULL;
}

static bool declared_known(const struct scope *scope, int variable)
{
    const struct job *job = scope->job;
    if (scope->state == NULL && job->variable[variable].changes)
        return false;
    for (int i = 0; i < job->groups && scope->of == SCOPE_JOB; i++)
        if (find_override(&job->group[i], variable) != NULL)
            return false;
    return true;
}

static const struct job_value *declared(const struct scope *scope, int variable)
{
    const struct job_value *value = NULL;
    if (scope->state != NULL)
        value = actor_state_get(scope->state, variable);
    if (value == NULL && scope->of != SCOPE_JOB)
        value = find_override(&scope->job->group[scope->actor.group], variable);
    return value != NULL ? value : &scope->job->variable[variable].value;
}

bool scope_value(const struct scope *scope, int variable, struct job_value *value,
                 char name[JOB_ACTOR_SIZE])
{
    *value = (struct job_value){.type = job_variable_type(scope->job, variable)};
    bool known = variable < 0 ? built_in_known(scope, variable) : declared_known(scope, variable);
    if (known && variable < 0)
        built_in(scope, variable, value, name);
    else if (known)
        *value = *declared(scope, variable);
    return known;
}

/* ---- Texts --------------------------------------------------------------------------------- */

bool scope_knows(const struct scope *scope, const struct job_text *text)
{
    char name[JOB_ACTOR_SIZE];
    struct job_value value;
    for (int i = 0; i < text->parts; i++)
        if (text->part[i].literal == NULL && text->part[i].variable != JOB_NUMBER &&
            !scope_value(scope, text->part[i].variable, &value, name))
            return false;
    return true;
}

/* Memory for what a part comes to: a name, or a number in words. */
union part_buffer {
    char name[JOB_ACTOR_SIZE];
    char number[VALUE_TEXT_SIZE];
};

static const char *expand_part(const struct scope *scope, const struct job_part *part,
                               union part_buffer *buffer)
{
    static const char unknown[] = {SCOPE_UNKNOWN_CHARACTER, '\0'};
    struct job_value value;
    if (part->literal != NULL)
        return part->literal;
    if (part->variable == JOB_NUMBER)
        return number_text;
    if (!scope_value(scope, part->variable, &value, buffer->name))
        return unknown;
    return value_text(&value, buffer->number);
}

int scope_expand(const struct scope *scope, const struct job_text *text, struct arena *arena,
                 const char **expanded, struct error *error)
{
    union part_buffer buffer;
    size_t length = 0;
    for (int i = 0; i < text->parts; i++)
        length += strlen(expand_part(scope, &text->part[i], &buffer));
    if (length > JOB_MOST_TEXT)
        return error_set(error, -E2BIG, "a text of %zu bytes, more than %d", length, JOB_MOST_TEXT);
    char *end = arena_alloc(arena, length + 1, 1);
    *expanded = end;
    if (end == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    for (int i = 0; i < text->parts; i++)
        end = stpcpy(end, expand_part(scope, &text->part[i], &buffer));
    return 0;
}

char *scope_number(const char *text, int64_t number, struct arena *arena)
{
    char digits[ACTOR_NUMBER_SIZE];
    actor_number(number, digits);
    const char *at = text;
    size_t size = strlen(text) + 1;
    for (; (at = strstr(at, number_text)) != NULL; at++)
        size += strlen(digits);
    char *filled = arena_alloc(arena, size, 1);
    if (filled == NULL)
        return NULL;
    char *end = filled;
    while ((at = strstr(text, number_text)) != NULL) {
        end = mempcpy(end, text, (size_t)(at - text));
        end = stpcpy(end, digits);
        text = at + strlen(number_text);
    }
    strcpy(end, text);
    return filled;
}

int scope_operand(const struct scope *scope, const struct job_operand *operand, struct arena *arena,
                  struct job_value *value, struct error *error)
{
    char name[JOB_ACTOR_SIZE];
    *value = operand->literal;
    if (!operand->is_text)
        return 1;
    if (!scope_knows(scope, &operand->text))
        return 0;
    if (operand->type != JOB_STRING) {
        scope_value(scope, operand->text.part[0].variable, value, name);
        return 1;
    }
    value->type = JOB_STRING;
    int code = scope_expand(scope, &operand->text, arena, &value->string, error);
    return code < 0 ? code : 1;
}

/* ---- Guards -------------------------------------------------------------------------------- */

static bool compare(enum job_guard_kind kind, const struct job_value *a, const struct job_value *b)
{
    switch (kind) {
    case JOB_IS:
        return value_equal(a, b);
    case JOB_IS_NOT:
        return !value_equal(a, b);
    case JOB_LESS:
        return a->integer < b->integer;
    case JOB_AT_MOST:
        return a->integer <= b->integer;
    case JOB_MORE:
        return a->integer > b->integer;
    default:
        return a->integer >= b->integer;
    }
}

/* Which member of its family an actor is may not be known; that it is not another actor is. */
static bool is_someone_else(const struct scope *scope, int variable, const struct job_value *name)
{
    struct actor actor;
    return scope->of == SCOPE_GROUP && variable == JOB_ACTOR &&
           !actor_find_in(scope->job, scope->actor.group, name->string, &actor);
}

static int guard_comparison(const struct scope *scope, const struct job_guard *guard,
                            struct error *error)
{
    struct arena arena = {0};
    char name[JOB_ACTOR_SIZE];
    struct job_value variable, operand;
    int known = scope_operand(scope, &guard->operand, &arena, &operand, error);
    int truth = known < 0 ? known : SCOPE_UNKNOWN;
    if (known > 0 && scope_value(scope, guard->variable, &variable, name))
        truth = compare(guard->kind, &variable, &operand) ? SCOPE_TRUE : SCOPE_FALSE;
    else if (known > 0 && is_someone_else(scope, guard->variable, &operand))
        truth = guard->kind == JOB_IS ? SCOPE_FALSE : SCOPE_TRUE;
    arena_free(&arena);
    return truth;
}

/* All of them or any of them: the first that says `deciding` decides. */
static int guard_many(const struct scope *scope, const struct job_guard *guard,
                      enum scope_truth deciding, struct error *error)
{
    int truth = deciding == SCOPE_TRUE ? SCOPE_FALSE : SCOPE_TRUE;
    for (int i = 0; i < guard->count; i++) {
        int one = scope_guard(scope, &guard->guard[i], error);
        if (one < 0 || one == (int)deciding)
            return one;
        if (one == SCOPE_UNKNOWN)
            truth = SCOPE_UNKNOWN;
    }
    return truth;
}

int scope_guard(const struct scope *scope, const struct job_guard *guard, struct error *error)
{
    int truth;
    switch (guard->kind) {
    case JOB_ALL:
        return guard_many(scope, guard, SCOPE_FALSE, error);
    case JOB_ANY:
        return guard_many(scope, guard, SCOPE_TRUE, error);
    case JOB_NOT:
        truth = scope_guard(scope, &guard->guard[0], error);
        return truth == SCOPE_TRUE ? SCOPE_FALSE : truth == SCOPE_FALSE ? SCOPE_TRUE : truth;
    default:
        return guard_comparison(scope, guard, error);
    }
}
