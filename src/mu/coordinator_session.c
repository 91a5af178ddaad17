/* The connections of workers: who is let in, and what they say. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mu/coordinator_private.h"

enum { HELLO_MS = 10000, HEARTBEAT_MS = 1000 };

static unsigned heartbeat(const struct coordinator *coordinator)
{
    return coordinator->options.heartbeat_ms ? coordinator->options.heartbeat_ms : HEARTBEAT_MS;
}

/* ---- Saying -------------------------------------------------------------------------------- */

static void say(struct session *session, const Mu__Envelope *envelope)
{
    session->spoke_at = uv_now(session->coordinator->loop);
    if (wire_send(session->channel, envelope) < 0)
        channel_abort(session->channel, "it does not take what is said to it");
}

void session_say(struct coordinator *coordinator, uint32_t worker, const Mu__Envelope *envelope)
{
    struct member *member = crew_find(coordinator, worker);
    if (member != NULL && member->session != NULL)
        say(member->session, envelope);
}

static void refuse(struct session *session, const char *reason)
{
    Mu__Refusal refusal = MU__REFUSAL__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    refusal.reason = (char *)reason;
    envelope.body_case = MU__ENVELOPE__BODY_REFUSAL;
    envelope.refusal = &refusal;
    coordinator_note(session->coordinator, "refused %s: %s",
                     stream_address(channel_stream(session->channel)), reason);
    say(session, &envelope);
    channel_close(session->channel);
}

static void acknowledge(struct session *session, Mu__Call *call)
{
    Mu__Acknowledge done = MU__ACKNOWLEDGE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    done.call = call;
    envelope.body_case = MU__ENVELOPE__BODY_ACKNOWLEDGE;
    envelope.acknowledge = &done;
    say(session, &envelope);
}

static void drop(struct session *session, const Mu__Held *held)
{
    Mu__Drop order = MU__DROP__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    order.actor = held->actor;
    order.attempt = held->attempt;
    envelope.body_case = MU__ENVELOPE__BODY_DROP;
    envelope.drop = &order;
    say(session, &envelope);
}

/* ---- Hello --------------------------------------------------------------------------------- */

/* Why it is not let in; NULL where it is. */
static const char *check_hello(struct session *session, const Mu__Hello *hello,
                               struct member **member)
{
    struct coordinator *coordinator = session->coordinator;
    char identity[CERTIFICATE_IDENTITY_SIZE];
    if (hello->protocol != MU_PROTOCOL)
        return "it speaks another version of the protocol";
    if (strcmp(hello->build, coordinator->build) != 0)
        return "it is another build of the program";
    if (hello->who_case != MU__HELLO__WHO_WORKER)
        return "only workers come here";
    const Mu__WorkerHello *worker = hello->worker;
    snprintf(identity, sizeof identity, "excamera:job/%s/worker/%u", coordinator->job,
             worker->worker);
    *member = crew_find(coordinator, worker->worker);
    if (strcmp(worker->job, coordinator->job) != 0 || *member == NULL ||
        strcmp(stream_identity(channel_stream(session->channel)), identity) != 0)
        return "its certificate is not that worker's";
    if (worker->token.len != COORDINATOR_TOKEN ||
        CRYPTO_memcmp(worker->token.data, (*member)->token, COORDINATOR_TOKEN) != 0)
        return "it does not know the token of that worker's session";
    if (worker->epoch > coordinator->epoch)
        return "it has obeyed a later coordinator";
    if (coordinator->facts != NULL && strcmp(coordinator->facts, worker->facts) != 0)
        return "what its tasks' results depend on is not as on the job's other workers";
    return NULL;
}

static void say_welcome(struct session *session)
{
    Mu__Welcome welcome = MU__WELCOME__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    welcome.epoch = session->coordinator->epoch;
    welcome.heartbeat_ms = heartbeat(session->coordinator);
    envelope.body_case = MU__ENVELOPE__BODY_WELCOME;
    envelope.welcome = &welcome;
    say(session, &envelope);
}

static void tell_held(struct session *session, const Mu__WorkerHello *hello)
{
    struct ledger *ledger = session->coordinator->ledger;
    for (size_t i = 0; i < hello->n_held; i++) {
        const Mu__Held *held = hello->held[i];
        const struct ledger_call call = {held->actor, held->attempt, held->request};
        if (ledger_holds(ledger, hello->worker, held->actor, held->attempt))
            ledger_held(ledger, hello->worker, &call);
        else
            drop(session, held);
    }
    ledger_held(ledger, hello->worker, NULL);
}

static void on_hello(struct session *session, const Mu__Hello *hello)
{
    struct coordinator *coordinator = session->coordinator;
    struct member *member = NULL;
    const char *why = check_hello(session, hello, &member);
    if (why != NULL) {
        refuse(session, why);
        return;
    }
    if (coordinator->facts == NULL)
        coordinator->facts = strdup(hello->worker->facts);
    if (member->session != NULL) {
        member->session->member = NULL;
        channel_abort(member->session->channel, "it has come again");
    }
    member->session = session;
    session->member = member;
    say_welcome(session);
    tell_held(session, hello->worker);
    if (!member->joined) {
        member->joined = true;
        ledger_joined(coordinator->ledger, member->worker, (int)hello->worker->slots,
                      coordinator_now(coordinator));
    }
}

