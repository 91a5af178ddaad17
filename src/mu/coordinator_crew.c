/*
 * The workers: started as many as wanted, replaced when they are lost or do not come, shared among the jobs.
 *
 *     launched -> came: used by the job, or spare -> lost
 */
#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"

/* So that a program that cannot work at all is not started for ever: workers lost in a row, for each that is
 * wanted, without an actor that was done. */
enum { BARREN_EACH = 50 };

/* After one could not be started. */
enum { LAUNCH_PAUSE_MS = 1000 };

/* Of starting workers in one turn of the loop. */
#define LAUNCHING_NS UINT64_C(20000000)

/* For one that is dismissed to end by itself. */
enum { LEAVING_MS = 3000 };

struct member *crew_find(struct coordinator *coordinator, uint32_t worker)
{
    struct hash_link *link = hash_first(&coordinator->members, hash_number(worker));
    for (; link != NULL; link = hash_next(link)) {
        struct member *member = HASH_ENTRY(link, struct member, by_number);
        if (member->worker == worker)
            return member;
    }
    return NULL;
}

/* ---- Sharing ------------------------------------------------------------------------------- */

/* How many workers it could use: no more than it has actors left. */
static int demand(const struct coordinator_job *job)
{
    struct ledger_progress progress;
    int most = job->options.workers;
    if (job->ending || !job->ready || job->delivering || job->coordinator->draining)
        return 0;
    ledger_progress(job->ledger, &progress);
    if (progress.actors >= 0 && progress.actors - progress.done < most)
        most = (int)(progress.actors - progress.done);
    return most + job->options.spare;
}

/* Gives `most` at once to all jobs that want no more and have no share yet; returns how many these are. */
static int share_modest(struct coordinator *coordinator, int most, int *left)
{
    struct list_link *head = &coordinator->jobs;
    int served = 0;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct coordinator_job *job = LIST_ENTRY(link, struct coordinator_job, link);
        int wanted = demand(job);
        if (job->share >= 0 || wanted > most)
            continue;
        job->share = wanted;
        *left -= wanted;
        served++;
    }
    return served;
}

/* Each gets the same, but none more than it wants; what is left over goes to those that came first. */
void crew_share(struct coordinator *coordinator)
{
    struct list_link *head = &coordinator->jobs;
    int left = coordinator->options.workers, jobs = 0;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct coordinator_job *job = LIST_ENTRY(link, struct coordinator_job, link);
        job->share = left > 0 ? -1 : demand(job);
        jobs++;
    }
    if (left == 0)
        return;
    for (int served = 1; jobs > 0 && served > 0; jobs -= served)
        served = share_modest(coordinator, left / jobs, &left);
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct coordinator_job *job = LIST_ENTRY(link, struct coordinator_job, link);
        if (job->share >= 0)
            continue;
        job->share = (left + jobs - 1) / jobs;
        left -= job->share;
        jobs--;
    }
}

/* Workers that run, of all jobs. */
static int count_all(const struct coordinator *coordinator)
{
    const struct list_link *head = &coordinator->jobs;
    int present = 0;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        present += LIST_ENTRY(link, struct coordinator_job, link)->present;
    return present;
}

/* ---- Starting ------------------------------------------------------------------------------ */

void crew_uncount(struct member *member)
{
    member->job->present -= member->counted;
    member->counted = false;
}

static void forget(struct member *member)
{
    crew_uncount(member);
    hash_remove(&member->job->coordinator->members, &member->by_number);
    list_remove(&member->link);
    free(member);
}

static struct member *member_new(struct coordinator_job *job)
{
    struct coordinator *coordinator = job->coordinator;
    struct member *member = calloc(1, sizeof *member);
    if (member == NULL || RAND_bytes(member->token, sizeof member->token) != 1) {
        free(member);
        return NULL;
    }
    member->job = job;
    member->worker = ++coordinator->workers_made;
    member->away_at = uv_now(coordinator->loop);
    if (hash_insert(&coordinator->members, &member->by_number, hash_number(member->worker)) < 0) {
        free(member);
        return NULL;
    }
    list_append(&job->members, &member->link);
    member->counted = true;
    job->present++;
    return member;
}

