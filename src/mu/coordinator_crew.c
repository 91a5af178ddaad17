/*
 * The workers: started as many as wanted, replaced when they are lost or do not come.
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

/* After some have not come: twice as long each time, until one does. */
enum { FIRST_PAUSE_MS = 250, LONGEST_PAUSE_MS = 30000 };

/* Of which none has come, for each that is wanted, at least and at most: nobody ever will. */
enum { MISSED_EACH = 3, MISSED_LEAST = 6, MISSED_MOST = 24 };

/* One that was started comes within this time, as a rule. */
enum { EXPECTED_MS = 3000 };

/* A worker's commands should have ended this long before it is ended by force, for what they made must be taken
 * away: an eighth of its time, but at least and at most so long. */
enum { MARGIN_PART = 8, LEAST_MARGIN_MS = 2000, MOST_MARGIN_MS = 60000 };

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

/* Workers that run, of all jobs. */
static int count_all(const struct coordinator *coordinator)
{
    const struct list_link *head = &coordinator->jobs;
    int present = 0;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        present += LIST_ENTRY(link, struct coordinator_job, link)->present;
    return present;
}

int crew_most(const struct coordinator *coordinator)
{
    int chosen = coordinator->options.workers, most = engine_limits(coordinator->engine)->workers;
    return chosen == 0 || (most > 0 && most < chosen) ? most : chosen;
}

int crew_running(const struct coordinator_job *job)
{
    const struct list_link *head = &job->members;
    int running = 0;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        running += member->counted && member->started;
    }
    return running;
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
    member->asked_at = member->away_at = uv_now(coordinator->loop);
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
    int most = crew_most(coordinator);
    int room = most > 0 ? most - count_all(coordinator) : INT_MAX;
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

/* When its commands should have ended, in the ledger's time; 0: they need not. */
static int64_t commands_until(const struct member *member)
{
    uint64_t margin = member->life_ms / MARGIN_PART;
    if (member->life_ms == 0)
        return 0;
    margin = margin < LEAST_MARGIN_MS ? LEAST_MARGIN_MS : margin;
    margin = margin > MOST_MARGIN_MS ? MOST_MARGIN_MS : margin;
    return member->ends_at > margin ? (int64_t)(member->ends_at - margin) : 1;
}

static void use(struct member *member)
{
    struct coordinator_job *job = member->job;
    member->used = true;
    job->used++;
    ledger_joined(job->ledger, member->worker, member->slots, commands_until(member),
                  coordinator_job_now(job));
}

/* Tells the ledger how many are on their way, as far as they will be used. */
static void expect(struct coordinator_job *job, uint64_t now)
{
    const struct list_link *head = &job->members;
    int most = job->options.workers - job->used, coming = 0;
    for (const struct list_link *link = head->next; link != head && coming < most;
         link = link->next) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        coming += !member->came && !member->gone && now - member->away_at < EXPECTED_MS;
    }
    ledger_expect(job->ledger, coming * job->options.slots);
}

void crew_came(struct member *member, int slots, uint64_t life_ms)
{
    struct coordinator_job *job = member->job;
    uint64_t now = uv_now(job->coordinator->loop);
    member->came = job->came = true;
    member->slots = slots;
    member->life_ms = life_ms;
    member->ends_at = life_ms > 0 ? now + life_ms : 0;
    job->missed = 0;
    job->pause_ms = 0;
    expect(job, now);
    if (job->used < job->options.workers)
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

void crew_unuse(struct member *member)
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
    crew_unuse(member);
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
    member->job->starts++;
    if (!member->came)
        member->away_at = uv_now(member->job->coordinator->loop);
}

/* What was started as `worker` is gone; NULL where that is of no account, since nobody knows it or the job
 * ends. */
static struct member *gone(struct coordinator *coordinator, uint32_t worker)
{
    struct member *member = crew_find(coordinator, worker);
    if (member == NULL)
        return NULL;
    member->gone = true;
    if (!member->job->ending)
        return member;
    crew_uncount(member);
    return NULL;
}

/* A job that has no worker at all need not wait for somebody to mend it. */
void crew_refused(void *opaque, uint32_t worker, const struct error *reason)
{
    struct member *member = gone(opaque, worker);
    if (member == NULL)
        return;
    struct coordinator_job *job = member->job;
    forget(member);
    if (job->used == 0)
        coordinator_job_fail(job, reason);
    else
        not_started(job, reason);
}

/* One has not come: the next ones are started later. */
static void miss(struct coordinator_job *job, const char *how)
{
    uint64_t now = uv_now(job->coordinator->loop);
    unsigned most = MISSED_EACH * (unsigned)job->share;
    struct coordinator_place place = coordinator_advertised(job->coordinator);
    struct error error;
    most = most > MISSED_MOST ? MISSED_MOST : most < MISSED_LEAST ? MISSED_LEAST : most;
    if (how != NULL)
        snprintf(job->last_words, sizeof job->last_words, "; the last one %s", how);
    job->missed++;
    if (!job->came && job->missed >= most) {
        error_set(&error, -ECHILD,
                  "none of the %u workers that were started has come; they were to dial %s:%u%s",
                  job->missed, place.host, (unsigned)place.port, job->last_words);
        coordinator_job_fail(job, &error);
    }
    if (now < job->launch_at)
        return; /* another one of that time */
    job->pause_ms = job->pause_ms > 0 ? 2 * job->pause_ms : FIRST_PAUSE_MS;
    if (job->pause_ms > LONGEST_PAUSE_MS)
        job->pause_ms = LONGEST_PAUSE_MS;
    job->launch_at = now + job->pause_ms;
}

static bool is_over(const struct member *member, uint64_t now)
{
    return member->ends_at > 0 && now >= member->ends_at;
}

void crew_ended(void *opaque, uint32_t worker, const char *how)
{
    struct member *member = gone(opaque, worker);
    if (member == NULL)
        return;
    struct coordinator_job *job = member->job;
    if (!member->leaving)
        coordinator_note(opaque, "worker %u %s", worker, how);
    if (member->session !=
        NULL) /* what was started once more goes on, or else ends its connection */
        return;
    job->barren += !member->leaving && !is_over(member, uv_now(job->coordinator->loop));
    if (!member->came)
        miss(job, how);
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
    bool ended = member->gone || is_over(member, now);
    return member->session == NULL && (ended || (away && now - member->away_at >= most));
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
                             is_over(member, now) ? "has come to the end of its time"
                             : member->came       ? "is lost"
                                                  : "has not come");
            job->barren += !is_over(member, now);
        }
        if (!member->came && !member->leaving)
            miss(job, NULL);
        give_up(member);
    }
}

/* ---- As a whole ----------------------------------------------------------------------------- */

void crew_tick(struct coordinator_job *job, uint64_t now)
{
    drop_lost(job, now);
    use_spare(job);
    expect(job, now);
    crew_give_back(job);
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
