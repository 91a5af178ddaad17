/*
 * The shipped job files, played through: a world without workers, in which messages, objects and files
 * are only names. Whatever an actor reads must be there before; whatever order actors go in, all of them
 * come to their end.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mu/job_file.h"
#include "mu/machine.h"

/* ---- The world ----------------------------------------------------------------------------- */

enum { MOST_ACTORS = 64, MOST_NAMES = 4096, NAME_SIZE = 256 };

/* Names that were noted. */
struct names {
    int count;
    char name[MOST_NAMES][NAME_SIZE];
};

struct player {
    struct actor actor;
    char name[JOB_ACTOR_SIZE];
    struct actor_state state;
    int result;
    int64_t next; /* a run that goes from number to number: the one that is due */
};

struct world {
    struct job *job;
    int players;
    struct player player[MOST_ACTORS];
    struct names there; /* "message FROM TO NAME", "object KEY", "file ACTOR NAME" */
    struct names runs;  /* "ACTOR STATE", in order */
    int64_t members;    /* that the open family turns out to have */
    /* Does what it can of a run; true when that has ended. */
    bool (*run)(struct world *world, struct player *player, const struct machine_request *request);
    /* The content of a file that a "set" reads. */
    void (*content)(const struct world *world, const struct player *player,
                    char content[NAME_SIZE]);
};

static bool is_there(const struct names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return true;
    return false;
}

__attribute__((format(printf, 2, 3))) static bool has(const struct world *world, const char *format,
                                                      ...)
{
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return is_there(&world->there, name);
}

__attribute__((format(printf, 2, 3))) static void note(struct names *names, const char *format, ...)
{
    va_list arguments;
    assert_true(names->count < MOST_NAMES);
    va_start(arguments, format);
    vsnprintf(names->name[names->count++], NAME_SIZE, format, arguments);
    va_end(arguments);
}

static void need_file(const struct world *world, const struct player *player, const char *file)
{
    if (!has(world, "file %s %s", player->name, file))
        fail_msg("%s has no file %s", player->name, file);
}

/* A run or what one does at a point; true when it is done, false when something is not there yet. */
static bool perform(struct world *world, struct player *player,
                    const struct machine_request *request)
{
    const char *name = player->name;
    struct actor other;
    switch (request->kind) {
    case JOB_GET:
        if (!has(world, "object %s", request->key))
            return false;
        note(&world->there, "file %s %s", name, request->file);
        return true;
    case JOB_PUT:
        need_file(world, player, request->file);
        note(&world->there, "object %s", request->key);
        return true;
    case JOB_SEND:
        assert_true(actor_find(world->job, request->peer, &other));
        assert_true(!world->job->group[other.group].is_open || other.index < world->members);
        if (request->text == NULL)
            need_file(world, player, request->file);
        assert_false(has(world, "message %s %s %s", name, request->peer, request->name));
        note(&world->there, "message %s %s %s", name, request->peer, request->name);
        return true;
    case JOB_RECEIVE:
        if (!has(world, "message %s %s %s", request->peer, name, request->name))
            return false;
        note(&world->there, "file %s %s", name, request->file);
        return true;
    case JOB_RUN:
        return world->run(world, player, request);
    case JOB_SET:
        need_file(world, player, request->file);
        return true;
    default:
        return true;
    }
}

/* The point of that name. */
static bool point(struct world *world, struct player *player, const struct machine_request *request,
                  const char *name, int64_t number)
{
    for (int i = 0; i < request->points; i++) {
        struct machine_request at_point;
        struct error error;
        if (strcmp(request->point[i].name, name) != 0)
            continue;
        if (!request->point[i].numbered)
            return perform(world, player, &request->point[i].request);
        assert_int_equal(machine_number(&request->point[i], number, &at_point, &error), 0);
        bool done = perform(world, player, &at_point);
        machine_request_free(&at_point);
        return done;
    }
    fail_msg("no point %s", name);
    return false;
}

/* Lets the player do one request, if it can. */
static bool play(struct world *world, struct player *player)
{
    struct machine_request request;
    struct error error = {0};
    struct actor_state after;
    char content[NAME_SIZE] = "";
    if (machine_request(world->job, player->actor, &player->state, &request, &error) < 0)
        fail_msg("%s", error.message);
    bool done = perform(world, player, &request);
    if (done && request.kind == JOB_RUN)
        note(&world->runs, "%s %s", player->name, world->job->state[player->state.state].name);
    if (done && request.kind == JOB_SET)
        world->content(world, player, content);
    machine_request_free(&request);
    if (!done)
        return false;
    struct machine_outcome outcome = {JOB_OK, content, strlen(content)};
    player->result =
        machine_step(world->job, player->actor, &player->state, &outcome, &after, &error);
    if (player->result < 0 || player->result == MACHINE_UNHANDLED)
        fail_msg("%s", error.message);
    actor_state_free(&player->state);
    player->state = after;
    return true;
}

