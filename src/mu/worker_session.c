/* The connection to the coordinator: dialled again and again, and what comes in over it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/worker_private.h"
#include "net/identity.h"

enum {
    HELLO_MS = 10000, /* for each step of getting a connection */
    FIRST_PAUSE_MS = 100,
    LONGEST_PAUSE_MS = 5000,
    LEAST_HEARTBEAT_MS = 50,
    MOST_HEARTBEAT_MS = 60000,
    SILENT_HEARTBEATS = 4,     /* without a word, and the other side is dead */
    CLOSING_MS = 2000,         /* for saying goodbye */
    FIRST_PATIENCE_MS = 30000, /* of one that was never welcomed: its document may be wrong */
    COMPLAINT_MS = 10000,      /* until it says that it has not reached a rendezvous */
};

/* ---- Sending ------------------------------------------------------------------------------- */

void worker_packed_free(struct packed *packed)
{
    free(packed->bytes);
    *packed = (struct packed){0};
}

bool worker_session_pack(struct worker *worker, const Mu__Envelope *envelope, struct packed *packed)
{
    packed->size = mu__envelope__get_packed_size(envelope);
    packed->bytes = malloc(packed->size);
    if (packed->bytes != NULL) {
        mu__envelope__pack(envelope, packed->bytes);
        return true;
    }
    struct error error;
    error_set(&error, -ENOMEM, "out of memory");
    worker_end(worker, &error);
    return false;
}

/* What cannot be sent now is said again on the next connection. */
static void send_bytes(struct worker *worker, const uint8_t *bytes, size_t size)
{
    if (channel_send(worker->channel, bytes, size) < 0)
        channel_abort(worker->channel, "too much waits to be sent");
    else
        worker->spoke_at = uv_now(worker->loop);
}

void worker_session_transmit(struct worker *worker, const struct packed *packed)
{
    if (worker->channel != NULL && worker->welcomed && packed->bytes != NULL)
        send_bytes(worker, packed->bytes, packed->size);
}

static void send_heartbeat(struct worker *worker)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    wire_send(worker->channel, &envelope);
    worker->spoke_at = uv_now(worker->loop);
}

/* ---- Hello --------------------------------------------------------------------------------- */

static size_t list_held(struct worker *worker, Mu__Held *held, Mu__Held **pointers)
{
    size_t count = 0;
    for (struct list_link *link = worker->attempts.next; link != &worker->attempts;
         link = link->next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, link);
        if (attempt->over)
            continue;
        mu__held__init(&held[count]);
        held[count].actor = attempt->actor;
        held[count].attempt = attempt->number;
        held[count].request = attempt->request;
        pointers[count] = &held[count];
        count++;
    }
    return count;
}

static void send_hello(struct worker *worker, Mu__WorkerHello *who)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    who->job = worker->job;
    who->worker = worker->number;
    who->token.data = worker->token;
    who->token.len = worker->token_size;
    who->instance.data = worker->instance;
    who->instance.len = sizeof worker->instance;
    who->slots = worker->slots;
    who->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    who->facts = worker->facts;
    who->epoch = worker->epoch;
    if (worker->dies_at != UINT64_MAX && worker->dies_at > uv_now(worker->loop))
        who->life_ms = worker->dies_at - uv_now(worker->loop);
    hello.protocol = MU_PROTOCOL;
    hello.version = worker->version;
    hello.build = worker->build;
    hello.who_case = MU__HELLO__WHO_WORKER;
    hello.worker = who;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    if (wire_send(worker->channel, &envelope) < 0)
        channel_abort(worker->channel, "cannot say hello");
}

static void on_opened(struct channel *channel, void *opaque)
{
    struct worker *worker = opaque;
    Mu__WorkerHello who = MU__WORKER_HELLO__INIT;
    size_t most = 1;
    for (struct list_link *link = worker->attempts.next; link != &worker->attempts;
         link = link->next)
        most++;
    Mu__Held *held = calloc(most, sizeof *held);
    who.held = calloc(most, sizeof *who.held);
    worker->dial_at = uv_now(worker->loop) + HELLO_MS;
    if (held == NULL || who.held == NULL) {
        channel_abort(channel, "out of memory");
    } else {
        who.n_held = list_held(worker, held, who.held);
        send_hello(worker, &who);
    }
    free(held);
    free(who.held);
}

/* ---- What comes ---------------------------------------------------------------------------- */

static void breach(struct worker *worker, const char *what)
{
    struct error error;
    error_set(&error, -EPROTO, "the coordinator sent %s", what);
    channel_fail(worker->channel, &error);
}

