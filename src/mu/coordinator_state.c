/*
 * What is kept of jobs that are handed in, in the coordinator's state folder:
 *
 *     journal            its lock, and the epoch: it has no records
 *     jobs/ID/job.json   the job file
 *     jobs/ID/submit     all else that was handed in, as a Submit without its job
 *     jobs/ID/begun      empty: its inputs are there
 *     jobs/ID/journal    of its work
 *     jobs/ID/authority  of its workers
 *     jobs/ID/ended      what became of it, as a JobLine
 *
 * A job's folder appears when it is complete, and files in it when they are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/coordinator_private.h"
#include "util/output.h"

/* A folder that is not complete. */
#define UNFINISHED ".new-"

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

static int make_folder(const char *path, struct error *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    return error_set(error, -errno, "cannot make the folder %s: %s", path, error_reason(-errno));
}

static int sync_folder(const char *path, struct error *error)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = folder < 0 || fsync(folder) != 0 ? -errno : 0;
    if (folder >= 0)
        close(folder);
    return code < 0 ? error_set(error, code, "%s: %s", path, error_reason(code)) : 0;
}

/* The path of `name` in the folder of the job that is called `mark` and its id. */
static char *path_of(const struct handed_in *job, const char *mark, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/jobs/%s%s%s%s", job->coordinator->options.state, mark, job->id,
                 name[0] ? "/" : "", name) < 0)
        return NULL;
    return path;
}

char *coordinator_state_path(const struct handed_in *job, const char *name)
{
    return path_of(job, "", name);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int write_file(const char *path, const void *bytes, size_t size, struct error *error)
{
    struct output *output;
    int code = output_open_private(path, true, &output, error);
    if (code < 0)
        return code;
    if (fwrite(bytes, 1, size, output_stream(output)) == size)
        return output_commit(output, error);
    code = error_set(error, -errno, "%s: %s", path, error_reason(-errno));
    output_abort(output);
    return code;
}

static int write_in(const struct handed_in *job, const char *mark, const char *name,
                    const void *bytes, size_t size, struct error *error)
{
    char *path = path_of(job, mark, name);
    int code = path != NULL ? write_file(path, bytes, size, error) : no_memory(error);
    free(path);
    return code;
}

static int write_submit(const struct handed_in *job, struct error *error)
{
    Mu__Submit submit = *job->submit;
    submit.job = (ProtobufCBinaryData){0};
    size_t size = mu__submit__get_packed_size(&submit);
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL)
        return no_memory(error);
    mu__submit__pack(&submit, bytes);
    int code = write_in(job, UNFINISHED, "submit", bytes, size, error);
    free(bytes);
    return code;
}

int coordinator_state_add(const struct handed_in *job, struct error *error)
{
    char *made = path_of(job, UNFINISHED, ""), *path = path_of(job, "", "");
    char *parent = path_of(job, "", "..");
    int code = made && path && parent ? make_folder(made, error) : no_memory(error);
    if (code == 0)
        code = write_in(job, UNFINISHED, "job.json", job->submit->job.data, job->submit->job.len,
                        error);
    if (code == 0)
        code = write_submit(job, error);
    if (code == 0)
        code = sync_folder(made, error);
    if (code == 0 && rename(made, path) != 0)
        code = error_set(error, -errno, "%s: %s", path, error_reason(-errno));
    if (code == 0)
        code = sync_folder(parent, error);
    free(made);
    free(path);
    free(parent);
    return code;
}

int coordinator_state_begun(const struct handed_in *job, struct error *error)
{
    return write_in(job, "", "begun", "", 0, error);
}

int coordinator_state_ended(struct handed_in *job, struct error *error)
{
    Mu__JobLine line;
    coordinator_handed_in_line(job, &line);
    size_t size = mu__job_line__get_packed_size(&line);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return no_memory(error);
    mu__job_line__pack(&line, bytes);
    int code = write_in(job, "", "ended", bytes, size, error);
    free(bytes);
    return code;
}

static int remove_folder(const char *path, struct error *error)
{
    int code = 0;
    DIR *entries = opendir(path);
    struct dirent *entry;
    if (entries == NULL)
        return errno == ENOENT ? 0 : error_set(error, -errno, "%s: %s", path, error_reason(-errno));
    while ((entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(entries), entry->d_name, 0) != 0)
            code = -errno;
    closedir(entries);
    if (rmdir(path) != 0)
        code = code < 0 ? code : -errno;
    return code < 0 ? error_set(error, code, "cannot remove %s: %s", path, error_reason(code)) : 0;
}

