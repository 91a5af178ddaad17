/* URLs for workers, who have no keys to a job's remote store: each for what its actor is at, and for that alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"

/* Questions of one worker at once: many times what an honest one has. */
enum { MOST_SIGNING = 256 };

struct signing {
    struct coordinator_job *job;
    uint32_t worker;
    uint64_t question;
    char link[]; /* the key, where it is that of an input that lies elsewhere; or "" */
};

static void say_signed(struct coordinator *coordinator, uint32_t worker, uint64_t question,
                       const char *url, const char *error)
{
    Mu__Signed answer = MU__SIGNED__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    answer.question = question;
    answer.url = (char *)url;
    answer.error = (char *)error;
    envelope.body_case = MU__ENVELOPE__BODY_SIGNED;
    envelope.signed_ = &answer;
    coordinator_session_tell(coordinator, worker, &envelope);
}

static void say_result(const struct signing *signing, const struct store_result *result)
{
    struct coordinator *coordinator = signing->job->coordinator;
    char *url = NULL;
    if (result->error.code == 0)
        url = signing->link[0] != '\0'
                  ? coordinator_link_marked(signing->job, signing->link, result->url)
                  : strdup(result->url);
    say_signed(coordinator, signing->worker, signing->question, url != NULL ? url : "",
               result->error.code < 0 ? result->error.message : "out of memory");
    free(url);
}

static void on_signed(void *opaque, const struct store_result *result)
{
    struct signing *signing = opaque;
    struct coordinator_job *job = signing->job;
    struct member *member = crew_find(job->coordinator, signing->worker);
    if (member != NULL)
        member->signing--;
    if (result->error.code != -ECANCELED)
        say_result(signing, result);
    free(signing);
    coordinator_job_operation_ended(job);
}

static bool may(const struct coordinator_job *job, uint32_t worker, const Mu__Sign *sign)
{
    return sign->attempt > 0 ? ledger_may_put(job->ledger, worker, sign->key, sign->attempt)
                             : ledger_may_get(job->ledger, worker, sign->key);
}

static int begin(struct signing *signing, const Mu__Sign *sign, struct error *error)
{
    struct store_url what = {.key = sign->key, .attempt = sign->attempt};
    if (signing->link[0] != '\0')
        return coordinator_link_url(signing->job, sign->key, on_signed, signing, error);
    if (store_is_folder(signing->job->store))
        return error_set(error, -EINVAL, "the store is a folder");
    if (sign->attempt > 0) {
        what.identity.size = sign->identity->size;
        memcpy(what.identity.sha256, sign->identity->sha256.data, SHA256_SIZE);
        memcpy(what.md5, sign->md5.data, STORE_MD5_SIZE);
    }
    return store_url(signing->job->store, &what, on_signed, signing, NULL, error);
}

static struct signing *signing_new(const struct session *session, const Mu__Sign *sign)
{
    struct coordinator_job *job = session->member->job;
    bool linked = sign->attempt == 0 && coordinator_link_has(job, sign->key);
    struct signing *signing = calloc(1, sizeof *signing + strlen(sign->key) + 1);
    if (signing == NULL)
        return NULL;
    signing->job = job;
    signing->worker = session->member->worker;
    signing->question = sign->question;
    strcpy(signing->link, linked ? sign->key : "");
    return signing;
}

void coordinator_sign(struct session *session, const Mu__Sign *sign)
{
    struct member *member = session->member;
    struct coordinator_job *job = member->job;
    struct error error;
    if (member->signing >= MOST_SIGNING || strlen(sign->key) > WIRE_KEY_MOST ||
        (sign->attempt > 0 &&
         (!wire_identity_valid(sign->identity) || sign->md5.len != STORE_MD5_SIZE))) {
        coordinator_session_breach(session, "a wrong question about the store");
        return;
    }
    struct signing *signing = may(job, member->worker, sign) ? signing_new(session, sign) : NULL;
    if (signing == NULL) {
        say_signed(job->coordinator, member->worker, sign->question, "",
                   "no actor of this worker is at that");
        return;
    }
    if (begin(signing, sign, &error) < 0) {
        say_signed(job->coordinator, member->worker, sign->question, "", error.message);
        free(signing);
        return;
    }
    member->signing++;
    job->operations++;
}
