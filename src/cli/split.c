/* `excamera split`: cuts a film into raw chunks beforehand, for encodes whose workers decode nothing. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/encode_files.h"
#include "cli/objects.h"
#include "cli/options.h"
#include "encode/chunks.h"
#include "encode/plan.h"
#include "encode/reader.h"
#include "media/remote.h"

enum { COPY_BYTES = 65536 };

enum option_id { START = 256, FRAMES, NO_SCENE_CUT, NO_AUDIO, FORCE, S3_ENDPOINT };

struct split {
    const char *input, *output;
    bool sound, force, quiet, help;
    struct chunks chunks;

    struct local_folder scratch; /* where files lie on their way to S3 */
    const char *path;            /* of the folder that files are written to */
    int folder;                  /* the same, open */
    char *link;                  /* a URL of a film in S3 */
    FILE *lines;                 /* of the list, in memory */
    char *text;
    size_t size;
};

static void usage(void)
{
    printf("usage: excamera split FILM -o DIR|s3://BUCKET/PREFIX/ [OPTIONS]\n"
           "\n"
           "Cuts a film into raw chunks, which `excamera encode DIR -o FILE` takes as a film: the\n"
           "result is that of the film itself, but nobody need decode it. They take much room.\n"
           "\n"
           "  -o, --output DIR       where they go\n"
           "  -N, --chunk FRAMES     frames in a chunk (6)\n"
           "  -x, --batch CHUNKS     chunks behind one key frame (16)\n"
           "      --start FRAME      begin with this frame, counted from 0\n"
           "      --frames COUNT     at most so many frames\n"
           "      --no-scene-cut     let only the number of frames decide where a batch begins\n"
           "      --no-audio         leave the sound out; else the film is kept, for its sound\n"
           "      --force            overwrite what is there\n"
           "      --s3-endpoint URL  of a service other than Amazon's\n"
           "  -Q, --quiet            print nothing but errors\n");
}

/* ---- Where files go ------------------------------------------------------------------------ */

static bool to_store(const struct split *split)
{
    return store_is_remote(split->output);
}

/* What a file is called in S3; to be freed. */
static char *object_url(const struct split *split, const char *name)
{
    size_t length = strlen(split->output);
    char *url;
    while (length > 0 && split->output[length - 1] == '/')
        length--;
    return asprintf(&url, "%.*s/%s", (int)length, split->output, name) < 0 ? NULL : url;
}

static char *file_path(const struct split *split, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", split->path, name) < 0 ? NULL : path;
}

/* The file of the folder is complete. */
static int deliver(const struct split *split, const char *name, struct error *error)
{
    const struct store_file file = {split->folder, name};
    if (local_interrupted())
        return error_set(error, -ECANCELED, "interrupted");
    if (!to_store(split))
        return 0;
    char *url = object_url(split, name);
    int code =
        url != NULL ? objects_put(&file, url, error) : error_set(error, -ENOMEM, "out of memory");
    unlinkat(split->folder, name, 0);
    free(url);
    return code;
}

