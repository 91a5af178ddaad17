/* Names of Lambda functions: NAME or NAME:ALIAS, where an alias may be a version's number as well. */
#ifndef ENGINE_LAMBDA_NAME_H
#define ENGINE_LAMBDA_NAME_H

#include "util/error.h"

/* What a function has where nothing else is said, when it is deployed and when it is used. With so many MB it has
 * one whole processor (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html); no function runs
 * for more seconds. */
#define LAMBDA_FUNCTION "excamera"
enum { LAMBDA_MEMORY = 1769, LAMBDA_SECONDS = 900 };

enum { LAMBDA_NAME_SIZE = 65, LAMBDA_ALIAS_SIZE = 129, LAMBDA_PATH_SIZE = 600 };

struct lambda_name {
    char function[LAMBDA_NAME_SIZE];
    char alias[LAMBDA_ALIAS_SIZE]; /* "": none */
};

/* -EINVAL where it is no such name. */
int lambda_name_read(const char *text, struct lambda_name *name, struct error *error);
/* The path of the API's place for it: "/VERSION/functions/NAME" with `place` behind it, and the alias. */
void lambda_name_path(const struct lambda_name *name, const char *version, const char *place,
                      char path[LAMBDA_PATH_SIZE]);

/* The version of the API that most of its places have. */
#define LAMBDA_API "2015-03-31"

#endif
