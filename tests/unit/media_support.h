/* What the tests of the media room share: scratch files, pictures, and ffmpeg as a peer. */
#ifndef MEDIA_SUPPORT_H
#define MEDIA_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "excamera/vp8.h"

/* A scratch folder for each test: pass these as cmocka's set-up and tear-down. */
int scratch_make(void **state);
int scratch_remove(void **state);
/* The name of a file in the scratch folder; valid until the sixteenth call from here. */
const char *scratch(const char *name);
/* How many files are in the scratch folder. */
int scratch_count(void);

void write_file(const char *path, const void *data, size_t size);
/* The caller frees it; a zero byte, not counted, follows. */
char *read_file(const char *path, size_t *size);

/* Runs a shell command made as by printf; the test is skipped where there is no ffmpeg, and fails
 * where the command does. What it says on both outputs is returned, to be freed. */
char *run_ffmpeg(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Noise over a slope, the same for the same seed. */
struct xc_picture *make_picture(int width, int height, unsigned seed);
void assert_pictures_equal(const struct xc_picture *a, const struct xc_picture *b);

/* Fails with both values where they are more than `tolerance` apart. */
void assert_near(double value, double expected, double tolerance);
#define assert_contains(text, part) assert_non_null(strstr(text, part))

#endif
