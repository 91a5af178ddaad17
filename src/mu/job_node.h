/* What reading a job file is made of: its JSON values with their places, checked as they are taken. */
#ifndef MU_JOB_NODE_H
#define MU_JOB_NODE_H

#include <jansson.h>

#include "mu/job.h"
#include "mu/json_place.h"
#include "util/error.h"

struct job_reader {
    const char *name; /* of the file, for messages */
    const char *text;
    size_t length;
    struct job *job;
    struct error *error;
};

/* A value and its place; `json` is NULL for a member that is not there. A member's node points to the
 * node it was taken from. */
struct node {
    json_t *json;
    struct json_place place;
};

struct node job_node_member(const struct node *object, const char *key);
struct node job_node_element(const struct node *array, size_t index);

/* "file:line: path: reason"; returns -EINVAL. */
int job_node_fail(const struct job_reader *reader, const struct node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Returns -ENOMEM. */
int job_node_no_memory(const struct job_reader *reader);

/* All of these return 0 or a negative errno. A node that is not there is an error. */

/* An object with no other members than `allowed`, which ends with NULL. */
int job_node_object(const struct job_reader *reader, const struct node *node,
                    const char *const allowed[]);
/* An object or array with a number of members or elements in [least, most]. */
int job_node_size(const struct job_reader *reader, const struct node *node, json_type type,
                  size_t least, size_t most, int *size);
int job_node_integer(const struct job_reader *reader, const struct node *node, int64_t least,
                     int64_t most, int64_t *value);
/* The string is copied into the job. */
/* A boolean that need not be there: then false. */
int job_node_flag(const struct job_reader *reader, const struct node *node, bool *flag);
int job_node_string(const struct job_reader *reader, const struct node *node, const char **string);
int job_node_name(const struct job_reader *reader, const struct node *node, const char **name);

/* A string with variables in it. `at_point`: it may have the number of a point. */
int job_node_text(const struct job_reader *reader, const struct node *node, bool at_point,
                  struct job_text *text);
/* A literal of `type`, or a string that is "${variable}" of that type, or for a string any text. */
int job_node_operand(const struct job_reader *reader, const struct node *node, enum job_type type,
                     struct job_operand *operand);
/* Where the string is a declared or built-in variable's name. */
int job_node_variable(const struct job_reader *reader, const struct node *node, int *variable);

#endif
