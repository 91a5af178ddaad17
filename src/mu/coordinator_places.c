/* Where workers find the servers: the coordinator's own address, and the rendezvous, which is one of the
 * coordinator's own, or several that run by themselves. */
#include <errno.h>
#include <string.h>

#include "mu/coordinator_private.h"

/* What is listened at, unless something else is said. */
struct coordinator_place coordinator_advertised(const struct coordinator *coordinator)
{
    const struct coordinator_options *options = &coordinator->options;
    struct coordinator_place place = options->advertise;
    if (place.host == NULL)
        place.host = options->listen.host ? options->listen.host : "localhost";
    if (place.port == 0)
        place.port = listener_port(coordinator->listener);
    return place;
}

size_t coordinator_list_rendezvous(const struct coordinator *coordinator,
                                   struct invocation_place list[INVOCATION_MOST_RENDEZVOUS])
{
    const struct coordinator_options *options = &coordinator->options;
    for (int i = 0; i < options->rendezvous_count; i++)
        list[i] = (struct invocation_place){(char *)options->rendezvous[i].host,
                                            options->rendezvous[i].port};
    if (options->rendezvous_count > 0)
        return (size_t)options->rendezvous_count;
    list[0] = (struct invocation_place){(char *)coordinator_advertised(coordinator).host,
                                        rendezvous_port(coordinator->rendezvous)};
    return 1;
}

/* ---- Lost ones ----------------------------------------------------------------------------- */

static void say_map_out(struct session *session, int index)
{
    Mu__MapOut map_out = MU__MAP_OUT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    map_out.rendezvous = (uint32_t)index;
    envelope.body_case = MU__ENVELOPE__BODY_MAP_OUT;
    envelope.map_out = &map_out;
    coordinator_session_say(session, &envelope);
}

void coordinator_tell_mapped_out(struct session *session)
{
    uint64_t mapped_out = session->member->job->mapped_out;
    for (int i = 0; mapped_out >> i != 0; i++)
        if (mapped_out >> i & 1)
            say_map_out(session, i);
}

/* For the job's whole life, since its workers must agree on where a message is. */
static void map_out(struct coordinator_job *job, int index)
{
    struct list_link *head = &job->members;
    job->mapped_out |= UINT64_C(1) << index;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->session != NULL)
            say_map_out(member->session, index);
    }
}

/* Whether the job has another one than this. */
static bool has_another(const struct coordinator_job *job, int index)
{
    for (int i = 0; i < job->coordinator->options.rendezvous_count; i++)
        if (i != index && !job->coordinator->place[i].lost && !(job->mapped_out >> i & 1))
            return true;
    return false;
}

static void map_out_where_possible(struct coordinator_job *job)
{
    for (int i = 0; i < job->coordinator->options.rendezvous_count; i++)
        if (job->coordinator->place[i].lost && !(job->mapped_out >> i & 1) && has_another(job, i))
            map_out(job, i);
}

static void on_ready(void *opaque)
{
    struct meeting_place *place = opaque;
    struct list_link *head = &place->coordinator->jobs;
    place->lost = false;
    place->met = true;
    for (struct list_link *link = head->next; link != head; link = link->next)
        map_out_where_possible(LIST_ENTRY(link, struct coordinator_job, link));
}

static void on_lost(void *opaque, const struct error *reason)
{
    struct meeting_place *place = opaque;
    struct list_link *head = &place->coordinator->jobs;
    const struct coordinator_place *where = &place->coordinator->options.rendezvous[place->index];
    coordinator_note(place->coordinator, "the rendezvous %s:%u is lost: %s", where->host,
                     where->port, reason->message);
    place->lost = true;
    for (struct list_link *link = head->next; link != head; link = link->next)
        map_out_where_possible(LIST_ENTRY(link, struct coordinator_job, link));
}

/* ---- What workers cannot reach --------------------------------------------------------------- */

/* Those that came are all of this mind. */
static bool all_are_cut_off(const struct coordinator_job *job)
{
    const struct list_link *head = &job->members;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->came && !member->cut_off)
            return false;
    }
    return true;
}

/* Whether it is there, as far as the coordinator knows. */
static bool is_there(const struct coordinator *coordinator, uint32_t index)
{
    return coordinator->options.rendezvous_count == 0 ||
           (coordinator->place[index].met && !coordinator->place[index].lost);
}

