#include "mu/job_check.h"

#include <errno.h>
#include <string.h>

#include "mu/job_machine.h"
#include "mu/request.h"
#include "mu/scope.h"

/* A message or a point's message that some state sends or receives, for one group of actors. Parts that
 * are not known are SCOPE_UNKNOWN_CHARACTER. */
struct message {
    int state;
    const char *point; /* or NULL */
    const char *peer, *name;
    int peer_group; /* -1 where it is not known */
};

struct messages {
    int count;
    struct message *message; /* [all states and points] */
};

struct checker {
    const struct job_reader *reader;
    struct job *job;
    const struct node *states; /* the file's "states" */
    struct arena arena;
    bool *reached;                     /* [states], and */
    int *queue;                        /* [states]: those found so far in a walk */
    struct messages *sends, *receives; /* [groups] each */
};

/* The place of a state, or of something in it. */
static int fail_state(const struct checker *checker, int state, const char *reason)
{
    struct node node = job_node_member(checker->states, checker->job->state[state].name);
    return job_node_fail(checker->reader, &node, "%s", reason);
}

/* ---- The machine as a graph ---------------------------------------------------------------- */

/* Marks and queues all states that may come next, guards aside. */
static void mark_next(struct checker *checker, const struct job_next *next, int *queued)
{
    for (int i = 0; i < next->count; i++) {
        int to = next->branch[i].to;
        if (!checker->reached[to])
            checker->queue[(*queued)++] = to;
        checker->reached[to] = true;
    }
}

static void default_priority(struct job_state *state, int distance)
{
    if (state->priority == JOB_NO_PRIORITY)
        state->priority = distance;
}

/* Breadth first, so that the distance from the start is known on the way. */
static int check_reachable(struct checker *checker)
{
    struct job *job = checker->job;
    int queued = 0, done = 0, distance = 0;
    mark_next(checker, &job->start, &queued);
    while (done < queued) {
        int level_end = queued;
        for (; done < level_end; done++) {
            struct job_state *state = &job->state[checker->queue[done]];
            default_priority(state, distance);
            for (int outcome = 0; outcome < JOB_OUTCOMES; outcome++)
                mark_next(checker, &state->next[outcome], &queued);
        }
        distance++;
    }
    for (int i = 0; i < job->states; i++)
        if (!checker->reached[i])
            return fail_state(checker, i, "nothing leads to this state");
    return 0;
}

static bool leads_to_one_of(const struct job_next *next, const bool *states)
{
    for (int i = 0; i < next->count; i++)
        if (states[next->branch[i].to])
            return true;
    return false;
}

static int check_quits(struct checker *checker)
{
    struct job *job = checker->job;
    bool *quits = arena_alloc(&checker->arena, (size_t)job->states, sizeof *quits);
    if (quits == NULL)
        return job_node_no_memory(checker->reader);
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < job->states; i++) {
            const struct job_state *state = &job->state[i];
            bool now = state->request.kind == JOB_QUIT;
            for (int outcome = 0; outcome < JOB_OUTCOMES; outcome++)
                now |= leads_to_one_of(&state->next[outcome], quits);
            changed |= now && !quits[i];
            quits[i] |= now;
        }
    }
    for (int i = 0; i < job->states; i++)
        if (!quits[i])
            return fail_state(checker, i, "no way leads from this state to a 'quit'");
    return 0;
}

/* Takes away states that take no time and lead to none of the others; what is left goes in circles. */
static int check_circles(struct checker *checker)
{
    struct job *job = checker->job;
    bool *left = arena_alloc(&checker->arena, (size_t)job->states, sizeof *left);
    if (left == NULL)
        return job_node_no_memory(checker->reader);
    for (int i = 0; i < job->states; i++)
        left[i] = job_is_instant(&job->state[i]);
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < job->states; i++) {
            bool leaves = left[i] && !leads_to_one_of(&job->state[i].next[JOB_OK], left);
            changed |= leaves;
            left[i] &= !leaves;
        }
    }
    for (int i = 0; i < job->states; i++)
        if (left[i])
            return fail_state(checker, i,
                              "leads back to itself through nothing but 'set', which would never "
                              "end");
    return 0;
}

/* ---- What each group of actors does -------------------------------------------------------- */

static int walk_next(struct checker *checker, const struct scope *scope,
                     const struct job_next *next, int *queued)
{
    for (int i = 0; i < next->count; i++) {
        const struct job_branch *branch = &next->branch[i];
        int truth = branch->guard != NULL
                        ? scope_guard(scope, branch->guard, checker->reader->error)
                        : SCOPE_TRUE;
        if (truth < 0)
            return error_prefix(checker->reader->error, "%s", checker->reader->name);
        if (truth == SCOPE_FALSE)
            continue;
        if (!checker->reached[branch->to])
            checker->queue[(*queued)++] = branch->to;
        checker->reached[branch->to] = true;
        if (truth == SCOPE_TRUE)
            break;
    }
    return 0;
}

