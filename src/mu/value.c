#include "mu/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int value_copy(const struct job_value *value, struct job_value *copy, struct error *error)
{
    *copy = *value;
    if (value->type != JOB_STRING)
        return 0;
    copy->string = strdup(value->string);
    return copy->string != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

void value_free(struct job_value *value)
{
    if (value->type == JOB_STRING)
        free((char *)value->string);
    value->string = NULL;
}

bool value_equal(const struct job_value *a, const struct job_value *b)
{
    if (a->type != b->type)
        return false;
    return a->type == JOB_STRING ? strcmp(a->string, b->string) == 0 : a->integer == b->integer;
}

json_t *value_parse(const char *text, size_t length, int *line, struct error *error)
{
    json_error_t where;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    *line = json == NULL && where.line > 0 ? where.line : 1;
    if (json != NULL)
        return json;
    /* Jansson does not always say so when it has no memory, but then it says nothing. */
    if (json_error_code(&where) == json_error_out_of_memory || where.text[0] == '\0')
        error_set(error, -ENOMEM, "out of memory");
    else
        error_set(error, -EINVAL, "%s", where.text);
    return NULL;
}

json_t *value_to_json(const struct job_value *value)
{
    switch (value->type) {
    case JOB_STRING:
        return json_string(value->string);
    case JOB_INTEGER:
        return json_integer(value->integer);
    default:
        return json_boolean(value->integer);
    }
}

bool value_from_json(const json_t *json, enum job_type type, struct job_value *value)
{
    *value = (struct job_value){.type = type};
    switch (type) {
    case JOB_STRING:
        value->string = json_string_value(json);
        return value->string != NULL && json_string_length(json) <= JOB_MOST_TEXT;
    case JOB_INTEGER:
        value->integer = json_integer_value(json);
        return json_is_integer(json);
    default:
        value->integer = json_is_true(json);
        return json_is_boolean(json);
    }
}

static bool read_integer(const char *text, int64_t *integer)
{
    char *end;
    errno = 0;
    *integer = strtoll(text, &end, 10);
    bool begins_well = (text[0] >= '0' && text[0] <= '9') || text[0] == '-';
    return errno == 0 && begins_well && end != text && *end == '\0';
}

bool value_from_text(const char *text, enum job_type type, struct job_value *value)
{
    *value = (struct job_value){.type = type};
    switch (type) {
    case JOB_STRING:
        value->string = text;
        return strlen(text) <= JOB_MOST_TEXT;
    case JOB_INTEGER:
        return read_integer(text, &value->integer);
    default:
        value->integer = strcmp(text, "true") == 0;
        return value->integer || strcmp(text, "false") == 0;
    }
}

const char *value_text(const struct job_value *value, char buffer[VALUE_TEXT_SIZE])
{
    switch (value->type) {
    case JOB_STRING:
        return value->string;
    case JOB_INTEGER:
        snprintf(buffer, VALUE_TEXT_SIZE, "%" PRId64, value->integer);
        return buffer;
    default:
        return value->integer ? "true" : "false";
    }
}
