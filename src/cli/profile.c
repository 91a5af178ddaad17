#include "cli/profile.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 4096, MOST_ENTRIES = 1024 };

/* Who says something: the later ones count more. */
enum level { LEVEL_DEFAULT, LEVEL_PROFILE, LEVEL_COMMAND_LINE };

struct entry {
    const char *section, *key, *value;
};

struct profile {
    struct arena *words;
    const struct option *const *all;
    const char *path;
    FILE *file;
    int line;
    struct entry entry[MOST_ENTRIES];
    int entries;
    bool failed; /* a sentence was printed */
};

static bool fail(struct profile *profile, const char *what, const char *word)
{
    if (!profile->failed)
        fprintf(stderr, "excamera: %s:%d: %s%s\n", profile->path, profile->line, what, word);
    profile->failed = true;
    return false;
}

static int no_memory(void)
{
    fprintf(stderr, "excamera: out of memory\n");
    return -1;
}

static char *keep(struct arena *words, const char *text)
{
    return arena_copy(words, text, strlen(text));
}

/* `first`, `second` and `third`, one behind the other; NULL when out of memory. */
static char *join(struct arena *words, const char *first, const char *second, const char *third)
{
    char *text = arena_alloc(words, strlen(first) + strlen(second) + strlen(third) + 1, 1);
    if (text != NULL)
        stpcpy(stpcpy(stpcpy(text, first), second), third);
    return text;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static const struct option *find_option(const struct option *options, const char *name)
{
    for (; options->name != NULL; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}

static const struct option *find_anywhere(const struct profile *profile, const char *name)
{
    const struct option *found = NULL;
    for (const struct option *const *table = profile->all; *table != NULL && found == NULL; table++)
        found = find_option(*table, name);
    return strcmp(name, "help") != 0 ? found : NULL;
}

static bool is_flag_value(const char *value, bool *set)
{
    *set = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    return *set || strcmp(value, "no") == 0 || strcmp(value, "false") == 0;
}

/* Of libinih: 0 for an entry that cannot be. */
static int on_entry(void *opaque, const char *section, const char *key, const char *value)
{
    struct profile *profile = opaque;
    const struct option *option = find_anywhere(profile, key);
    bool set;
    if (strcmp(section, "default") != 0 && strncmp(section, "profile ", 8) != 0)
        return fail(profile, "a section is [default] or [profile NAME], not ", section);
    if (option == NULL)
        return fail(profile, "there is no option --", key);
    if (option->has_arg == no_argument && !is_flag_value(value, &set))
        return fail(profile, "yes or no is wanted for ", key);
    if (profile->entries == MOST_ENTRIES)
        return fail(profile, "too many lines", "");
    struct entry *entry = &profile->entry[profile->entries++];
    *entry = (struct entry){keep(profile->words, section), keep(profile->words, key),
                            keep(profile->words, value)};
    return entry->section != NULL && entry->key != NULL && entry->value != NULL
               ? 1
               : fail(profile, "out of memory", "");
}

/* Counts the lines, which libinih does not tell. */
static char *read_line(char *text, int size, void *opaque)
{
    struct profile *profile = opaque;
    char *line = fgets(text, size, profile->file);
    profile->line += line != NULL;
    if (line != NULL && strchr(line, '\n') == NULL && !feof(profile->file))
        fail(profile, "the line is too long", "");
    return line;
}

static bool read_file(struct profile *profile)
{
    profile->file = fopen(profile->path, "re");
    if (profile->file == NULL) {
        if (errno != ENOENT && errno != ENOTDIR)
            fprintf(stderr, "excamera: %s: %s\n", profile->path, strerror(errno));
        return errno == ENOENT || errno == ENOTDIR;
    }
    ini_use_stack = false;
    ini_max_line = LONGEST_LINE;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    int wrong = ini_parse_stream(read_line, profile, on_entry, profile);
    fclose(profile->file);
    if (wrong > 0) {
        profile->line = wrong;
        fail(profile, "neither [SECTION] nor KEY = VALUE", "");
    }
    return wrong == 0 && !profile->failed;
}

static char *find_path(struct arena *words)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config != NULL && config[0] == '/')
        return join(words, config, "/excamera/config", "");
    return join(words, home != NULL ? home : "", "/.config/excamera/config", "");
}

/* ---- What counts --------------------------------------------------------------------------- */

/* The command line that is being made. */
struct making {
    const struct profile *profile;
    const struct option *options;
    char *section; /* of the profile; NULL: none */
    int argc;
    char **argv; /* the user's, without --profile */
};

static int level_of(const struct making *making, const struct entry *entry)
{
    if (strcmp(entry->section, "default") == 0)
        return LEVEL_DEFAULT;
    return making->section != NULL && strcmp(entry->section, making->section) == 0 ? LEVEL_PROFILE
                                                                                   : -1;
}

/* What the user's own words say of an option; NULL for nothing. */
static const char *said_by_hand(const struct making *making, const char *key)
{
    const char *value = NULL;
    size_t length = strlen(key);
    for (int i = 1; i < making->argc && strcmp(making->argv[i], "--") != 0; i++) {
        const char *word = making->argv[i];
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, key, length) != 0)
            continue;
        if (word[2 + length] == '=')
            value = word + length + 3;
        else if (word[2 + length] == '\0')
            value = making->argv[i + 1];
    }
    return value;
}

