/* Objects of remote stores that a command itself brings, looks at or removes: it waits for each of these. All end
 * with -ECANCELED after a signal that local_catch_signals() catches. Films are s3://BUCKET/KEY. */
#ifndef CLI_OBJECTS_H
#define CLI_OBJECTS_H

#include <stdbool.h>

#include "cli/local.h"
#include "store/store.h"
#include "util/error.h"

/* Brings an object to a file. */
int objects_get(const char *url, const struct store_file *file, struct error *error);
/* Makes a file the object, which is there only when all of it is; what was there is replaced. */
int objects_put(const struct store_file *file, const char *url, struct error *error);
/* An http(s) URL by which the film can be read for an hour; to be freed. */
int objects_url(const char *url, char **link, struct error *error);
/* -EEXIST where the object is there and may not be replaced; else what the store says, so that what cannot be
 * reached is known before anything else is done. */
int objects_check(const char *url, bool overwrite, struct error *error);

/* Takes the folder of a job whose objects are all at `store`, the same one each time. */
int objects_take_folder(const char *store, struct local_folder *folder, struct error *error);
/* Where the objects of the job in `folder` are: a name of its own below `store`, the same whenever that folder is
 * taken again. To be freed. */
int objects_place(const struct local_folder *folder, const char *store, char **place,
                  struct error *error);
/* Removes all of them. */
int objects_remove(const char *place, struct error *error);

/* --s3-endpoint: what AWS_ENDPOINT_URL_S3 says, for this process and those that it starts. */
void objects_set_endpoint(const char *url);

#endif
