#include "cli/encode_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/objects.h"
#include "media/remote.h"
#include "store/store.h"
#include "util/output.h"
#include "util/write.h"

static bool ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);
    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

static bool same_file(const char *a, const char *b)
{
    struct stat status_a, status_b;
    return stat(a, &status_a) == 0 && stat(b, &status_b) == 0 &&
           status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
}

/* ---- The output ------------------------------------------------------------------------------ */

static int check_output(struct encode_files *files, const struct encode_options *options,
                        struct error *error)
{
    struct output *output;
    const char *name = options->output;
    files->name = name;
    files->to_stdout = strcmp(name, "-") == 0;
    files->to_store = store_is_remote(name);
    files->kind = ends_in(name, ".ivf") ? "ivf" : "webm";
    if (!files->to_stdout && !ends_in(name, ".webm") && !ends_in(name, ".ivf"))
        return error_set(error, -EINVAL,
                         "cannot tell what to write: %s ends neither in .webm nor in .ivf", name);
    if (same_file(options->input, name))
        return error_set(error, -EINVAL, "the output would overwrite the input, %s",
                         options->input);
    if (files->to_store)
        return objects_check(name, options->overwrite, error);
    /* So that what cannot be written is known before anything else is done. */
    int code = output_open(name, options->overwrite, &output, error);
    if (code == 0)
        output_abort(output);
    return code < 0 ? code : 0;
}

static int check_keep(const char *keep, bool overwrite, struct error *error)
{
    DIR *listing = keep != NULL && !overwrite ? opendir(keep) : NULL;
    struct dirent *entry;
    bool empty = true;
    while (listing != NULL && (entry = readdir(listing)) != NULL)
        empty = empty && entry->d_name[0] == '.';
    if (listing != NULL)
        closedir(listing);
    return empty ? 0
                 : error_set(error, -EEXIST, "the folder %s is not empty; --force uses it as it is",
                             keep);
}

/* ---- The folder ------------------------------------------------------------------------------ */

/* The same file's name from anywhere; NULL where its folder is not there, or without memory. */
static char *absolute(const char *name)
{
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    char *folder = base > name + 1    ? strndup(name, (size_t)(base - name - 1))
                   : base == name + 1 ? strdup("/")
                                      : strdup(".");
    char *real = folder != NULL ? realpath(folder, NULL) : NULL;
    char *whole = NULL;
    if (real != NULL && asprintf(&whole, "%s/%s", real, base) < 0)
        whole = NULL;
    free(folder);
    free(real);
    return whole;
}

/* Where the job of an output lives: the same for each run to the same place. */
static int find_folder(const char *output, char **path, struct error *error)
{
    char sum_text[SHA256_HEX_SIZE];
    uint8_t sum[SHA256_SIZE];
    char *whole = store_is_remote(output) ? strdup(output) : absolute(output);
    int code = whole != NULL ? sha256_of(whole, strlen(whole), sum) : -ENOENT;
    free(whole);
    if (code == 0) {
        sha256_hex(sum, sum_text);
        code =
            asprintf(path, "%s/excamera-encode-%.16s", local_parent(), sum_text) < 0 ? -ENOMEM : 0;
    }
    return code < 0 ? error_set(error, code, "%s: %s", output, strerror(-code)) : 0;
}

static int take_folder(struct encode_files *files, bool resume, struct error *error)
{
    char *path = NULL;
    int code = find_folder(files->name, &path, error);
    if (code == 0 && resume && access(path, F_OK) != 0)
        code = error_set(error, -ENOENT, "there is nothing to resume: %s has no encode to %s",
                         local_parent(), files->name);
    if (code == 0)
        code = local_folder_take(path, &files->folder, error);
    if (code == -EBUSY)
        error_set(error, -EBUSY, "another process is encoding to %s", files->name);
    if (code == 0 && !resume)
        code = local_folder_empty(&files->folder, error);
    files->resumable = code == 0;
    free(path);
    return code;
}

/* ---- The input ------------------------------------------------------------------------------- */