void coordinator_place_unreachable(struct session *session, const Mu__Unreachable *unreachable)
{
    struct coordinator_job *job = session->member->job;
    struct invocation_place list[INVOCATION_MOST_RENDEZVOUS];
    struct error error;
    uint32_t index = unreachable->rendezvous;
    if (index >= coordinator_list_rendezvous(job->coordinator, list)) {
        coordinator_session_breach(session, "a rendezvous that there is not");
        return;
    }
    session->member->cut_off = true;
    coordinator_note(job->coordinator, "worker %u cannot reach the rendezvous %s:%u: %.300s",
                     session->member->worker, list[index].host, (unsigned)list[index].port,
                     unreachable->reason);
    if (!all_are_cut_off(job) || !is_there(job->coordinator, index))
        return;
    error_set(&error, -EHOSTUNREACH,
              "the workers cannot reach the rendezvous at %s:%u, only the coordinator: %.300s",
              list[index].host, (unsigned)list[index].port, unreachable->reason);
    coordinator_job_fail(job, &error);
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static int open_own(struct coordinator *coordinator, struct error *error)
{
    const struct coordinator_options *from = &coordinator->options;
    struct credentials made = {0};
    struct rendezvous_options options = {
        .host = from->listen.host, .port = from->rendezvous_port, .spill = from->scratch};
    int code = 0;
    if (from->keys != NULL && from->rendezvous_keys == NULL)
        code = error_set(error, -EINVAL, "a rendezvous of the coordinator's own needs its keys");
    else if (from->keys == NULL)
        code = coordinator_make_rendezvous_keys(coordinator, &made, error);
    options.credentials = from->keys != NULL && code == 0 ? *from->rendezvous_keys : made;
    if (code == 0)
        code = rendezvous_new(coordinator->network, &options, &coordinator->rendezvous, error);
    credentials_release(&made);
    return code;
}

static int open_other(struct coordinator *coordinator, int index, struct error *error)
{
    static const struct registrar_handlers handlers = {
        .ready = on_ready, .lost = on_lost, .refused = on_lost};
    const struct coordinator_options *from = &coordinator->options;
    struct meeting_place *place = &coordinator->place[index];
    const struct registrar_options options = {
        .host = from->rendezvous[index].host,
        .port = from->rendezvous[index].port,
        .client = coordinator->controller,
        .epoch = coordinator->epoch,
        .build = from->build,
        .lost_ms = from->rendezvous_lost_ms,
        .handlers = &handlers,
        .opaque = place,
    };
    *place = (struct meeting_place){.coordinator = coordinator, .index = index};
    return registrar_new(coordinator->network, &options, &place->registrar, error);
}

int coordinator_open_rendezvous(struct coordinator *coordinator, struct error *error)
{
    const struct coordinator_options *options = &coordinator->options;
    if (options->rendezvous_count == 0)
        return open_own(coordinator, error);
    if (options->keys == NULL || options->rendezvous_count > INVOCATION_MOST_RENDEZVOUS)
        return error_set(error, -EINVAL, "at most %d rendezvous, with the deployment's keys",
                         INVOCATION_MOST_RENDEZVOUS);
    coordinator->place = arena_alloc(&coordinator->texts, (size_t)options->rendezvous_count,
                                     sizeof *coordinator->place);
    if (coordinator->place == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = tls_client_new(options->keys, &coordinator->controller, error);
    for (int i = 0; i < options->rendezvous_count && code == 0; i++)
        code = open_other(coordinator, i, error);
    return code;
}

void coordinator_close_rendezvous(struct coordinator *coordinator)
{
    rendezvous_free(coordinator->rendezvous);
    coordinator->rendezvous = NULL;
    for (int i = 0; coordinator->place != NULL && i < coordinator->options.rendezvous_count; i++)
        registrar_free(coordinator->place[i].registrar);
    tls_client_free(coordinator->controller);
    coordinator->controller = NULL;
}

/* ---- Jobs ---------------------------------------------------------------------------------- */

int coordinator_register_job(struct coordinator_job *job, struct error *error)
{
    struct coordinator *coordinator = job->coordinator;
    int code = 0;
    job->registered = true;
    if (coordinator->rendezvous != NULL)
        return rendezvous_register(coordinator->rendezvous, job->name, job->authority, error);
    for (int i = 0; i < coordinator->options.rendezvous_count && code == 0; i++)
        code =
            registrar_register(coordinator->place[i].registrar, job->name, job->authority, error);
    map_out_where_possible(job);
    return code;
}

void coordinator_unregister_job(struct coordinator_job *job)
{
    struct coordinator *coordinator = job->coordinator;
    if (!job->registered)
        return;
    if (coordinator->rendezvous != NULL)
        rendezvous_unregister(coordinator->rendezvous, job->name);
    for (int i = 0; i < coordinator->options.rendezvous_count; i++)
        registrar_unregister(coordinator->place[i].registrar, job->name);
}

void coordinator_forget_messages(struct coordinator_job *job, const char *actor)
{
    struct coordinator *coordinator = job->coordinator;
    if (coordinator->rendezvous != NULL)
        rendezvous_forget(coordinator->rendezvous, job->name, actor);
    for (int i = 0; i < coordinator->options.rendezvous_count; i++)
        registrar_forget(coordinator->place[i].registrar, job->name, actor);
}
