/* Values of variables: memory, comparison, JSON. */
#ifndef MU_VALUE_H
#define MU_VALUE_H

#include <jansson.h>

#include "mu/job.h"
#include "util/error.h"

/* With a string of its own, which value_free frees. */
int value_copy(const struct job_value *value, struct job_value *copy, struct error *error);
void value_free(struct job_value *value);

bool value_equal(const struct job_value *a, const struct job_value *b);

/* Parses JSON without repeated members, for the caller to json_decref. NULL with -EINVAL and what is wrong, or
 * with -ENOMEM, in `error`. */
json_t *value_parse(const char *text, size_t length, int *line, struct error *error);

/* A new reference; NULL where there is no memory. */
json_t *value_to_json(const struct job_value *value);
/* False where `json` is no value of that type, or a string too long. The string stays `json`'s. */
bool value_from_json(const json_t *json, enum job_type type, struct job_value *value);
/* From words as on a command line: "12", "true". The string stays the caller's. */
bool value_from_text(const char *text, enum job_type type, struct job_value *value);

/* What takes a value's place in a text: `buffer` or the value's own string. */
enum { VALUE_TEXT_SIZE = 24 };
const char *value_text(const struct job_value *value, char buffer[VALUE_TEXT_SIZE]);

#endif