static int copy_stream(int from, int to)
{
    static char bytes[1 << 20];
    for (;;) {
        ssize_t size = read(from, bytes, sizeof bytes);
        if (local_interrupted())
            return -ECANCELED;
        if (size <= 0)
            return size == 0 ? 0 : -errno;
        int code = write_all(to, bytes, (size_t)size);
        if (code < 0)
            return code;
    }
}

/* A source that is run again reads the film again: what can be read only once becomes a file. */
int encode_files_copy(const char *input, const char *path, struct error *error)
{
    int from = strcmp(input, "-") == 0 ? STDIN_FILENO : open(input, O_RDONLY | O_CLOEXEC);
    int to = from >= 0 ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    int code = to >= 0 ? 0 : -errno;
    if (code == 0)
        code = copy_stream(from, to);
    if (to >= 0 && close(to) != 0 && code == 0)
        code = -errno;
    if (from > STDIN_FILENO)
        close(from);
    if (code == -ECANCELED)
        return error_set(error, code, "interrupted");
    return code < 0 ? error_set(error, code, "copying %s to %s: %s", input, path, strerror(-code))
                    : 0;
}

void encode_files_name(const char *input, char name[ENCODE_FILES_NAME])
{
    const char *dot = strrchr(input, '.');
    size_t length = dot != NULL ? strlen(dot) : 0;
    bool plain = length > 1 && length < ENCODE_FILES_NAME - strlen("film");
    for (size_t i = 1; i < length && plain; i++)
        plain = isalnum((unsigned char)dot[i]);
    snprintf(name, ENCODE_FILES_NAME, "film%s", plain ? dot : "");
}

/* ---- A film that was cut beforehand --------------------------------------------------------- */

static bool is_cut(const char *input)
{
    size_t length = strlen(input);
    char path[PATH_MAX];
    if (store_is_remote(input))
        return input[length - 1] == '/';
    snprintf(path, sizeof path, "%s/%s", input, CHUNKS_FILE);
    return access(path, F_OK) == 0;
}

