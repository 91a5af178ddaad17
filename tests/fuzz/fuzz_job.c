/*
 * The job loader: whatever the bytes, it ends, with a job or with words. A job that it takes can be drawn,
 * and each of its groups' first actors makes steps through the machine, with outcomes as the bytes have it; a
 * state comes back from its text as it was.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "mu/draw.h"
#include "mu/job_file.h"
#include "mu/machine.h"

enum { MOST_STEPS = 40, MOST_GROUPS = 4 };

static void check_drawing(const struct job *job)
{
    char *text;
    size_t size;
    struct error error;
    FILE *stream = open_memstream(&text, &size);
    CLAIM(stream != NULL);
    CLAIM(draw_dot(job, stream, &error) == 0);
    CLAIM(fclose(stream) == 0);
    CLAIM(strncmp(text, "digraph", 7) == 0);
    free(text);
}

static void check_text(const struct job *job, const struct actor_state *state)
{
    char *text;
    struct actor_state again;
    struct error error;
    CLAIM(actor_state_write(job, state, &text, &error) == 0);
    CLAIM(actor_state_read(job, text, strlen(text), &again, &error) == 0);
    CLAIM(actor_state_equal(state, &again));
    actor_state_free(&again);
    free(text);
}

/* A request in which everything is as the format promises, or an error. */
static void check_request(const struct job *job, struct actor actor,
                          const struct actor_state *state)
{
    struct machine_request request, point;
    struct error error = {0};
    if (machine_request(job, actor, state, &request, &error) < 0) {
        CLAIM(error.message[0] != '\0');
        return;
    }
    CLAIM(request.file == NULL || job_path_valid(request.file));
    CLAIM(request.key == NULL || job_path_valid(request.key));
    CLAIM(request.peer == NULL || actor_find(job, request.peer, &actor));
    CLAIM(request.kind != JOB_RUN || request.argv[0][0] != '\0');
    for (int i = 0; i < request.points; i++) {
        CLAIM(machine_number(&request.point[i], 7, &point, &error) == 0);
        CLAIM(point.key == NULL || job_path_valid(point.key));
        CLAIM(point.file == NULL || job_path_valid(point.file));
        CLAIM(point.name == NULL || job_name_valid(point.name));
        machine_request_free(&point);
    }
    machine_request_free(&request);
}

static void check_steps(const struct job *job, struct actor actor, const uint8_t *data, size_t size)
{
    struct actor_state state, after;
    struct error error;
    int result = machine_start(job, actor, &state, &error);
    for (int i = 0; i < MOST_STEPS && result == MACHINE_REQUEST; i++) {
        check_text(job, &state);
        check_request(job, actor, &state);
        struct machine_outcome outcome = {(enum job_outcome)(data[(size_t)i % size] % JOB_OUTCOMES),
                                          (const char *)data, size};
        if (outcome.outcome == JOB_TIMEOUT && data[0] % 2 == 0)
            outcome.outcome = JOB_OK;
        result = machine_step(job, actor, &state, &outcome, &after, &error);
        actor_state_free(&state);
        state = after;
    }
    CLAIM(result >= 0 || result == -ERANGE || result == -E2BIG);
    actor_state_free(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job *job;
    struct error error = {0};
    int code = job_file_parse("fuzz", (const char *)data, size, NULL, 0, &job, &error);
    CLAIM((code == 0) == (job != NULL));
    CLAIM(code == 0 || (code == -EINVAL && strncmp(error.message, "fuzz", 4) == 0));
    if (code < 0)
        return 0;
    check_drawing(job);
    for (int group = 0; group < job->groups && group < MOST_GROUPS; group++)
        check_steps(job, (struct actor){group, 0}, data, size);
    job_free(job);
    return 0;
}
