/* Those who hand in jobs: what they ask, and what they are told. */
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"
#include "net/identity.h"

enum {
    TELL_MS = 500,      /* between two words to a watcher */
    MOST_LINES = 500,   /* of a listing: the latest jobs */
    MOST_CHOICES = 256, /* of a job */
    MOST_STORE = 2048,  /* bytes of its place */
};

void coordinator_submitter_hello(struct session *session)
{
    const struct stream *stream = channel_stream(session->channel);
    if (strcmp(stream_server_name(stream), DOMAIN_DEPLOYMENT) != 0 ||
        strcmp(stream_identity(stream), IDENTITY_SUBMITTER) != 0) {
        coordinator_session_refuse(session, "its certificate is not one for handing in jobs");
    } else if (session->coordinator->state == NULL || session->coordinator->draining ||
               session->coordinator->closing) {
        coordinator_session_refuse(session, "no jobs are taken here");
    } else {
        session->submitter = true;
        coordinator_session_welcome(session, session->coordinator->epoch);
    }
}

/* ---- Telling ------------------------------------------------------------------------------- */

static void say_progress(struct session *session)
{
    struct handed_in *job = session->watched;
    int states = job->what != NULL && job->running != NULL ? job->what->states : 0;
    uint32_t actors[JOB_MOST_STATES];
    Mu__Progress__StatesEntry entry[JOB_MOST_STATES], *entries[JOB_MOST_STATES];
    Mu__Progress progress = MU__PROGRESS__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__JobLine line;
    coordinator_handed_in_line(job, &line);
    if (states > 0)
        coordinator_job_states(job->running, actors);
    progress.line = &line;
    progress.states = entries;
    for (int i = 0; i < states; i++) {
        if (actors[i] == 0)
            continue;
        mu__progress__states_entry__init(&entry[i]);
        entry[i].key = (char *)job->what->state[i].name;
        entry[i].value = actors[i];
        entries[progress.n_states++] = &entry[i];
    }
    envelope.body_case = MU__ENVELOPE__BODY_PROGRESS;
    envelope.progress = &progress;
    coordinator_session_say(session, &envelope);
}

void coordinator_submitter_tell(struct handed_in *job)
{
    struct list_link *head = &job->coordinator->sessions;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->watched == job)
            say_progress(session);
    }
}

void coordinator_submitter_forget(struct handed_in *job)
{
    struct list_link *head = &job->coordinator->sessions;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->watched == job)
            session->watched = NULL;
    }
}

void coordinator_submitter_tick(struct coordinator *coordinator, uint64_t now)
{
    struct list_link *head = &coordinator->sessions;
    if (now - coordinator->told_at < TELL_MS)
        return;
    coordinator->told_at = now;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->watched != NULL && session->watched->running != NULL)
            say_progress(session);
    }
}

static void say_jobs(struct session *session)
{
    struct list_link *head = &session->coordinator->handed_in, *link = head->previous;
    Mu__JobLine line[MOST_LINES], *lines[MOST_LINES];
    Mu__Jobs jobs = MU__JOBS__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    for (int skipped = 1; skipped < MOST_LINES && link != head; skipped++)
        link = link->previous;
    for (link = link == head ? head->next : link; link != head; link = link->next) {
        coordinator_handed_in_line(LIST_ENTRY(link, struct handed_in, link), &line[jobs.n_jobs]);
        lines[jobs.n_jobs] = &line[jobs.n_jobs];
        jobs.n_jobs++;
    }
    jobs.jobs = lines;
    envelope.body_case = MU__ENVELOPE__BODY_JOBS;
    envelope.jobs = &jobs;
    coordinator_session_say(session, &envelope);
}

void coordinator_submitter_cleaned(struct coordinator *coordinator)
{
    struct list_link *head = &coordinator->sessions;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->cleans)
            say_jobs(session);
        session->cleans = false;
    }
}

/* ---- Handing in ---------------------------------------------------------------------------- */

/* A copy that lives on. */
static Mu__Submit *copy(const Mu__Submit *submit)
{
    size_t size = mu__submit__get_packed_size(submit);
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    Mu__Submit *copied = NULL;
    if (bytes != NULL) {
        mu__submit__pack(submit, bytes);
        copied = mu__submit__unpack(NULL, size, bytes);
    }
    free(bytes);
    return copied;
}

static bool is_same(const Mu__Submit *first, const Mu__Submit *second)
{
    size_t size = mu__submit__get_packed_size(first);
    if (size != mu__submit__get_packed_size(second))
        return false;
    uint8_t *bytes = malloc(2 * size + 1);
    if (bytes == NULL)
        return false;
    mu__submit__pack(first, bytes);
    mu__submit__pack(second, bytes + size);
    bool same = memcmp(bytes, bytes + size, size) == 0;
    free(bytes);
    return same;
}

