/* Workers shared among the jobs, and let go when they are wanted elsewhere or are of no more use. */
#include "mu/coordinator_private.h"

/* ---- Sharing ------------------------------------------------------------------------------- */

/* How many workers it could use: no more than it has actors left, or that can do something where waiting is
 * paid for. */
static int demand(const struct coordinator_job *job)
{
    struct ledger_progress progress;
    int most = job->options.workers;
    if (job->ending || !job->ready || job->delivering || job->coordinator->draining)
        return 0;
    ledger_progress(job->ledger, &progress);
    if (progress.actors >= 0 && progress.actors - progress.done < most)
        most = (int)(progress.actors - progress.done);
    if (engine_limits(job->coordinator->engine)->waiting_ms > 0)
        most = ledger_runnable(job->ledger, most);
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
    int left = crew_most(coordinator), jobs = 0;
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
    crew_unuse(member);
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
    coordinator_note(member->job->coordinator, "worker %u makes room", member->worker);
    if (is_idle(member))
        let_go(member);
    else
        ledger_retire(member->job->ledger, member->worker, coordinator_job_now(member->job));
}

void crew_retire(struct coordinator_job *job, uint32_t worker, const char *why)
{
    struct member *member = crew_find(job->coordinator, worker);
    if (member == NULL || member->retiring)
        return;
    member->retiring = true;
    coordinator_note(job->coordinator, "worker %u is to end: %s", worker, why);
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

void crew_give_back(struct coordinator_job *job)
{
    let_go_retired(job);
    if (job->present <= job->share || !(job->coordinator->draining || others_wait(job)))
        return;
    int surplus = job->present - count_retiring(job) - job->share;
    surplus = retire_some(job, surplus, true);
    retire_some(job, surplus, false);
}
