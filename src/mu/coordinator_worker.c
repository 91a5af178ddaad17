/* What workers say. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mu/coordinator_private.h"

/* ---- Hello --------------------------------------------------------------------------------- */

static bool is_member(const struct session *session, const struct member *member,
                      const Mu__WorkerHello *hello)
{
    const struct stream *stream = channel_stream(session->channel);
    char identity[CERTIFICATE_IDENTITY_SIZE], job_name[RENDEZVOUS_NAME_SIZE];
    if (member == NULL || strcmp(hello->job, member->job->name) != 0 ||
        !rendezvous_job_name(job_name, member->job->name))
        return false;
    snprintf(identity, sizeof identity, "excamera:job/%s/worker/%u", member->job->name,
             member->worker);
    return strcmp(stream_identity(stream), identity) == 0 &&
           strcmp(stream_server_name(stream), job_name) == 0;
}

/* Whether it is the process that came first: an engine may have started two. */
static bool is_instance(const struct member *member, const ProtobufCBinaryData *instance)
{
    return instance->len == member->instance_size &&
           (instance->len == 0 || memcmp(instance->data, member->instance, instance->len) == 0);
}

/* Why it is not let in; NULL where it is. */
static const char *check_hello(const struct session *session, const Mu__WorkerHello *hello,
                               const struct member *member)
{
    if (!is_member(session, member, hello))
        return "its certificate is not that of a worker who is expected";
    if (hello->token.len != COORDINATOR_TOKEN ||
        CRYPTO_memcmp(hello->token.data, member->token, COORDINATOR_TOKEN) != 0)
        return "it does not know the token of that worker's session";
    if (hello->instance.len > COORDINATOR_INSTANCE ||
        (member->came && !is_instance(member, &hello->instance)))
        return "another process has come as that worker";
    if (hello->epoch > member->job->epoch)
        return "it has obeyed a later coordinator";
    if (member->job->facts != NULL && strcmp(member->job->facts, hello->facts) != 0)
        return "what its tasks' results depend on is not as on the job's other workers";
    return NULL;
}

static void say_drop(struct session *session, const Mu__Held *held)
{
    Mu__Drop order = MU__DROP__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    order.actor = held->actor;
    order.attempt = held->attempt;
    envelope.body_case = MU__ENVELOPE__BODY_DROP;
    envelope.drop = &order;
    coordinator_session_say(session, &envelope);
}

static void tell_held(struct session *session, const Mu__WorkerHello *hello)
{
    struct ledger *ledger = session->member->job->ledger;
    for (size_t i = 0; i < hello->n_held; i++) {
        const Mu__Held *held = hello->held[i];
        const struct ledger_call call = {held->actor, held->attempt, held->request};
        if (ledger_holds(ledger, hello->worker, held->actor, held->attempt))
            ledger_held(ledger, hello->worker, &call);
        else
            say_drop(session, held);
    }
    ledger_held(ledger, hello->worker, NULL);
}

/* One that comes when all is over. */
static void dismiss_late(struct session *session, const struct coordinator_job *job)
{
    coordinator_session_welcome(session, job->epoch);
    coordinator_session_dismiss(session);
    channel_close(session->channel);
}

/* A line of the trace: what has come of a request, or a worker that has come, with the time when it was asked
 * for. */
struct traced {
    const char *actor, *state, *kind, *outcome;
    uint32_t worker;
    int64_t attempt, request, since;
    uint64_t started_us, took_us, cpu_us, memory, bytes;
};

static void write_trace(const struct coordinator_job *job, const struct traced *traced)
{
    json_t *line = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "job",
        job->options.job->name, "actor", traced->actor, "worker", (json_int_t)traced->worker,
        "attempt", (json_int_t)traced->attempt, "request", (json_int_t)traced->request, "state",
        traced->state, "kind", traced->kind, "outcome", traced->outcome, "ordered_ms",
        (json_int_t)traced->since, "ended_ms", (json_int_t)coordinator_job_now(job), "started_us",
        (json_int_t)traced->started_us, "took_us", (json_int_t)traced->took_us, "cpu_us",
        (json_int_t)traced->cpu_us, "memory", (json_int_t)traced->memory, "bytes",
        (json_int_t)traced->bytes);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL)
        job->options.trace(job->options.opaque, text);
    free(text);
    json_decref(line);
}

