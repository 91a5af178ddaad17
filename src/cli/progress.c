#include "cli/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double line_interval = 5; /* seconds between lines where there is no terminal */

void progress_duration(double seconds, char *text, size_t size)
{
    long long whole = (long long)(seconds + 0.5);
    if (whole < 3600)
        snprintf(text, size, "%lld:%02lld", whole / 60, whole % 60);
    else
        snprintf(text, size, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

static void describe_frames(const struct encode_progress *now, char *text, size_t size)
{
    double rate = now->seconds > 0 ? (double)(now->frames - now->before) / now->seconds : 0;
    char left[40] = "";
    if (now->total > now->frames && rate > 0)
        progress_duration((double)(now->total - now->frames) / rate, left, sizeof left);
    if (now->total > 0)
        snprintf(text, size, "frame %lld of %lld  %.1f fps%s%s", (long long)now->frames,
                 (long long)now->total, rate, left[0] ? "  left " : "", left);
    else
        snprintf(text, size, "frame %lld  %.1f fps", (long long)now->frames, rate);
}

static void describe_chunks(const struct encode_progress *now, char *text, size_t size)
{
    snprintf(text, size, "encode %d, decode %d, reencode %d, rebase %d, waiting %d",
             now->step[ENCODE_STEP_ENCODE], now->step[ENCODE_STEP_DECODE],
             now->step[ENCODE_STEP_REENCODE], now->step[ENCODE_STEP_REBASE], now->waiting);
}

/* A line that is longer than the terminal is wide could not be rewritten. */
static int terminal_columns(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? size.ws_col : 80;
}

void progress_show(struct progress *progress, const struct encode_progress *now)
{
    char frames[120];
    char chunks[120];
    char line[250];
    if (!progress->terminal && now->seconds - progress->last_seconds < line_interval)
        return;
    progress->last_seconds = now->seconds;
    describe_frames(now, frames, sizeof frames);
    describe_chunks(now, chunks, sizeof chunks);
    snprintf(line, sizeof line, "%s  [%s]", frames, chunks);
    if (progress->terminal)
        fprintf(stderr, "\r\033[K%.*s", terminal_columns() - 1, line);
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    progress->line_open = progress->terminal;
}

void progress_end(struct progress *progress)
{
    if (progress->line_open)
        fprintf(stderr, "\r\033[K");
    progress->line_open = false;
}