static int open_folder(struct split *split, struct error *error)
{
    if (to_store(split)) {
        int code = local_folder_make(&split->scratch, error);
        if (code < 0)
            return code;
        split->path = split->scratch.path;
    } else {
        split->path = split->output;
        if (mkdir(split->path, 0777) != 0 && errno != EEXIST)
            return error_set(error, -errno, "cannot make the folder %s: %s", split->path,
                             strerror(errno));
    }
    split->folder = open(split->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return split->folder >= 0 ? 0
                              : error_set(error, -errno, "%s: %s", split->path, strerror(errno));
}

/* The list of an earlier split goes first: without it a folder is none. */
static int make_room(const struct split *split, struct error *error)
{
    if (to_store(split)) {
        char *url = object_url(split, CHUNKS_FILE);
        int code = url != NULL ? objects_check(url, split->force, error)
                               : error_set(error, -ENOMEM, "out of memory");
        free(url);
        return code;
    }
    if (faccessat(split->folder, CHUNKS_FILE, F_OK, 0) == 0 && !split->force)
        return error_set(error, -EEXIST, "%s holds a film already; --force overwrites it",
                         split->path);
    if (unlinkat(split->folder, CHUNKS_FILE, 0) != 0 && errno != ENOENT)
        return error_set(error, -errno, "%s: %s", split->path, strerror(errno));
    return 0;
}

/* ---- The film, for its sound --------------------------------------------------------------- */

static int download(const char *url, const char *path, struct error *error)
{
    struct remote *remote;
    uint8_t bytes[COPY_BYTES];
    int64_t at = 0;
    int code = remote_open(url, &remote, error), got = 0;
    if (code < 0)
        return code;
    FILE *file = fopen(path, "wbe");
    while (file != NULL && !local_interrupted() &&
           (got = remote_read(remote, at, bytes, sizeof bytes, error)) > 0 &&
           fwrite(bytes, 1, (size_t)got, file) == (size_t)got)
        at += got;
    bool whole = file != NULL && got == 0 && at == remote_size(remote);
    if (file != NULL && fclose(file) != 0)
        whole = false;
    remote_close(remote);
    if (whole || got < 0)
        return got;
    return local_interrupted() ? error_set(error, -ECANCELED, "interrupted")
                               : error_set(error, -EIO, "cannot write %s", path);
}

static int keep_film(struct split *split, struct error *error)
{
    char *path = file_path(split, split->chunks.film);
    const struct store_file file = {split->folder, split->chunks.film};
    int code = 0;
    if (path == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    else if (store_is_remote(split->input))
        code = objects_get(split->input, &file, error);
    else if (remote_is_url(split->input))
        code = download(split->input, path, error);
    else
        code = encode_files_copy(split->input, path, error);
    free(path);
    return code < 0 ? code : deliver(split, split->chunks.film, error);
}

/* ---- Cutting ------------------------------------------------------------------------------- */

static int add_line(struct split *split, const struct times *times, struct error *error)
{
    json_t *json = times_pack(times);
    bool written = json != NULL && json_dumpf(json, split->lines, JSON_COMPACT) == 0 &&
                   fputc('\n', split->lines) != EOF;
    json_decref(json);
    split->chunks.count++;
    split->chunks.pictures += times->chunk.plan.frames;
    return written ? 0 : error_set(error, -ENOMEM, "out of memory");
}

/* 1, or 0 after the film's last chunk. */
static int cut_chunk(struct split *split, struct reader *reader, struct error *error)
{
    char name[CHUNKS_NAME];
    struct times times = {.info = *reader_info(reader)};
    chunks_name(split->chunks.count, name);
    char *path = file_path(split, name);
    int code = path != NULL ? reader_next(reader, path, &times.chunk, error)
                            : error_set(error, -ENOMEM, "out of memory");
    if (code >= 0) {
        times.info = *reader_info(reader);
        if (!split->sound)
            times.info.has_audio = false;
        code = deliver(split, name, error);
    }
    if (code >= 0)
        code = add_line(split, &times, error);
    free(path);
    free(times.chunk.time);
    return code < 0 ? code : !times.chunk.last_of_film;
}

static int cut_film(struct split *split, struct reader *reader, struct error *error)
{
    int code;
    if (!reader_info(reader)->has_audio)
        split->sound = false;
    if (split->sound)
        encode_files_name(split->input, split->chunks.film);
    do
        code = cut_chunk(split, reader, error);
    while (code > 0);
    return code < 0 || !split->sound ? code : keep_film(split, error);
}

static int write_list(struct split *split, struct error *error)
{
    char *path = file_path(split, CHUNKS_FILE);
    int code = path == NULL || fflush(split->lines) != 0
                   ? error_set(error, -ENOMEM, "out of memory")
                   : chunks_write(path, &split->chunks, split->text, split->size, error);
    free(path);
    return code < 0 ? code : deliver(split, CHUNKS_FILE, error);
}

static int cut(struct split *split, struct error *error)
{
    struct reader *reader = NULL;
    int code = 0;
    if (store_is_remote(split->input))
        code = objects_url(split->input, &split->link, error);
    const struct reader_options options = {
        .input = split->link != NULL ? split->link : split->input,
        .start = split->chunks.start,
        .frames = split->chunks.frames,
        .chunk_frames = split->chunks.chunk_frames,
        .batch_chunks = split->chunks.batch_chunks,
        .scene_cuts = split->chunks.scene_cuts,
    };
    if (code == 0)
        code = reader_open(&options, &reader, error);
    if (code == 0)
        code = cut_film(split, reader, error);
    reader_close(reader);
    return code < 0 ? code : write_list(split, error);
}

static int run(struct split *split)
{
    struct error error = {0};
    split->folder = -1;
    split->lines = open_memstream(&split->text, &split->size);
    local_catch_signals();
    int code = split->lines != NULL ? open_folder(split, &error)
                                    : error_set(&error, -ENOMEM, "out of memory");
    if (code == 0)
        code = make_room(split, &error);
    if (code == 0)
        code = cut(split, &error);
    if (split->lines != NULL)
        fclose(split->lines);
    if (split->folder >= 0)
        close(split->folder);
    local_folder_remove(&split->scratch);
    free(split->link);
    free(split->text);
    if (code < 0)
        fprintf(stderr, "excamera split: %s\n", error.message);
    else if (!split->quiet)
        fprintf(stderr, "%" PRId64 " frames in %" PRId64 " chunks\n", split->chunks.pictures,
                split->chunks.count);
    return code == 0 ? EXIT_SUCCESS : code == -ECANCELED ? EXIT_INTERRUPTED : EXIT_FAILURE;
}

/* ---- The command line ---------------------------------------------------------------------- */

static bool take_option(struct split *split, int id)
{
    switch (id) {
    case 'o':
        split->output = optarg;
        return true;
    case 'N':
        return options_int("--chunk", optarg, 1, PLAN_MOST_FRAMES, &split->chunks.chunk_frames);
    case 'x':
        return options_int("--batch", optarg, 1, PLAN_MOST_CHUNKS, &split->chunks.batch_chunks);
    case START:
        return options_integer("--start", optarg, 0, INT64_MAX, &split->chunks.start);
    case FRAMES:
        return options_integer("--frames", optarg, 1, INT64_MAX, &split->chunks.frames);
    case NO_SCENE_CUT:
        split->chunks.scene_cuts = false;
        return true;
    case NO_AUDIO:
        split->sound = false;
        return true;
    case FORCE:
        split->force = true;
        return true;
    case S3_ENDPOINT:
        objects_set_endpoint(optarg);
        return true;
    case 'Q':
        split->quiet = true;
        return true;
    case 'h':
        split->help = true;
        return true;
    default:
        return false;
    }
}

int command_split(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"output", required_argument, NULL, 'o'},
        {"chunk", required_argument, NULL, 'N'},
        {"batch", required_argument, NULL, 'x'},
        {"start", required_argument, NULL, START},
        {"frames", required_argument, NULL, FRAMES},
        {"no-scene-cut", no_argument, NULL, NO_SCENE_CUT},
        {"no-audio", no_argument, NULL, NO_AUDIO},
        {"force", no_argument, NULL, FORCE},
        {"s3-endpoint", required_argument, NULL, S3_ENDPOINT},
        {"quiet", no_argument, NULL, 'Q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct split split = {.sound = true,
                          .chunks = {.chunk_frames = 6, .batch_chunks = 16, .scene_cuts = true}};
    int id;
    argv[0] = "excamera split"; /* what getopt's own messages begin with */
    while ((id = getopt_long(argc, argv, "o:N:x:Qh", long_options, NULL)) != -1)
        if (!take_option(&split, id))
            return EXIT_USAGE;
    if (split.help) {
        usage();
        return EXIT_SUCCESS;
    }
    if (optind != argc - 1 || split.output == NULL) {
        fprintf(stderr, "excamera split: wanted are a film and -o DIR; --help says more\n");
        return EXIT_USAGE;
    }
    split.input = argv[optind];
    if (strcmp(split.input, "-") == 0)
        split.sound = false; /* Y4M has none */
    return run(&split);
}