static void trace_coming(const struct member *member)
{
    const struct traced traced = {
        .actor = "",
        .state = "",
        .kind = "come",
        .outcome = "ok",
        .worker = member->worker,
        .since = (int64_t)member->asked_at,
    };
    if (member->job->options.trace != NULL)
        write_trace(member->job, &traced);
}

void coordinator_worker_hello(struct session *session, const Mu__WorkerHello *hello)
{
    struct member *member = crew_find(session->coordinator, hello->worker);
    const char *why = check_hello(session, hello, member);
    if (why != NULL) {
        coordinator_session_refuse(session, why);
        return;
    }
    if (member->job->ending || member->leaving) {
        dismiss_late(session, member->job);
        return;
    }
    if (member->job->facts == NULL)
        member->job->facts = strdup(hello->facts);
    if (member->session != NULL) {
        member->session->member = NULL;
        channel_abort(member->session->channel, "it has come again");
    }
    member->session = session;
    session->member = member;
    coordinator_session_welcome(session, member->job->epoch);
    coordinator_tell_mapped_out(session);
    tell_held(session, hello);
    if (!member->came) {
        member->instance_size = hello->instance.len;
        if (hello->instance.len > 0)
            memcpy(member->instance, hello->instance.data, hello->instance.len);
        trace_coming(member);
        crew_came(member, (int)hello->slots, hello->life_ms);
    }
}

/* ---- What it says -------------------------------------------------------------------------- */

static bool take_call(struct session *session, const Mu__Call *call, struct ledger_call *taken)
{
    if (call == NULL || strlen(call->actor) > WIRE_NAME_MOST) {
        coordinator_session_breach(session, "something of nobody");
        return false;
    }
    *taken = (struct ledger_call){call->actor, call->attempt, call->request};
    /* Only of what is its own. What was ended meanwhile is no breach, and is of no account. */
    return ledger_holds(session->member->job->ledger, session->member->worker, call->actor,
                        call->attempt);
}

static bool take_identity(const Mu__Identity *identity, bool unsummed,
                          struct ledger_identity *taken)
{
    if (!(unsummed ? wire_object_valid(identity) : wire_identity_valid(identity)))
        return false;
    *taken =
        (struct ledger_identity){.size = identity->size, .unsummed = identity->sha256.len == 0};
    if (!taken->unsummed)
        memcpy(taken->sha256, identity->sha256.data, sizeof taken->sha256);
    return true;
}

static void trace(struct session *session, const struct ledger_call *call,
                  const Mu__Outcome *outcome)
{
    static const char *const names[] = {"ok", "failed", "timeout", "cancelled", "parked"};
    struct coordinator_job *job = session->member->job;
    struct ledger_view view;
    if (job->options.trace == NULL || !ledger_look(job->ledger, call, &view))
        return;
    const struct traced traced = {
        .actor = call->actor,
        .state = view.state,
        .kind = job_kind_name(view.kind),
        .outcome = names[outcome->result < 5 ? outcome->result : 1],
        .worker = view.worker,
        .attempt = call->attempt,
        .request = (int64_t)call->request,
        .since = view.since,
        .started_us = outcome->started_us,
        .took_us = outcome->took_us,
        .cpu_us = outcome->cpu_us,
        .memory = outcome->memory,
        .bytes = outcome->identity ? outcome->identity->size : 0,
    };
    write_trace(job, &traced);
}

/* What an outcome says, and the texts that it takes to say that. */
struct said {
    struct ledger_outcome outcome;
    struct ledger_identity identity;
    char reason[WIRE_ERROR_MOST + 64], printed[WIRE_TAIL_MOST + 1];
};

static void take_outcome(const struct coordinator_job *job, const Mu__Outcome *outcome,
                         struct said *said)
{
    size_t length = outcome->stderr_tail.len;
    snprintf(said->reason, sizeof said->reason, "%.*s", WIRE_ERROR_MOST, outcome->error);
    if (outcome->error[0] == '\0' && outcome->exit_status > 0)
        snprintf(said->reason, sizeof said->reason, "it exited with status %d",
                 (int)outcome->exit_status);
    else if (outcome->error[0] == '\0' && outcome->exit_status < 0)
        snprintf(said->reason, sizeof said->reason, "it was ended by signal %d",
                 -(int)outcome->exit_status);
    if (length > WIRE_TAIL_MOST)
        length = WIRE_TAIL_MOST;
    snprintf(said->printed, sizeof said->printed, "%.*s", (int)length,
             length > 0 ? (const char *)outcome->stderr_tail.data : "");
    bool known = take_identity(outcome->identity, job->one_machine, &said->identity);
    said->outcome = (struct ledger_outcome){
        .outcome = outcome->result == MU__OUTCOME__RESULT__OK        ? JOB_OK
                   : outcome->result == MU__OUTCOME__RESULT__TIMEOUT ? JOB_TIMEOUT
                                                                     : JOB_FAILED,
        .cancelled = outcome->result == MU__OUTCOME__RESULT__CANCELLED,
        .content = (const char *)outcome->content.data,
        .length = outcome->content.len,
        .identity = known ? &said->identity : NULL,
        .took_ms = (int64_t)(outcome->took_us / 1000),
        .reason = said->reason,
        .printed = said->printed,
    };
}

