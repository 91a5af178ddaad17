/* Who may speak to the rendezvous, and what controllers say: jobs and their workers' CAs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/rendezvous_private.h"
#include "net/identity.h"

#define JOB_PREFIX "job-"
#define NAME_SUFFIX ".excamera.invalid"

/* ---- names --------------------------------------------------------------------------------- */

static bool job_name_valid(const char *job)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    size_t length = strnlen(job, WIRE_NAME_MOST + 1);
    return length > 0 && length <= WIRE_NAME_MOST && strspn(job, allowed) == length;
}

bool rendezvous_job_name(char name[RENDEZVOUS_NAME_SIZE], const char *job)
{
    if (!job_name_valid(job))
        return false;
    snprintf(name, RENDEZVOUS_NAME_SIZE, JOB_PREFIX "%s" NAME_SUFFIX, job);
    return true;
}

struct job_room *rendezvous_job(struct rendezvous *rendezvous, const char *name)
{
    struct hash_link *link = hash_first(&rendezvous->jobs, hash_text(HASH_BEGIN, name));
    for (; link != NULL; link = hash_next(link)) {
        struct job_room *job = HASH_ENTRY(link, struct job_room, link);
        if (strcmp(job->name, name) == 0)
            return job;
    }
    return NULL;
}

bool rendezvous_control_find_domain(struct rendezvous *rendezvous, const char *server_name,
                                    struct job_room **job)
{
    char name[WIRE_NAME_MOST + 1];
    size_t length = strlen(server_name), around = strlen(JOB_PREFIX NAME_SUFFIX);
    *job = NULL;
    if (strcmp(server_name, DOMAIN_DEPLOYMENT) == 0)
        return true;
    if (length <= around || length - around > WIRE_NAME_MOST ||
        strncmp(server_name, JOB_PREFIX, strlen(JOB_PREFIX)) != 0 ||
        strcmp(server_name + length - strlen(NAME_SUFFIX), NAME_SUFFIX) != 0)
        return false;
    memcpy(name, server_name + strlen(JOB_PREFIX), length - around);
    name[length - around] = '\0';
    *job = rendezvous_job(rendezvous, name);
    return *job != NULL;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static void release_job(struct job_room *job)
{
    hash_release(&job->messages);
    tls_domain_free(job->domain);
    free(job->name);
    free(job->ca);
    free(job);
}

static struct job_room *new_job(struct rendezvous *rendezvous, const char *name,
                                const struct certificate *ca, struct error *error)
{
    struct job_room *job = calloc(1, sizeof *job);
    if (job == NULL) {
        error_set(error, -ENOMEM, "out of memory");
        return NULL;
    }
    job->rendezvous = rendezvous;
    list_init(&job->connections);
    if ((job->name = strdup(name)) == NULL) {
        error_set(error, -ENOMEM, "out of memory");
    } else if (certificate_write(ca, false, &job->ca, error) == 0 &&
               tls_domain_new(rendezvous->own, ca, &job->domain, error) == 0) {
        if (hash_insert(&rendezvous->jobs, &job->link, hash_text(HASH_BEGIN, name)) == 0)
            return job;
        error_set(error, -ENOMEM, "out of memory");
    }
    release_job(job);
    return NULL;
}

static int check_same_ca(const struct job_room *job, const struct certificate *ca,
                         struct error *error)
{
    char *pem;
    int code = certificate_write(ca, false, &pem, error);
    if (code < 0)
        return code;
    if (strcmp(pem, job->ca) != 0)
        code =
            error_set(error, -EEXIST, "job %s is here already, with another authority", job->name);
    certificate_forget(pem);
    return code;
}

int rendezvous_register(struct rendezvous *rendezvous, const char *name,
                        const struct certificate *ca, struct error *error)
{
    if (!job_name_valid(name))
        return error_set(error, -EINVAL, "a job cannot be called '%.80s'", name);
    struct job_room *job = rendezvous_job(rendezvous, name);
    if (job != NULL)
        return check_same_ca(job, ca, error);
    job = new_job(rendezvous, name, ca, error);
    if (job == NULL)
        return error->code;
    job->own = true;
    rendezvous->counters.jobs++;
    return 0;
}

void rendezvous_job_free(struct job_room *job)
{
    while (!list_empty(&job->connections)) {
        struct connection *connection =
            LIST_ENTRY(job->connections.next, struct connection, of_job);
        connection->over = true;
        rendezvous_messages_leave(connection);
        list_remove(&connection->of_job);
        connection->job = NULL;
        channel_abort(connection->channel, "its job is over");
    }
    rendezvous_messages_forget(job, NULL);
    hash_remove(&job->rendezvous->jobs, &job->link);
    job->rendezvous->counters.jobs--;
    release_job(job);
}

void rendezvous_unregister(struct rendezvous *rendezvous, const char *name)
{
    struct job_room *job = rendezvous_job(rendezvous, name);
    if (job != NULL)
        rendezvous_job_free(job);
}

void rendezvous_forget(struct rendezvous *rendezvous, const char *name, const char *actor)
{
    struct job_room *job = rendezvous_job(rendezvous, name);
    if (job != NULL)
        rendezvous_messages_forget(job, actor);
}

/* ---- hello --------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
refuse(struct connection *connection, const char *format, ...)
{
    char sentence[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    Mu__Refusal refusal = MU__REFUSAL__INIT;
    refusal.reason = sentence;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_REFUSAL;
    envelope.refusal = &refusal;
    rendezvous_connection_send(connection, &envelope);
    if (connection->over)
        return;
    connection->over = true;
    connection->rendezvous->counters.cut_off++;
    rendezvous_connection_note(connection, sentence);
    channel_close(connection->channel);
}

static void welcome(struct connection *connection, enum connection_kind kind)
{
    Mu__Welcome welcome = MU__WELCOME__INIT;
    welcome.epoch = connection->rendezvous->epoch;
    welcome.heartbeat_ms = connection->rendezvous->heartbeat_ms;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_WELCOME;
    envelope.welcome = &welcome;
    connection->kind = kind;
    connection->rendezvous->counters.connections++;
    rendezvous_connection_send(connection, &envelope);
}

/* A worker that comes again has lost its earlier connection, whether we have noticed or not. */
static void replace_worker(struct connection *connection)
{
    struct list_link *link = connection->job->connections.next;
    for (; link != &connection->job->connections; link = link->next) {
        struct connection *other = LIST_ENTRY(link, struct connection, of_job);
        if (other != connection && other->kind == CONNECTION_WORKER &&
            other->worker == connection->worker && !other->over) {
            other->over = true;
            channel_abort(other->channel, "its worker has come again");
        }
    }
}

static void join(struct connection *connection, const Mu__JoinHello *join)
{
    char identity[CERTIFICATE_IDENTITY_SIZE];
    struct stream *stream = channel_stream(connection->channel);
    struct job_room *job = connection->job;
    if (job == NULL || strcmp(join->job, job->name) != 0) {
        refuse(connection, "job %.80s is not the one that was dialled", join->job);
        return;
    }
    snprintf(identity, sizeof identity, "excamera:job/%s/worker/%u", job->name, join->worker);
    if (strcmp(identity, stream_identity(stream)) != 0) {
        refuse(connection, "the certificate of %s is not that of worker %u of job %s",
               stream_identity(stream), join->worker, job->name);
        return;
    }
    connection->worker = join->worker;
    replace_worker(connection);
    welcome(connection, CONNECTION_WORKER);
}

/* Ends the controllers that a newer one has taken the place of. */
static void replace_controllers(struct rendezvous *rendezvous)
{
    struct list_link *link = rendezvous->connections.next, *next;
    for (; link != &rendezvous->connections; link = next) {
        struct connection *other = LIST_ENTRY(link, struct connection, all);
        next = link->next;
        if (other->kind == CONNECTION_CONTROL && other->epoch < rendezvous->epoch && !other->over)
            refuse(other, "a coordinator of epoch %llu is here, so that of %llu must go",
                   (unsigned long long)rendezvous->epoch, (unsigned long long)other->epoch);
    }
}

static void take_control(struct connection *connection, const Mu__ControlHello *control)
{
    struct stream *stream = channel_stream(connection->channel);
    struct rendezvous *rendezvous = connection->rendezvous;
    bool theirs = strcmp(stream_server_name(stream), DOMAIN_DEPLOYMENT) == 0 &&
                  strcmp(stream_identity(stream), IDENTITY_COORDINATOR) == 0;
    if (!theirs) {
        refuse(connection, "the certificate of %s is not a coordinator's", stream_identity(stream));
        return;
    }
    if (control->epoch < rendezvous->epoch) {
        refuse(connection, "a coordinator of epoch %llu has been here, so that of %llu must go",
               (unsigned long long)rendezvous->epoch, (unsigned long long)control->epoch);
        return;
    }
    rendezvous->epoch = connection->epoch = control->epoch;
    connection->number = rendezvous->counters.connections + 1;
    replace_controllers(rendezvous);
    welcome(connection, CONNECTION_CONTROL);
}

static void take_hello(struct connection *connection, const Mu__Hello *hello)
{
    if (hello->protocol != MU_PROTOCOL)
        refuse(connection, "it speaks version %u of the protocol; here it is version %d",
               hello->protocol, MU_PROTOCOL);
    else if (hello->who_case == MU__HELLO__WHO_JOIN)
        join(connection, hello->join);
    else if (hello->who_case == MU__HELLO__WHO_CONTROL)
        take_control(connection, hello->control);
    else
        rendezvous_connection_fail(connection, -EPROTO, "a hello that says nothing of use here");
}

/* ---- envelopes ----------------------------------------------------------------------------- */

/* A coordinator that was started again may have made new keys for a job that goes on. */
static int register_for(struct connection *connection, const char *name,
                        const struct certificate *ca, struct error *error)
{
    struct rendezvous *rendezvous = connection->rendezvous;
    struct job_room *job = rendezvous_job(rendezvous, name);
    bool fresh = job == NULL;
    int code = rendezvous_register(rendezvous, name, ca, error);
    if (code == -EEXIST && !job->own && job->epoch < connection->epoch) {
        rendezvous_job_free(job);
        fresh = true;
        code = rendezvous_register(rendezvous, name, ca, error);
    }
    if (code < 0)
        return code;
    job = rendezvous_job(rendezvous, name);
    if (fresh)
        job->own = false;
    job->epoch = connection->epoch;
    job->by = connection->number;
    return 0;
}

static void take_register(struct connection *connection, const Mu__Register *message)
{
    struct error error;
    struct certificate *ca;
    if (certificate_read((const char *)message->ca.data, message->ca.len, &ca, &error) < 0) {
        rendezvous_connection_fail(connection, error.code, "%s", error.message);
        return;
    }
    if (register_for(connection, message->job, ca, &error) < 0)
        rendezvous_connection_fail(connection, error.code, "%s", error.message);
    certificate_free(ca);
}

static void end_unless_registered(void *opaque, struct hash_link *link)
{
    const struct connection *connection = opaque;
    struct job_room *job = HASH_ENTRY(link, struct job_room, link);
    if (!job->own && job->by != connection->number)
        rendezvous_job_free(job);
}

static void controllers_envelope(struct connection *connection, const Mu__Envelope *envelope)
{
    switch (envelope->body_case) {
    case MU__ENVELOPE__BODY_REGISTER:
        take_register(connection, envelope->register_);
        break;
    case MU__ENVELOPE__BODY_UNREGISTER:
        rendezvous_unregister(connection->rendezvous, envelope->unregister->job);
        break;
    case MU__ENVELOPE__BODY_COMPLETE:
        hash_each(&connection->rendezvous->jobs, end_unless_registered, connection);
        break;
    case MU__ENVELOPE__BODY_FORGET:
        rendezvous_forget(connection->rendezvous, envelope->forget->job, envelope->forget->actor);
        break;
    default:
        rendezvous_connection_fail(connection, -EPROTO, "a message that is not for a rendezvous");
    }
}

static void workers_envelope(struct connection *connection, const Mu__Envelope *envelope)
{
    switch (envelope->body_case) {
    case MU__ENVELOPE__BODY_OFFER:
        rendezvous_messages_offer(connection, envelope->offer);
        break;
    case MU__ENVELOPE__BODY_SUM:
        rendezvous_messages_sum(connection, envelope->sum);
        break;
    case MU__ENVELOPE__BODY_SUBSCRIBE:
        rendezvous_messages_subscribe(connection, envelope->subscribe);
        break;
    case MU__ENVELOPE__BODY_UNSUBSCRIBE:
        rendezvous_messages_unsubscribe(connection, envelope->unsubscribe->transfer);
        break;
    case MU__ENVELOPE__BODY_CREDIT:
        rendezvous_messages_credit(connection, envelope->credit);
        break;
    default:
        rendezvous_connection_fail(connection, -EPROTO, "a message that is not due from a worker");
    }
}

void rendezvous_control_envelope(struct connection *connection, const Mu__Envelope *envelope)
{
    if (envelope->body_case == MU__ENVELOPE__BODY_HELLO && connection->kind == CONNECTION_NEW)
        take_hello(connection, envelope->hello);
    else if (connection->kind == CONNECTION_NEW)
        rendezvous_connection_fail(connection, -EPROTO, "a message before the hello");
    else if (envelope->body_case == MU__ENVELOPE__BODY_HEARTBEAT)
        return;
    else if (connection->kind == CONNECTION_CONTROL)
        controllers_envelope(connection, envelope);
    else
        workers_envelope(connection, envelope);
}