static struct world *world_new(const char *file, const struct job_choice *choice, int choices,
                               int64_t members)
{
    struct world *world = calloc(1, sizeof *world);
    struct error error = {0};
    char path[NAME_SIZE];
    assert_non_null(world);
    snprintf(path, sizeof path, "%s/examples/%s", PROJECT_ROOT, file);
    if (job_file_load(path, choice, choices, &world->job, NULL, NULL, &error) < 0)
        fail_msg("%s", error.message);
    world->members = members;
    for (int group = 0; group < world->job->groups; group++) {
        const struct job_group *of = &world->job->group[group];
        for (int64_t i = 0; i < (of->is_open ? members : of->count); i++) {
            struct player *player = &world->player[world->players++];
            assert_true(world->players <= MOST_ACTORS);
            player->actor = (struct actor){group, i};
            actor_name(world->job, player->actor, player->name);
            player->result = machine_start(world->job, player->actor, &player->state, &error);
            assert_true(player->result == MACHINE_REQUEST || player->result == MACHINE_FINISHED);
        }
    }
    for (int i = 0; i < world->job->inputs; i++)
        note(&world->there, "object %s", world->job->input[i].key);
    return world;
}

/* Until all are finished; `backwards`: in each round the last actor goes first. */
static void play_all(struct world *world, bool backwards)
{
    int left = world->players;
    for (bool moved = true; moved && left > 0;) {
        moved = false;
        left = 0;
        for (int i = 0; i < world->players; i++) {
            struct player *player = &world->player[backwards ? world->players - 1 - i : i];
            int before = world->there.count;
            if (player->result == MACHINE_REQUEST)
                moved |= play(world, player) || world->there.count > before;
            left += player->result == MACHINE_REQUEST;
        }
    }
    for (int i = 0; i < world->players; i++)
        if (world->player[i].result != MACHINE_FINISHED)
            fail_msg("%s waits for ever", world->player[i].name);
    for (int i = 0; i < world->job->outputs; i++)
        assert_true(has(world, "object %s", world->job->output[i].key));
}

static void world_free(struct world *world)
{
    for (int i = 0; i < world->players; i++)
        actor_state_free(&world->player[i].state);
    job_free(world->job);
    free(world);
}

/* ---- The ring ------------------------------------------------------------------------------ */

static void ring_goes_round(void **state)
{
    (void)state;
    static const char *const sizes[] = {"1", "2", "3", "40"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct job_choice choice[] = {{"members", sizes[i]}, {"rounds", "4"}};
        struct world *world = world_new("ring.json", choice, 2, 0);
        play_all(world, i % 2 == 1);
        int messages = 0;
        for (int j = 0; j < world->there.count; j++)
            messages += strncmp(world->there.name[j], "message ", 8) == 0;
        assert_int_equal(messages, 4 * world->players);
        world_free(world);
    }
}

/* ---- The encode ---------------------------------------------------------------------------- */

static int64_t variable(const struct world *world, const char *name)
{
    int index;
    assert_true(job_find_variable(world->job, name, &index));
    return world->job->variable[index].value.integer;
}

/* Where a new scene begins besides, as a cut would have it. */
static const int64_t scene = 11;

static int64_t position(const struct world *world, int64_t chunk)
{
    int64_t batch = variable(world, "batch_chunks");
    return chunk < scene ? chunk % batch : (chunk - scene) % batch;
}

static bool is_last(const struct world *world, int64_t chunk)
{
    return chunk + 1 == world->members || position(world, chunk + 1) == 0;
}

static void place_content(const struct world *world, const struct player *player,
                          char content[NAME_SIZE])
{
    snprintf(content, NAME_SIZE, "{\"position\":%" PRId64 ",\"last_of_batch\":%s,\"pictures\":6}",
             position(world, player->actor.index),
             is_last(world, player->actor.index) ? "true" : "false");
}

static void make(struct world *world, const struct player *player, const char *kind, int64_t number,
                 const char *ending)
{
    note(&world->there, "file %s %s-%06" PRId64 ".%s", player->name, kind, number, ending);
}