static int launch(struct coordinator_job *job, struct error *error)
{
    char *document = NULL;
    struct member *member = member_new(job);
    if (member == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = coordinator_write_document(member, &document, error);
    if (code == 0)
        code = engine_start(job->coordinator->engine, member->worker, document, error);
    certificate_forget(document);
    if (code < 0)
        forget(member);
    return code;
}

static unsigned most_barren(const struct coordinator_job *job)
{
    return BARREN_EACH * (unsigned)(job->options.workers + job->options.spare);
}

/* Tries again later, not for ever. */
static void not_started(struct coordinator_job *job, const struct error *reason)
{
    coordinator_note(job->coordinator, "%s", reason->message);
    job->barren += BARREN_EACH / 10;
    job->launch_at = uv_now(job->coordinator->loop) + LAUNCH_PAUSE_MS;
    if (job->barren >= most_barren(job))
        coordinator_job_fail(job, reason);
}

/* For a while only: what comes in has its turn too. */
static void fill(struct coordinator_job *job, uint64_t now)
{
    struct coordinator *coordinator = job->coordinator;
    uint64_t until = uv_hrtime() + LAUNCHING_NS;
    int room = coordinator->options.workers > 0
                   ? coordinator->options.workers - count_all(coordinator)
                   : INT_MAX;
    struct error error;
    for (; job->present < job->share && room > 0 && now >= job->launch_at && uv_hrtime() < until;
         room--) {
        if (job->barren >= most_barren(job)) {
            error_set(&error, -ECHILD, "workers end again and again; %u were lost", job->barren);
            coordinator_job_fail(job, &error);
            return;
        }
        if (launch(job, &error) < 0)
            not_started(job, &error);
    }
}

/* ---- Coming -------------------------------------------------------------------------------- */

static void use(struct member *member)
{
    struct coordinator_job *job = member->job;
    member->used = true;
    job->used++;
    ledger_joined(job->ledger, member->worker, member->slots, coordinator_job_now(job));
}

void crew_came(struct member *member, int slots)
{
    member->came = true;
    member->slots = slots;
    if (member->job->used < member->job->options.workers)
        use(member);
}

/* The first to come are used, the others kept for when one of these is lost. */
static void use_spare(struct coordinator_job *job)
{
    struct list_link *head = &job->members;
    if (job->used == job->options.workers)
        return;
    for (struct list_link *link = head->next; link != head && job->used < job->options.workers;
         link = link->next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (!member->used && !member->retiring && member->session != NULL)
            use(member);
    }
}

static void unuse(struct member *member)
{
    struct coordinator_job *job = member->job;
    if (!member->used)
        return;
    member->used = false;
    job->used--;
    ledger_lost(job->ledger, member->worker, coordinator_job_now(job));
}

/* ---- Losing -------------------------------------------------------------------------------- */

static void leave_session(struct member *member, const char *why)
{
    struct session *session = member->session;
    if (session == NULL)
        return;
    member->session = NULL;
    session->member = NULL;
    channel_abort(session->channel, why);
}

/* Nothing that it says counts any more. */
static void give_up(struct member *member)
{
    struct coordinator_job *job = member->job;
    leave_session(member, "its worker is lost");
    unuse(member);
    if (!member->gone)
        engine_kill(job->coordinator->engine, member->worker);
    forget(member);
}

void crew_started(void *opaque, uint32_t worker)
{
    struct member *member = crew_find(opaque, worker);
    if (member == NULL || member->started)
        return;
    member->started = true;
    if (!member->came)
        member->away_at = uv_now(member->job->coordinator->loop);
}

/* A job that has no worker at all need not wait for somebody to mend it. */
void crew_refused(void *opaque, uint32_t worker, const struct error *reason)
{
    struct member *member = crew_find(opaque, worker);
    if (member == NULL)
        return;
    struct coordinator_job *job = member->job;
    member->gone = true;
    if (job->ending) {
        crew_uncount(member);
        return;
    }
    forget(member);
    if (job->used == 0)
        coordinator_job_fail(job, reason);
    else
        not_started(job, reason);
}

void crew_ended(void *opaque, uint32_t worker, const char *how)
{
    struct member *member = crew_find(opaque, worker);
    if (member == NULL)
        return;
    struct coordinator_job *job = member->job;
    member->gone = true;
    if (job->ending) {
        crew_uncount(member);
        return;
    }
    if (!member->leaving)
        coordinator_note(opaque, "worker %u %s", worker, how);
    if (member->session !=
        NULL) /* what was started once more goes on, or else ends its connection */
        return;
    job->barren += !member->leaving;
    give_up(member);
    coordinator_job_go_on(job);
}

static bool is_lost(const struct member *member, uint64_t now)
{
    const struct coordinator_options *options = &member->job->coordinator->options;
    uint64_t dial_ms = engine_limits(member->job->coordinator->engine)->dial_ms;
    uint64_t most = member->leaving ? LEAVING_MS
                    : member->came  ? COORDINATOR_SILENT * (uint64_t)options->heartbeat_ms
                    : dial_ms > 0   ? dial_ms
                                    : options->launch_ms;
    bool away = member->started || member->came || member->leaving;
    return member->session == NULL && (member->gone || (away && now - member->away_at >= most));
}

static void drop_lost(struct coordinator_job *job, uint64_t now)
{
    struct list_link *head = &job->members, *next;
    for (struct list_link *link = head->next; link != head; link = next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        next = link->next;
        if (!is_lost(member, now))
            continue;
        if (!member->leaving) {
            coordinator_note(job->coordinator, "worker %u %s", member->worker,
                             member->came ? "is lost" : "has not come");
            job->barren++;
        }
        give_up(member);
    }
}

/* ---- Giving back --------------------------------------------------------------------------- */

/* Whether another job has to wait for workers of this one. */
static bool others_wait(const struct coordinator_job *job)
{
    const struct list_link *head = &job->coordinator->jobs;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct coordinator_job *other = LIST_ENTRY(link, struct coordinator_job, link);
        if (other != job && !other->ending && other->present < other->share)
            return true;
    }
    return false;
}

