/* Command lines as users write them: words between blanks, with places in them that are filled in. */
#ifndef ENGINE_WORDS_H
#define ENGINE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

/* What stands for a place such as "{worker}". */
struct words_place {
    const char *name; /* with its braces */
    const char *value;
};

/* The words of `text`, between blanks; '...' and "..." hold blanks together, nothing else is special. -EINVAL
 * where there is none, or a quote without its end; `what` begins the sentence about it. To be freed. */
int words_split(const char *what, const char *text, char ***words, struct error *error);
size_t words_count(char *const *words);
bool words_have(char *const *words, const char *place);
/* The words with all `places` filled in, behind the last of which the name is NULL; to be freed. NULL when out
 * of memory. */
char **words_fill(char *const *words, const struct words_place *places);
/* May be NULL. */
void words_free(char **words);

#endif