static bool call_valid(const Mu__Call *call)
{
    return call != NULL && call->attempt >= 1 && call->request >= 1 &&
           strlen(call->actor) <= WIRE_NAME_MOST && store_is_key(call->actor) &&
           strchr(call->actor, '/') == NULL;
}

/* All that may not have arrived on earlier connections. */
static void resend(struct worker *worker)
{
    for (struct list_link *link = worker->attempts.next; link != &worker->attempts;
         link = link->next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, link);
        struct activity *current = worker_activity_current(attempt);
        if (attempt->over)
            continue;
        for (struct list_link *sent = attempt->sends.next; sent != &attempt->sends;
             sent = sent->next)
            worker_session_transmit(worker, &LIST_ENTRY(sent, struct outgoing, link)->stored);
        if (current != NULL && current->run != NULL)
            worker_run_resend(current);
        if (!attempt->acknowledged)
            worker_session_transmit(worker, &attempt->outcome);
    }
}

/* Without a connection it is asked on the next one. */
void worker_session_sign(void *opaque, uint64_t question, const struct store_url *what)
{
    struct worker *worker = opaque;
    Mu__Sign sign = MU__SIGN__INIT;
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    sign.question = question;
    sign.key = (char *)what->key;
    sign.attempt = what->attempt;
    if (what->attempt > 0) {
        identity.size = what->identity.size;
        identity.sha256.data = (uint8_t *)what->identity.sha256;
        identity.sha256.len = SHA256_SIZE;
        sign.identity = &identity;
        sign.md5.data = (uint8_t *)what->md5;
        sign.md5.len = STORE_MD5_SIZE;
    }
    envelope.body_case = MU__ENVELOPE__BODY_SIGN;
    envelope.sign = &sign;
    if (worker->channel != NULL && worker->welcomed && wire_send(worker->channel, &envelope) < 0)
        channel_abort(worker->channel, "too much waits to be sent");
}

static void on_signed(struct worker *worker, const Mu__Signed *answer)
{
    struct store *lent = worker->link_store != NULL ? worker->link_store : worker->store;
    store_lent(lent, answer->question, answer->url[0] != '\0' ? answer->url : NULL, answer->error);
}

static void on_welcome(struct worker *worker, const Mu__Welcome *welcome)
{
    if (worker->welcomed) {
        breach(worker, "a second welcome");
        return;
    }
    if (welcome->epoch < worker->epoch) {
        channel_abort(worker->channel, "a coordinator that was replaced");
        return;
    }
    worker->epoch = welcome->epoch;
    worker->heartbeat_ms = welcome->heartbeat_ms;
    if (worker->heartbeat_ms < LEAST_HEARTBEAT_MS)
        worker->heartbeat_ms = LEAST_HEARTBEAT_MS;
    if (worker->heartbeat_ms > MOST_HEARTBEAT_MS)
        worker->heartbeat_ms = MOST_HEARTBEAT_MS;
    worker->welcomed = true;
    worker->suspect = false;
    worker->pause_ms = FIRST_PAUSE_MS;
    resend(worker);
    store_ask_again(worker->link_store != NULL ? worker->link_store : worker->store);
}

/* What could not even be begun. */
static void refuse_request(struct worker *worker, const Mu__Request *request,
                           const struct error *error)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    outcome.call = request->call;
    outcome.result = MU__OUTCOME__RESULT__FAILED;
    outcome.error = (char *)error->message;
    envelope.body_case = MU__ENVELOPE__BODY_OUTCOME;
    envelope.outcome = &outcome;
    if (wire_send(worker->channel, &envelope) < 0)
        channel_abort(worker->channel, "too much waits to be sent");
}

/* Takes the envelope where it returns true. One that came before is not done again. */
static bool on_request(struct worker *worker, Mu__Envelope *envelope)
{
    const Mu__Request *request = envelope->request;
    struct error error;
    if (!call_valid(request->call)) {
        breach(worker, "a request of nobody");
        return false;
    }
    struct attempt *attempt =
        worker_attempt_find(worker, request->call->actor, request->call->attempt);
    if (attempt == NULL)
        attempt = worker_attempt_new(worker, request->call->actor, request->call->attempt, &error);
    if (attempt == NULL) {
        refuse_request(worker, request, &error);
        return false;
    }
    if (request->call->request <= attempt->request) {
        if (request->call->request == attempt->request && worker_activity_current(attempt) == NULL)
            worker_session_transmit(worker, &attempt->outcome);
        return false;
    }
    if (worker_activity_current(attempt) != NULL) {
        breach(worker, "a second request before the first one's outcome");
        return false;
    }
    worker_activity_request(attempt, envelope);
    return true;
}

