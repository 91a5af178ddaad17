/* Keys and certificates of the servers and of each job's workers, and what a worker is told when it is
 * started. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mu/coordinator_private.h"
#include "net/identity.h"

/* Of clocks that differ; longer than any worker lives; longer than any job takes. */
enum { HOUR = 3600, DAYS_14 = 14 * 24 * HOUR, YEAR = 365 * 24 * HOUR };

static struct certificate_subject subject(const char *name, const char *identity, unsigned use,
                                          time_t seconds)
{
    static const char *const no_hosts[] = {NULL};
    time_t now = time(NULL);
    return (struct certificate_subject){.name = name,
                                        .identity = identity,
                                        .hosts = no_hosts,
                                        .use = use,
                                        .from = now - HOUR,
                                        .until = now + seconds};
}

/* Shares the certificate, without its key. */
static int share(const struct certificate *certificate, struct certificate **shared,
                 struct error *error)
{
    *shared = certificate_share(certificate);
    return *shared != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

/* ---- The servers --------------------------------------------------------------------------- */

/* The deployment's, or some for the time being. */
int coordinator_make_keys(struct coordinator *coordinator, struct error *error)
{
    struct credentials *keys = &coordinator->keys;
    struct certificate_subject authority = subject("excamera servers", NULL, 0, YEAR);
    struct certificate_subject server =
        subject("excamera coordinator", IDENTITY_COORDINATOR, CERTIFICATE_SERVER, YEAR);
    const struct credentials *given = coordinator->options.keys;
    if (given != NULL) {
        int shared = share(given->authority, &keys->authority, error);
        return shared < 0
                   ? shared
                   : tls_domain_new(given->own, given->authority, &coordinator->deployment, error);
    }
    int code = certificate_make_authority(&authority, &keys->authority, error);
    return code < 0 ? code : certificate_issue(keys->authority, &server, &keys->own, error);
}

int coordinator_make_rendezvous_keys(struct coordinator *coordinator,
                                     struct credentials *credentials, struct error *error)
{
    struct certificate_subject server =
        subject("excamera rendezvous", IDENTITY_RENDEZVOUS, CERTIFICATE_SERVER, YEAR);
    *credentials = (struct credentials){0};
    int code = certificate_issue(coordinator->keys.authority, &server, &credentials->own, error);
    return code < 0 ? code : share(coordinator->keys.authority, &credentials->authority, error);
}

/* ---- A job's workers ----------------------------------------------------------------------- */

static int make_authority(struct coordinator_job *job, struct error *error)
{
    struct certificate_subject authority = subject("excamera job", NULL, 0, YEAR);
    int code = certificate_make_authority(&authority, &job->authority, error);
    if (code == 0 && job->options.authority != NULL)
        code = certificate_save(job->authority, job->options.authority, error);
    return code;
}

/* The one that was kept, so that rendezvous which know the job go on with it. */
static int load_authority(struct coordinator_job *job, struct error *error)
{
    char text[16384];
    FILE *file = fopen(job->options.authority, "rbe");
    if (file == NULL)
        return error_set(error, -errno, "%s: %s", job->options.authority, error_reason(-errno));
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    int code = certificate_read(text, size, &job->authority, error);
    explicit_bzero(text, sizeof text);
    if (code == 0 && job->authority->key == NULL)
        code = error_set(error, -EBADMSG, "it has no key");
    return code < 0 ? error_prefix(error, "%s", job->options.authority) : 0;
}

int coordinator_job_make_keys(struct coordinator_job *job, struct error *error)
{
    const struct coordinator *coordinator = job->coordinator;
    const char *kept = job->options.authority;
    const struct certificate *own =
        coordinator->options.keys ? coordinator->options.keys->own : coordinator->keys.own;
    int code = kept != NULL && access(kept, F_OK) == 0 ? load_authority(job, error)
                                                       : make_authority(job, error);
    return code < 0 ? code : tls_domain_new(own, job->authority, &job->domain, error);
}

static int make_credentials(const struct member *member, struct credentials *credentials,
                            struct error *error)
{
    const struct coordinator_job *job = member->job;
    char identity[CERTIFICATE_IDENTITY_SIZE];
    snprintf(identity, sizeof identity, "excamera:job/%s/worker/%u", job->name, member->worker);
    struct certificate_subject holder =
        subject("excamera worker", identity, CERTIFICATE_CLIENT, DAYS_14);
    *credentials = (struct credentials){0};
    int code = certificate_issue(job->authority, &holder, &credentials->own, error);
    return code < 0 ? code
                    : share(job->coordinator->keys.authority, &credentials->authority, error);
}

/* ---- Documents ----------------------------------------------------------------------------- */

static int write_invocation(const struct member *member, struct invocation_place *rendezvous,
                            size_t count, char **document, struct error *error)
{
    const struct coordinator_job *job = member->job;
    const struct coordinator_options *options = &job->coordinator->options;
    const struct coordinator_place place = coordinator_advertised(job->coordinator);
    struct invocation invocation = {
        .build = (char *)options->build,
        .job = (char *)job->name,
        .worker = member->worker,
        .token_size = COORDINATOR_TOKEN,
        .coordinator = {(char *)place.host, place.port},
        .rendezvous = rendezvous,
        .rendezvous_count = count,
        .store = (char *)job->options.store,
        .scratch = (char *)options->scratch,
        .keep = (char *)job->options.keep,
        .slots = (uint32_t)job->options.slots,
        .patience_ms = options->patience_ms,
        .life_ms = engine_limits(job->coordinator->engine)->life_ms,
    };
    memcpy(invocation.token, member->token, COORDINATOR_TOKEN);
    int code = make_credentials(member, &invocation.credentials, error);
    if (code == 0)
        code = invocation_write(&invocation, document, error);
    credentials_release(&invocation.credentials);
    return code;
}

int coordinator_write_document(const struct member *member, char **document, struct error *error)
{
    struct invocation_place rendezvous[INVOCATION_MOST_RENDEZVOUS];
    size_t count = coordinator_list_rendezvous(member->job->coordinator, rendezvous);
    return write_invocation(member, rendezvous, count, document, error);
}
