#include "mu/job_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/actor.h"
#include "mu/job_check.h"
#include "mu/job_machine.h"
#include "mu/job_node.h"
#include "mu/value.h"

/* ---- Variables ----------------------------------------------------------------------------- */

/* A literal, with a string of the job's. */
static int read_value(const struct job_reader *reader, const struct node *node, enum job_type type,
                      struct job_value *value)
{
    if (!value_from_json(node->json, type, value))
        return job_node_fail(reader, node, "is not %s", job_type_name(type));
    return type == JOB_STRING ? job_node_string(reader, node, &value->string) : 0;
}

static int read_variable(const struct job_reader *reader, const struct node *node, const char *name,
                         struct job_variable *variable)
{
    int known;
    enum job_type type = json_is_string(node->json)    ? JOB_STRING
                         : json_is_integer(node->json) ? JOB_INTEGER
                                                       : JOB_BOOLEAN;
    if (type == JOB_BOOLEAN && !json_is_boolean(node->json))
        return job_node_fail(reader, node, "is neither a string nor an integer nor a boolean");
    if (!job_variable_name_valid(name))
        return job_node_fail(reader, node,
                             "is no name of a variable: at most %d small letters, digits and '_', "
                             "beginning with a letter",
                             JOB_MOST_NAME);
    /* job->variables counts those before this one, and JSON repeats none. */
    if (job_find_variable(reader->job, name, &known))
        return job_node_fail(reader, node, "is the name of a built-in variable");
    variable->name = arena_copy(&reader->job->arena, name, strlen(name));
    return variable->name != NULL ? read_value(reader, node, type, &variable->value)
                                  : job_node_no_memory(reader);
}

static int read_variables(const struct job_reader *reader, const struct node *variables)
{
    const char *name;
    json_t *json;
    int count = 0;
    struct job *job = reader->job;
    if (variables->json == NULL)
        return 0;
    int code = job_node_size(reader, variables, JSON_OBJECT, 0, JOB_MOST_VARIABLES, &count);
    if (code < 0)
        return code;
    job->variable = arena_alloc(&job->arena, (size_t)count, sizeof *job->variable);
    if (job->variable == NULL)
        return job_node_no_memory(reader);
    json_object_foreach(variables->json, name, json)
    {
        struct node member = job_node_member(variables, name);
        code = read_variable(reader, &member, name, &job->variable[job->variables]);
        if (code < 0)
            return code;
        job->variables++;
    }
    return 0;
}

static int choose(const struct job_reader *reader, const struct job_choice *choice)
{
    int index;
    struct job *job = reader->job;
    if (!job_find_variable(job, choice->variable, &index) || index < 0)
        return error_set(reader->error, -EINVAL, "%s: the job declares no variable '%s'",
                         reader->name, choice->variable);
    struct job_value *value = &job->variable[index].value;
    enum job_type type = value->type;
    if (!value_from_text(choice->value, type, value))
        return error_set(reader->error, -EINVAL, "%s: the variable '%s' is %s, not '%.100s'",
                         reader->name, choice->variable, job_type_name(type), choice->value);
    if (type == JOB_STRING)
        value->string = arena_copy(&job->arena, choice->value, strlen(choice->value));
    return type == JOB_STRING && value->string == NULL ? job_node_no_memory(reader) : 0;
}

static int read_progress(const struct job_reader *reader, const struct node *node)
{
    struct job *job = reader->job;
    if (node->json == NULL)
        return 0;
    int code = job_node_variable(reader, node, &job->progress);
    if (code < 0)
        return code;
    if (job->progress < 0 || job_variable_type(job, job->progress) != JOB_INTEGER)
        return job_node_fail(reader, node, "'%s' is no integer that the job declares",
                             job_variable_name(job, job->progress));
    job->has_progress = true;
    return 0;
}

/* ---- Actors -------------------------------------------------------------------------------- */

