/* Attempts at actors: their folders, and what is under way in them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/worker_private.h"
#include "util/beneath.h"

struct attempt *worker_attempt_find(struct worker *worker, const char *actor, uint32_t number)
{
    for (struct list_link *link = worker->attempts.next; link != &worker->attempts;
         link = link->next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, link);
        if (!attempt->over && attempt->number == number && strcmp(attempt->actor, actor) == 0)
            return attempt;
    }
    return NULL;
}

/* Makes a folder in `parent` and opens it. */
static int make_folder(int parent, const char *name)
{
    if (mkdirat(parent, name, 0700) != 0)
        return -errno;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

static int make_folders(struct attempt *attempt)
{
    int both = make_folder(attempt->worker->scratch.folder, attempt->folder);
    if (both < 0)
        return both;
    attempt->files = make_folder(both, "files");
    attempt->own = make_folder(both, "own");
    close(both);
    return attempt->files < 0 ? attempt->files : attempt->own;
}

static void close_folders(struct attempt *attempt)
{
    if (attempt->files >= 0)
        close(attempt->files);
    if (attempt->own >= 0)
        close(attempt->own);
    attempt->files = attempt->own = -1;
}

struct attempt *worker_attempt_new(struct worker *worker, const char *actor, uint32_t number,
                                   struct error *error)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL) {
        error_set(error, -ENOMEM, "out of memory");
        return NULL;
    }
    attempt->worker = worker;
    attempt->number = number;
    attempt->files = attempt->own = -1;
    snprintf(attempt->actor, sizeof attempt->actor, "%s", actor);
    snprintf(attempt->folder, sizeof attempt->folder, "%s.%u", actor, number);
    list_init(&attempt->activities);
    list_init(&attempt->sends);
    list_init(&attempt->received);
    int code = make_folders(attempt);
    if (code < 0) {
        error_set(error, code, "cannot make a scratch folder: %s", strerror(-code));
        close_folders(attempt);
        worker_files_remove_now(worker->scratch.folder, attempt->folder);
        free(attempt);
        return NULL;
    }
    attempt->users = 1; /* until it is over */
    list_append(&worker->attempts, &attempt->link);
    return attempt;
}

/* ---- Its end ------------------------------------------------------------------------------- */

static void on_removed(void *opaque, const struct files_result *result)
{
    struct attempt *attempt = opaque;
    struct worker *worker = attempt->worker;
    (void)result; /* what could not be removed is tried again at the worker's end */
    list_remove(&attempt->link);
    worker_packed_free(&attempt->outcome);
    free(attempt);
    worker_end_on(worker);
}

void worker_attempt_hold(struct attempt *attempt)
{
    attempt->users++;
}

void worker_attempt_release(struct attempt *attempt)
{
    static const struct files_result nothing;
    struct worker *worker = attempt->worker;
    if (--attempt->users > 0)
        return;
    worker_message_free_all(attempt);
    worker_base_free_all(attempt);
    close_folders(attempt);
    if (worker_files_remove(worker->loop, worker->scratch.folder, attempt->folder, on_removed,
                            attempt) < 0)
        on_removed(attempt, &nothing);
}

void worker_attempt_drop(struct attempt *attempt)
{
    if (attempt->over)
        return;
    attempt->over = true;
    for (struct list_link *link = attempt->activities.next, *next; link != &attempt->activities;
         link = next) {
        next = link->next;
        worker_activity_cancel(LIST_ENTRY(link, struct activity, link));
    }
    worker_message_cancel(attempt);
    worker_attempt_release(attempt);
}

/* ---- What is said of it -------------------------------------------------------------------- */

void worker_attempt_draft(struct attempt *attempt, char name[32])
{
    snprintf(name, 32, "%llu", (unsigned long long)++attempt->worker->drafts);
}

int worker_attempt_make_way(struct attempt *attempt, const char *file, struct error *error)
{
    const char *name;
    int fd = beneath_parent(attempt->files, file, true, &name);
    if (fd < 0)
        return error_set(error, fd, "%.512s: %s", file,
                         fd == -EINVAL ? "not a path in the scratch folder" : error_reason(fd));
    close(fd);
    return 0;
}

void worker_attempt_call(struct attempt *attempt, uint64_t request, Mu__Call *call)
{
    mu__call__init(call);
    call->actor = attempt->actor;
    call->attempt = attempt->number;
    call->request = request;
}
