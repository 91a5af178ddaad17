/* What S3's refusals mean. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/s3.h"
#include "store/s3_xml.h"

/* Codes of "Error Responses", Amazon S3 API Reference, that a person can do something about. */
static const struct {
    const char *name;
    int code;
    const char *words;
} known[] = {
    {"NoSuchKey", -ENOENT, "there is no such object"},
    {"NoSuchBucket", -ENXIO, "the bucket does not exist"},
    {"AccessDenied", -EACCES, "access is denied to these credentials"},
    {"AllAccessDisabled", -EACCES, "all access to the bucket is disabled"},
    {"AccountProblem", -EACCES, "there is a problem with the account"},
    {"InvalidAccessKeyId", -EACCES, "the service does not know this access key"},
    {"SignatureDoesNotMatch", -EACCES, "the secret key does not fit the access key"},
    {"ExpiredToken", -EACCES, "the credentials have expired; with new ones it goes on"},
    {"TokenRefreshRequired", -EACCES, "the credentials have expired; with new ones it goes on"},
    {"InvalidToken", -EACCES, "the session token is not that of the access key"},
    {"RequestExpired", -EACCES, "the permission has expired"},
    {"BadDigest", -EBADMSG, "what arrived is not what was sent"},
    {"XAmzContentSHA256Mismatch", -EBADMSG, "what arrived is not what was sent"},
    {"PreconditionFailed", -EBADMSG, "the object was replaced meanwhile"},
    {"EntityTooLarge", -EFBIG, "it is larger than the service takes"},
    {"QuotaExceeded", -EDQUOT, "the quota is used up"},
    {"InvalidRange", -ERANGE, "the range is past the object's end"},
};

static bool is_any(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* By how much the service's clock is ahead of ours, in seconds. */
static long skew(const struct http_response *response)
{
    struct tm tm = {0};
    const char *date = http_header(response, "date");
    if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) == NULL)
        return 0;
    return (long)(timegm(&tm) - time(NULL));
}

static bool explain_region(const struct s3 *s3, const struct http_response *response,
                           const char *name, struct error *error)
{
    static const char *const names[] = {"PermanentRedirect", "TemporaryRedirect", "Redirect",
                                        "AuthorizationHeaderMalformed", NULL};
    char region[64];
    const char *told = http_header(response, "x-amz-bucket-region");
    bool redirect = response->status == 301 || response->status == 307;
    if (!redirect && !is_any(name, names))
        return false;
    if (told == NULL &&
        s3_xml_find(response->body, response->size, "Error", "Region", region, sizeof region))
        told = region;
    error_set(error, -EREMCHG, "the bucket %s is not in the region %s: set AWS_REGION to %s",
              s3->bucket, s3->region, told != NULL ? told : "that of the bucket");
    return true;
}

static bool explain_known(const struct http_response *response, const char *name,
                          struct error *error)
{
    if (strcmp(name, "RequestTimeTooSkewed") == 0) {
        error_set(error, -ETIME,
                  "this machine's clock differs from the service's by %ld s; set it right",
                  labs(skew(response)));
        return true;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            error_set(error, known[i].code, "%s", known[i].words);
            return true;
        }
    }
    return false;
}

static void explain_other(const struct http_response *response, const char *name,
                          struct error *error)
{
    char message[512] = "";
    if (response->status == 404 && name[0] == '\0') {
        error_set(error, -ENOENT, "there is no such object");
        return;
    }
    s3_xml_find(response->body, response->size, "Error", "Message", message, sizeof message);
    bool passing = http_may_retry(response);
    error_set(error, passing ? -EBUSY : -EIO, "the service %s with status %d%s%s%s%s",
              passing ? "went on to answer" : "answered", response->status,
              name[0] != '\0' ? ", " : "", name, message[0] != '\0' ? ": " : "", message);
}

void s3_explain(const struct s3 *s3, const struct http_response *response, struct error *error,
                bool *expired)
{
    static const char *const renewable[] = {"ExpiredToken", "TokenRefreshRequired",
                                            "RequestExpired", NULL};
    char name[64];
    *expired = false;
    if (response->error.code < 0) {
        *error = response->error;
        return;
    }
    s3_xml_find(response->body, response->size, "Error", "Code", name, sizeof name);
    /* To one that is lent, a URL is all the permission there is. */
    *expired = is_any(name, renewable) || (s3->aws == NULL && response->status == 403);
    if (!explain_region(s3, response, name, error) && !explain_known(response, name, error))
        explain_other(response, name, error);
}

bool s3_explain_body(const struct http_response *response, struct error *error)
{
    char name[64];
    if (!s3_xml_find(response->body, response->size, "Error", "Code", name, sizeof name))
        return false;
    error_set(error, -EBUSY, "the service failed after it had answered: %s", name);
    return true;
}