/* On which level the option is said, up to `most`, and what; -1 and no change of `*value`: on none. */
static int said(const struct making *making, const char *key, int most, const char **value)
{
    const char *by_hand = most == LEVEL_COMMAND_LINE ? said_by_hand(making, key) : NULL;
    int highest = -1;
    for (int i = 0; i < making->profile->entries; i++) {
        const struct entry *entry = &making->profile->entry[i];
        int level = level_of(making, entry);
        if (level < 0 || level > most || level < highest || strcmp(entry->key, key) != 0)
            continue;
        highest = level;
        *value = entry->value;
    }
    if (by_hand == NULL)
        return highest;
    *value = by_hand;
    return LEVEL_COMMAND_LINE;
}

/* Whether the coordinator counts, for a command that has it and engines too. */
static bool is_elsewhere(const struct making *making)
{
    const char *value;
    int coordinator = said(making, "coordinator", LEVEL_COMMAND_LINE, &value);
    return coordinator >= 0 && coordinator >= said(making, "engine", LEVEL_COMMAND_LINE, &value);
}

static bool is_of_engine(const char *key)
{
    static const char *const keys[] = {"engine", "engine-opt", "advertise", "rendezvous-port"};
    for (int i = 0; i < 4; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* Options of another engine than the one that is used do not count. */
static bool is_of_this_engine(const struct making *making, int level)
{
    const char *then = "local", *now = "local";
    said(making, "engine", level, &then);
    said(making, "engine", LEVEL_COMMAND_LINE, &now);
    return strcmp(then, now) == 0;
}

static bool counts(const struct making *making, const struct entry *entry)
{
    const struct option *options = making->options;
    bool both =
        find_option(options, "engine") != NULL && find_option(options, "coordinator") != NULL;
    if (find_option(options, entry->key) == NULL)
        return false;
    if (both && is_of_engine(entry->key) && is_elsewhere(making))
        return false;
    if (both && strcmp(entry->key, "coordinator") == 0 && !is_elsewhere(making))
        return false;
    return strcmp(entry->key, "engine-opt") != 0 ||
           is_of_this_engine(making, level_of(making, entry));
}

/* ---- Making -------------------------------------------------------------------------------- */

/* The option as a word of a command line; NULL for a flag that is not set, or where memory is out, with
 * `*failed`. */
static char *make_word(const struct making *making, const struct entry *entry, bool *failed)
{
    struct arena *words = making->profile->words;
    bool set = true;
    char *word;
    if (find_option(making->options, entry->key)->has_arg == no_argument) {
        is_flag_value(entry->value, &set);
        if (!set)
            return NULL;
        word = join(words, "--", entry->key, "");
    } else {
        word = join(words, "--", entry->key, "=");
        word = word != NULL ? join(words, word, entry->value, "") : NULL;
    }
    *failed |= word == NULL;
    return word;
}

/* The command, what [default] says, what the profile says, and the user's own words. */
static int make_line(const struct making *making, char **made)
{
    bool failed = false;
    int count = 0;
    made[count++] = making->argv[0];
    for (int level = LEVEL_DEFAULT; level <= LEVEL_PROFILE; level++) {
        for (int i = 0; i < making->profile->entries; i++) {
            const struct entry *entry = &making->profile->entry[i];
            char *word = level_of(making, entry) == level && counts(making, entry)
                             ? make_word(making, entry, &failed)
                             : NULL;
            if (word != NULL)
                made[count++] = word;
        }
    }
    for (int i = 1; i < making->argc; i++)
        made[count++] = making->argv[i];
    return failed ? no_memory() : count;
}

/* Takes --profile out of the words; `*name` is what it says, or NULL. */
static bool take_name(struct making *making, const char **name)
{
    static const char option[] = "--profile";
    char **argv = making->argv;
    int count = 1, i = 1;
    for (; i < making->argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--profile=", sizeof option) == 0) {
            *name = argv[i] + sizeof option;
        } else if (strcmp(argv[i], option) != 0) {
            argv[count++] = argv[i];
        } else if (++i < making->argc) {
            *name = argv[i];
        } else {
            fprintf(stderr, "excamera: --profile NAME\n");
            return false;
        }
    }
    while (i < making->argc)
        argv[count++] = argv[i++];
    argv[count] = NULL;
    making->argc = count;
    return true;
}

/* Its section must be there. */
static bool find_section(struct making *making, const char *name)
{
    const struct profile *profile = making->profile;
    making->section = join(profile->words, "profile ", name, "");
    if (making->section == NULL)
        return no_memory() == 0;
    for (int i = 0; i < profile->entries; i++)
        if (level_of(making, &profile->entry[i]) == LEVEL_PROFILE)
            return true;
    fprintf(stderr, "excamera: there is no [%s] with anything in it in %s\n", making->section,
            profile->path);
    return false;
}

static int make(struct making *making, struct profile *profile, char ***made)
{
    const char *name = NULL;
    if (!take_name(making, &name) || !read_file(profile) ||
        (name != NULL && !find_section(making, name)))
        return -1;
    size_t most = (size_t)(making->argc + profile->entries) + 1;
    *made = arena_alloc(profile->words, most, sizeof **made);
    return *made != NULL ? make_line(making, *made) : no_memory();
}

int profile_apply(int argc, char **argv, const struct option *options,
                  const struct option *const *all, struct arena *words, char ***made)
{
    struct profile *profile = arena_alloc(words, 1, sizeof *profile);
    struct making making = {.profile = profile, .options = options, .argc = argc};
    making.argv = arena_alloc(words, (size_t)argc + 1, sizeof *argv);
    if (profile == NULL || making.argv == NULL)
        return no_memory();
    profile->all = all;
    profile->words = words;
    profile->path = find_path(words);
    if (profile->path == NULL)
        return no_memory();
    memcpy(making.argv, argv, (size_t)argc * sizeof *argv);
    return make(&making, profile, made);
}
