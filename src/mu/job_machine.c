#include "mu/job_machine.h"

#include <math.h>
#include <string.h>

#include "mu/job_guard.h"

enum {
    DEFAULT_RETRIES = 2,
    /* Time limits where the file has none. A "receive" has none: its sender has. */
    RUN_SECONDS = 900,
    OTHER_SECONDS = 300,
};

/* Seconds that are a fraction are taken to the millisecond. */
static const double least_seconds = 0.001;

/* ---- Requests ------------------------------------------------------------------------------ */

struct text_member {
    const char *name;
    bool required;
    struct job_text *text;
    bool *flag; /* where it is no text but a boolean */
};

/* Reads an object of texts; `member` ends with one without name. */
static int read_texts(const struct job_reader *reader, const struct node *node, bool at_point,
                      const struct text_member member[])
{
    const char *allowed[8] = {NULL};
    for (int i = 0; member[i].name != NULL; i++)
        allowed[i] = member[i].name;
    int code = job_node_object(reader, node, allowed);
    for (int i = 0; member[i].name != NULL && code >= 0; i++) {
        struct node text = job_node_member(node, member[i].name);
        if (member[i].flag != NULL)
            code = job_node_flag(reader, &text, member[i].flag);
        else if (text.json != NULL || member[i].required)
            code = job_node_text(reader, &text, at_point, member[i].text);
    }
    return code;
}

/* One of two members says where to, and so what. */
static int settle_get(const struct job_reader *reader, const struct node *node,
                      const struct job_text *url, struct job_request *request)
{
    if ((request->file.parts > 0) == (url->parts > 0))
        return job_node_fail(reader, node, "needs one of 'file' and 'url'");
    request->by_url = url->parts > 0;
    if (request->by_url)
        request->file = *url;
    return 0;
}

static int read_transfer(const struct job_reader *reader, const struct node *node, bool at_point,
                         struct job_request *request)
{
    struct job_text url = {0};
    const struct text_member get[] = {{"key", true, .text = &request->key},
                                      {"file", false, .text = &request->file},
                                      {"url", false, .text = &url},
                                      {0}};
    const struct text_member put[] = {{"file", true, .text = &request->file},
                                      {"key", true, .text = &request->key},
                                      {"for", false, .text = &request->actor},
                                      {"move", false, .flag = &request->move},
                                      {0}};
    const struct text_member send[] = {{"to", true, .text = &request->actor},
                                       {"name", true, .text = &request->name},
                                       {"file", false, .text = &request->file},
                                       {"text", false, .text = &request->text},
                                       {0}};
    const struct text_member receive[] = {{"from", true, .text = &request->actor},
                                          {"name", true, .text = &request->name},
                                          {"file", true, .text = &request->file},
                                          {0}};
    const struct text_member needed[] = {{"actor", true, .text = &request->actor}, {0}};
    const struct text_member *const members[JOB_KINDS] = {[JOB_GET] = get,
                                                          [JOB_PUT] = put,
                                                          [JOB_SEND] = send,
                                                          [JOB_RECEIVE] = receive,
                                                          [JOB_NEEDED] = needed};
    int code = read_texts(reader, node, at_point, members[request->kind]);
    if (code >= 0 && request->kind == JOB_GET)
        return settle_get(reader, node, &url, request);
    if (code < 0 || request->kind != JOB_SEND)
        return code;
    if ((request->file.parts > 0) == (request->text.parts > 0))
        return job_node_fail(reader, node, "needs one of 'file' and 'text'");
    return 0;
}

static int read_argv(const struct job_reader *reader, const struct node *node,
                     struct job_request *request)
{
    int code = job_node_size(reader, node, JSON_ARRAY, 1, JOB_MOST_WORDS, &request->words);
    if (code < 0)
        return code;
    request->argv = arena_alloc(&reader->job->arena, (size_t)request->words, sizeof *request->argv);
    if (request->argv == NULL)
        return job_node_no_memory(reader);
    for (int i = 0; i < request->words && code >= 0; i++) {
        struct node word = job_node_element(node, (size_t)i);
        code = job_node_text(reader, &word, false, &request->argv[i]);
    }
    return code;
}

