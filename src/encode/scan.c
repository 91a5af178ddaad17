/* The task that measures a part of the film for the one that plans. */
#include <errno.h>
#include <stdlib.h>

#include "encode/segments.h"
#include "encode/tasks.h"

/* Each segment is decoded by itself, from its own key: whether that is right shows in the one before. */
static int scan_segment(const char *source, const struct input_key *key,
                        const struct input_key *end, struct measure *measure, struct error *error)
{
    struct input *input;
    struct scene_eye eye = {0};
    int code = input_open(source, &input, error);
    if (code < 0)
        return code;
    code = input_seek(input, key, error);
    if (code >= 0)
        code = measure_read(measure, input, &eye, end, INT64_MAX, error);
    input_close(input);
    return code;
}

int task_scan(const struct task_options *options, struct error *error)
{
    struct index index = {0};
    struct measure *measure = NULL;
    int count = 0;
    int code = segments_read(options->segments, &index, error);
    if (code < 0)
        goto done;
    count = index.whole || index.keys == 0 ? index.keys : index.keys - 1;
    measure = calloc(count > 0 ? (size_t)count : 1, sizeof *measure);
    if (measure == NULL) {
        code = error_set(error, -ENOMEM, "out of memory");
        goto done;
    }
    for (int i = 0; i < count && code >= 0; i++) {
        const struct input_key *end = i + 1 < index.keys ? &index.key[i + 1] : NULL;
        code = scan_segment(options->source, &index.key[i], end, &measure[i], error);
    }
    if (code >= 0)
        code = segments_write_measures(options->out_measures, measure, count, error);
done:
    for (int i = 0; i < count && measure != NULL; i++)
        measure_free(&measure[i]);
    free(measure);
    index_free(&index);
    return code;
}
