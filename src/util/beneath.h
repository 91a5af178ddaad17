/*
 * Files beneath an open folder, under names that others chose. A path is relative, has no empty part,
 * no "." and no "..", and no symbolic link is followed on the way or at its end, so nothing outside the
 * folder is reached.
 */
#ifndef UTIL_BENEATH_H
#define UTIL_BENEATH_H

#include <stdbool.h>
#include <sys/types.h>

/* True where `path` has the form above and no part is longer than a file's name may be. */
bool beneath_is_path(const char *path);

/* Opens the folder that holds the last part of `path`, which `*name` then points to; with `make`, the
 * folders on the way that are missing are made. Returns a descriptor, or a negative errno: -EINVAL for
 * another form of path, -ENOTDIR where a part is a file or a symbolic link. */
int beneath_parent(int folder, const char *path, bool make, const char **name);

/* As openat(), and the same errors; -ELOOP where the last part is a symbolic link. Never waits for the
 * other end of a pipe. */
int beneath_open(int folder, const char *path, int flags, mode_t mode);

/* Removes a file; the same errors. */
int beneath_unlink(int folder, const char *path);

#endif