/* ---- What it says -------------------------------------------------------------------------- */

static bool breach(struct session *session, const char *what)
{
    struct error error;
    error_set(&error, -EPROTO, "a worker sent %s", what);
    channel_fail(session->channel, &error);
    return false;
}

static bool take_call(struct session *session, const Mu__Call *call, struct ledger_call *taken)
{
    if (call == NULL || strlen(call->actor) > WIRE_NAME_MOST)
        return breach(session, "something of nobody");
    *taken = (struct ledger_call){call->actor, call->attempt, call->request};
    /* Only of what is its own. What was ended meanwhile is no breach, and is of no account. */
    return ledger_holds(session->coordinator->ledger, session->member->worker, call->actor,
                        call->attempt);
}

static bool take_identity(const Mu__Identity *identity, struct ledger_identity *taken)
{
    if (!wire_identity_valid(identity))
        return false;
    taken->size = identity->size;
    memcpy(taken->sha256, identity->sha256.data, sizeof taken->sha256);
    return true;
}

static void trace(struct session *session, const struct ledger_call *call,
                  const Mu__Outcome *outcome)
{
    static const char *const names[] = {"ok", "failed", "timeout", "cancelled"};
    struct coordinator *coordinator = session->coordinator;
    struct ledger_view view;
    if (coordinator->options.trace == NULL || !ledger_look(coordinator->ledger, call, &view))
        return;
    int64_t now = coordinator_now(coordinator);
    json_t *line =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                  "job", coordinator->options.job->name, "actor", call->actor, "worker",
                  (json_int_t)view.worker, "attempt", (json_int_t)call->attempt, "request",
                  (json_int_t)call->request, "state", view.state, "kind", job_kind_name(view.kind),
                  "outcome", names[outcome->result < 4 ? outcome->result : 1], "ordered_ms",
                  (json_int_t)view.since, "ended_ms", (json_int_t)now, "started_us",
                  (json_int_t)outcome->started_us, "took_us", (json_int_t)outcome->took_us,
                  "cpu_us", (json_int_t)outcome->cpu_us, "memory", (json_int_t)outcome->memory,
                  "bytes", (json_int_t)(outcome->identity ? outcome->identity->size : 0));
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL)
        coordinator->options.trace(coordinator->options.opaque, text);
    free(text);
    json_decref(line);
}

/* What an outcome says, and the texts that it takes to say that. */
struct said {
    struct ledger_outcome outcome;
    struct ledger_identity identity;
    char reason[WIRE_ERROR_MOST + 64], printed[WIRE_TAIL_MOST + 1];
};

static void take_outcome(const Mu__Outcome *outcome, struct said *said)
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
    bool known = take_identity(outcome->identity, &said->identity);
    said->outcome = (struct ledger_outcome){
        .outcome = outcome->result == MU__OUTCOME__RESULT__OK        ? JOB_OK
                   : outcome->result == MU__OUTCOME__RESULT__TIMEOUT ? JOB_TIMEOUT
                                                                     : JOB_FAILED,
        .content = (const char *)outcome->content.data,
        .length = outcome->content.len,
        .identity = known ? &said->identity : NULL,
        .reason = said->reason,
        .printed = said->printed,
    };
}

static void on_outcome(struct session *session, Mu__Outcome *outcome)
{
    struct coordinator *coordinator = session->coordinator;
    struct ledger_call call;
    struct said said;
    if (outcome->stderr_tail.len > WIRE_TAIL_MOST || outcome->content.len > JOB_MOST_FILE_VALUES) {
        breach(session, "more than it may");
        return;
    }
    bool own = take_call(session, outcome->call, &call);
    if (outcome->call == NULL)
        return;
    if (own) {
        take_outcome(outcome, &said);
        trace(session, &call, outcome);
        ledger_outcome(coordinator->ledger, &call, &said.outcome, coordinator_now(coordinator));
    }
    acknowledge(session, outcome->call);
}

static void on_stored(struct session *session, const Mu__Stored *stored)
{
    struct coordinator *coordinator = session->coordinator;
    struct ledger_identity identity;
    struct ledger_call call;
    if (stored->label == NULL || !take_identity(stored->identity, &identity)) {
        breach(session, "a copy without its name");
        return;
    }
    if (!take_call(session, stored->call, &call) || strcmp(stored->label->from, call.actor) != 0)
        return;
    const struct ledger_label label = {stored->label->from, stored->label->to, stored->label->name};
    ledger_stored(coordinator->ledger, &call, &label, &identity, coordinator_now(coordinator));
}

