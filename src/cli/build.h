/* Which program this is, so that the processes of one job are all the same one. */
#ifndef CLI_BUILD_H
#define CLI_BUILD_H

#include "util/error.h"

enum { BUILD_FACTS_SIZE = 256 };

/* Identifies the sources that the program was made from: a SHA-256 in hexadecimal digits. It is the same for a
 * coordinator here and for workers made elsewhere, for another kind of processor even. */
const char *build_identity(void);

/* The processor's architecture and the versions of libraries that the tasks' results depend on. */
void build_facts(char facts[BUILD_FACTS_SIZE]);

/* The path of the running program, which is started again for slots and workers; -ENOENT where it has been
 * removed. For the caller to free. */
int build_program(char **path, struct error *error);

#endif
