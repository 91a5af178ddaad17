/* Making, changing and removing the Lambda function that workers run in, in one region. Each call waits until it
 * is done. What fails says what was wrong as aws/call.h does. */
#ifndef ENGINE_LAMBDA_ADMIN_H
#define ENGINE_LAMBDA_ADMIN_H

#include <stddef.h>

#include "engine/lambda_name.h"
#include "util/error.h"

/* Bytes of a package. Lambda takes 50 MB at once (https://docs.aws.amazon.com/lambda/latest/dg/
 * gettingstarted-limits.html), which become a third more on the way; net/http.h takes 64 MB. */
#define LAMBDA_MOST_PACKAGE (47 * 1024 * 1024)

struct lambda_admin;

/* NULL and 0 where nothing is said: what the function has stays, but in a new one it is what is named here. */
struct lambda_settings {
    const char *role;         /* ARN of the role that it has; a new function needs one */
    const char *architecture; /* "x86_64" or "arm64"; goes with the package */
    const void
        *package; /* [package_size], a zip file that holds `bootstrap`; a new function needs one */
    size_t package_size;
    int memory;  /* MB, LAMBDA_MEMORY */
    int seconds; /* that it may run, LAMBDA_SECONDS */
    int storage; /* MB of /tmp, LAMBDA_STORAGE */
};

/* So much /tmp is free of charge. */
enum { LAMBDA_STORAGE = 512 };

/* `region` NULL: the environment's. */
int lambda_admin_open(const char *region, struct lambda_admin **admin, struct error *error);
void lambda_admin_close(struct lambda_admin *admin);
const char *lambda_admin_region(const struct lambda_admin *admin);

/* Makes the function, and waits until it can be invoked. An event is tried once, within a minute: what is started
 * once more, or late, was given up by its coordinator. -EEXIST where it is there. */
int lambda_admin_create(struct lambda_admin *admin, const struct lambda_name *name,
                        const struct lambda_settings *settings, struct error *error);
/* Changes what the settings say, and waits until that holds. -ENOENT where it is not there. */
int lambda_admin_update(struct lambda_admin *admin, const struct lambda_name *name,
                        const struct lambda_settings *settings, struct error *error);
int lambda_admin_delete(struct lambda_admin *admin, const struct lambda_name *name,
                        struct error *error);

#endif