static int read_overrides(const struct job_reader *reader, const struct node *variables,
                          struct job_group *group)
{
    const char *name;
    json_t *json;
    if (variables->json == NULL)
        return 0;
    int code =
        job_node_size(reader, variables, JSON_OBJECT, 0, JOB_MOST_VARIABLES, &group->overrides);
    if (code < 0)
        return code;
    struct job_override *override =
        arena_alloc(&reader->job->arena, (size_t)group->overrides, sizeof *override);
    if (override == NULL)
        return job_node_no_memory(reader);
    group->override = override;
    json_object_foreach(variables->json, name, json)
    {
        struct node member = job_node_member(variables, name);
        if (!job_find_variable(reader->job, name, &override->variable) || override->variable < 0)
            return job_node_fail(reader, &member, "the job declares no variable '%s'", name);
        enum job_type type = job_variable_type(reader->job, override->variable);
        code = read_value(reader, &member, type, &(override++)->value);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_count(const struct job_reader *reader, const struct node *node,
                      struct job_group *group)
{
    struct job_operand operand;
    const char *word = json_string_value(node->json);
    if (word != NULL && strcmp(word, "open") == 0) {
        group->is_open = true;
        return 0;
    }
    int code = job_node_operand(reader, node, JOB_INTEGER, &operand);
    if (code < 0)
        return code;
    group->count = operand.literal.integer;
    if (operand.is_text) {
        int variable = operand.text.part[0].variable;
        if (variable < 0)
            return job_node_fail(reader, node, "a built-in variable is not known here");
        group->count = reader->job->variable[variable].value.integer;
    }
    if (group->count < 1 || group->count > JOB_MOST_ACTORS)
        return job_node_fail(reader, node, "%" PRId64 " members are not in [1, %d]", group->count,
                             JOB_MOST_ACTORS);
    return 0;
}

static int read_group(const struct job_reader *reader, const struct node *node,
                      struct job_group *group)
{
    static const char *const alone[] = {"name", "variables", NULL};
    static const char *const family[] = {"family", "count", "variables", NULL};
    struct node name = job_node_member(node, "name");
    struct node family_name = job_node_member(node, "family");
    struct node count = job_node_member(node, "count");
    struct node variables = job_node_member(node, "variables");
    group->is_family = family_name.json != NULL;
    group->count = 1;
    int code = job_node_object(reader, node, group->is_family ? family : alone);
    if (code >= 0)
        code = job_node_name(reader, group->is_family ? &family_name : &name, &group->name);
    if (code >= 0 && group->is_family) {
        group->count = 0;
        code = read_count(reader, &count, group);
    }
    return code < 0 ? code : read_overrides(reader, &variables, group);
}

/* The last group so far must not be called as another, nor an actor alone as a family's member. */
static int check_last_group(const struct job_reader *reader, const struct node *node)
{
    const struct job *job = reader->job;
    struct actor actor;
    int last = job->groups - 1;
    const struct job_group *new = &job->group[last];
    for (int i = 0; i < last; i++) {
        const struct job_group *old = &job->group[i];
        if (strcmp(old->name, new->name) == 0 ||
            (!new->is_family &&actor_find_in(job, i, new->name, &actor)) ||
            (!old->is_family && actor_find_in(job, last, old->name, &actor)))
            return job_node_fail(reader, node, "'%s' and '%s' name the same actors", old->name,
                                 new->name);
    }
    return 0;
}

static int read_actors(const struct job_reader *reader, const struct node *actors)
{
    struct job *job = reader->job;
    int count;
    int64_t total = 0;
    int code = job_node_size(reader, actors, JSON_ARRAY, 1, JOB_MOST_GROUPS, &count);
    if (code < 0)
        return code;
    job->group = arena_alloc(&job->arena, (size_t)count, sizeof *job->group);
    if (job->group == NULL)
        return job_node_no_memory(reader);
    for (int i = 0; i < count && code >= 0; i++) {
        struct node node = job_node_element(actors, (size_t)i);
        code = read_group(reader, &node, &job->group[i]);
        job->groups++;
        if (code >= 0)
            code = check_last_group(reader, &node);
        total += job->group[i].is_open ? 1 : job->group[i].count;
    }
    if (code >= 0 && total > JOB_MOST_ACTORS)
        return job_node_fail(reader, actors, "are %" PRId64 " in all, more than %d", total,
                             JOB_MOST_ACTORS);
    return code;
}

/* ---- Inputs and outputs -------------------------------------------------------------------- */

/* A text with the job's own variables as they are before anything runs. */
static int read_plain(const struct job_reader *reader, const struct node *node, const char **result)
{
    struct job_text text;
    char buffer[VALUE_TEXT_SIZE];
    int code = job_node_text(reader, node, false, &text);
    size_t length = 0;
    for (int pass = 0; pass < 2 && code >= 0; pass++) {
        char *end = pass == 1 ? arena_alloc(&reader->job->arena, length + 1, 1) : NULL;
        if (pass == 1 && end == NULL)
            return job_node_no_memory(reader);
        *result = end;
        for (int i = 0; i < text.parts; i++) {
            const struct job_part *part = &text.part[i];
            if (part->literal == NULL && part->variable < 0)
                return job_node_fail(reader, node, "a built-in variable is not known here");
            const char *word =
                part->literal != NULL
                    ? part->literal
                    : value_text(&reader->job->variable[part->variable].value, buffer);
            length += strlen(word);
            if (pass == 1)
                end = stpcpy(end, word);
        }
    }
    return code;
}

static int read_transfer(const struct job_reader *reader, const struct node *node,
                         struct job_transfer *transfer)
{
    struct node file = job_node_member(node, "file");
    struct node key = job_node_member(node, "key");
    int code = job_node_object(reader, node, (const char *const[]){"file", "key", NULL});
    if (code >= 0)
        code = read_plain(reader, &file, &transfer->file);
    if (code >= 0)
        code = read_plain(reader, &key, &transfer->key);
    if (code >= 0 && (!job_path_valid(transfer->key) || job_key_reserved(transfer->key)))
        return job_node_fail(reader, &key, "'%.100s' is no key", transfer->key);
    return code;
}

static int read_transfers(const struct job_reader *reader, const struct node *node, int *count,
                          struct job_transfer **transfer)
{
    if (node->json == NULL)
        return 0;
    int code = job_node_size(reader, node, JSON_ARRAY, 0, JOB_MOST_TRANSFERS, count);
    if (code < 0)
        return code;
    *transfer = arena_alloc(&reader->job->arena, (size_t)*count, sizeof **transfer);
    if (*transfer == NULL)
        return job_node_no_memory(reader);
    for (int i = 0; i < *count && code >= 0; i++) {
        struct node element = job_node_element(node, (size_t)i);
        code = read_transfer(reader, &element, &(*transfer)[i]);
    }
    return code;
}

/* ---- The file ------------------------------------------------------------------------------ */

static int read_head(const struct job_reader *reader, const struct node *root)
{
    static const char *const allowed[] = {"format", "job",     "about",   "variables", "actors",
                                          "inputs", "outputs", "machine", "progress",  NULL};
    int64_t format;
    const char *text;
    struct node format_node = job_node_member(root, "format");
    struct node job = job_node_member(root, "job");
    struct node about = job_node_member(root, "about");
    /* The format comes first: another one may have other members. */
    int code = json_is_object(root->json) ? 0 : job_node_fail(reader, root, "is not an object");
    if (code >= 0)
        code = job_node_integer(reader, &format_node, JOB_FORMAT, JOB_FORMAT, &format);
    if (code >= 0)
        code = job_node_object(reader, root, allowed);
    if (code >= 0)
        code = job_node_name(reader, &job, &reader->job->name);
    if (code >= 0 && about.json != NULL)
        code = job_node_string(reader, &about, &text);
    return code;
}

static int read_job(const struct job_reader *reader, const struct node *root,
                    const struct job_choice *choice, int choices)
{
    struct job *job = reader->job;
    struct node variables = job_node_member(root, "variables");
    struct node progress = job_node_member(root, "progress");
    struct node actors = job_node_member(root, "actors");
    struct node inputs = job_node_member(root, "inputs");
    struct node outputs = job_node_member(root, "outputs");
    struct node machine = job_node_member(root, "machine");
    int code = read_head(reader, root);
    if (code >= 0)
        code = read_variables(reader, &variables);
    for (int i = 0; i < choices && code >= 0; i++)
        code = choose(reader, &choice[i]);
    if (code >= 0)
        code = read_progress(reader, &progress);
    if (code >= 0)
        code = read_actors(reader, &actors);
    if (code >= 0)
        code = read_transfers(reader, &inputs, &job->inputs, &job->input);
    if (code >= 0)
        code = read_transfers(reader, &outputs, &job->outputs, &job->output);
    if (code >= 0)
        code = job_machine_read(reader, &machine);
    return code < 0 ? code : job_check(reader, root);
}

static json_t *parse_json(const struct job_reader *reader)
{
    int line;
    json_t *json = value_parse(reader->text, reader->length, &line, reader->error);
    if (json == NULL && reader->error->code == -EINVAL)
        error_prefix(reader->error, "%s:%d", reader->name, line);
    return json;
}

int job_file_parse(const char *name, const char *text, size_t length,
                   const struct job_choice *choice, int choices, struct job **result,
                   struct error *error)
{
    *result = NULL;
    if (length > JOB_MOST_BYTES)
        return error_set(error, -EINVAL, "%s: more than %d bytes, too long for a job file", name,
                         JOB_MOST_BYTES);
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    const struct job_reader reader = {name, text, length, job, error};
    const struct node root = {.json = parse_json(&reader)};
    int code = root.json != NULL ? read_job(&reader, &root, choice, choices) : error->code;
    json_decref(root.json);
    if (code < 0) {
        job_free(job);
        return code;
    }
    *result = job;
    return 0;
}

/* Reads at most one byte more than a job file may have. */
static int read_file(const char *path, char *buffer, size_t *length, struct error *error)
{
    bool is_input = strcmp(path, "-") == 0;
    int file = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
    ssize_t got;
    int code = 0;
    *length = 0;
    do {
        got = read(file, buffer + *length, JOB_MOST_BYTES + 1 - *length);
        if (got > 0)
            *length += (size_t)got;
    } while ((got > 0 && *length <= JOB_MOST_BYTES) || (got < 0 && errno == EINTR));
    if (got < 0)
        code = error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (!is_input)
        close(file);
    return code;
}

int job_file_load(const char *path, const struct job_choice *choice, int choices, struct job **job,
                  char **text, size_t *size, struct error *error)
{
    size_t length = 0;
    *job = NULL;
    if (text != NULL)
        *text = NULL;
    char *buffer = malloc(JOB_MOST_BYTES + 1);
    if (buffer == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = read_file(path, buffer, &length, error);
    if (code >= 0)
        code = job_file_parse(strcmp(path, "-") == 0 ? "standard input" : path, buffer, length,
                              choice, choices, job, error);
    if (code >= 0 && text != NULL) {
        *text = buffer;
        *size = length;
        return code;
    }
    free(buffer);
    return code;
}
