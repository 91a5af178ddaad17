/* For those who make an engine: what each kind of them is, and what they share. */
#ifndef ENGINE_KIND_H
#define ENGINE_KIND_H

#include "engine/engine.h"

struct engine {
    struct engine_limits limits;
    int (*start)(struct engine *engine, uint32_t worker, const char *document, struct error *error);
    void (*kill)(struct engine *engine, uint32_t worker);
    void (*stop)(struct engine *engine);
    void (*close)(struct engine *engine, void (*closed)(void *opaque), void *opaque);
};

/* A kind of engines, by the name that users say. */
struct engine_kind {
    const char *name;
    const char *const *keys; /* of its options, behind them NULL */
    /* As engine_open(); the keys of the options are known to be its own. */
    int (*open)(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                const struct engine_events *events, struct engine **engine, struct error *error);
};

extern const struct engine_kind engine_local_kind, engine_command_kind, engine_slurm_kind,
    engine_lambda_kind;

/* The value of an option; NULL where it was not said. */
const char *engine_option(const struct engine_choice *choice, const char *key);
/* A whole number from `least` to `most`; `*value` stays as it is where nothing was said. -EINVAL. */
int engine_option_integer(const struct engine_choice *choice, const char *key, int64_t least,
                          int64_t most, int64_t *value, struct error *error);
/* An amount from 0 on, in the same way. */
int engine_option_amount(const struct engine_choice *choice, const char *key, double *value,
                         struct error *error);
/* The next of the values in `*list`, between commas, which goes behind it: what was at `*list`, `*length` bytes
 * without the blanks around them. NULL at the end. */
const char *engine_option_next(const char **list, size_t *length);

#endif