static void need_number(const struct world *world, const struct player *player, const char *kind,
                        int64_t number)
{
    char file[NAME_SIZE];
    snprintf(file, sizeof file, "%s-%06" PRId64 ".json", kind, number);
    need_file(world, player, file);
}

/* One chunk a call, when it was asked for. */
static bool run_source(struct world *world, struct player *player,
                       const struct machine_request *request)
{
    int64_t number = player->next;
    assert_true(point(world, player, request, "needed", number));
    make(world, player, "raw", number, "y4m");
    make(world, player, "place", number, "json");
    make(world, player, "times", number, "json");
    assert_true(point(world, player, request, "times", number));
    if (!point(world, player, request, "wanted", number))
        return false;
    assert_true(point(world, player, request, "raw", number));
    assert_true(point(world, player, request, "place", number));
    player->next++;
    return player->next == world->members && point(world, player, request, "end", player->next);
}

/* The same where chunks are planned, not made. */
static bool run_plan(struct world *world, struct player *player,
                     const struct machine_request *request)
{
    static const int64_t scans = 3;
    int64_t step = player->next;
    if (step < scans) {
        make(world, player, "segments", step, "json");
        assert_true(point(world, player, request, "segments", step));
    } else if (step < 2 * scans) {
        if (!point(world, player, request, "measures", step - scans))
            return false;
        need_number(world, player, "measures", step - scans);
    } else {
        int64_t number = step - 2 * scans;
        assert_true(point(world, player, request, "needed", number));
        make(world, player, "place", number, "json");
        make(world, player, "times", number, "json");
        assert_true(point(world, player, request, "times", number));
        assert_true(point(world, player, request, "place", number));
    }
    player->next++;
    return player->next == 2 * scans + world->members &&
           point(world, player, request, "end", world->members);
}

static bool run_join(struct world *world, struct player *player,
                     const struct machine_request *request)
{
    if (!point(world, player, request, "times", player->next) ||
        !point(world, player, request, "chunk", player->next))
        return false;
    player->next++;
    if (player->next < world->members)
        return false;
    note(&world->there, "file %s output.webm", player->name);
    note(&world->there, "file %s summary.json", player->name);
    return true;
}

/* What follows the option `name` in the command line, or NULL. */
static const char *option(const struct machine_request *request, const char *name)
{
    for (int i = 3; request->argv[i] != NULL; i++)
        if (strcmp(request->argv[i], name) == 0)
            return request->argv[i + 1];
    return NULL;
}

/* Reads and makes the files that the command line names. */
static bool run_task(struct world *world, struct player *player,
                     const struct machine_request *request)
{
    const char *before = option(request, "--state-point"),
               *after = option(request, "--out-state-point");
    if (before != NULL && !point(world, player, request, before, 0))
        return false;
    for (int i = 3; request->argv[i] != NULL; i++) {
        const char *word = request->argv[i], *file = request->argv[i + 1];
        if (strncmp(word, "--out-", 6) == 0 && strcmp(word, "--out-state-point") != 0)
            note(&world->there, "file %s %s", player->name, file);
        else if (strcmp(word, "--raw") == 0 || strcmp(word, "--chunk") == 0 ||
                 strcmp(word, "--state") == 0 || strcmp(word, "--made-for") == 0 ||
                 strcmp(word, "--source") == 0 || strcmp(word, "--place") == 0 ||
                 strcmp(word, "--segments") == 0)
            need_file(world, player, strncmp(file, "reference:", 10) == 0 ? file + 10 : file);
    }
    if (after != NULL)
        assert_true(point(world, player, request, after, 0));
    if (strcmp(request->argv[2], "source") == 0)
        return run_source(world, player, request);
    if (strcmp(request->argv[2], "plan") == 0)
        return run_plan(world, player, request);
    if (strcmp(request->argv[2], "join") == 0)
        return run_join(world, player, request);
    return true;
}

