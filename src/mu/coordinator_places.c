/* Where workers find the servers: the coordinator's own address, and the rendezvous. */
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
    if (coordinator->rendezvous == NULL)
        return 0;
    list[0] = (struct invocation_place){(char *)coordinator_advertised(coordinator).host,
                                        rendezvous_port(coordinator->rendezvous)};
    return 1;
}

static int open_own(struct coordinator *coordinator, struct error *error)
{
    const struct coordinator_options *from = &coordinator->options;
    struct credentials made = {0};
    struct rendezvous_options options = {.host = from->listen.host, .spill = from->scratch};
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

int coordinator_open_rendezvous(struct coordinator *coordinator, struct error *error)
{
    return open_own(coordinator, error);
}

void coordinator_close_rendezvous(struct coordinator *coordinator)
{
    rendezvous_free(coordinator->rendezvous);
    coordinator->rendezvous = NULL;
}

int coordinator_register_job(struct coordinator_job *job, struct error *error)
{
    int code = rendezvous_register(job->coordinator->rendezvous, job->name, job->authority, error);
    job->registered = code == 0;
    return code;
}

void coordinator_unregister_job(struct coordinator_job *job)
{
    if (job->registered)
        rendezvous_unregister(job->coordinator->rendezvous, job->name);
}

void coordinator_forget_messages(struct coordinator_job *job, const char *actor)
{
    rendezvous_forget(job->coordinator->rendezvous, job->name, actor);
}
