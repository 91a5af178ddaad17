/* Which program this is, so that the processes of one job are all the same one. */
#ifndef CLI_BUILD_H
#define CLI_BUILD_H

#include "util/error.h"
#include "util/sha256.h"

enum { BUILD_FACTS_SIZE = 256 };

/* Identifies the program's bytes: their SHA-256. */
int build_identity(char build[SHA256_HEX_SIZE], struct error *error);

/* The processor's architecture and the versions of libraries that the tasks' results depend on. */
void build_facts(char facts[BUILD_FACTS_SIZE]);

/* The path of the running program, which is started again for slots and workers; -ENOENT where it has been
 * removed. For the caller to free. */
int build_program(char **path, struct error *error);

#endif
