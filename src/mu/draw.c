#include "mu/draw.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mu/value.h"

/* Characters of a text that are shown. */
enum { MOST_SHOWN = 60 };

/* ---- Words in a label ---------------------------------------------------------------------- */

static void put_char(FILE *stream, char c)
{
    if (c == '"' || c == '\\')
        fputc('\\', stream);
    fputc(c >= 0 && c < ' ' ? ' ' : c, stream);
}

static void put(FILE *stream, const char *words)
{
    for (; *words != '\0'; words++)
        put_char(stream, *words);
}

/* Of UTF-8, so that a text is not cut within a character. */
static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* Returns how many more characters there is room for; 0 when the text was cut off. */
static int put_some(FILE *stream, const char *words, int room)
{
    for (; *words != '\0' && room > 0; words++) {
        room -= begins_character(*words);
        if (room == 0)
            fputs("…", stream);
        else
            put_char(stream, *words);
    }
    return room;
}

static void put_text(FILE *stream, const struct job *job, const struct job_text *text)
{
    int room = MOST_SHOWN;
    for (int i = 0; i < text->parts && room > 0; i++) {
        const struct job_part *part = &text->part[i];
        if (part->literal != NULL) {
            room = put_some(stream, part->literal, room);
            continue;
        }
        room = put_some(stream, "${", room);
        room = put_some(stream, job_variable_name(job, part->variable), room);
        room = put_some(stream, "}", room);
    }
}

static void put_operand(FILE *stream, const struct job *job, const struct job_operand *operand)
{
    char buffer[VALUE_TEXT_SIZE];
    bool quoted = operand->type == JOB_STRING;
    if (quoted)
        put(stream, "'");
    if (operand->is_text)
        put_text(stream, job, &operand->text);
    else
        put(stream, value_text(&operand->literal, buffer));
    if (quoted)
        put(stream, "'");
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void put_run(FILE *stream, const struct job *job, const struct job_request *request);

static void put_settings(FILE *stream, const struct job *job, const struct job_request *request)
{
    for (int i = 0; i < request->settings; i++) {
        const struct job_setting *setting = &request->setting[i];
        fputs(i > 0 ? "\\n" : " ", stream);
        put(stream, job_variable_name(job, setting->variable));
        if (setting->kind == JOB_READ) {
            put(stream, " from ");
            put_text(stream, job, &request->file);
            continue;
        }
        put(stream, setting->kind == JOB_ADD ? " += " : " = ");
        put_operand(stream, job, &setting->operand);
    }
}

/* A word and a text, where there is one. */
static void put_part(FILE *stream, const struct job *job, const char *word,
                     const struct job_text *text)
{
    if (text->parts == 0)
        return;
    put(stream, word);
    put_text(stream, job, text);
}

static void put_request(FILE *stream, const struct job *job, const struct job_request *request)
{
    put(stream, job_kind_name(request->kind));
    switch (request->kind) {
    case JOB_RUN:
        put_run(stream, job, request);
        break;
    case JOB_SET:
        put_settings(stream, job, request);
        break;
    case JOB_CLOSE:
        put(stream, " ");
        put(stream, job->group[request->group].name);
        break;
    case JOB_PUT:
        put_part(stream, job, " ", &request->key);
        put_part(stream, job, " for ", &request->actor);
        break;
    case JOB_SEND:
        put_part(stream, job, " ", &request->name);
        put_part(stream, job, " to ", &request->actor);
        break;
    case JOB_NEEDED:
        put_part(stream, job, " ", &request->actor);
        break;
    case JOB_RECEIVE:
        put_part(stream, job, " ", &request->name);
        put_part(stream, job, " from ", &request->actor);
        break;
    default:
        put_part(stream, job, " ", &request->key);
        break;
    }
}

static void put_run(FILE *stream, const struct job *job, const struct job_request *request)
{
    for (int i = 0; i < request->words && i < 3; i++)
        put_part(stream, job, " ", &request->argv[i]);
    if (request->words > 3)
        put(stream, " …");
    for (int i = 0; i < request->points; i++) {
        fputs("\\n", stream);
        put(stream, request->point[i].name);
        put(stream, ": ");
        put_request(stream, job, &request->point[i].request);
    }
}

/* ---- Guards and branches ------------------------------------------------------------------- */

static void put_guard(FILE *stream, const struct job *job, const struct job_guard *guard)
{
    static const char *const words[] = {
        [JOB_ALL] = " and ", [JOB_ANY] = " or ",    [JOB_NOT] = "not ",
        [JOB_IS] = " = ",    [JOB_IS_NOT] = " ≠ ",  [JOB_LESS] = " < ",
        [JOB_MORE] = " > ",  [JOB_AT_MOST] = " ≤ ", [JOB_AT_LEAST] = " ≥ ",
    };
    if (guard->kind >= JOB_IS) {
        put(stream, job_variable_name(job, guard->variable));
        put(stream, words[guard->kind]);
        put_operand(stream, job, &guard->operand);
        return;
    }
    put(stream, guard->kind == JOB_NOT ? "not (" : "(");
    for (int i = 0; i < guard->count; i++) {
        if (i > 0)
            put(stream, words[guard->kind]);
        put_guard(stream, job, &guard->guard[i]);
    }
    put(stream, ")");
}

static void put_branches(FILE *stream, const struct job *job, const char *from,
                         const struct job_next *next, enum job_outcome outcome)
{
    static const char *const style[JOB_OUTCOMES] = {"solid", "dashed", "dotted"};
    for (int i = 0; i < next->count; i++) {
        const struct job_branch *branch = &next->branch[i];
        fprintf(stream, "    %s -> \"%s\" [style=%s, label=\"", from, job->state[branch->to].name,
                style[outcome]);
        if (outcome != JOB_OK)
            put(stream, job_outcome_name(outcome));
        if (outcome != JOB_OK && next->count > 1)
            put(stream, ", ");
        if (branch->guard != NULL)
            put_guard(stream, job, branch->guard);
        else if (next->count > 1)
            put(stream, "else");
        fputs("\"];\n", stream);
    }
}

static void put_state(FILE *stream, const struct job *job, const struct job_state *state)
{
    char from[JOB_NAME_SIZE + 2];
    snprintf(from, sizeof from, "\"%s\"", state->name);
    fprintf(stream, "    %s [label=\"%s\\n", from, state->name);
    put_request(stream, job, &state->request);
    fprintf(stream, "\"%s];\n",
            state->request.kind == JOB_RUN    ? ", style=bold"
            : state->request.kind == JOB_QUIT ? ", peripheries=2"
                                              : "");
    for (int outcome = 0; outcome < JOB_OUTCOMES; outcome++)
        put_branches(stream, job, from, &state->next[outcome], (enum job_outcome)outcome);
}

int draw_dot(const struct job *job, FILE *stream, struct error *error)
{
    fprintf(stream, "digraph \"%s\" {\n", job->name);
    fputs("    node [shape=box, fontname=\"sans-serif\", fontsize=10];\n"
          "    edge [fontname=\"sans-serif\", fontsize=9];\n"
          "    \"\" [shape=point];\n",
          stream);
    put_branches(stream, job, "\"\"", &job->start, JOB_OK);
    for (int i = 0; i < job->states; i++)
        put_state(stream, job, &job->state[i]);
    fputs("}\n", stream);
    if (fflush(stream) != 0 || ferror(stream))
        return error_set(error, -EIO, "cannot write the drawing of the machine");
    return 0;
}
