/* Slurm's commands, and what to do while they do not reach it. */
#include <errno.h>

#include "engine/slurm_private.h"

enum {
    GIVE_UP_MS = 60000,    /* of not reaching it */
    MOST_EACH = 1000,      /* tasks of an array */
    FALLBACK_ARRAY = 1001, /* Slurm's own default of MaxArraySize */
};

uint64_t slurm_now(const struct slurm *slurm)
{
    return uv_now(slurm->loop);
}

void slurm_reached(struct slurm *slurm)
{
    slurm->failing_since = 0;
    slurm->pause_ms = SLURM_PAUSE_MS;
}

uint64_t slurm_not_reached(struct slurm *slurm, const char *said)
{
    uint64_t now = slurm_now(slurm), again = now + slurm->pause_ms;
    if (slurm->failing_since == 0)
        slurm->failing_since = now;
    slurm->pause_ms =
        slurm->pause_ms < SLURM_LONGEST_PAUSE_MS / 2 ? 2 * slurm->pause_ms : SLURM_LONGEST_PAUSE_MS;
    if (now - slurm->failing_since >= GIVE_UP_MS && !list_empty(&slurm->queue)) {
        struct error error;
        char sentence[256];
        slurm_sentence(said, sentence, sizeof sentence);
        error_set(&error, -EHOSTUNREACH, "Slurm has not answered for a minute: %s", sentence);
        slurm->failing_since = now;
        slurm_refuse_queue(slurm, &error);
    }
    return again;
}

void slurm_run(struct slurm *slurm, char *const *argv, char *const *env, const char *input,
               void (*done)(void *opaque, const struct tool_result *result), struct tool **tool,
               uint64_t *at)
{
    struct error error;
    int code = tool_run(slurm->loop, argv, env, input, done, slurm, tool, &error);
    if (code < 0)
        *at = slurm_not_reached(slurm, error.message);
    if (code == -ENOENT) {
        error_set(&error, code, "Slurm's command %s is not on this machine", argv[0]);
        slurm_refuse_queue(slurm, &error);
    }
}

/* ---- What Slurm is like -------------------------------------------------------------------- */

static void on_config(void *opaque, const struct tool_result *result)
{
    struct slurm *slurm = opaque;
    slurm->squeue = NULL;
    if (result->status != 0 && slurm_failure(result->said) != SLURM_REFUSED) {
        slurm->look_at = slurm_not_reached(slurm, result->said);
    } else if (result->status != 0) {
        struct error error;
        char sentence[256];
        slurm_sentence(result->said, sentence, sizeof sentence);
        error_set(&error, -EIO, "Slurm's scontrol fails: %s", sentence);
        slurm->look_at = slurm_now(slurm) + SLURM_LONGEST_PAUSE_MS;
        slurm_refuse_queue(slurm, &error);
    } else {
        uint32_t most = slurm_config(result->output, "MaxArraySize", FALLBACK_ARRAY);
        slurm->most_each = most < 1 ? 1 : most < MOST_EACH ? most : MOST_EACH;
        slurm_reached(slurm);
    }
}

void slurm_configure(struct slurm *slurm)
{
    char *argv[] = {"scontrol", "show", "config", NULL};
    slurm_run(slurm, argv, NULL, NULL, on_config, &slurm->squeue, &slurm->look_at);
}
