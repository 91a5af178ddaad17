/*
 * What Amazon Web Services and services that are like them want of those who use them: credentials, a
 * region, an endpoint. Taken from where AWS's own tools take them:
 *
 * - credentials: the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; the
 *   profile AWS_PROFILE ("default") in ~/.aws/credentials and ~/.aws/config (AWS_SHARED_CREDENTIALS_FILE and
 *   AWS_CONFIG_FILE name others); a container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
 *   _FULL_URI); the metadata of an EC2 instance (IMDSv2) unless AWS_EC2_METADATA_DISABLED is "true";
 * - the region: AWS_REGION, AWS_DEFAULT_REGION, the profile;
 * - the endpoint of a service: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile, Amazon's own.
 *
 * On one libuv loop, used from its thread alone.
 */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "util/error.h"

enum {
    AWS_URL_SIZE = 1024, /* longest URL of an endpoint, with the zero byte */
};

struct aws;

struct aws_credentials {
    const char *access_key, *secret_key;
    const char *session_token; /* NULL: none */
    int64_t expires;           /* seconds since 1970; INT64_MAX: never */
};

/* Reads the profile. `profile` NULL: as AWS_PROFILE says. -EINVAL where a file cannot be understood, or the
 * profile that was named is not there; -ENOMEM, and what opening a file fails with. */
int aws_new(uv_loop_t *loop, const char *profile, struct aws **aws, struct error *error);
/* Calls back who waits for credentials, with -ECANCELED, frees all and calls `closed` (may be NULL) from the
 * loop. */
void aws_close(struct aws *aws, void (*closed)(void *opaque), void *opaque);

/* NULL where nothing says it. */
const char *aws_region(const struct aws *aws);
/* How S3's buckets are addressed, as the profile's `s3` says with `addressing_style`: "path", "virtual" or
 * "auto"; NULL where it does not. */
const char *aws_s3_addressing(const struct aws *aws);

/* Writes the URL of a service ("s3", "lambda", "iam") in a region, without a slash at its end. `*own` (may
 * be NULL): it is not Amazon's. -ENAMETOOLONG. */
int aws_endpoint(const struct aws *aws, const char *service, const char *region,
                 char url[AWS_URL_SIZE], bool *own, struct error *error);

/* Those at hand, valid until the loop goes on; NULL where they have to be fetched: none are known, or they
 * expire within five minutes. */
const struct aws_credentials *aws_credentials(const struct aws *aws);
/* `credentials` are valid until it returns; NULL where there are none, and `error` says why. */
typedef void aws_fetched(void *opaque, const struct aws_credentials *credentials,
                         const struct error *error);
/* Fetches credentials anew, whatever is at hand. Calls `done` once, from the loop, never from within this
 * call. -ENOMEM; -ECANCELED after aws_close(). */
int aws_fetch(struct aws *aws, aws_fetched *done, void *opaque, struct error *error);

#endif
