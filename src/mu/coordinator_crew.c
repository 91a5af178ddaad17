/* The workers: their certificates and documents, started as many as wanted, replaced when lost. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mu/coordinator_private.h"
#include "mu/invocation.h"
#include "net/identity.h"

/* Of clocks that differ; and longer than any worker lives. */
enum { HOUR = 3600, DAYS_14 = 14 * 24 * HOUR };

/* A coordinator that is lost comes again elsewhere, with workers of its own. */
enum { PATIENCE_MS = 10000 };

/* So that a program that cannot work at all is not started for ever. */
enum { LAUNCHES_EACH = 50 };

static const char *const no_hosts[] = {NULL};

/* ---- Certificates -------------------------------------------------------------------------- */

static struct certificate_subject subject(const char *name, const char *identity, unsigned use)
{
    time_t now = time(NULL);
    return (struct certificate_subject){.name = name,
                                        .identity = identity,
                                        .hosts = no_hosts,
                                        .use = use,
                                        .from = now - HOUR,
                                        .until = now + DAYS_14};
}

int crew_make_keys(struct coordinator *coordinator, struct error *error)
{
    struct certificate_subject authority = subject("excamera job", NULL, 0);
    struct certificate_subject server =
        subject("excamera coordinator", IDENTITY_COORDINATOR, CERTIFICATE_SERVER);
    int code = certificate_make_authority(&authority, &coordinator->authority, error);
    if (code == 0)
        code = certificate_issue(coordinator->authority, &server, &coordinator->own.own, error);
    if (code == 0) {
        coordinator->own.authority = certificate_share(coordinator->authority);
        code = tls_domain_new(coordinator->own.own, coordinator->authority, &coordinator->domain,
                              error);
    }
    return code;
}

int crew_rendezvous_keys(struct coordinator *coordinator, struct credentials *credentials,
                         struct error *error)
{
    struct certificate_subject server =
        subject("excamera rendezvous", IDENTITY_RENDEZVOUS, CERTIFICATE_SERVER);
    *credentials = (struct credentials){0};
    int code = certificate_issue(coordinator->authority, &server, &credentials->own, error);
    if (code == 0 && (credentials->authority = certificate_share(coordinator->authority)) == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    return code;
}

/* ---- Documents ----------------------------------------------------------------------------- */

static int make_credentials(struct coordinator *coordinator, uint32_t worker,
                            struct credentials *credentials, struct error *error)
{
    char identity[CERTIFICATE_IDENTITY_SIZE];
    snprintf(identity, sizeof identity, "excamera:job/%s/worker/%u", coordinator->job, worker);
    struct certificate_subject holder = subject("excamera worker", identity, CERTIFICATE_CLIENT);
    *credentials = (struct credentials){0};
    int code = certificate_issue(coordinator->authority, &holder, &credentials->own, error);
    if (code == 0 && (credentials->authority = certificate_share(coordinator->authority)) == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    return code;
}

static int write_document(struct coordinator *coordinator, const struct member *member,
                          char **document, struct error *error)
{
    char *host = coordinator->host;
    struct invocation_place rendezvous = {host, rendezvous_port(coordinator->rendezvous)};
    struct invocation invocation = {
        .build = coordinator->build,
        .job = coordinator->job,
        .worker = member->worker,
        .token_size = COORDINATOR_TOKEN,
        .coordinator = {host, listener_port(coordinator->listener)},
        .rendezvous = &rendezvous,
        .rendezvous_count = 1,
        .store = coordinator->store_place,
        .scratch = coordinator->scratch,
        .keep = (char *)coordinator->options.keep,
        .slots = (uint32_t)coordinator->options.slots,
        .patience_ms = PATIENCE_MS,
    };
    memcpy(invocation.token, member->token, COORDINATOR_TOKEN);
    int code = make_credentials(coordinator, member->worker, &invocation.credentials, error);
    if (code == 0)
        code = invocation_write(&invocation, document, error);
    credentials_release(&invocation.credentials);
    return code;
}

/* ---- Starting ------------------------------------------------------------------------------ */

static int launch(struct coordinator *coordinator, struct error *error)
{
    char *document = NULL;
    struct member *member = calloc(1, sizeof *member);
    if (member == NULL || RAND_bytes(member->token, sizeof member->token) != 1) {
        free(member);
        return error_set(error, -ENOMEM, "out of memory");
    }
    member->coordinator = coordinator;
    member->worker = ++coordinator->workers_made;
    list_append(&coordinator->members, &member->link);
    int code = write_document(coordinator, member, &document, error);
    if (code == 0)
        code = engine_start(coordinator->engine, member->worker, document, error);
    certificate_forget(document);
    member->gone = code < 0;
    return code;
}

int crew_count(const struct coordinator *coordinator)
{
    int present = 0;
    const struct list_link *head = &coordinator->members;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        present += !LIST_ENTRY(link, struct member, link)->gone;
    return present;
}

void crew_fill(struct coordinator *coordinator)
{
    struct error error;
    int wanted = coordinator->options.workers;
    for (int present = crew_count(coordinator); present < wanted; present++) {
        if (coordinator->workers_made >= (uint32_t)wanted * LAUNCHES_EACH) {
            error_set(&error, -ECHILD, "workers end again and again; %u were started",
                      coordinator->workers_made);
            coordinator_fail(coordinator, &error);
            return;
        }
        if (launch(coordinator, &error) < 0) {
            coordinator_fail(coordinator, &error);
            return;
        }
    }
}

/* ---- Losing -------------------------------------------------------------------------------- */

struct member *crew_find(struct coordinator *coordinator, uint32_t worker)
{
    struct list_link *head = &coordinator->members;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->worker == worker && !member->gone)
            return member;
    }
    return NULL;
}

/* Nothing that it says counts any more. */
static void give_up(struct member *member)
{
    struct coordinator *coordinator = member->coordinator;
    member->gone = true;
    if (member->session != NULL) {
        member->session->member = NULL;
        channel_abort(member->session->channel, "its worker is lost");
        member->session = NULL;
    }
    if (member->joined)
        ledger_lost(coordinator->ledger, member->worker, coordinator_now(coordinator));
    list_remove(&member->link);
    free(member);
}

void crew_ended(void *opaque, uint32_t worker, const char *how)
{
    struct coordinator *coordinator = opaque;
    struct member *member = crew_find(coordinator, worker);
    if (member != NULL && coordinator->ending)
        member->gone = true;
    if (member == NULL || coordinator->ending)
        return;
    coordinator_note(coordinator, "worker %u %s", worker, how);
    give_up(member);
    crew_fill(coordinator);
    coordinator_go_on(coordinator);
}

void crew_tick(struct coordinator *coordinator, uint64_t now)
{
    struct list_link *head = &coordinator->members, *next;
    unsigned beat = coordinator->options.heartbeat_ms ? coordinator->options.heartbeat_ms : 1000;
    for (struct list_link *link = head->next; link != head; link = next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        next = link->next;
        if (!member->joined || member->session != NULL ||
            now - member->away_at < COORDINATOR_SILENT * (uint64_t)beat)
            continue;
        coordinator_note(coordinator, "worker %u is lost", member->worker);
        give_up(member);
    }
    crew_fill(coordinator);
}

void crew_free(struct coordinator *coordinator)
{
    while (!list_empty(&coordinator->members)) {
        struct member *member = LIST_ENTRY(coordinator->members.next, struct member, link);
        list_remove(&member->link);
        free(member);
    }
}