static bool is_idle(const struct member *member)
{
    return !member->used || ledger_load(member->job->ledger, member->worker) == 0;
}

static void let_go(struct member *member)
{
    struct session *session = member->session;
    coordinator_note(member->job->coordinator, "worker %u makes room", member->worker);
    unuse(member);
    member->leaving = true;
    member->away_at = uv_now(member->job->coordinator->loop);
    member->session = NULL;
    if (session == NULL)
        return;
    session->member = NULL;
    coordinator_session_dismiss(session);
    channel_close(session->channel);
}

/* Lets it go now, or when its actors have left it. */
static void retire(struct member *member)
{
    member->retiring = true;
    if (is_idle(member))
        let_go(member);
    else
        ledger_retire(member->job->ledger, member->worker, coordinator_job_now(member->job));
}

static void let_go_retired(struct coordinator_job *job)
{
    struct list_link *head = &job->members;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->retiring && !member->leaving && is_idle(member))
            let_go(member);
    }
}

/* Retires so many of the latest, idle ones or any: what the job began with, such as who reads its input, is
 * on the first ones. Returns how many are left to be found. */
static int retire_some(struct coordinator_job *job, int count, bool idle)
{
    struct list_link *head = &job->members;
    for (struct list_link *link = head->previous; link != head && count > 0;
         link = link->previous) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->retiring || (idle && !is_idle(member)))
            continue;
        retire(member);
        count--;
    }
    return count;
}

static int count_retiring(const struct coordinator_job *job)
{
    const struct list_link *head = &job->members;
    int retiring = 0;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        retiring += LIST_ENTRY(link, struct member, link)->retiring;
    return retiring;
}

static void give_back(struct coordinator_job *job)
{
    let_go_retired(job);
    if (job->present <= job->share || !(job->coordinator->draining || others_wait(job)))
        return;
    int surplus = job->present - count_retiring(job) - job->share;
    surplus = retire_some(job, surplus, true);
    retire_some(job, surplus, false);
}

void crew_tick(struct coordinator_job *job, uint64_t now)
{
    drop_lost(job, now);
    use_spare(job);
    give_back(job);
    fill(job, now);
}

void crew_begin(struct coordinator_job *job)
{
    crew_share(job->coordinator);
    fill(job, uv_now(job->coordinator->loop));
}

void crew_free(struct coordinator_job *job)
{
    while (!list_empty(&job->members)) {
        struct member *member = LIST_ENTRY(job->members.next, struct member, link);
        leave_session(member, "its job is over");
        if (!member->gone)
            engine_kill(job->coordinator->engine, member->worker);
        forget(member);
    }
}