static int read_close(const struct job_reader *reader, const struct node *node,
                      struct job_request *request)
{
    const char *family;
    struct node member = job_node_member(node, "family");
    int code = job_node_object(reader, node, (const char *const[]){"family", NULL});
    if (code >= 0)
        code = job_node_string(reader, &member, &family);
    if (code < 0)
        return code;
    for (int i = 0; i < reader->job->groups; i++) {
        request->group = i;
        if (strcmp(reader->job->group[i].name, family) == 0)
            return reader->job->group[i].is_open
                       ? 0
                       : job_node_fail(reader, &member, "'%s' is no open family", family);
    }
    return job_node_fail(reader, &member, "there is no family '%s'", family);
}

static bool has_number(const struct job_text *text)
{
    for (int i = 0; i < text->parts; i++)
        if (text->part[i].literal == NULL && text->part[i].variable == JOB_NUMBER)
            return true;
    return false;
}

static int read_point(const struct job_reader *reader, const struct node *node,
                      struct job_point *point)
{
    static const enum job_kind kinds[] = {JOB_GET,     JOB_PUT,   JOB_SEND,
                                          JOB_RECEIVE, JOB_CLOSE, JOB_NEEDED};
    int size;
    int code = job_node_size(reader, node, JSON_OBJECT, 1, 1, &size);
    if (code < 0)
        return code;
    struct job_request *request = &point->request;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        request->kind = kinds[i];
        struct node body = job_node_member(node, job_kind_name(kinds[i]));
        if (body.json == NULL)
            continue;
        if (request->kind == JOB_CLOSE)
            code = read_close(reader, &body, request);
        else
            code = read_transfer(reader, &body, true, request);
        point->numbered = request->kind == JOB_CLOSE || has_number(&request->key) ||
                          has_number(&request->file) || has_number(&request->actor) ||
                          has_number(&request->name);
        if (code >= 0 && request->text.parts > 0)
            return job_node_fail(reader, &body, "a message sent at a point is a file");
        return code;
    }
    return job_node_fail(reader, node,
                         "is neither 'get', 'put', 'send', 'receive', 'close' nor 'needed'");
}

