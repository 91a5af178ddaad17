/* What went wrong, in words for the person at the terminal. Nothing below src/cli prints. */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

/* A negative errno value and a sentence that says what was wrong and, where it helps, what to do.
 */
struct error {
    int code;
    char message[1024];
};

/* Fills `error` and returns `code`, so that a failing function can end with
 * `return error_set(error, -ENOENT, "cannot open %s: ...", path);`. `code` is a negative errno. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts words before the message that is there, as in "chunk 12: <message>"; returns error->code. */
int error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The end of a sentence about a file: why it failed, for a negative errno. */
const char *error_reason(int code);

#endif
