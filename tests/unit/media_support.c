#include "media_support.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

int scratch_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/excamera-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

int scratch_remove(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

const char *scratch(const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

int scratch_count(void)
{
    int count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return count;
}

void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static char *read_all(FILE *file, size_t *size)
{
    size_t used = 0, capacity = 1 << 16;
    char *data = malloc(capacity + 1);
    assert_non_null(data);
    for (size_t got; (got = fread(data + used, 1, capacity - used, file)) > 0;) {
        used += got;
        if (used < capacity)
            continue;
        char *larger = realloc(data, 2 * capacity + 1);
        assert_non_null(larger);
        data = larger;
        capacity *= 2;
    }
    data[used] = '\0';
    *size = used;
    return data;
}

char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *data = read_all(file, size);
    fclose(file);
    return data;
}

char *run_ffmpeg(const char *format, ...)
{
    char arguments[4096], command[5000];
    size_t size;
    va_list list;
    if (system("ffmpeg -version >/dev/null 2>&1") != 0)
        skip();
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    snprintf(command, sizeof command, "ffmpeg -nostdin -y %s 2>&1", arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    char *said = read_all(pipe, &size);
    if (pclose(pipe) != 0)
        fail_msg("%s\n%s", command, said);
    return said;
}

static uint8_t sample(int x, int y, int plane, uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return (uint8_t)(16 + (x * 3 + y * 2 + plane * 40) % 160 + (*random >> 24) / 4);
}

struct xc_picture *make_picture(int width, int height, unsigned seed)
{
    struct xc_view view = {.width = width, .height = height};
    uint32_t random = seed;
    uint8_t *planes[3];
    for (int plane = 0; plane < 3; plane++) {
        int columns = plane ? (width + 1) / 2 : width, rows = plane ? (height + 1) / 2 : height;
        planes[plane] = malloc((size_t)columns * (size_t)rows);
        assert_non_null(planes[plane]);
        for (int y = 0; y < rows; y++)
            for (int x = 0; x < columns; x++)
                planes[plane][y * columns + x] = sample(x, y, plane, &random);
        view.plane[plane] = planes[plane];
        view.stride[plane] = columns;
    }
    struct xc_picture *picture;
    assert_int_equal(xc_picture_new(&view, &picture), XC_OK);
    for (int plane = 0; plane < 3; plane++)
        free(planes[plane]);
    return picture;
}

void assert_pictures_equal(const struct xc_picture *a, const struct xc_picture *b)
{
    struct xc_view left = xc_picture_view(a), right = xc_picture_view(b);
    assert_int_equal(left.width, right.width);
    assert_int_equal(left.height, right.height);
    for (int plane = 0; plane < 3; plane++) {
        int columns = plane ? (left.width + 1) / 2 : left.width;
        int rows = plane ? (left.height + 1) / 2 : left.height;
        for (int y = 0; y < rows; y++)
            assert_memory_equal(left.plane[plane] + y * left.stride[plane],
                                right.plane[plane] + y * right.stride[plane], columns);
    }
}

void assert_near(double value, double expected, double tolerance)
{
    if (value != expected && !(fabs(value - expected) <= tolerance))
        fail_msg("%.6f, not %.6f", value, expected);
}
