#include "mu/job_guard.h"

#include <string.h>

/* ---- Guards -------------------------------------------------------------------------------- */

static const char *const comparison[] = {
    [JOB_IS] = "is",           [JOB_IS_NOT] = "is_not", [JOB_LESS] = "less",
    [JOB_AT_MOST] = "at_most", [JOB_MORE] = "more",     [JOB_AT_LEAST] = "at_least",
};

/* `left` is how many more parts the whole guard may have, `depth` how much deeper it may go. */
static int read_guard(const struct job_reader *reader, const struct node *node, int depth,
                      int *left, struct job_guard *guard);

static int read_comparison(const struct job_reader *reader, const struct node *node,
                           struct job_guard *guard)
{
    static const char *const allowed[] = {"variable", "is",   "is_not",   "less",
                                          "at_most",  "more", "at_least", NULL};
    struct node variable = job_node_member(node, "variable");
    int code = job_node_object(reader, node, allowed);
    if (code >= 0 && json_object_size(node->json) != 2)
        return job_node_fail(reader, node, "needs 'variable' and one comparison");
    if (code >= 0)
        code = job_node_variable(reader, &variable, &guard->variable);
    if (code < 0)
        return code;
    enum job_type type = job_variable_type(reader->job, guard->variable);
    for (int kind = JOB_IS; kind <= JOB_AT_LEAST; kind++) {
        struct node operand = job_node_member(node, comparison[kind]);
        if (operand.json == NULL)
            continue;
        guard->kind = (enum job_guard_kind)kind;
        if (kind > JOB_IS_NOT && type != JOB_INTEGER)
            return job_node_fail(reader, &operand, "the variable is not an integer");
        return job_node_operand(reader, &operand, type, &guard->operand);
    }
    return job_node_fail(reader, node, "has no comparison");
}

static int read_many(const struct job_reader *reader, const struct node *list, int depth, int *left,
                     struct job_guard *guard)
{
    int code = job_node_size(reader, list, JSON_ARRAY, 1, JOB_MOST_GUARDS, &guard->count);
    if (code < 0)
        return code;
    guard->guard = arena_alloc(&reader->job->arena, (size_t)guard->count, sizeof *guard->guard);
    if (guard->guard == NULL)
        return job_node_no_memory(reader);
    for (int i = 0; i < guard->count && code >= 0; i++) {
        struct node one = job_node_element(list, (size_t)i);
        code = read_guard(reader, &one, depth, left, &guard->guard[i]);
    }
    return code;
}

static int read_not(const struct job_reader *reader, const struct node *node, int depth, int *left,
                    struct job_guard *guard)
{
    guard->kind = JOB_NOT;
    guard->count = 1;
    guard->guard = arena_alloc(&reader->job->arena, 1, sizeof *guard->guard);
    return guard->guard != NULL ? read_guard(reader, node, depth, left, guard->guard)
                                : job_node_no_memory(reader);
}

static int read_guard(const struct job_reader *reader, const struct node *node, int depth,
                      int *left, struct job_guard *guard)
{
    if (depth == 0)
        return job_node_fail(reader, node, "the guard is nested deeper than %d", JOB_MOST_DEPTH);
    if ((*left)-- == 0)
        return job_node_fail(reader, node, "the guard has more than %d parts", JOB_MOST_GUARDS);
    struct node all = job_node_member(node, "all");
    struct node any = job_node_member(node, "any");
    struct node negated = job_node_member(node, "not");
    if (all.json == NULL && any.json == NULL && negated.json == NULL)
        return read_comparison(reader, node, guard);
    if (json_object_size(node->json) != 1)
        return job_node_fail(reader, node, "has more than one of 'all', 'any', 'not', 'variable'");
    if (negated.json != NULL)
        return read_not(reader, &negated, depth - 1, left, guard);
    guard->kind = all.json != NULL ? JOB_ALL : JOB_ANY;
    return read_many(reader, all.json != NULL ? &all : &any, depth - 1, left, guard);
}

/* ---- Branches ------------------------------------------------------------------------------ */

static int read_state_name(const struct job_reader *reader, const struct node *node, int *state)
{
    const char *name;
    int code = job_node_string(reader, node, &name);
    if (code < 0)
        return code;
    for (*state = 0; *state < reader->job->states; (*state)++)
        if (strcmp(reader->job->state[*state].name, name) == 0)
            return 0;
    return job_node_fail(reader, node, "there is no state '%s'", name);
}

static int read_branch(const struct job_reader *reader, const struct node *node, bool last,
                       struct job_branch *branch)
{
    struct node condition = job_node_member(node, "if");
    struct node to = job_node_member(node, "to");
    int left = JOB_MOST_GUARDS;
    int code = job_node_object(reader, node, (const char *const[]){"if", "to", NULL});
    if (code >= 0)
        code = read_state_name(reader, &to, &branch->to);
    if (code < 0)
        return code;
    if (last != (condition.json == NULL))
        return job_node_fail(reader, node,
                             last ? "the last branch is taken where no other is: it has no 'if'"
                                  : "only the last branch has no 'if'");
    if (last)
        return 0;
    struct job_guard *guard = arena_alloc(&reader->job->arena, 1, sizeof *guard);
    branch->guard = guard;
    return guard != NULL ? read_guard(reader, &condition, JOB_MOST_DEPTH, &left, guard)
                         : job_node_no_memory(reader);
}

int job_guard_read_next(const struct job_reader *reader, const struct node *node,
                        struct job_next *next)
{
    int code = 0;
    next->count = 1;
    if (!json_is_string(node->json) && node->json != NULL)
        code = job_node_size(reader, node, JSON_ARRAY, 1, JOB_MOST_BRANCHES, &next->count);
    if (code < 0)
        return code;
    next->branch = arena_alloc(&reader->job->arena, (size_t)next->count, sizeof *next->branch);
    if (next->branch == NULL)
        return job_node_no_memory(reader);
    if (!json_is_array(node->json))
        return read_state_name(reader, node, &next->branch[0].to);
    for (int i = 0; i < next->count && code >= 0; i++) {
        struct node branch = job_node_element(node, (size_t)i);
        code = read_branch(reader, &branch, i == next->count - 1, &next->branch[i]);
    }
    return code;
}
