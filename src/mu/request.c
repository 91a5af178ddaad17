#include "mu/request.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct filler {
    const struct scope *scope;
    struct arena *arena; /* of the outermost request */
    struct error *error;
};

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

/* ---- Checks -------------------------------------------------------------------------------- */

static int check_key(const char *key, struct error *error)
{
    if (!job_path_valid(key))
        return error_set(error, -EINVAL,
                         "'%s' is no key: a relative path of letters, digits, '.', '_' and '-' "
                         "without '..'",
                         key);
    if (job_key_reserved(key))
        return error_set(error, -EINVAL,
                         "the key '%s' is reserved: it has '.attempt-' in it, or begins with "
                         "'messages/' or 'parked/'",
                         key);
    return 0;
}

static int check_file(const char *file, struct error *error)
{
    if (job_path_valid(file))
        return 0;
    return error_set(error, -EINVAL,
                     "'%s' is no file of the scratch folder: a relative path of letters, digits, "
                     "'.', '_' and '-' without '..'",
                     file);
}

static int check_name(const char *name, struct error *error)
{
    if (job_name_valid(name))
        return 0;
    return error_set(error, -EINVAL,
                     "'%s' is no name of a message: at most %d letters, digits, '.', '_' and '-', "
                     "beginning with a letter or a digit",
                     name, JOB_MOST_NAME);
}

static int check_peer(const struct job *job, const char *peer, struct error *error)
{
    struct actor actor;
    if (actor_find(job, peer, &actor))
        return 0;
    return error_set(error, -EINVAL, "the job has no actor '%s'", peer);
}

enum text_kind { KEY, FILE_NAME, MESSAGE_NAME, PEER };

/* What is not known is taken to be one letter: where that does not make the text right, nothing does. */
static int check_text(const struct filler *filler, enum text_kind kind, const char *text,
                      bool known)
{
    char *sample = scope_number(text, 0, filler->arena); /* one number is as good as another */
    if (sample == NULL)
        return no_memory(filler->error);
    for (char *unknown = sample; !known && (unknown = strchr(unknown, SCOPE_UNKNOWN_CHARACTER));)
        *unknown = 'x';
    switch (kind) {
    case KEY:
        return check_key(sample, filler->error);
    case FILE_NAME:
        return check_file(sample, filler->error);
    case MESSAGE_NAME:
        return check_name(sample, filler->error);
    default:
        return known ? check_peer(filler->scope->job, sample, filler->error) : 0;
    }
}

/* ---- Filling in ---------------------------------------------------------------------------- */

static int fill_any(const struct filler *filler, const struct job_text *text, const char **filled)
{
    *filled = NULL;
    if (text->parts == 0)
        return 0;
    return scope_expand(filler->scope, text, filler->arena, filled, filler->error);
}

static int fill_text(const struct filler *filler, enum text_kind kind, const struct job_text *text,
                     const char **filled)
{
    int code = fill_any(filler, text, filled);
    if (code < 0 || *filled == NULL)
        return code;
    return check_text(filler, kind, *filled, scope_knows(filler->scope, text));
}

static int fill_argv(const struct filler *filler, const struct job_request *from,
                     struct machine_request *request)
{
    const char **argv = arena_alloc(filler->arena, (size_t)from->words + 1, sizeof *argv);
    if (argv == NULL)
        return no_memory(filler->error);
    request->argv = argv;
    for (int i = 0; i < from->words; i++) {
        int code = fill_any(filler, &from->argv[i], &argv[i]);
        if (code < 0)
            return code;
    }
    if (argv[0][0] == '\0')
        return error_set(filler->error, -EINVAL, "the command has no name");
    return 0;
}

static int fill_points(const struct filler *filler, const struct job_request *from,
                       struct machine_request *request);

static int fill_request(const struct filler *filler, const struct job_request *from,
                        struct machine_request *request)
{
    request->kind = from->kind;
    request->move = from->move;
    request->by_url = from->by_url;
    int code = fill_text(filler, KEY, &from->key, &request->key);
    if (code >= 0)
        code = fill_text(filler, FILE_NAME, &from->file, &request->file);
    if (code >= 0)
        code = fill_text(filler, MESSAGE_NAME, &from->name, &request->name);
    if (code >= 0)
        code = fill_text(filler, PEER, &from->actor, &request->peer);
    if (code >= 0)
        code = fill_any(filler, &from->text, &request->text);
    if (code < 0)
        return code;
    if (from->kind == JOB_CLOSE)
        request->family = filler->scope->job->group[from->group].name;
    if (from->kind != JOB_RUN)
        return 0;
    code = fill_argv(filler, from, request);
    return code < 0 ? code : fill_points(filler, from, request);
}

static int fill_points(const struct filler *filler, const struct job_request *from,
                       struct machine_request *request)
{
    struct machine_point *point = arena_alloc(filler->arena, (size_t)from->points, sizeof *point);
    if (point == NULL)
        return no_memory(filler->error);
    request->points = from->points;
    request->point = point;
    for (int i = 0; i < from->points; i++) {
        point[i].name = from->point[i].name;
        point[i].numbered = from->point[i].numbered;
        int code = fill_request(filler, &from->point[i].request, &point[i].request);
        if (code < 0)
            return error_prefix(filler->error, "point '%s'", point[i].name);
    }
    return 0;
}

static int fill_timeout(const struct filler *filler, const struct job_state *state,
                        struct machine_request *request)
{
    char name[JOB_ACTOR_SIZE];
    struct job_value seconds;
    request->timeout_ms = state->timeout_ms;
    if (!state->timeout_varies ||
        !scope_value(filler->scope, state->timeout_variable, &seconds, name))
        return 0;
    if (seconds.integer < 1 || seconds.integer > JOB_MOST_SECONDS)
        return error_set(filler->error, -EINVAL,
                         "a time limit of %" PRId64 " seconds is not in [1, %d]", seconds.integer,
                         JOB_MOST_SECONDS);
    request->timeout_ms = 1000 * seconds.integer;
    return 0;
}

int request_fill(const struct scope *scope, const struct job_state *state,
                 struct machine_request *request, struct error *error)
{
    *request = (struct machine_request){
        .tries = scope->state != NULL ? scope->state->tries : 0,
        .priority = state->priority,
    };
    const struct filler filler = {scope, &request->arena, error};
    int code = fill_request(&filler, &state->request, request);
    if (code >= 0)
        code = fill_timeout(&filler, state, request);
    if (code < 0)
        machine_request_free(request);
    return code;
}

void machine_request_free(struct machine_request *request)
{
    arena_free(&request->arena);
    *request = (struct machine_request){0};
}

/* ---- Numbers ------------------------------------------------------------------------------- */

int machine_number(const struct machine_point *point, int64_t number,
                   struct machine_request *request, struct error *error)
{
    *request = point->request;
    request->arena = (struct arena){0};
    const char **text[] = {&request->key, &request->file, &request->peer, &request->name,
                           &request->family};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        if (*text[i] == NULL)
            continue;
        *text[i] = scope_number(*text[i], number, &request->arena);
        if (*text[i] == NULL) {
            machine_request_free(request);
            return no_memory(error);
        }
    }
    return 0;
}