/* Marks the states that the scope's actors may come to, as far as is known from what never changes. */
static int walk(struct checker *checker, const struct scope *scope)
{
    struct job *job = checker->job;
    int queued = 0;
    memset(checker->reached, 0, (size_t)job->states * sizeof *checker->reached);
    int code = walk_next(checker, scope, &job->start, &queued);
    for (int done = 0; done < queued && code >= 0; done++) {
        const struct job_state *state = &job->state[checker->queue[done]];
        for (int outcome = 0; outcome < JOB_OUTCOMES && code >= 0; outcome++)
            code = walk_next(checker, scope, &state->next[outcome], &queued);
    }
    return code;
}

/* The group that a peer belongs to: known where the text is, or where it can only be a neighbour. */
static int find_group(const struct checker *checker, const struct scope *scope,
                      const struct job_text *text, const char *peer)
{
    struct actor actor;
    struct arena arena = {0};
    const struct job_part *part = &text->part[0];
    int group = -1;
    bool neighbour = text->parts == 1 && part->literal == NULL &&
                     (part->variable == JOB_NEXT || part->variable == JOB_PREVIOUS ||
                      part->variable == JOB_ACTOR);
    if (neighbour)
        return scope->actor.group;
    if (scope_knows(scope, text)) {
        const char *sample = scope_number(peer, 0, &arena);
        if (sample != NULL && actor_find(checker->job, sample, &actor))
            group = actor.group;
        arena_free(&arena);
    }
    return group;
}

static int add_message(struct checker *checker, const struct scope *scope, int state,
                       const char *point, const struct job_request *from,
                       const struct machine_request *filled)
{
    struct arena *arena = &checker->arena;
    if (filled->kind != JOB_SEND && filled->kind != JOB_RECEIVE)
        return 0;
    struct messages *messages = filled->kind == JOB_SEND ? checker->sends : checker->receives;
    messages += scope->actor.group;
    messages->message[messages->count++] = (struct message){
        .state = state,
        .point = point,
        .peer = arena_copy(arena, filled->peer, strlen(filled->peer)),
        .name = arena_copy(arena, filled->name, strlen(filled->name)),
        .peer_group = find_group(checker, scope, &from->actor, filled->peer),
    };
    const struct message *added = &messages->message[messages->count - 1];
    return added->peer != NULL && added->name != NULL ? 0 : job_node_no_memory(checker->reader);
}

/* Fills the state's request in as far as is known, which checks it, and notes its messages. */
static int check_state(struct checker *checker, const struct scope *scope, int index)
{
    const struct job_state *state = &checker->job->state[index];
    const struct job_group *group = &checker->job->group[scope->actor.group];
    struct machine_request request;
    struct error error = {0};
    int code = request_fill(scope, state, &request, &error);
    if (code == -ENOMEM)
        return job_node_no_memory(checker->reader);
    if (code < 0) {
        if (scope->of == SCOPE_GROUP)
            error_prefix(&error, "for %s '%s'", group->is_family ? "family" : "actor", group->name);
        return fail_state(checker, index, error.message);
    }
    if (scope->of == SCOPE_GROUP)
        code = add_message(checker, scope, index, NULL, &state->request, &request);
    for (int i = 0; i < request.points && scope->of == SCOPE_GROUP && code >= 0; i++)
        code = add_message(checker, scope, index, request.point[i].name,
                           &state->request.point[i].request, &request.point[i].request);
    machine_request_free(&request);
    return code;
}

static int check_group(struct checker *checker, int group)
{
    struct job *job = checker->job;
    const struct scope scope = {.job = job, .of = SCOPE_GROUP, .actor = {group, 0}};
    size_t most = (size_t)job->states + JOB_MOST_ALL_POINTS;
    struct messages *sends = &checker->sends[group], *receives = &checker->receives[group];
    sends->message = arena_alloc(&checker->arena, most, sizeof *sends->message);
    receives->message = arena_alloc(&checker->arena, most, sizeof *receives->message);
    if (sends->message == NULL || receives->message == NULL)
        return job_node_no_memory(checker->reader);
    int code = walk(checker, &scope);
    for (int i = 0; i < job->states && code >= 0; i++)
        if (checker->reached[i])
            code = check_state(checker, &scope, i);
    return code;
}

/* Also those that no actor comes to with the variables as they are. */
static int check_every_state(struct checker *checker)
{
    const struct scope scope = {.job = checker->job, .of = SCOPE_JOB};
    int code = 0;
    for (int i = 0; i < checker->job->states && code >= 0; i++)
        code = check_state(checker, &scope, i);
    return code;
}

/* ---- Messages ------------------------------------------------------------------------------ */