int coordinator_state_remove(const struct handed_in *job, struct error *error)
{
    char *path = path_of(job, "", "");
    int code = path != NULL ? remove_folder(path, error) : no_memory(error);
    free(path);
    return code;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Reads a file of the job; `*bytes` is to be freed. -ENOENT where it is not there. */
static int read_file(const struct handed_in *job, const char *name, uint8_t **bytes, size_t *size,
                     struct error *error)
{
    char *path = coordinator_state_path(job, name);
    FILE *file = path != NULL ? fopen(path, "rbe") : NULL;
    int code = path == NULL ? -ENOMEM : file == NULL ? -errno : 0;
    *bytes = code == 0 ? malloc(JOB_MOST_BYTES + 1) : NULL;
    if (code == 0 && *bytes == NULL)
        code = -ENOMEM;
    if (code == 0) {
        *size = fread(*bytes, 1, JOB_MOST_BYTES + 1, file);
        code = ferror(file) ? -EIO : *size > JOB_MOST_BYTES ? -EFBIG : 0;
    }
    if (code < 0)
        error_set(error, code, "%s: %s", path ? path : name, error_reason(code));
    if (file != NULL)
        fclose(file);
    free(path);
    return code;
}

static int read_submit(struct handed_in *job, struct error *error)
{
    uint8_t *submit = NULL, *text = NULL;
    size_t submit_size, text_size;
    int code = read_file(job, "submit", &submit, &submit_size, error);
    if (code == 0)
        code = read_file(job, "job.json", &text, &text_size, error);
    if (code == 0) {
        job->submit = mu__submit__unpack(NULL, submit_size, submit);
        if (job->submit == NULL || job->submit->settings == NULL)
            code = error_set(error, -EBADMSG, "what is kept of the job is damaged");
    }
    if (code == 0) {
        job->submit->job = (ProtobufCBinaryData){.len = text_size, .data = text};
        text = NULL;
    }
    free(submit);
    free(text);
    return code;
}

/* Takes what became of it, if it has ended. */
static int read_ended(struct handed_in *job, struct error *error)
{
    uint8_t *bytes;
    size_t size;
    int code = read_file(job, "ended", &bytes, &size, error);
    if (code == -ENOENT)
        return 0;
    Mu__JobLine *line = code == 0 ? mu__job_line__unpack(NULL, size, bytes) : NULL;
    free(bytes);
    if (code == 0 && line == NULL)
        return error_set(error, -EBADMSG, "what is kept of the job's end is damaged");
    if (line == NULL)
        return code;
    job->state = line->state;
    job->progress.actors = line->actors;
    job->progress.done = line->done;
    job->progress.amount = line->amount;
    job->ran_ms = line->ran_ms;
    job->cost = line->cost;
    snprintf(job->failure, sizeof job->failure, "%s", line->error);
    snprintf(job->name, sizeof job->name, "%s", line->name);
    mu__job_line__free_unpacked(line, NULL);
    return 0;
}

static bool is_there(const struct handed_in *job, const char *name)
{
    struct stat status;
    char *path = coordinator_state_path(job, name);
    bool there = path != NULL && stat(path, &status) == 0;
    free(path);
    return there;
}

static void read_time(struct handed_in *job)
{
    struct stat status;
    char *path = coordinator_state_path(job, "submit");
    if (path != NULL && stat(path, &status) == 0)
        job->submitted = (uint64_t)status.st_mtim.tv_sec;
    free(path);
}

static int read_job(struct coordinator *coordinator, const char *id, struct error *error)
{
    struct handed_in *job = coordinator_handed_in_new(coordinator, id);
    struct error why;
    if (job == NULL)
        return no_memory(error);
    read_time(job);
    if (read_submit(job, &why) < 0 || read_ended(job, &why) < 0) {
        job->state = MU__JOB_LINE__STATE__FAILED;
        snprintf(job->failure, sizeof job->failure, "%s", why.message);
    } else if (job->state == MU__JOB_LINE__STATE__WAITING && is_there(job, "begun")) {
        job->state = MU__JOB_LINE__STATE__RUNNING;
    }
    return 0;
}

static int by_time(const void *first, const void *second)
{
    const struct handed_in *a = *(struct handed_in *const *)first;
    const struct handed_in *b = *(struct handed_in *const *)second;
    if (a->submitted != b->submitted)
        return a->submitted < b->submitted ? -1 : 1;
    return strcmp(a->id, b->id);
}

/* Brings the jobs into the order in which they came. */
static int sort(struct coordinator *coordinator, struct error *error)
{
    struct list_link *head = &coordinator->handed_in;
    size_t count = 0, at = 0;
    for (struct list_link *link = head->next; link != head; link = link->next)
        count++;
    struct handed_in **jobs = calloc(count + 1, sizeof *jobs);
    if (jobs == NULL)
        return no_memory(error);
    while (!list_empty(head)) {
        jobs[at] = LIST_ENTRY(head->next, struct handed_in, link);
        list_remove(&jobs[at++]->link);
    }
    qsort(jobs, count, sizeof *jobs, by_time);
    for (at = 0; at < count; at++)
        list_append(head, &jobs[at]->link);
    free(jobs);
    return 0;
}

static int read_jobs(struct coordinator *coordinator, const char *folder, struct error *error)
{
    int code = 0;
    struct dirent *entry;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return error_set(error, -errno, "%s: %s", folder, error_reason(-errno));
    while (code == 0 && (entry = readdir(entries)) != NULL) {
        char path[4096];
        struct error ignored;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, UNFINISHED, strlen(UNFINISHED)) == 0)
            remove_folder(path, &ignored); /* nobody was told that it is there */
        else if (job_name_valid(entry->d_name))
            code = read_job(coordinator, entry->d_name, error);
    }
    closedir(entries);
    return code == 0 ? sort(coordinator, error) : code;
}

static int no_record(void *opaque, uint32_t type, const void *data, size_t size,
                     struct error *error)
{
    return error_set(error, -EBADMSG, "the state folder's journal is another one");
}

int coordinator_state_open(struct coordinator *coordinator, struct error *error)
{
    const char *folder = coordinator->options.state;
    char *journal = NULL, *jobs = NULL;
    if (folder == NULL)
        return 0;
    if (asprintf(&journal, "%s/journal", folder) < 0)
        journal = NULL;
    if (asprintf(&jobs, "%s/jobs", folder) < 0)
        jobs = NULL;
    int code = journal && jobs ? make_folder(folder, error) : no_memory(error);
    if (code == 0)
        code = make_folder(jobs, error);
    if (code == 0)
        code =
            journal_open(coordinator->loop, journal, no_record, NULL, &coordinator->state, error);
    if (code == 0) {
        coordinator->epoch = journal_epoch(coordinator->state);
        code = read_jobs(coordinator, jobs, error);
    }
    free(journal);
    free(jobs);
    return code;
}
