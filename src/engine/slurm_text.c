#include "engine/slurm_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- squeue -------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* Those of squeue's "JOB STATE CODES" that are no end; a state that is not known here counts as one. */
static enum slurm_state state_of(const char *word, const char *reason)
{
    static const char *const waiting[] = {"PENDING",      "CONFIGURING", "REQUEUED",
                                          "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD",
                                          "SPECIAL_EXIT", NULL};
    static const char *const running[] = {"RUNNING",  "SUSPENDED", "STOPPED",
                                          "RESIZING", "SIGNALING", NULL};
    static const char *const ending[] = {"COMPLETING", "STAGE_OUT", NULL};
    static const char *const stuck[] = {"BadConstraints",
                                        "InvalidAccount",
                                        "InvalidQOS",
                                        "PartitionTimeLimit",
                                        "PartitionNodeLimit",
                                        "PartitionConfig",
                                        "JobHeldAdmin",
                                        "JobHeldUser",
                                        "launch failed requeued held",
                                        "DependencyNeverSatisfied",
                                        NULL};
    if (is_one_of(word, waiting))
        return is_one_of(reason, stuck) ? SLURM_STUCK : SLURM_WAITING;
    if (is_one_of(word, running))
        return SLURM_RUNNING;
    return is_one_of(word, ending) ? SLURM_ENDING : SLURM_ENDED;
}

static bool read_number(const char *text, uint32_t *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *number = (uint32_t)value;
    return end != text && *end == '\0' && value <= UINT32_MAX;
}

static bool read_line(char *text, struct slurm_line *line)
{
    char *field[4] = {text};
    for (int i = 1; i < 4; i++) {
        char *bar = strchr(field[i - 1], '|');
        if (bar == NULL)
            return false;
        *bar = '\0';
        field[i] = bar + 1;
    }
    line->word = field[2];
    line->reason = field[3];
    line->state = state_of(field[2], field[3]);
    return read_number(field[0], &line->array) && read_number(field[1], &line->index);
}

bool slurm_next_line(char **text, struct slurm_line *line)
{
    while (**text != '\0') {
        char *begin = *text, *end = begin + strcspn(begin, "\n");
        *text = *end != '\0' ? end + 1 : end;
        *end = '\0';
        if (read_line(begin, line))
            return true;
    }
    return false;
}

/* ---- Failures ------------------------------------------------------------------------------ */

static bool says_one_of(const char *said, const char *const *phrases)
{
    for (; *phrases != NULL; phrases++)
        if (strstr(said, *phrases) != NULL)
            return true;
    return false;
}

/* The sentences are those of slurm_errno.c. */
enum slurm_failure slurm_failure(const char *said)
{
    static const char *const later[] = {"Unable to contact slurm controller",
                                        "Socket timed out",
                                        "Slurm temporarily unable",
                                        "Resource temporarily unavailable",
                                        "Connection refused",
                                        "Zero Bytes were transmitted",
                                        "Transport endpoint is not connected",
                                        "Controller is in standby mode",
                                        NULL};
    static const char *const too_many[] = {"Job violates accounting/QOS policy",
                                           "Invalid job array specification", NULL};
    if (says_one_of(said, later))
        return SLURM_LATER;
    return says_one_of(said, too_many) ? SLURM_TOO_MANY : SLURM_REFUSED;
}

void slurm_sentence(const char *said, char *sentence, int size)
{
    static const char *const begins[] = {
        "error: ", "fatal: ", "Batch job submission failed: ", NULL};
    const char *last = "";
    int length = 0;
    for (const char *line = said; *line != '\0'; line += strspn(line, "\n")) {
        int end = (int)strcspn(line, "\n");
        if (end > 0) {
            last = line;
            length = end;
        }
        line += end;
    }
    for (int i = 0; begins[i] != NULL; i++) {
        const char *at = memmem(last, (size_t)length, begins[i], strlen(begins[i]));
        if (at == NULL)
            continue;
        at += strlen(begins[i]);
        length -= (int)(at - last);
        last = at;
    }
    snprintf(sentence, (size_t)size, "%.*s", length, last);
}

/* ---- Values -------------------------------------------------------------------------------- */

/* "minutes", "minutes:seconds", "hours:minutes:seconds", "days-hours", "days-hours:minutes" and
 * "days-hours:minutes:seconds". */
bool slurm_time(const char *text, uint64_t *ms)
{
    static const uint64_t with_days[] = {3600, 60, 1};
    static const uint64_t without[][3] = {{60}, {60, 1}, {3600, 60, 1}};
    uint64_t days = 0, number[3], seconds = 0;
    int count = 0;
    bool dash = strchr(text, '-') != NULL;
    for (char *end;; text = end + 1) {
        if (*text < '0' || *text > '9' || count == 3)
            return false;
        number[count] = strtoull(text, &end, 10);
        if (number[count] > 1000000)
            return false;
        if (*end == '-' && count == 0 && days == 0)
            days = number[0];
        else
            count++;
        if (*end == '\0')
            break;
        if (*end != ':' && !(*end == '-' && count == 0))
            return false;
    }
    for (int i = 0; i < count; i++)
        seconds += number[i] * (dash ? with_days[i] : without[count - 1][i]);
    *ms = (days * 86400 + seconds) * 1000;
    return *ms > 0;
}

uint32_t slurm_config(const char *text, const char *name, uint32_t fallback)
{
    size_t length = strlen(name);
    for (; text != NULL && *text != '\0'; text = strchr(text, '\n')) {
        text += strspn(text, "\n");
        if (strncmp(text, name, length) != 0 || strchr(" =", text[length]) == NULL)
            continue;
        char *end;
        const char *value = text + length + strspn(text + length, " =");
        unsigned long number = strtoul(value, &end, 10);
        return end != value && number <= UINT32_MAX ? (uint32_t)number : fallback;
    }
    return fallback;
}

/* ---- The script ---------------------------------------------------------------------------- */

/* As one word for a shell. */
static void put_quoted(FILE *stream, const char *text)
{
    putc('\'', stream);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stream);
        else
            putc(*text, stream);
    }
    putc('\'', stream);
}

char *slurm_script(const char *folder, uint32_t batch, const char *program)
{
    char *script = NULL;
    size_t size;
    FILE *stream = open_memstream(&script, &size);
    if (stream == NULL)
        return NULL;
    fputs("#!/bin/sh\ndocument=", stream);
    put_quoted(stream, folder);
    fprintf(stream,
            "/%" PRIu32 "-$SLURM_ARRAY_TASK_ID\nexec <\"$document\" || exit\nrm -f \"$document\"\n"
            "exec ",
            batch);
    put_quoted(stream, program);
    fputs(" worker --invocation -\n", stream);
    if (fclose(stream) == 0)
        return script;
    free(script);
    return NULL;
}
