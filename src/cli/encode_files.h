/* The files of an encode: the film, the output, and the folder of the job between them. */
#ifndef CLI_ENCODE_FILES_H
#define CLI_ENCODE_FILES_H

#include <stdbool.h>

#include "cli/encode_run.h"
#include "cli/local.h"
#include "encode/chunks.h"

enum { ENCODE_FILES_NAME = 24 };

struct encode_files {
    const char *name; /* of the output, as it was given */
    struct local_folder folder;
    bool resumable; /* the folder is known by the output's name: another run can find it */
    bool elsewhere; /* the job runs there */
    bool to_stdout, to_store;
    char *input;    /* a file with the film, or its URL, http(s) or s3 */
    bool is_url;    /* http(s): workers read what they need of it there */
    bool is_object; /* in S3: likewise, by URLs that they are lent */
    char *url;      /* one of those; NULL where it is none */
    char *
        chunks; /* of a film that was cut beforehand: its folder, or s3://BUCKET/PREFIX/; NULL: it was not */
    struct chunks cut;
    struct input_info cut_info;
    char *output;     /* where the job puts what it has made */
    char *summary;    /* where it puts what that is */
    const char *kind; /* of the output: "webm" or "ivf" */
    char film
        [ENCODE_FILES_NAME]; /* what the film is called in the job: its name's ending may say what it is */
};

/* Checks input and output, and makes the folder. A film that is no file (a pipe, standard input)
 * is copied into it first. `files` is to be closed in any case. */
int encode_files_open(struct encode_files *files, const struct encode_options *options,
                      struct error *error);
/* Brings to standard output what goes there. */
int encode_files_deliver(const struct encode_files *files, struct error *error);
/* Removes the folder, unless `keep` says that there is something in it to go on from and it can be found
 * again; then says so in `error`. */
void encode_files_close(struct encode_files *files, bool keep, struct error *error);

/* Copies a film, or "-" for standard input, to a new file. */
int encode_files_copy(const char *input, const char *path, struct error *error);
/* "film", with the ending of the film's name where that is a plain one. */
void encode_files_name(const char *input, char name[ENCODE_FILES_NAME]);

#endif
