#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return code;
}

int error_prefix(struct error *error, const char *format, ...)
{
    char before[sizeof error->message];
    char whole[sizeof before + sizeof ": " + sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(before, sizeof before, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "%s: %s", before, error->message);
    memcpy(error->message, whole, sizeof error->message - 1);
    error->message[sizeof error->message - 1] = '\0';
    return error->code;
}

const char *error_reason(int code)
{
    switch (-code) {
    case ENOSPC:
        return "its file system is full";
    case EDQUOT:
        return "the quota on its file system is used up";
    case EROFS:
        return "its file system is mounted read-only";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOTDIR:
    case ELOOP:
        return "a part of the name is no folder (symbolic links are not followed)";
    case EISDIR:
        return "it is a folder";
    case ECANCELED:
        return "cancelled";
    case ENOMEM:
        return "out of memory";
    default:
        return strerror(-code);
    }
}
