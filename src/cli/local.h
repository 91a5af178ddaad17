/* A job on this machine: coordinator, rendezvous and store in this process, workers as its children. */
#ifndef CLI_LOCAL_H
#define CLI_LOCAL_H

#include "cli/engine_choice.h"
#include "mu/coordinator.h"
#include "mu/job_file.h"
#include "util/sha256.h"

/* A folder for what a job needs while it runs, and what it has made so far:
 *
 *     objects/  the store
 *     journal   what is durable
 *     scratch/  of the workers
 *
 * It is locked by the process that uses it. All zero: none.
 */
struct local_folder {
    char *path; /* absolute; NULL: none */
    int lock;   /* a descriptor */
};

/* Where such folders go when nobody says otherwise: TMPDIR, or /var/tmp, which outlives a power cut. */
const char *local_parent(void);
/* Makes a folder of its own in local_parent(), and removes those that killed processes have left there. */
int local_folder_make(struct local_folder *folder, struct error *error);
/* Takes the folder at `path`, made where it is not there. -EBUSY where another process is at it. */
int local_folder_take(const char *path, struct local_folder *folder, struct error *error);
/* Removes what it holds. */
int local_folder_empty(const struct local_folder *folder, struct error *error);
/* Lets it be. */
void local_folder_leave(struct local_folder *folder);
/* Removes it with all that it holds. */
void local_folder_remove(struct local_folder *folder);
/* Removes any file or folder with all that it holds, as far as it can be removed. */
void local_remove_tree(const char *path);

struct local_options {
    const struct job *job;
    const char *digest; /* of the job and its choices, as struct coordinator_job_options has it */
    const struct local_folder *folder;
    const char *store; /* a remote place for the objects; NULL: the folder */
    const char *keep;  /* a folder for the scratch folders of actors that are done; or NULL */
    const struct engine_choice_line *engine; /* used while it runs */
    int workers, spare, slots, window;
    uint64_t time_ms;  /* that it may take; 0: no limit */
    double cost;       /* that it may have, by the engine's prices; 0: no limit */
    double *spent;     /* filled with what it has cost; or NULL */
    const char *trace; /* a file for what happens, a line of JSON each; or NULL */
    /* As struct coordinator_options has it; may be NULL. */
    void (*note)(void *opaque, const char *sentence);
    /* Called a few times a second, and when a signal comes. May be NULL. */
    void (*progress)(void *opaque, const struct coordinator_job *job);
    void *opaque;
};

/* From here on SIGINT, SIGTERM and SIGHUP do not end the process, unless they were ignored: what it is at is
 * to look whether one came. For what is done before local_run(). */
void local_catch_signals(void);
bool local_interrupted(void);

/* Runs the job to its end, or until SIGINT, SIGTERM or SIGHUP: -ECANCELED then, and what is durable is in
 * the folder, to go on from. */
int local_run(const struct local_options *options, struct error *error);

/* What a job is known by: its file's text and the values chosen for its variables. */
int local_digest(const char *text, size_t size, const struct job_choice *choice, int choices,
                 char digest[SHA256_HEX_SIZE], struct error *error);

#endif
