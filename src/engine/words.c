#include "engine/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void words_free(char **words)
{
    for (char **word = words; word != NULL && *word != NULL; word++)
        free(*word);
    free(words);
}

size_t words_count(char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    return count;
}

bool words_have(char *const *words, const char *place)
{
    for (; *words != NULL; words++)
        if (strstr(*words, place) != NULL)
            return true;
    return false;
}

/* ---- Splitting ----------------------------------------------------------------------------- */

/* Reads one word at `*text`, which is not blank, and goes behind it. NULL when out of memory; `*open` where a
 * quote has no end. */
static char *read_word(const char **text, bool *open)
{
    char *word = malloc(strlen(*text) + 1), quote = '\0';
    size_t length = 0;
    if (word == NULL)
        return NULL;
    for (; **text != '\0' && (quote != '\0' || !isspace((unsigned char)**text)); ++*text) {
        if (quote != '\0' ? **text == quote : **text == '\'' || **text == '"')
            quote = quote != '\0' ? '\0' : **text;
        else
            word[length++] = **text;
    }
    word[length] = '\0';
    *open = quote != '\0';
    return word;
}

int words_split(const char *what, const char *text, char ***split, struct error *error)
{
    bool open = false;
    size_t count = 0;
    char **words = calloc(strlen(text) / 2 + 2, sizeof *words);
    if (words == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    for (;;) {
        while (isspace((unsigned char)*text))
            text++;
        if (*text == '\0')
            break;
        if ((words[count++] = read_word(&text, &open)) == NULL) {
            words_free(words);
            return error_set(error, -ENOMEM, "out of memory");
        }
    }
    if (open || count == 0) {
        words_free(words);
        return error_set(error, -EINVAL, "%s %s", what,
                         open ? "has a quote without its end" : "is empty");
    }
    *split = words;
    return 0;
}

/* ---- Filling ------------------------------------------------------------------------------- */

/* The place that `text` begins with; NULL where there is none. */
static const struct words_place *place_at(const char *text, const struct words_place *places)
{
    for (; places->name != NULL; places++)
        if (strncmp(text, places->name, strlen(places->name)) == 0)
            return places;
    return NULL;
}

/* Puts `word` with its places filled in to `to`, unless that is NULL; returns the length. */
static size_t write_word(char *to, const char *word, const struct words_place *places)
{
    size_t length = 0;
    while (*word != '\0') {
        const struct words_place *place = place_at(word, places);
        const char *from = place != NULL ? place->value : word;
        size_t count = place != NULL ? strlen(from) : 1;
        if (to != NULL)
            memcpy(to + length, from, count);
        length += count;
        word += place != NULL ? strlen(place->name) : 1;
    }
    return length;
}

char **words_fill(char *const *words, const struct words_place *places)
{
    size_t count = words_count(words);
    char **filled = calloc(count + 1, sizeof *filled);
    for (size_t i = 0; filled != NULL && i < count; i++) {
        filled[i] = calloc(1, write_word(NULL, words[i], places) + 1);
        if (filled[i] == NULL) {
            words_free(filled);
            return NULL;
        }
        write_word(filled[i], words[i], places);
    }
    return filled;
}