/* What is wrong with its form; NULL: nothing. */
static const char *check_submit(const Mu__Submit *submit)
{
    if (!job_name_valid(submit->id))
        return "a job cannot have this id";
    if (submit->settings == NULL || submit->settings->cost < 0)
        return "the job's settings are missing, or cannot be";
    if (submit->n_choices > MOST_CHOICES)
        return "too many of the job's variables are chosen";
    if ((submit->store[0] != '/' && !store_is_remote(submit->store)) ||
        strlen(submit->store) > MOST_STORE)
        return "the job's store must be an absolute path, or s3://BUCKET/PREFIX";
    return NULL;
}

static void say_submitted(struct session *session, const struct handed_in *job)
{
    Mu__Submitted submitted = MU__SUBMITTED__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    submitted.id = (char *)job->id;
    envelope.body_case = MU__ENVELOPE__BODY_SUBMITTED;
    envelope.submitted = &submitted;
    coordinator_session_say(session, &envelope);
}

static void take_job(struct session *session, const Mu__Submit *submit)
{
    struct coordinator *coordinator = session->coordinator;
    struct handed_in *job = coordinator_handed_in_new(coordinator, submit->id);
    struct error error;
    if (job == NULL || (job->submit = copy(submit)) == NULL) {
        if (job != NULL)
            coordinator_handed_in_free(job);
        coordinator_session_refuse(session, "the coordinator is out of memory");
    } else if (coordinator_handed_in_check(job, &error) < 0 ||
               coordinator_state_add(job, &error) < 0) {
        coordinator_handed_in_free(job);
        coordinator_session_refuse(session, error.message);
    } else {
        coordinator_note(coordinator, "job %s (%s) is handed in by %s", job->id, job->name,
                         stream_address(channel_stream(session->channel)));
        say_submitted(session, job);
    }
}

static void on_submit(struct session *session, const Mu__Submit *submit)
{
    struct handed_in *job = coordinator_handed_in_find(session->coordinator, submit->id);
    const char *why = check_submit(submit);
    if (why != NULL)
        coordinator_session_refuse(session, why);
    else if (job == NULL)
        take_job(session, submit);
    else if (job->submit != NULL && is_same(job->submit, submit))
        say_submitted(session, job);
    else
        coordinator_session_refuse(session, "another job has this id");
}

/* ---- Asking -------------------------------------------------------------------------------- */

/* The job, or NULL after a refusal. */
static struct handed_in *find(struct session *session, const char *id)
{
    struct handed_in *job = coordinator_handed_in_find(session->coordinator, id);
    if (job == NULL)
        coordinator_session_refuse(session, "there is no such job");
    return job;
}

static void on_begin(struct session *session, const Mu__Begin *begin)
{
    struct handed_in *job = find(session, begin->id);
    if (job == NULL)
        return;
    if (job->state == MU__JOB_LINE__STATE__WAITING)
        coordinator_handed_in_begin(job);
    say_jobs(session);
}

static void on_watch(struct session *session, const Mu__Watch *watch)
{
    struct handed_in *job = find(session, watch->id);
    Mu__Watched watched = MU__WATCHED__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    if (job == NULL)
        return;
    session->watched = job;
    watched.submit = job->submit;
    envelope.body_case = MU__ENVELOPE__BODY_WATCHED;
    envelope.watched = &watched;
    coordinator_session_say(session, &envelope);
    say_progress(session);
}

static void on_cancel(struct session *session, const Mu__Cancel *cancel)
{
    struct handed_in *job = find(session, cancel->id);
    if (job == NULL)
        return;
    coordinator_handed_in_cancel(job);
    say_jobs(session);
}

static void on_clean(struct session *session, const Mu__Clean *clean)
{
    struct list_link *head = &session->coordinator->handed_in, *next;
    if (clean->id[0] != '\0' && find(session, clean->id) == NULL)
        return;
    for (struct list_link *link = head->next; link != head; link = next) {
        struct handed_in *job = LIST_ENTRY(link, struct handed_in, link);
        next = link->next;
        if (clean->id[0] == '\0' || strcmp(clean->id, job->id) == 0)
            coordinator_handed_in_clean(job);
    }
    session->cleans = true;
    if (session->coordinator->cleaning == 0)
        coordinator_submitter_cleaned(session->coordinator);
}

void coordinator_submitter_said(struct session *session, const Mu__Envelope *envelope)
{
    switch (envelope->body_case) {
    case MU__ENVELOPE__BODY_SUBMIT:
        on_submit(session, envelope->submit);
        break;
    case MU__ENVELOPE__BODY_BEGIN:
        on_begin(session, envelope->begin);
        break;
    case MU__ENVELOPE__BODY_WATCH:
        on_watch(session, envelope->watch);
        break;
    case MU__ENVELOPE__BODY_CANCEL:
        on_cancel(session, envelope->cancel);
        break;
    case MU__ENVELOPE__BODY_CLEAN:
        on_clean(session, envelope->clean);
        break;
    case MU__ENVELOPE__BODY_LIST:
        say_jobs(session);
        break;
    default:
        coordinator_session_breach(session, "what coordinators are not sent");
    }
}