static void on_point(struct session *session, const Mu__Point *point)
{
    struct coordinator *coordinator = session->coordinator;
    struct ledger_call call;
    if (take_call(session, point->call, &call) && point->id > 0)
        ledger_point(coordinator->ledger, &call, point->id, point->name, point->number,
                     coordinator_now(coordinator));
}

static void on_point_outcome(struct session *session, const Mu__PointOutcome *point)
{
    struct coordinator *coordinator = session->coordinator;
    struct ledger_call call;
    struct said said;
    if (point->outcome == NULL || !take_call(session, point->call, &call))
        return;
    take_outcome(point->outcome, &said);
    ledger_point_outcome(coordinator->ledger, &call, point->id, &said.outcome,
                         coordinator_now(coordinator));
}

static void dispatch(struct session *session, const Mu__Envelope *envelope)
{
    if (session->member == NULL && envelope->body_case != MU__ENVELOPE__BODY_HELLO) {
        breach(session, "something before its hello");
        return;
    }
    switch (envelope->body_case) {
    case MU__ENVELOPE__BODY_HELLO:
        if (session->member == NULL)
            on_hello(session, envelope->hello);
        else
            breach(session, "a second hello");
        break;
    case MU__ENVELOPE__BODY_HEARTBEAT:
        break;
    case MU__ENVELOPE__BODY_OUTCOME:
        on_outcome(session, envelope->outcome);
        break;
    case MU__ENVELOPE__BODY_STORED:
        on_stored(session, envelope->stored);
        break;
    case MU__ENVELOPE__BODY_POINT:
        on_point(session, envelope->point);
        break;
    case MU__ENVELOPE__BODY_POINT_OUTCOME:
        on_point_outcome(session, envelope->point_outcome);
        break;
    default:
        breach(session, "what coordinators are not sent");
    }
}

static void say_dismiss(struct session *session)
{
    Mu__Dismiss dismiss = MU__DISMISS__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_DISMISS;
    envelope.dismiss = &dismiss;
    say(session, &envelope);
}

/* One that comes when all is over. */
static void dismiss_late(struct session *session)
{
    if (session->member != NULL)
        return;
    say_welcome(session);
    say_dismiss(session);
    channel_close(session->channel);
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct session *session = opaque;
    struct coordinator *coordinator = session->coordinator;
    Mu__Envelope *envelope;
    struct error error;
    if (coordinator->ending) {
        dismiss_late(session);
        return;
    }
    if (wire_read(bytes, size, &envelope, &error) < 0) {
        channel_fail(channel, &error);
        return;
    }
    dispatch(session, envelope);
    wire_free(envelope);
    coordinator_go_on(coordinator);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    breach(opaque, "pieces of a message");
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct session *session = opaque;
    if (session->member != NULL) {
        session->member->session = NULL;
        session->member->away_at = uv_now(session->coordinator->loop);
    }
    list_remove(&session->link);
    free(session);
}

/* ---- Coming in, and time ------------------------------------------------------------------- */

static void on_accepted(struct listener *listener, void *opaque, struct stream *stream)
{
    static const struct channel_handlers handlers = {
        .control = on_control, .bulk = on_bulk, .closed = on_closed};
    struct coordinator *coordinator = opaque;
    struct session *session = calloc(1, sizeof *session);
    struct error error;
    if (session == NULL) {
        stream_abort(stream, NULL);
        return;
    }
    session->coordinator = coordinator;
    session->since = session->spoke_at = uv_now(coordinator->loop);
    if (channel_accept(stream, NULL, &handlers, session, &session->channel, &error) < 0) {
        free(session);
        return;
    }
    list_append(&coordinator->sessions, &session->link);
}

static void on_refused(struct listener *listener, void *opaque, const char *address,
                       enum tls_refusal refusal, const struct error *error)
{
    coordinator_note(opaque, "refused %s: %s", address, tls_refusal_name(refusal));
}

const struct listener_handlers session_listener = {.accepted = on_accepted, .refused = on_refused};

/* Silent is who was so when last looked at too: its socket was read in between. */
static void check(struct session *session, uint64_t now)
{
    unsigned beat = heartbeat(session->coordinator);
    uint64_t heard_at = stream_heard_at(channel_stream(session->channel));
    Mu__Heartbeat heartbeat_message = MU__HEARTBEAT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    bool silent = session->member != NULL ? now > heard_at + COORDINATOR_SILENT * (uint64_t)beat
                                          : now > session->since + HELLO_MS;
    if (silent && session->suspect) {
        channel_abort(session->channel, "it is silent");
        return;
    }
    session->suspect = silent;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat_message;
    if (session->member != NULL && now >= session->spoke_at + beat / 2)
        say(session, &envelope);
}

void sessions_tick(struct coordinator *coordinator, uint64_t now)
{
    struct list_link *head = &coordinator->sessions;
    for (struct list_link *link = head->next; link != head; link = link->next)
        check(LIST_ENTRY(link, struct session, link), now);
}

void sessions_dismiss(struct coordinator *coordinator)
{
    struct list_link *head = &coordinator->sessions;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->member != NULL)
            say_dismiss(session);
    }
}
