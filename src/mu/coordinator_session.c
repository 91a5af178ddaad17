/* The connections: who comes in, when they have been silent for too long, and whom their messages are for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"

enum { HELLO_MS = 10000 };

/* ---- Saying -------------------------------------------------------------------------------- */

void coordinator_session_say(struct session *session, const Mu__Envelope *envelope)
{
    session->spoke_at = uv_now(session->coordinator->loop);
    if (wire_send(session->channel, envelope) < 0)
        channel_abort(session->channel, "it does not take what is said to it");
}

void coordinator_session_tell(struct coordinator *coordinator, uint32_t worker,
                              const Mu__Envelope *envelope)
{
    struct member *member = crew_find(coordinator, worker);
    if (member != NULL && member->session != NULL)
        coordinator_session_say(member->session, envelope);
}

void coordinator_session_welcome(struct session *session, uint64_t epoch)
{
    Mu__Welcome welcome = MU__WELCOME__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    welcome.epoch = epoch;
    welcome.heartbeat_ms = session->coordinator->options.heartbeat_ms;
    envelope.body_case = MU__ENVELOPE__BODY_WELCOME;
    envelope.welcome = &welcome;
    coordinator_session_say(session, &envelope);
}

void coordinator_session_refuse(struct session *session, const char *reason)
{
    Mu__Refusal refusal = MU__REFUSAL__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    refusal.reason = (char *)reason;
    envelope.body_case = MU__ENVELOPE__BODY_REFUSAL;
    envelope.refusal = &refusal;
    coordinator_note(session->coordinator, "refused %s: %s",
                     stream_address(channel_stream(session->channel)), reason);
    coordinator_session_say(session, &envelope);
    channel_close(session->channel);
}

void coordinator_session_breach(struct session *session, const char *what)
{
    struct error error;
    error_set(&error, -EPROTO, "it sent %s", what);
    coordinator_note(session->coordinator, "cut off %s: %s",
                     stream_address(channel_stream(session->channel)), error.message);
    channel_fail(session->channel, &error);
}

void coordinator_session_dismiss(struct session *session)
{
    Mu__Dismiss dismiss = MU__DISMISS__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_DISMISS;
    envelope.dismiss = &dismiss;
    coordinator_session_say(session, &envelope);
}

/* ---- What comes ---------------------------------------------------------------------------- */

static void on_hello(struct session *session, const Mu__Hello *hello)
{
    if (session->member != NULL || session->submitter)
        coordinator_session_breach(session, "a second hello");
    else if (hello->protocol != MU_PROTOCOL)
        coordinator_session_refuse(session, "it speaks another version of the protocol");
    else if (strcmp(hello->build, session->coordinator->options.build) != 0)
        coordinator_session_refuse(session, "it is another build of the program");
    else if (hello->who_case == MU__HELLO__WHO_WORKER)
        coordinator_worker_hello(session, hello->worker);
    else if (hello->who_case == MU__HELLO__WHO_SUBMITTER)
        coordinator_submitter_hello(session);
    else
        coordinator_session_refuse(session, "only workers and those who hand in jobs come here");
}

static void dispatch(struct session *session, const Mu__Envelope *envelope)
{
    if (envelope->body_case == MU__ENVELOPE__BODY_HELLO)
        on_hello(session, envelope->hello);
    else if (session->member == NULL && !session->submitter)
        coordinator_session_breach(session, "something before its hello");
    else if (envelope->body_case == MU__ENVELOPE__BODY_HEARTBEAT)
        return;
    else if (session->submitter)
        coordinator_submitter_said(session, envelope);
    else
        coordinator_worker_said(session, envelope);
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct session *session = opaque;
    Mu__Envelope *envelope;
    struct error error;
    if (wire_read(bytes, size, &envelope, &error) < 0) {
        channel_fail(channel, &error);
        return;
    }
    dispatch(session, envelope);
    wire_free(envelope);
    if (session->member != NULL)
        coordinator_job_go_on(session->member->job);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    coordinator_session_breach(opaque, "pieces of a message");
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct session *session = opaque;
    struct coordinator *coordinator = session->coordinator;
    if (session->member != NULL) {
        session->member->session = NULL;
        session->member->away_at = uv_now(coordinator->loop);
    }
    list_remove(&session->link);
    free(session);
    coordinator_go_on(coordinator);
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
    struct coordinator *coordinator = opaque;
    const struct network_counters *counters = network_counters(coordinator->network);
    uint64_t refused = 0;
    for (int i = 0; i < TLS_REFUSALS; i++)
        refused += counters->refused[i];
    coordinator_note(coordinator, "refused %s: %s; %" PRIu64 " were refused so far", address,
                     tls_refusal_name(refusal), refused);
}

const struct listener_handlers coordinator_session_listener = {.accepted = on_accepted,
                                                               .refused = on_refused};

/* Silent is who was so when last looked at too: its socket was read in between. */
static void check(struct session *session, uint64_t now)
{
    unsigned beat = session->coordinator->options.heartbeat_ms;
    uint64_t heard_at = stream_heard_at(channel_stream(session->channel));
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    bool known = session->member != NULL || session->submitter;
    bool silent = known ? now > heard_at + COORDINATOR_SILENT * (uint64_t)beat
                        : now > session->since + HELLO_MS;
    if (silent && session->suspect) {
        channel_abort(session->channel, "it is silent");
        return;
    }
    session->suspect = silent;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    if (known && now >= session->spoke_at + beat / 2)
        coordinator_session_say(session, &envelope);
}

void coordinator_session_tick(struct coordinator *coordinator, uint64_t now)
{
    struct list_link *head = &coordinator->sessions;
    for (struct list_link *link = head->next; link != head; link = link->next)
        check(LIST_ENTRY(link, struct session, link), now);
}
