#include "mu/job_node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mu/value.h"

struct node job_node_member(const struct node *object, const char *key)
{
    return (struct node){json_object_get(object->json, key), {&object->place, key, 0}};
}

struct node job_node_element(const struct node *array, size_t index)
{
    return (struct node){json_array_get(array->json, index), {&array->place, NULL, index}};
}

/* ---- Errors -------------------------------------------------------------------------------- */

int job_node_fail(const struct job_reader *reader, const struct node *node, const char *format, ...)
{
    va_list arguments;
    char reason[600], path[300];
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    json_place_path(&node->place, path, sizeof path);
    int line = json_place_line(reader->text, reader->length, &node->place);
    return error_set(reader->error, -EINVAL, "%s:%d: %s%s%s", reader->name, line, path,
                     path[0] != '\0' ? ": " : "", reason);
}

int job_node_no_memory(const struct job_reader *reader)
{
    return error_set(reader->error, -ENOMEM, "out of memory");
}

static int wrong_type(const struct job_reader *reader, const struct node *node, const char *wanted)
{
    return node->json == NULL ? job_node_fail(reader, node, "is missing")
                              : job_node_fail(reader, node, "is not %s", wanted);
}

/* ---- Shapes -------------------------------------------------------------------------------- */

static bool is_among(const char *word, const char *const words[])
{
    for (; *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* "'a', 'b', 'c'", cut off where it is too long. */
static void list_words(const char *const words[], char *list, size_t size)
{
    list[0] = '\0';
    for (int i = 0; words[i] != NULL; i++) {
        size_t used = strlen(list);
        snprintf(list + used, size - used, "%s'%s'", i > 0 ? ", " : "", words[i]);
    }
}

int job_node_object(const struct job_reader *reader, const struct node *node,
                    const char *const allowed[])
{
    const char *key;
    json_t *value;
    char list[300];
    if (!json_is_object(node->json))
        return wrong_type(reader, node, "an object");
    json_object_foreach(node->json, key, value)
    {
        struct node member = job_node_member(node, key);
        list_words(allowed, list, sizeof list);
        if (!is_among(key, allowed))
            return job_node_fail(reader, &member, "is not expected here%s%s",
                                 allowed[0] != NULL ? ", only " : "", list);
    }
    return 0;
}

int job_node_size(const struct job_reader *reader, const struct node *node, json_type type,
                  size_t least, size_t most, int *size)
{
    bool is_object = type == JSON_OBJECT;
    if (node->json == NULL || json_typeof(node->json) != type)
        return wrong_type(reader, node, is_object ? "an object" : "an array");
    size_t found = is_object ? json_object_size(node->json) : json_array_size(node->json);
    if (found < least || found > most)
        return job_node_fail(reader, node, "has %zu %s, not %zu to %zu", found,
                             is_object ? "members" : "elements", least, most);
    *size = (int)found;
    return 0;
}

int job_node_integer(const struct job_reader *reader, const struct node *node, int64_t least,
                     int64_t most, int64_t *value)
{
    if (!json_is_integer(node->json))
        return wrong_type(reader, node, "an integer");
    *value = json_integer_value(node->json);
    if (*value < least || *value > most)
        return job_node_fail(reader, node, "is not in [%" PRId64 ", %" PRId64 "]", least, most);
    return 0;
}

int job_node_flag(const struct job_reader *reader, const struct node *node, bool *flag)
{
    *flag = json_is_true(node->json);
    return node->json == NULL || json_is_boolean(node->json)
               ? 0
               : wrong_type(reader, node, "true or false");
}

int job_node_string(const struct job_reader *reader, const struct node *node, const char **string)
{
    if (!json_is_string(node->json))
        return wrong_type(reader, node, "a string");
    size_t length = json_string_length(node->json);
    if (length > JOB_MOST_TEXT)
        return job_node_fail(reader, node, "has %zu bytes, more than %d", length, JOB_MOST_TEXT);
    *string = arena_copy(&reader->job->arena, json_string_value(node->json), length);
    return *string != NULL ? 0 : job_node_no_memory(reader);
}

int job_node_name(const struct job_reader *reader, const struct node *node, const char **name)
{
    int code = job_node_string(reader, node, name);
    if (code < 0 || job_name_valid(*name))
        return code;
    return job_node_fail(
        reader, node,
        "is no name: at most %d letters, digits, '.', '_' and '-', beginning with a "
        "letter or a digit",
        JOB_MOST_NAME);
}

/* ---- Texts --------------------------------------------------------------------------------- */

/* Of a text: variables and what is between them. */
enum { MOST_PARTS = 64 };

struct text_parser {
    const struct job_reader *reader;
    const struct node *node;
    bool at_point;
    int parts;
    struct job_part part[MOST_PARTS];
    size_t length; /* of the literal that is being collected */
    char literal[JOB_MOST_TEXT];
};

static int add_part(struct text_parser *parser, struct job_part part)
{
    if (parser->parts == MOST_PARTS)
        return job_node_fail(parser->reader, parser->node, "has more than %d parts", MOST_PARTS);
    parser->part[parser->parts++] = part;
    return 0;
}

/* A text has no more literal characters than it is long. */
static void collect(struct text_parser *parser, const char *text, size_t length)
{
    memcpy(parser->literal + parser->length, text, length);
    parser->length += length;
}

/* Makes a part of what was collected. */
static int end_literal(struct text_parser *parser)
{
    if (parser->length == 0)
        return 0;
    const char *copy = arena_copy(&parser->reader->job->arena, parser->literal, parser->length);
    if (copy == NULL)
        return job_node_no_memory(parser->reader);
    parser->length = 0;
    return add_part(parser, (struct job_part){.literal = copy});
}

/* `name`, of `length` characters, stands in "${...}". */
static int add_variable(struct text_parser *parser, const char *name, size_t length)
{
    char copy[JOB_NAME_SIZE];
    struct job_part part = {0};
    snprintf(copy, sizeof copy, "%.*s", (int)(length < sizeof copy ? length : sizeof copy - 1),
             name);
    if (length >= sizeof copy || !job_find_variable(parser->reader->job, copy, &part.variable))
        return job_node_fail(parser->reader, parser->node, "there is no variable '%s'", copy);
    if (part.variable == JOB_NUMBER && !parser->at_point)
        return job_node_fail(parser->reader, parser->node,
                             "'${number}' is known only at a point of a run");
    int code = end_literal(parser);
    return code < 0 ? code : add_part(parser, part);
}

static int parse_text(struct text_parser *parser, const char *text)
{
    const char *dollar;
    while ((dollar = strchr(text, '$')) != NULL) {
        const char *end = strchr(dollar, '}');
        collect(parser, text, (size_t)(dollar - text));
        if (dollar[1] == '$') {
            collect(parser, "$", 1);
            end = dollar + 1;
        } else if (dollar[1] == '{' && end != NULL) {
            int code = add_variable(parser, dollar + 2, (size_t)(end - dollar - 2));
            if (code < 0)
                return code;
        } else {
            return job_node_fail(parser->reader, parser->node,
                                 "has a '$' that begins neither '${variable}' nor '$$'");
        }
        text = end + 1;
    }
    collect(parser, text, strlen(text));
    return end_literal(parser);
}

int job_node_text(const struct job_reader *reader, const struct node *node, bool at_point,
                  struct job_text *text)
{
    struct text_parser parser; /* large, so that only what is used is set */
    parser.reader = reader;
    parser.node = node;
    parser.at_point = at_point;
    parser.parts = 0;
    parser.length = 0;
    const char *string;
    int code = job_node_string(reader, node, &string);
    if (code >= 0)
        code = parse_text(&parser, string);
    /* An empty string is one empty part: a text without parts was not given. */
    if (code >= 0 && parser.parts == 0)
        code = add_part(&parser, (struct job_part){.literal = ""});
    if (code < 0)
        return code;
    text->parts = parser.parts;
    text->part = arena_alloc(&reader->job->arena, (size_t)parser.parts, sizeof *text->part);
    if (text->part == NULL)
        return job_node_no_memory(reader);
    memcpy(text->part, parser.part, (size_t)parser.parts * sizeof *text->part);
    return 0;
}

int job_node_operand(const struct job_reader *reader, const struct node *node, enum job_type type,
                     struct job_operand *operand)
{
    *operand = (struct job_operand){.type = type};
    if (type != JOB_STRING && value_from_json(node->json, type, &operand->literal))
        return 0;
    if (!json_is_string(node->json))
        return wrong_type(reader, node, job_type_name(type));
    operand->is_text = true;
    int code = job_node_text(reader, node, false, &operand->text);
    if (code < 0 || type == JOB_STRING)
        return code;
    const struct job_part *part = operand->text.part;
    if (operand->text.parts == 1 && part->literal == NULL &&
        job_variable_type(reader->job, part->variable) == type)
        return 0;
    return job_node_fail(reader, node, "is neither %s nor '${variable}' of one",
                         job_type_name(type));
}

int job_node_variable(const struct job_reader *reader, const struct node *node, int *variable)
{
    const char *name;
    int code = job_node_string(reader, node, &name);
    if (code < 0)
        return code;
    if (!job_find_variable(reader->job, name, variable))
        return job_node_fail(reader, node, "there is no variable '%s'", name);
    if (*variable == JOB_NUMBER)
        return job_node_fail(reader, node, "'number' is known only at a point of a run");
    return 0;
}
