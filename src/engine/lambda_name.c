#include "engine/lambda_name.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "aws/presign.h"

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

static bool take(const char *from, size_t length, bool dollar, char *to, size_t size)
{
    size_t first = dollar && *from == '$'; /* $LATEST */
    if (length == 0 || length >= size || strspn(from + first, plain) + first < length)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

int lambda_name_read(const char *text, struct lambda_name *name, struct error *error)
{
    const char *colon = strchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    *name = (struct lambda_name){0};
    if (take(text, length, false, name->function, sizeof name->function) &&
        (colon == NULL ||
         take(colon + 1, strlen(colon + 1), true, name->alias, sizeof name->alias)))
        return 0;
    return error_set(error, -EINVAL,
                     "'%.200s' is not a Lambda function's NAME or NAME:ALIAS, of letters, digits, "
                     "- and _",
                     text);
}

void lambda_name_path(const struct lambda_name *name, const char *version, const char *place,
                      char path[LAMBDA_PATH_SIZE])
{
    int length =
        snprintf(path, LAMBDA_PATH_SIZE, "/%s/functions/%s%s", version, name->function, place);
    if (name->alias[0] == '\0')
        return;
    snprintf(path + length, LAMBDA_PATH_SIZE - (size_t)length, "?Qualifier=");
    aws_url_append(path, LAMBDA_PATH_SIZE, name->alias, false);
}