static bool on_point_request(struct worker *worker, Mu__Envelope *envelope)
{
    const Mu__PointRequest *request = envelope->point_request;
    if (!call_valid(request->call)) {
        breach(worker, "a point of nobody");
        return false;
    }
    struct attempt *attempt =
        worker_attempt_find(worker, request->call->actor, request->call->attempt);
    struct activity *run = attempt != NULL ? worker_activity_current(attempt) : NULL;
    if (run == NULL || run->run == NULL || run->packing || run->request != request->call->request ||
        !worker_run_waits_at(run, request->id))
        return false; /* it is over */
    if (worker_activity_at(attempt, request->id) != NULL)
        return false; /* said twice */
    worker_run_point_asked(run, request->id);
    worker_activity_point(attempt, envelope);
    return true;
}

/* The outcome of a "quit" that has arrived: nothing of the actor is needed any more. */
static void on_acknowledge(struct worker *worker, const Mu__Acknowledge *acknowledge)
{
    struct attempt *attempt =
        call_valid(acknowledge->call)
            ? worker_attempt_find(worker, acknowledge->call->actor, acknowledge->call->attempt)
            : NULL;
    if (attempt == NULL || acknowledge->call->request != attempt->request ||
        attempt->outcome.bytes == NULL || worker_activity_current(attempt) != NULL)
        return;
    attempt->acknowledged = true;
    if (attempt->done)
        worker_attempt_drop(attempt);
}

static void on_drop(struct worker *worker, const Mu__Drop *drop)
{
    struct attempt *attempt = worker_attempt_find(worker, drop->actor, drop->attempt);
    if (attempt != NULL)
        worker_attempt_drop(attempt);
}

static void on_park(struct worker *worker, const Mu__Park *park)
{
    struct attempt *attempt =
        call_valid(park->call) ? worker_attempt_find(worker, park->call->actor, park->call->attempt)
                               : NULL;
    if (attempt != NULL)
        worker_park(attempt, park->call->request, park->point, park->key);
}

static void on_fetch(struct worker *worker, const Mu__Fetch *fetch)
{
    struct label label;
    if (!label_of(&label, fetch->label) || !wire_identity_valid(fetch->identity))
        breach(worker, "a message's copy without its name");
    else
        worker_message_fetch(worker, &label, fetch);
}

static void on_refusal(struct worker *worker, const Mu__Refusal *refusal)
{
    struct error error;
    error_set(&error, -EPERM, "the coordinator refuses this worker: %.900s", refusal->reason);
    worker_end(worker, &error);
}

/* Before the welcome nothing else is due. Returns whether the envelope was taken. */
static bool dispatch(struct worker *worker, Mu__Envelope *envelope)
{
    if (envelope->body_case == MU__ENVELOPE__BODY_REFUSAL) {
        on_refusal(worker, envelope->refusal);
        return false;
    }
    if (envelope->body_case == MU__ENVELOPE__BODY_WELCOME) {
        on_welcome(worker, envelope->welcome);
        return false;
    }
    if (!worker->welcomed) {
        breach(worker, "something before its welcome");
        return false;
    }
    switch (envelope->body_case) {
    case MU__ENVELOPE__BODY_HEARTBEAT:
        return false;
    case MU__ENVELOPE__BODY_REQUEST:
        return on_request(worker, envelope);
    case MU__ENVELOPE__BODY_POINT_REQUEST:
        return on_point_request(worker, envelope);
    case MU__ENVELOPE__BODY_ACKNOWLEDGE:
        on_acknowledge(worker, envelope->acknowledge);
        return false;
    case MU__ENVELOPE__BODY_DROP:
        on_drop(worker, envelope->drop);
        return false;
    case MU__ENVELOPE__BODY_SIGNED:
        on_signed(worker, envelope->signed_);
        return false;
    case MU__ENVELOPE__BODY_FETCH:
        on_fetch(worker, envelope->fetch);
        return false;
    case MU__ENVELOPE__BODY_PARK:
        on_park(worker, envelope->park);
        return false;
    case MU__ENVELOPE__BODY_MAP_OUT:
        messenger_map_out(worker->messenger, envelope->map_out->rendezvous);
        return false;
    case MU__ENVELOPE__BODY_DISMISS:
        worker_end(worker, NULL);
        return false;
    default:
        breach(worker, "what workers are not sent");
        return false;
    }
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct worker *worker = opaque;
    Mu__Envelope *envelope;
    struct error error;
    if (worker->ending)
        return;
    if (wire_read(bytes, size, &envelope, &error) < 0)
        channel_fail(channel, &error);
    else if (!dispatch(worker, envelope))
        wire_free(envelope);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    breach(opaque, "pieces of a message");
}

/* ---- Dialling ------------------------------------------------------------------------------ */