/* Which steps each chunk must go through, and in which order. */
static void check_steps(const struct world *world, int64_t chunk, bool seeking)
{
    char expected[6][40], name[JOB_ACTOR_SIZE];
    int count = 0, found = 0;
    int64_t place = position(world, chunk);
    bool last = is_last(world, chunk);
    if (seeking)
        strcpy(expected[count++], "seek");
    strcpy(expected[count++], place == 0 ? "encode-first" : "encode");
    if (!last)
        strcpy(expected[count++], place == 0 ? "decode-first" : "decode");
    if (place == 1)
        strcpy(expected[count++], last ? "reencode-last" : "reencode-second");
    if (place > 1) {
        strcpy(expected[count++], "reencode");
        strcpy(expected[count++], last ? "rebase-last" : "rebase");
    }
    snprintf(name, sizeof name, "chunk-%06" PRId64, chunk);
    for (int i = 0; i < world->runs.count; i++) {
        if (strncmp(world->runs.name[i], name, strlen(name)) != 0)
            continue;
        assert_true(found < count);
        assert_string_equal(world->runs.name[i] + strlen(name) + 1, expected[found++]);
    }
    assert_int_equal(found, count);
    /* States go to the next chunk of the batch and not beyond. */
    assert_int_equal(has(world, "message %s chunk-%06" PRId64 " approximate", name, chunk + 1),
                     !last);
    assert_int_equal(has(world, "message %s chunk-%06" PRId64 " exact", name, chunk + 1),
                     !last && place > 0);
}

static void check_films(const struct job_choice *choice, int choices, bool seeking)
{
    static const struct {
        int64_t chunks;
        const char *batch;
    } films[] = {{1, "16"}, {2, "16"}, {3, "16"}, {40, "16"}, {20, "1"}, {13, "2"}, {25, "4"}};
    for (size_t i = 0; i < sizeof films / sizeof films[0]; i++) {
        struct job_choice all[4] = {{"batch_chunks", films[i].batch}};
        for (int j = 0; j < choices; j++)
            all[1 + j] = choice[j];
        struct world *world = world_new("encode.json", all, 1 + choices, films[i].chunks);
        world->run = run_task;
        world->content = place_content;
        play_all(world, i % 2 == 1);
        for (int64_t chunk = 0; chunk < films[i].chunks; chunk++)
            check_steps(world, chunk, seeking);
        world_free(world);
    }
}

static void encode_takes_its_steps(void **state)
{
    static const struct job_choice seeking[] = {
        {"frames_by", "seeking"}, {"scans", "3"}, {"source", "reference:film.url"}};
    (void)state;
    check_films(NULL, 0, false);
    check_films(seeking, 3, true);
}

/* Later steps of a chunk are more urgent than earlier ones. */
static void encode_has_priorities(void **state)
{
    (void)state;
    static const char *const order[] = {"encode", "decode", "reencode", "rebase", "source"};
    struct world *world = world_new("encode.json", NULL, 0, 1);
    int before = -1;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        for (int j = 0; j < world->job->states; j++)
            if (strcmp(world->job->state[j].name, order[i]) == 0) {
                assert_true(world->job->state[j].priority > before);
                before = world->job->state[j].priority;
            }
    world_free(world);
}

/* ---- The filter ---------------------------------------------------------------------------- */

static bool run_filter(struct world *world, struct player *player,
                       const struct machine_request *request)
{
    const char *name = world->job->state[player->state.state].name;
    if (strcmp(name, "deal") == 0) {
        for (int64_t i = 0; i < world->members; i++) {
            make(world, player, "piece", i, "mkv");
            assert_true(point(world, player, request, "piece", i));
        }
        note(&world->there, "file %s count", player->name);
        return point(world, player, request, "count", 0) &&
               point(world, player, request, "end", world->members);
    }
    while (strcmp(name, "collect") == 0 && player->next < world->members)
        if (!point(world, player, request, "gray", player->next++)) {
            player->next--;
            return false;
        }
    int last = 0;
    while (request->argv[last + 1] != NULL)
        last++;
    note(&world->there, "file %s %s", player->name, request->argv[last]);
    return true;
}

static void filter_joins_its_pieces(void **state)
{
    (void)state;
    for (int64_t pieces = 1; pieces < 20; pieces += 9) {
        struct world *world = world_new("grayscale.json", NULL, 0, pieces);
        world->run = run_filter;
        play_all(world, pieces > 1);
        world_free(world);
    }
}

/* ---- The documentation --------------------------------------------------------------------- */

static void documented_job_loads(void **state)
{
    (void)state;
    static char page[65536];
    struct job *job;
    struct error error = {0};
    FILE *file = fopen(PROJECT_ROOT "/docs/job-format.md", "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    char *begin = strstr(page, "```json\n"), *end = begin != NULL ? strstr(begin, "\n```") : NULL;
    assert_non_null(end);
    begin += strlen("```json\n");
    if (job_file_parse("page", begin, (size_t)(end - begin), NULL, 0, &job, &error) < 0)
        fail_msg("%s", error.message);
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_goes_round),       cmocka_unit_test(encode_takes_its_steps),
        cmocka_unit_test(encode_has_priorities), cmocka_unit_test(filter_joins_its_pieces),
        cmocka_unit_test(documented_job_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
