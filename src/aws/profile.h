/* A profile of the files ~/.aws/config and ~/.aws/credentials. For the files of src/aws alone. */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include "util/error.h"

/* Values of the profile, NULL where it has none. */
struct aws_profile {
    char *name;
    char *access_key, *secret_key, *session_token;
    char *region, *endpoint, *addressing;
    char *foreign; /* a way to credentials that is not known here, by its name in the file */
};

/* Reads the profile `name` (NULL: as the environment says). Files that are not there are no failure, a profile
 * that was named and is in none of them is. -EINVAL, -ENOMEM, what reading fails with. */
int aws_profile_read(const char *name, struct aws_profile *profile, struct error *error);
void aws_profile_free(struct aws_profile *profile);

#endif