static void dial_later(struct worker *worker)
{
    worker->dial_at = uv_now(worker->loop) + worker->pause_ms;
    worker->pause_ms *= 2;
    if (worker->pause_ms > LONGEST_PAUSE_MS)
        worker->pause_ms = LONGEST_PAUSE_MS;
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct worker *worker = opaque;
    worker->channel = NULL;
    if (worker->welcomed)
        worker->lost_at = uv_now(worker->loop);
    worker->welcomed = false;
    if (!worker->ending && reason != NULL)
        worker->lost_why = *reason;
    dial_later(worker);
    worker_end_on(worker);
}

static void dial(struct worker *worker)
{
    static const struct channel_handlers handlers = {
        .opened = on_opened, .control = on_control, .bulk = on_bulk, .closed = on_closed};
    static const struct stream_limits limits = {.connect = HELLO_MS, .handshake = HELLO_MS};
    char server_name[WIRE_NAME_MOST + 32];
    snprintf(server_name, sizeof server_name, "job-%s.excamera.invalid", worker->job);
    const struct stream_target target = {
        .host = worker->coordinator.host,
        .port = worker->coordinator.port,
        .server_name = server_name,
        .identity = IDENTITY_COORDINATOR,
    };
    worker->dial_at = UINT64_MAX; /* until it is open */
    if (channel_connect(worker->network, worker->tls, &target, &limits, NULL, &handlers, worker,
                        &worker->channel, &worker->lost_why) < 0)
        dial_later(worker);
}

/* ---- The time ------------------------------------------------------------------------------ */

/* Somebody is silent only if that was so when last looked at too: the socket was read in between. */
static void check_silence(struct worker *worker, uint64_t now)
{
    uint64_t heard_at = stream_heard_at(channel_stream(worker->channel));
    bool silent = now - heard_at > SILENT_HEARTBEATS * (uint64_t)worker->heartbeat_ms;
    if (silent && worker->suspect)
        channel_abort(worker->channel, "the coordinator is silent");
    worker->suspect = silent;
}

static void give_up(struct worker *worker)
{
    struct error error = worker->lost_why;
    if (error.code == 0)
        error_set(&error, -ETIMEDOUT, "no answer");
    if (worker->epoch > 0)
        error_prefix(&error, "the coordinator is gone");
    else
        error_prefix(&error, "cannot reach the coordinator at %s:%u", worker->coordinator.host,
                     (unsigned)worker->coordinator.port);
    worker_end(worker, &error);
}

static uint64_t patience_of(const struct worker *worker)
{
    bool first = worker->epoch == 0 && worker->patience_ms > FIRST_PATIENCE_MS;
    return first ? FIRST_PATIENCE_MS : worker->patience_ms;
}

/* Once, if it has not reached a rendezvous: what it was told of that may be wrong. */
static void complain(struct worker *worker, uint64_t now)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Unreachable unreachable = MU__UNREACHABLE__INIT;
    int unmet = messenger_unmet(worker->messenger);
    if (worker->complained || unmet < 0 || now - worker->opened_at < COMPLAINT_MS)
        return;
    worker->complained = true;
    unreachable.rendezvous = (uint32_t)unmet;
    unreachable.reason = (char *)messenger_trouble(worker->messenger);
    envelope.body_case = MU__ENVELOPE__BODY_UNREACHABLE;
    envelope.unreachable = &unreachable;
    if (wire_send(worker->channel, &envelope) < 0)
        channel_abort(worker->channel, "too much waits to be sent");
}

void worker_session_tick(struct worker *worker)
{
    uint64_t now = uv_now(worker->loop);
    if (!worker->ending && now >= worker->dies_at)
        worker_stop(worker, "its time is over");
    if (worker->ending) {
        if (worker->channel != NULL && now >= worker->dial_at)
            channel_abort(worker->channel, NULL);
    } else if (!worker->welcomed && now - worker->lost_at > patience_of(worker)) {
        give_up(worker);
    } else if (worker->channel == NULL) {
        if (now >= worker->dial_at)
            dial(worker);
    } else if (!worker->welcomed) {
        if (now >= worker->dial_at)
            channel_abort(worker->channel, "the coordinator does not say hello");
    } else {
        complain(worker, now);
        check_silence(worker, now);
        if (worker->welcomed && now - worker->spoke_at >= worker->heartbeat_ms / 2)
            send_heartbeat(worker);
    }
}

void worker_session_close(struct worker *worker)
{
    worker->dial_at = uv_now(worker->loop) + CLOSING_MS;
    if (worker->channel == NULL)
        return;
    if (worker->welcomed)
        channel_close(worker->channel);
    else
        channel_abort(worker->channel, NULL);
}