/* False where two texts with parts that are not known cannot be the same: they begin or end differently. */
static bool may_be_same(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    size_t least = a_length < b_length ? a_length : b_length;
    const char unknown[] = {SCOPE_UNKNOWN_CHARACTER, '$',
                            '\0'}; /* "${number}" is not known either */
    size_t a_known = strcspn(a, unknown), b_known = strcspn(b, unknown);
    if (a_known == a_length && b_known == b_length)
        return strcmp(a, b) == 0;
    size_t known = a_known < b_known ? a_known : b_known;
    if (strncmp(a, b, known) != 0)
        return false;
    const char *a_end = a + a_length, *b_end = b + b_length;
    for (size_t i = 0; i < least; i++) {
        char x = *--a_end, y = *--b_end;
        if (x == SCOPE_UNKNOWN_CHARACTER || y == SCOPE_UNKNOWN_CHARACTER || x == '}' || y == '}')
            return true;
        if (x != y)
            return false;
    }
    return true;
}

/* Whether an actor of `sender` may send what one of `receiver` waits for. */
static bool may_be_sent(const struct checker *checker, int sender, int receiver,
                        const struct message *wanted)
{
    const struct messages *sends = &checker->sends[sender];
    for (int i = 0; i < sends->count; i++) {
        const struct message *sent = &sends->message[i];
        if ((sent->peer_group < 0 || sent->peer_group == receiver) &&
            may_be_same(sent->name, wanted->name))
            return true;
    }
    return false;
}

static int check_receive(struct checker *checker, int group, const struct message *wanted)
{
    const struct job_group *sender = &checker->job->group[wanted->peer_group];
    const struct job_group *receiver = &checker->job->group[group];
    struct node state = job_node_member(checker->states, checker->job->state[wanted->state].name);
    if (may_be_sent(checker, wanted->peer_group, group, wanted))
        return 0;
    return job_node_fail(checker->reader, &state,
                         "%s%s%sfor '%s', the message '%s' from '%s' is never "
                         "sent by '%s' to '%s'",
                         wanted->point != NULL ? "at point '" : "",
                         wanted->point != NULL ? wanted->point : "",
                         wanted->point != NULL ? "', " : "", receiver->name, wanted->name,
                         wanted->peer, sender->name, receiver->name);
}

static int check_messages(struct checker *checker)
{
    for (int group = 0; group < checker->job->groups; group++) {
        const struct messages *receives = &checker->receives[group];
        for (int i = 0; i < receives->count; i++) {
            const struct message *wanted = &receives->message[i];
            int code = wanted->peer_group < 0 ? 0 : check_receive(checker, group, wanted);
            if (code < 0)
                return code;
        }
    }
    return 0;
}

/* ---- Families ------------------------------------------------------------------------------ */

static bool closes(const struct job_state *state, int group)
{
    for (int i = 0; i < state->request.points; i++) {
        const struct job_request *request = &state->request.point[i].request;
        if (request->kind == JOB_CLOSE && request->group == group)
            return true;
    }
    return false;
}

static int check_families(const struct checker *checker, const struct node *root)
{
    const struct job *job = checker->job;
    struct node actors = job_node_member(root, "actors");
    for (int group = 0; group < job->groups; group++) {
        bool closed = !job->group[group].is_open;
        for (int i = 0; i < job->states; i++)
            closed |= closes(&job->state[i], group);
        struct node node = job_node_element(&actors, (size_t)group);
        if (!closed)
            return job_node_fail(checker->reader, &node,
                                 "no point of a run closes the open family '%s'",
                                 job->group[group].name);
    }
    return 0;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static int prepare(struct checker *checker)
{
    struct job *job = checker->job;
    struct arena *arena = &checker->arena;
    checker->reached = arena_alloc(arena, (size_t)job->states, sizeof *checker->reached);
    checker->queue = arena_alloc(arena, (size_t)job->states, sizeof *checker->queue);
    checker->sends = arena_alloc(arena, (size_t)job->groups, sizeof *checker->sends);
    checker->receives = arena_alloc(arena, (size_t)job->groups, sizeof *checker->receives);
    bool good = checker->reached != NULL && checker->queue != NULL && checker->sends != NULL &&
                checker->receives != NULL;
    return good ? 0 : job_node_no_memory(checker->reader);
}

int job_check(const struct job_reader *reader, const struct node *root)
{
    struct node machine = job_node_member(root, "machine");
    struct node states = job_node_member(&machine, "states");
    struct checker checker = {.reader = reader, .job = reader->job, .states = &states};
    int code = prepare(&checker);
    if (code >= 0)
        code = check_reachable(&checker);
    if (code >= 0)
        code = check_quits(&checker);
    if (code >= 0)
        code = check_circles(&checker);
    if (code >= 0)
        code = check_families(&checker, root);
    if (code >= 0)
        code = check_every_state(&checker);
    for (int group = 0; group < reader->job->groups && code >= 0; group++)
        code = check_group(&checker, group);
    if (code >= 0)
        code = check_messages(&checker);
    arena_free(&checker.arena);
    return code;
}
