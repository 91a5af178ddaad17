/* Inputs of a job that stay where they are, in S3: workers get URLs for them, whatever the job's own store is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"

/* Of one input. */
struct link {
    char *tag;           /* its ETag when the job was begun or gone on with; NULL: not known */
    struct store *store; /* its bucket, opened when the first URL is wanted */
};

/* What of `key` is the name in the input, a folder; "" where it is the input itself, NULL: neither. */
static const char *name_in(const struct job_transfer *input, const char *key)
{
    size_t length = strlen(input->key), size = strlen(input->file);
    bool folder = size > 0 && input->file[size - 1] == '/';
    if (!store_is_remote(input->file) || strncmp(input->key, key, length) != 0)
        return NULL;
    if (folder)
        return key[length] == '/' ? key + length + 1 : NULL;
    return key[length] == '\0' ? "" : NULL;
}

/* The place among the inputs; -1: it is none that lies elsewhere. */
static int find(const struct coordinator_job *job, const char *key)
{
    const struct job *what = job->options.job;
    for (int i = 0; i < what->inputs; i++)
        if (name_in(&what->input[i], key) != NULL)
            return i;
    return -1;
}

bool coordinator_link_has(const struct coordinator_job *job, const char *key)
{
    return find(job, key) >= 0;
}

static struct link *link_at(struct coordinator_job *job, int input)
{
    if (job->links == NULL)
        job->links = calloc((size_t)job->options.job->inputs, sizeof *job->links);
    return job->links != NULL ? &job->links[input] : NULL;
}

/* A tag goes behind a '#': only one that can. */
static bool is_plain(const char *tag)
{
    for (; *tag != '\0'; tag++)
        if (*tag <= ' ' || *tag > '~' || *tag == '#')
            return false;
    return true;
}

void coordinator_link_known(void *opaque, int input, const char *tag)
{
    struct link *link = link_at(opaque, input);
    if (link == NULL || tag == NULL || !is_plain(tag))
        return;
    free(link->tag);
    link->tag = strdup(tag);
}

int coordinator_link_url(struct coordinator_job *job, const char *key, store_done *done,
                         void *opaque, struct error *error)
{
    int input = find(job, key);
    const struct job_transfer *from = &job->options.job->input[input];
    struct link *link = link_at(job, input);
    const char *name;
    char *place, *object = NULL;
    if (link == NULL || asprintf(&object, "%s%s", from->file, name_in(from, key)) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    int code = store_split(object, &place, &name, error);
    if (code == 0 && link->store == NULL)
        code = store_open(job->coordinator->loop, place, &link->store, error);
    const struct store_url what = {.key = name};
    if (code == 0)
        code = store_url(link->store, &what, done, opaque, NULL, error);
    free(place);
    free(object);
    return code;
}

char *coordinator_link_marked(const struct coordinator_job *job, const char *key, const char *url)
{
    int input = find(job, key);
    const char *tag = input >= 0 && job->links != NULL ? job->links[input].tag : NULL;
    char *marked;
    if (tag == NULL)
        return strdup(url);
    return asprintf(&marked, "%s#etag=%s", url, tag) < 0 ? NULL : marked;
}

static void on_closed(void *opaque)
{
}

void coordinator_link_free(struct coordinator_job *job)
{
    for (int i = 0; job->links != NULL && i < job->options.job->inputs; i++) {
        free(job->links[i].tag);
        if (job->links[i].store != NULL)
            store_close(job->links[i].store, on_closed, NULL);
    }
    free(job->links);
    job->links = NULL;
}
