#include "mu/job.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum job_type type;
} builtin[JOB_BUILTINS] = {
    {"actor", JOB_STRING},  {"family", JOB_STRING}, {"previous", JOB_STRING},
    {"next", JOB_STRING},   {"first", JOB_STRING},  {"last", JOB_STRING},
    {"index", JOB_INTEGER}, {"count", JOB_INTEGER}, {"number", JOB_INTEGER},
};

const char *job_variable_name(const struct job *job, int variable)
{
    return variable < 0 ? builtin[-1 - variable].name : job->variable[variable].name;
}

bool job_find_variable(const struct job *job, const char *name, int *variable)
{
    for (int i = -JOB_BUILTINS; i < job->variables; i++) {
        *variable = i;
        if (strcmp(job_variable_name(job, i), name) == 0)
            return true;
    }
    return false;
}

enum job_type job_variable_type(const struct job *job, int variable)
{
    return variable < 0 ? builtin[-1 - variable].type : job->variable[variable].value.type;
}

const char *job_kind_name(enum job_kind kind)
{
    static const char *const name[JOB_KINDS] = {
        [JOB_GET] = "get",   [JOB_PUT] = "put",         [JOB_RUN] = "run",
        [JOB_SEND] = "send", [JOB_RECEIVE] = "receive", [JOB_SET] = "set",
        [JOB_QUIT] = "quit", [JOB_CLOSE] = "close",     [JOB_NEEDED] = "needed",
    };
    return name[kind];
}

const char *job_outcome_name(enum job_outcome outcome)
{
    static const char *const name[JOB_OUTCOMES] = {"ok", "failed", "timeout"};
    return name[outcome];
}

const char *job_type_name(enum job_type type)
{
    static const char *const name[] = {"a string", "an integer", "a boolean"};
    return name[type];
}

bool job_is_instant(const struct job_state *state)
{
    return state->request.kind == JOB_SET && state->request.file.parts == 0;
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    arena_free(&job->arena);
    free(job);
}

/* In the names of what attempts put into the store until it is adopted. */
static const char attempt_mark[] = ".attempt-";

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Length of the longest beginning made of what names and paths' parts are made of. */
static size_t name_length(const char *text)
{
    size_t length = 0;
    while (is_letter_or_digit(text[length]) ||
           (text[length] != '\0' && strchr("._-", text[length])))
        length++;
    return length;
}

bool job_name_valid(const char *name)
{
    size_t length = name_length(name);
    return is_letter_or_digit(name[0]) && name[length] == '\0' && length <= JOB_MOST_NAME &&
           strstr(name, attempt_mark) == NULL;
}

bool job_key_reserved(const char *key)
{
    static const char messages[] = "messages/", parked[] = "parked/";
    return strstr(key, attempt_mark) != NULL || strncmp(key, messages, strlen(messages)) == 0 ||
           strncmp(key, parked, strlen(parked)) == 0;
}

bool job_variable_name_valid(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return name[0] >= 'a' && name[0] <= 'z' && name[length] == '\0' && length <= JOB_MOST_NAME;
}

bool job_path_valid(const char *path)
{
    if (strlen(path) > JOB_MOST_PATH)
        return false;
    for (;;) {
        size_t length = name_length(path);
        bool dots = length <= 2 && strncmp(path, "..", length) == 0;
        if (length == 0 || length > 255 || dots)
            return false;
        path += length;
        if (*path == '\0')
            return true;
        if (*path++ != '/')
            return false;
    }
}
