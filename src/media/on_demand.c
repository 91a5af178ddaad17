/* Films by way of the module, see films.h. Whatever was opened has loaded it. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "media/films.h"
#include "util/build.h"

/* Where it may be, from the program's folder: installed, and in a build folder. */
static const char *const places[] = {FILMS_INSTALLED, FILMS_BUILT};
enum { PLACES = sizeof places / sizeof places[0] };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct films *films; /* NULL: not loaded, or it could not be */
static struct error failure;

/* Looks for the module; 0 and its path, or a negative errno. */
static int find(char path[PATH_MAX])
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size < 0)
        return error_set(&failure, -errno, "cannot find this program: %s", strerror(errno));
    program[size] = '\0';
    *strrchr(program, '/') = '\0';
    for (int i = 0; i < PLACES; i++)
        if (snprintf(path, PATH_MAX, "%s/%s", program, places[i]) < PATH_MAX &&
            access(path, R_OK) == 0)
            return 0;
    return error_set(&failure, -ENOENT,
                     "excamera is not installed completely: there is no %s beside %s, which reads "
                     "and writes films",
                     places[0], program);
}

static int take(void *module)
{
    const struct films *found = dlsym(module, "excamera_films");
    if (found == NULL || strcmp(found->build, build_sources) != 0)
        return error_set(&failure, -ENOEXEC,
                         "excamera-films.so is not of the same build as this program: install "
                         "excamera again");
    if (found->check(&failure) == 0)
        films = found;
    return failure.code;
}

static void load(void)
{
    char path[PATH_MAX];
    if (find(path) < 0)
        return;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL)
        error_set(&failure, -ENOEXEC, "cannot load what reads and writes films: %s", dlerror());
    else if (take(module) < 0)
        dlclose(module);
}

int films_load(struct error *error)
{
    pthread_once(&once, load);
    if (films == NULL)
        *error = failure;
    return failure.code;
}

/* ---- input.h ------------------------------------------------------------------------------- */

int input_open(const char *path, struct input **input, struct error *error)
{
    int code = films_load(error);
    return code < 0 ? code : films->input_open(path, input, error);
}

const struct input_info *input_info(const struct input *input)
{
    return films->input_info(input);
}

int input_read(struct input *input, struct xc_picture **picture, int64_t *time_stamp,
               struct error *error)
{
    return films->input_read(input, picture, time_stamp, error);
}

void input_close(struct input *input)
{
    if (input != NULL)
        films->input_close(input);
}

int input_seek(struct input *input, const struct input_key *key, struct error *error)
{
    return films->input_seek(input, key, error);
}

bool input_at_key_frame(const struct input *input)
{
    return films->input_at_key_frame(input);
}

int64_t input_damaged(const struct input *input)
{
    return films->input_damaged(input);
}

/* ---- index.h ------------------------------------------------------------------------------- */

int index_read(const char *path, int apart, int64_t most, struct index *index, struct error *error)
{
    int code = films_load(error);
    return code < 0 ? code : films->index_read(path, apart, most, index, error);
}

/* ---- packet.h ------------------------------------------------------------------------------ */

int packet_open(const char *path, struct packet_reader **reader, struct error *error)
{
    int code = films_load(error);
    return code < 0 ? code : films->packet_open(path, reader, error);
}

const struct video_format *packet_format(const struct packet_reader *reader)
{
    return films->packet_format(reader);
}

int packet_read(struct packet_reader *reader, struct xc_buffer *frame, struct error *error)
{
    return films->packet_read(reader, frame, error);
}

void packet_close(struct packet_reader *reader)
{
    if (reader != NULL)
        films->packet_close(reader);
}

/* ---- webm.h -------------------------------------------------------------------------------- */

int webm_open(const char *path, const struct webm_options *options, struct webm_writer **writer,
              struct error *error)
{
    int code = films_load(error);
    return code < 0 ? code : films->webm_open(path, options, writer, error);
}

int webm_write(struct webm_writer *writer, const uint8_t *frame, size_t size, int64_t time_stamp,
               int64_t duration, bool key_frame, bool shown, struct error *error)
{
    return films->webm_write(writer, frame, size, time_stamp, duration, key_frame, shown, error);
}

void webm_set_end(struct webm_writer *writer, int64_t end)
{
    films->webm_set_end(writer, end);
}

int webm_finish(struct webm_writer *writer, struct error *error)
{
    return films->webm_finish(writer, error);
}

void webm_abort(struct webm_writer *writer)
{
    if (writer != NULL)
        films->webm_abort(writer);
}

/* ---- digest.h ------------------------------------------------------------------------------ */

int digest_picture(const struct xc_picture *picture, char hex[DIGEST_HEX_SIZE])
{
    struct error error;
    int code = films_load(&error);
    return code < 0 ? code : films->digest_picture(picture, hex);
}