static int read_points(const struct job_reader *reader, const struct node *node,
                       struct job_request *request)
{
    const char *name;
    json_t *json;
    int code = job_node_size(reader, node, JSON_OBJECT, 0, JOB_MOST_POINTS, &request->points);
    if (code < 0)
        return code;
    struct job_point *point =
        arena_alloc(&reader->job->arena, (size_t)request->points, sizeof *point);
    if (point == NULL)
        return job_node_no_memory(reader);
    request->point = point;
    json_object_foreach(node->json, name, json)
    {
        struct node member = job_node_member(node, name);
        if (!job_name_valid(name))
            return job_node_fail(reader, &member, "is no name of a point");
        point->name = arena_copy(&reader->job->arena, name, strlen(name));
        code =
            point->name != NULL ? read_point(reader, &member, point++) : job_node_no_memory(reader);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_run(const struct job_reader *reader, const struct node *node,
                    struct job_request *request)
{
    struct node argv = job_node_member(node, "argv");
    struct node points = job_node_member(node, "points");
    int code = job_node_object(reader, node, (const char *const[]){"argv", "points", NULL});
    if (code >= 0)
        code = read_argv(reader, &argv, request);
    if (code >= 0 && points.json != NULL)
        code = read_points(reader, &points, request);
    return code;
}

/* ---- Settings ------------------------------------------------------------------------------ */

/* {"file": FILE}: all of a request's name the same. */
static int read_setting_file(const struct job_reader *reader, const struct node *node,
                             const char **file, struct job_request *request,
                             struct job_setting *setting)
{
    struct node member = job_node_member(node, "file");
    setting->kind = JOB_READ;
    int code = job_node_text(reader, &member, false, &request->file);
    if (code < 0)
        return code;
    const char *name = json_string_value(member.json);
    if (*file != NULL && strcmp(*file, name) != 0)
        return job_node_fail(reader, &member, "a 'set' reads one file, and there is '%s' before",
                             *file);
    *file = name;
    return 0;
}

static int read_setting_object(const struct job_reader *reader, const struct node *node,
                               const char **file, struct job_request *request,
                               struct job_setting *setting)
{
    struct node member = job_node_member(node, "add");
    enum job_type type = job_variable_type(reader->job, setting->variable);
    if (json_object_size(node->json) != 1)
        return job_node_fail(reader, node, "needs one of 'add' and 'file'");
    if (member.json == NULL) {
        int code = job_node_object(reader, node, (const char *const[]){"add", "file", NULL});
        return code < 0 ? code : read_setting_file(reader, node, file, request, setting);
    }
    setting->kind = JOB_ADD;
    if (type != JOB_INTEGER)
        return job_node_fail(reader, node, "the variable is not an integer");
    return job_node_operand(reader, &member, type, &setting->operand);
}

static int read_setting(const struct job_reader *reader, const struct node *node,
                        const char *variable, const char **file, struct job_request *request,
                        struct job_setting *setting)
{
    if (!job_find_variable(reader->job, variable, &setting->variable))
        return job_node_fail(reader, node, "there is no variable '%s'", variable);
    if (setting->variable < 0)
        return job_node_fail(reader, node, "'%s' is built in and cannot be set", variable);
    reader->job->variable[setting->variable].changes = true;
    if (json_is_object(node->json))
        return read_setting_object(reader, node, file, request, setting);
    setting->kind = JOB_ASSIGN;
    return job_node_operand(reader, node, job_variable_type(reader->job, setting->variable),
                            &setting->operand);
}

static int read_set(const struct job_reader *reader, const struct node *node,
                    struct job_request *request)
{
    const char *variable, *file = NULL;
    json_t *json;
    int code = job_node_size(reader, node, JSON_OBJECT, 0, JOB_MOST_VARIABLES, &request->settings);
    if (code < 0)
        return code;
    struct job_setting *setting =
        arena_alloc(&reader->job->arena, (size_t)request->settings, sizeof *setting);
    if (setting == NULL)
        return job_node_no_memory(reader);
    request->setting = setting;
    json_object_foreach(node->json, variable, json)
    {
        struct node member = job_node_member(node, variable);
        code = read_setting(reader, &member, variable, &file, request, setting++);
        if (code < 0)
            return code;
    }
    return 0;
}

/* ---- States -------------------------------------------------------------------------------- */

static int read_request(const struct job_reader *reader, const struct node *node,
                        struct job_request *request)
{
    bool found = false;
    enum job_kind kind = JOB_GET;
    for (int i = 0; i < JOB_STATE_KINDS; i++) {
        struct node body = job_node_member(node, job_kind_name((enum job_kind)i));
        if (body.json != NULL && found)
            return job_node_fail(reader, &body, "is a second request beside '%s'",
                                 job_kind_name(kind));
        if (body.json != NULL)
            kind = (enum job_kind)i;
        found |= body.json != NULL;
    }
    if (!found)
        return job_node_fail(
            reader, node,
            "has no request: one of 'get', 'put', 'run', 'send', 'receive', 'set', "
            "'quit'");
    request->kind = kind;
    struct node body = job_node_member(node, job_kind_name(kind));
    switch (kind) {
    case JOB_RUN:
        return read_run(reader, &body, request);
    case JOB_SET:
        return read_set(reader, &body, request);
    case JOB_QUIT:
        return job_node_object(reader, &body, (const char *const[]){NULL});
    default:
        return read_transfer(reader, &body, false, request);
    }
}

static int read_timeout(const struct job_reader *reader, const struct node *node,
                        struct job_state *state)
{
    enum job_kind kind = state->request.kind;
    struct job_operand operand;
    if (node->json == NULL) {
        state->timeout_ms = kind == JOB_RUN       ? 1000 * RUN_SECONDS
                            : kind == JOB_RECEIVE ? 0
                                                  : 1000 * OTHER_SECONDS;
        return 0;
    }
    if (json_is_number(node->json)) {
        double seconds = json_number_value(node->json);
        if (!(seconds >= least_seconds && seconds <= JOB_MOST_SECONDS))
            return job_node_fail(reader, node, "is not in [%g, %d] seconds", least_seconds,
                                 JOB_MOST_SECONDS);
        state->timeout_ms = llround(seconds * 1000);
        return 0;
    }
    int code = job_node_operand(reader, node, JOB_INTEGER, &operand);
    if (code < 0)
        return code;
    state->timeout_varies = true;
    state->timeout_variable = operand.text.part[0].variable;
    return 0;
}

static int read_limits(const struct job_reader *reader, const struct node *node,
                       struct job_state *state)
{
    int64_t number;
    struct node timeout = job_node_member(node, "timeout");
    struct node retries = job_node_member(node, "retries");
    struct node priority = job_node_member(node, "priority");
    int code = read_timeout(reader, &timeout, state);
    state->retries = DEFAULT_RETRIES;
    state->priority = JOB_NO_PRIORITY;
    if (code >= 0 && retries.json != NULL) {
        code = job_node_integer(reader, &retries, 0, JOB_MOST_RETRIES, &number);
        state->retries = (int)number;
    }
    if (code >= 0 && priority.json != NULL) {
        code = job_node_integer(reader, &priority, 0, JOB_MOST_PRIORITY, &number);
        state->priority = (int)number;
    }
    return code;
}

static int read_outcomes(const struct job_reader *reader, const struct node *node,
                         struct job_state *state)
{
    static const char *const all[] = {"ok", "failed", "timeout", NULL};
    static const char *const instant[] = {"ok", NULL};
    int code = job_node_object(reader, node, job_is_instant(state) ? instant : all);
    for (int i = 0; i < JOB_OUTCOMES && code >= 0; i++) {
        struct node next = job_node_member(node, job_outcome_name((enum job_outcome)i));
        if (next.json == NULL && i != JOB_OK)
            continue;
        if (i == JOB_TIMEOUT && state->timeout_ms == 0 && !state->timeout_varies)
            return job_node_fail(reader, &next, "the state has no 'timeout'");
        code = job_guard_read_next(reader, &next, &state->next[i]);
    }
    return code;
}

static int read_state(const struct job_reader *reader, const struct node *node,
                      struct job_state *state)
{
    static const char *const all[] = {"get",     "put",      "run",   "send", "receive",
                                      "set",     "quit",     "about", "on",   "timeout",
                                      "retries", "priority", NULL};
    const char *about;
    int code = job_node_object(reader, node, all);
    if (code >= 0)
        code = read_request(reader, node, &state->request);
    struct node member = job_node_member(node, "about");
    if (code >= 0 && member.json != NULL)
        code = job_node_string(reader, &member, &about);
    if (code >= 0)
        code = read_limits(reader, node, state);
    if (code < 0)
        return code;
    const char *kind = job_kind_name(state->request.kind);
    if (state->request.kind == JOB_QUIT)
        return job_node_object(reader, node, (const char *const[]){kind, "about", NULL});
    if (job_is_instant(state)) {
        code = job_node_object(reader, node, (const char *const[]){kind, "about", "on", NULL});
        state->timeout_ms = 0;
    }
    struct node on = job_node_member(node, "on");
    return code < 0 ? code : read_outcomes(reader, &on, state);
}

/* Outcomes refer to states by name, so that all names are there first. */
static int read_state_names(const struct job_reader *reader, const struct node *states)
{
    const char *name;
    json_t *json;
    struct job_state *state = reader->job->state;
    json_object_foreach(states->json, name, json)
    {
        struct node member = job_node_member(states, name);
        if (!job_name_valid(name))
            return job_node_fail(reader, &member, "is no name of a state");
        state->name = arena_copy(&reader->job->arena, name, strlen(name));
        if (state++->name == NULL)
            return job_node_no_memory(reader);
    }
    return 0;
}

static int read_states(const struct job_reader *reader, const struct node *states)
{
    struct job *job = reader->job;
    int points = 0;
    int code = job_node_size(reader, states, JSON_OBJECT, 1, JOB_MOST_STATES, &job->states);
    if (code < 0)
        return code;
    job->state = arena_alloc(&job->arena, (size_t)job->states, sizeof *job->state);
    if (job->state == NULL)
        return job_node_no_memory(reader);
    code = read_state_names(reader, states);
    for (int i = 0; i < job->states && code >= 0; i++) {
        struct node member = job_node_member(states, job->state[i].name);
        code = read_state(reader, &member, &job->state[i]);
        points += job->state[i].request.points;
    }
    if (code >= 0 && points > JOB_MOST_ALL_POINTS)
        return job_node_fail(reader, states, "has %d points in all, more than %d", points,
                             JOB_MOST_ALL_POINTS);
    return code;
}

int job_machine_read(const struct job_reader *reader, const struct node *machine)
{
    struct node start = job_node_member(machine, "start");
    struct node states = job_node_member(machine, "states");
    int code = job_node_object(reader, machine, (const char *const[]){"start", "states", NULL});
    if (code >= 0)
        code = read_states(reader, &states);
    if (code >= 0)
        code = job_guard_read_next(reader, &start, &reader->job->start);
    return code;
}
