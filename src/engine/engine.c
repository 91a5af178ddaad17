#include "engine/engine.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kind.h"

static const struct engine_kind *const kinds[] = {&engine_local_kind, &engine_command_kind,
                                                  &engine_slurm_kind, &engine_lambda_kind};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- Options ------------------------------------------------------------------------------- */

const char *engine_option(const struct engine_choice *choice, const char *key)
{
    for (int i = choice->options; i-- > 0;)
        if (strcmp(choice->option[i].key, key) == 0)
            return choice->option[i].value;
    return NULL;
}

int engine_option_integer(const struct engine_choice *choice, const char *key, int64_t least,
                          int64_t most, int64_t *value, struct error *error)
{
    const char *text = engine_option(choice, key);
    char *end;
    if (text == NULL)
        return 0;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < least || number > most)
        return error_set(error, -EINVAL,
                         "the engine's option %s takes a whole number from %lld to %lld, not '%s'",
                         key, (long long)least, (long long)most, text);
    *value = number;
    return 0;
}

int engine_option_amount(const struct engine_choice *choice, const char *key, double *value,
                         struct error *error)
{
    const char *text = engine_option(choice, key);
    char *end;
    if (text == NULL)
        return 0;
    double amount = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(amount) || amount < 0)
        return error_set(error, -EINVAL,
                         "the engine's option %s takes an amount from 0 on, not '%s'", key, text);
    *value = amount;
    return 0;
}

const char *engine_option_next(const char **list, size_t *length)
{
    const char *text = *list;
    while (isspace((unsigned char)*text) || *text == ',')
        text++;
    *length = strcspn(text, ",");
    *list = text + *length;
    while (*length > 0 && isspace((unsigned char)text[*length - 1]))
        --*length;
    return *length > 0 ? text : NULL;
}

/* ---- Opening ------------------------------------------------------------------------------- */

/* "a, b and c"; behind the last of `names` is NULL. */
static void list_names(char *text, size_t size, const char *const *names)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; names[i] != NULL && at < size; i++) {
        const char *between = i == 0 ? "" : names[i + 1] != NULL ? ", " : " and ";
        at += (size_t)snprintf(text + at, size - at, "%s%s", between, names[i]);
    }
}

static int find_kind(const char *name, const struct engine_kind **kind, struct error *error)
{
    const char *names[KINDS + 1] = {0};
    char list[256];
    for (int i = 0; i < KINDS; i++) {
        *kind = kinds[i];
        if (strcmp(kinds[i]->name, name) == 0)
            return 0;
        names[i] = kinds[i]->name;
    }
    list_names(list, sizeof list, names);
    return error_set(error, -EINVAL, "there is no engine '%.40s'; there are %s", name, list);
}

static int check_keys(const struct engine_kind *kind, const struct engine_choice *choice,
                      struct error *error)
{
    for (int i = 0; i < choice->options; i++) {
        const char *const *key = kind->keys;
        char list[512];
        while (*key != NULL && strcmp(*key, choice->option[i].key) != 0)
            key++;
        if (*key != NULL)
            continue;
        if (kind->keys[0] == NULL)
            return error_set(error, -EINVAL, "the engine %s has no options, so no '%.40s'",
                             kind->name, choice->option[i].key);
        list_names(list, sizeof list, kind->keys);
        return error_set(error, -EINVAL, "the engine %s has no option '%.40s'; it has %s",
                         kind->name, choice->option[i].key, list);
    }
    return 0;
}

int engine_open(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                const struct engine_events *events, struct engine **engine, struct error *error)
{
    const struct engine_kind *kind;
    int code = find_kind(choice->name != NULL ? choice->name : "local", &kind, error);
    if (code == 0)
        code = check_keys(kind, choice, error);
    return code < 0 ? code : kind->open(loop, choice, program, events, engine, error);
}

/* ---- Calling ------------------------------------------------------------------------------- */

const struct engine_limits *engine_limits(const struct engine *engine)
{
    return &engine->limits;
}

int engine_start(struct engine *engine, uint32_t worker, const char *document, struct error *error)
{
    size_t most = engine->limits.document;
    if (most > 0 && strlen(document) > most)
        return error_set(error, -EMSGSIZE,
                         "what a worker is told has %zu bytes, and the engine takes %zu at most",
                         strlen(document), most);
    return engine->start(engine, worker, document, error);
}

void engine_kill(struct engine *engine, uint32_t worker)
{
    engine->kill(engine, worker);
}

void engine_stop(struct engine *engine)
{
    engine->stop(engine);
}

void engine_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    engine->close(engine, closed, opaque);
}