static void say_acknowledge(struct session *session, Mu__Call *call)
{
    Mu__Acknowledge done = MU__ACKNOWLEDGE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    done.call = call;
    envelope.body_case = MU__ENVELOPE__BODY_ACKNOWLEDGE;
    envelope.acknowledge = &done;
    coordinator_session_say(session, &envelope);
}

static void on_outcome(struct session *session, Mu__Outcome *outcome)
{
    struct coordinator_job *job = session->member->job;
    struct ledger_call call;
    struct said said = {.reason = ""};
    if (outcome->stderr_tail.len > WIRE_TAIL_MOST || outcome->content.len > JOB_MOST_FILE_VALUES) {
        coordinator_session_breach(session, "more than it may");
        return;
    }
    bool own = take_call(session, outcome->call, &call);
    if (outcome->call == NULL)
        return;
    if (own) {
        take_outcome(job, outcome, &said);
        trace(session, &call, outcome);
        if (outcome->result == MU__OUTCOME__RESULT__PARKED && said.outcome.identity != NULL)
            ledger_parked(job->ledger, &call, said.outcome.identity, coordinator_job_now(job));
        else
            ledger_outcome(job->ledger, &call, &said.outcome, coordinator_job_now(job));
    }
    say_acknowledge(session, outcome->call);
}

static void on_stored(struct session *session, const Mu__Stored *stored)
{
    struct coordinator_job *job = session->member->job;
    struct ledger_identity identity;
    struct ledger_call call;
    if (stored->label == NULL || !take_identity(stored->identity, false, &identity)) {
        coordinator_session_breach(session, "a copy without its name");
        return;
    }
    if (!take_call(session, stored->call, &call) || strcmp(stored->label->from, call.actor) != 0)
        return;
    const struct ledger_label label = {stored->label->from, stored->label->to, stored->label->name};
    ledger_stored(job->ledger, &call, &label, &identity, coordinator_job_now(job));
}

static void on_point(struct session *session, const Mu__Point *point)
{
    struct coordinator_job *job = session->member->job;
    struct ledger_call call;
    if (take_call(session, point->call, &call) && point->id > 0)
        ledger_point(job->ledger, &call, point->id, point->name, point->number,
                     coordinator_job_now(job));
}

static void on_point_outcome(struct session *session, const Mu__PointOutcome *point)
{
    struct coordinator_job *job = session->member->job;
    struct ledger_call call;
    struct said said = {.reason = ""};
    if (point->outcome == NULL || !take_call(session, point->call, &call))
        return;
    take_outcome(session->member->job, point->outcome, &said);
    ledger_point_outcome(job->ledger, &call, point->id, &said.outcome, coordinator_job_now(job));
}

void coordinator_worker_said(struct session *session, const Mu__Envelope *envelope)
{
    if (session->member->job->ending)
        return;
    switch (envelope->body_case) {
    case MU__ENVELOPE__BODY_OUTCOME:
        on_outcome(session, envelope->outcome);
        break;
    case MU__ENVELOPE__BODY_STORED:
        on_stored(session, envelope->stored);
        break;
    case MU__ENVELOPE__BODY_SIGN:
        coordinator_sign(session, envelope->sign);
        break;
    case MU__ENVELOPE__BODY_POINT:
        on_point(session, envelope->point);
        break;
    case MU__ENVELOPE__BODY_POINT_OUTCOME:
        on_point_outcome(session, envelope->point_outcome);
        break;
    case MU__ENVELOPE__BODY_UNREACHABLE:
        coordinator_place_unreachable(session, envelope->unreachable);
        break;
    default:
        coordinator_session_breach(session, "what coordinators are not sent");
    }
}