/* Brings the list here from S3; `path` says where. */
static int bring_list(const struct encode_files *files, char path[PATH_MAX], struct error *error)
{
    int folder = open(files->folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct store_file file = {folder, CHUNKS_FILE};
    char *url;
    if (folder < 0 || asprintf(&url, "%s%s", files->chunks, CHUNKS_FILE) < 0)
        return error_set(error, -errno, "%s: %s", files->folder.path, strerror(errno));
    snprintf(path, PATH_MAX, "%s/%s", files->folder.path, CHUNKS_FILE);
    int code = objects_get(url, &file, error);
    close(folder);
    free(url);
    return code;
}

static int open_cut(struct encode_files *files, const char *input, struct error *error)
{
    bool remote = store_is_remote(input);
    char path[PATH_MAX], *real = remote ? strdup(input) : realpath(input, NULL);
    int code = real != NULL ? 0 : error_set(error, -errno, "%s: %s", input, strerror(errno));
    if (code == 0 && asprintf(&files->chunks, "%s%s", real, remote ? "" : "/") < 0) {
        files->chunks = NULL;
        code = error_set(error, -ENOMEM, "out of memory");
    }
    free(real);
    if (code == 0 && remote)
        code = bring_list(files, path, error);
    else if (code == 0)
        snprintf(path, sizeof path, "%s%s", files->chunks, CHUNKS_FILE);
    if (code == 0)
        code = chunks_read(path, &files->cut, &files->cut_info, error);
    if (code < 0)
        return code;
    bool sound = files->cut.film[0] != '\0';
    files->is_object = remote && sound;
    snprintf(files->film, sizeof files->film, "%.*s", ENCODE_FILES_NAME - 1,
             sound ? files->cut.film : "film");
    if (asprintf(&files->input, "%s%s", sound ? files->chunks : "", files->cut.film) >= 0)
        return 0;
    files->input = NULL;
    return error_set(error, -ENOMEM, "out of memory");
}

static int open_input(struct encode_files *files, const char *input, struct error *error)
{
    struct stat status;
    bool is_stdin = strcmp(input, "-") == 0;
    if (is_cut(input))
        return open_cut(files, input, error);
    if (store_is_remote(input)) {
        files->is_object = true;
        encode_files_name(input, files->film);
        files->input = strdup(input);
        return files->input != NULL ? objects_url(input, &files->url, error)
                                    : error_set(error, -ENOMEM, "out of memory");
    }
    if (remote_is_url(input)) {
        files->is_url = true;
        encode_files_name("film", files->film);
        files->input = strdup(input);
        return files->input != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
    }
    if (!is_stdin && stat(input, &status) != 0)
        return error_set(error, -errno, "%s: %s", input, strerror(errno));
    if (!is_stdin && S_ISDIR(status.st_mode))
        return error_set(error, -EISDIR,
                         "%s is a folder, not a film, nor one that `excamera split` has made",
                         input);
    encode_files_name(is_stdin ? "film.y4m" : input, files->film);
    if (!is_stdin && S_ISREG(status.st_mode)) {
        files->input = strdup(input);
        return files->input != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
    }
    files->resumable = false;
    if (asprintf(&files->input, "%s/%s", files->folder.path, files->film) < 0) {
        files->input = NULL;
        return error_set(error, -ENOMEM, "out of memory");
    }
    return encode_files_copy(input, files->input, error);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static int name_results(struct encode_files *files, struct error *error)
{
    const char *folder = files->folder.path;
    int code;
    if (files->to_store)
        files->output = strdup(files->name);
    else if (!files->to_stdout)
        files->output = absolute(files->name);
    else if (asprintf(&files->output, "%s/output", folder) < 0)
        files->output = NULL;
    /* A job elsewhere may outlive the folder: what it brings lies beside the film, or where such folders are. */
    if (files->elsewhere && files->to_store)
        code = asprintf(&files->summary, "%s.summary.json", folder);
    else if (files->elsewhere && files->output != NULL)
        code = asprintf(&files->summary, "%s.summary.json", files->output);
    else
        code = asprintf(&files->summary, "%s/summary.json", folder);
    if (code < 0)
        files->summary = NULL;
    return files->output != NULL && files->summary != NULL
               ? 0
               : error_set(error, -ENOMEM, "out of memory");
}

int encode_files_open(struct encode_files *files, const struct encode_options *options,
                      struct error *error)
{
    bool elsewhere = options->access != NULL;
    bool findable = strcmp(options->output, "-") != 0 && strcmp(options->input, "-") != 0;
    *files = (struct encode_files){.elsewhere = elsewhere};
    if (options->resume && (!findable || elsewhere))
        return error_set(error, -EINVAL,
                         "only an encode from a file to a file, on this machine, can be resumed; "
                         "`excamera watch` attaches to one elsewhere");
    if (elsewhere && strcmp(options->output, "-") == 0)
        return error_set(error, -EINVAL,
                         "an encode elsewhere may outlive this command: its output needs a name");
    int code = check_output(files, options, error);
    if (code == 0)
        code = check_keep(options->keep, options->overwrite || options->resume, error);
    if (code == 0)
        code = findable && !elsewhere ? take_folder(files, options->resume, error)
                                      : local_folder_make(&files->folder, error);
    if (code == 0)
        code = open_input(files, options->input, error);
    if (code == 0)
        code = name_results(files, error);
    return code;
}

int encode_files_deliver(const struct encode_files *files, struct error *error)
{
    if (!files->to_stdout)
        return 0;
    int from = open(files->output, O_RDONLY | O_CLOEXEC);
    int code = from >= 0 ? copy_stream(from, STDOUT_FILENO) : -errno;
    if (from >= 0)
        close(from);
    return code < 0 ? error_set(error, code, "writing to standard output: %s", strerror(-code)) : 0;
}

void encode_files_close(struct encode_files *files, bool keep, struct error *error)
{
    if (keep && files->resumable) {
        size_t length = strlen(error->message);
        snprintf(error->message + length, sizeof error->message - length,
                 "\nwhat is done so far lies in %s: the same command with --resume goes on from "
                 "there",
                 files->folder.path);
        local_folder_leave(&files->folder);
    } else {
        local_folder_remove(&files->folder);
    }
    free(files->input);
    free(files->url);
    free(files->chunks);
    free(files->output);
    if (files->elsewhere && files->summary != NULL)
        unlink(files->summary);
    free(files->summary);
}
