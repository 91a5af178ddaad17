#include "cli/watching.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void watching_end(struct watching *watching)
{
    if (watching->line_open)
        fputs("\r\033[K", stderr);
    watching->line_open = false;
}

void watching_print_cost(const char *command, double cost)
{
    if (cost > 0)
        fprintf(stderr, "excamera %s: the job has cost %.4g\n", command, cost);
}

static void on_submitted(void *opaque, const char *id)
{
    struct watching *watching = opaque;
    watching_end(watching);
    fprintf(stderr, "excamera %s: the job is handed in as %s\n", watching->command, id);
}

static void on_progress(void *opaque, const struct submit_progress *progress)
{
    struct watching *watching = opaque;
    watching->cost = progress->cost;
    if (!watching->terminal)
        return;
    watching_end(watching);
    fprintf(stderr, "%s: ", progress->id);
    if (progress->waiting)
        fputs("waits for its inputs", stderr);
    else if (progress->actors >= 0)
        fprintf(stderr, "%" PRId64 " of %" PRId64 " actors done, %d workers", progress->done,
                progress->actors, progress->workers);
    else
        fprintf(stderr, "%" PRId64 " actors done, %d workers", progress->done, progress->workers);
    fflush(stderr);
    watching->line_open = true;
}

static void on_note(void *opaque, const char *sentence)
{
    struct watching *watching = opaque;
    watching_end(watching);
    fprintf(stderr, "excamera %s: %s\n", watching->command, sentence);
}

struct submit_events watching_events(struct watching *watching, const char *command)
{
    *watching = (struct watching){.command = command, .terminal = isatty(STDERR_FILENO)};
    return (struct submit_events){
        .submitted = on_submitted, .progress = on_progress, .note = on_note, .opaque = watching};
}
