#include "cli/submit.h"

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/build.h"
#include "cli/options.h"
#include "mu/delivery.h"
#include "mu/submitter.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

enum step {
    STEP_SUBMIT, /* hands it in */
    STEP_PUT,    /* brings its inputs */
    STEP_BEGIN,
    STEP_WATCH,
    STEP_GET,    /* brings its outputs */
    STEP_CANCEL, /* it was interrupted before it began */
    STEP_ASK,    /* one question, one answer */
    STEP_OVER,
};

struct conversation {
    const struct submit_access *access;
    const struct submit_options *options; /* NULL: the job was handed in before */
    struct submit_events events;
    const Mu__Envelope *question; /* of STEP_ASK */
    void (*answered)(void *opaque, const Mu__Jobs *jobs);
    void *answered_opaque;
    enum step step;
    char id[JOB_NAME_SIZE];
    const struct job *job;
    struct job *own_job; /* the same, where it came from the coordinator */
    char *store_parent;  /* absolute */
    struct credentials credentials;
    uv_loop_t loop;
    uv_signal_t signal[SIGNALS];
    struct network *network;
    struct submitter *submitter;
    struct store *store;       /* while something is delivered */
    struct delivery *delivery; /* the same */
    int code;
    struct error *error;
};

/* ---- The end ------------------------------------------------------------------------------- */

static void close_all(struct conversation *conversation)
{
    submitter_free(conversation->submitter);
    network_free(conversation->network);
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&conversation->signal[i], NULL);
}

/* Ends it, when what is delivered has called back; a failure of NULL is success. */
static void end(struct conversation *conversation, const struct error *failure)
{
    if (conversation->step == STEP_OVER)
        return;
    conversation->step = STEP_OVER;
    conversation->code = failure != NULL ? failure->code : 0;
    if (failure != NULL)
        *conversation->error = *failure;
    if (conversation->delivery != NULL)
        delivery_cancel(conversation->delivery);
    else
        close_all(conversation);
}

static void on_store_closed(void *opaque)
{
}

static void close_store(struct conversation *conversation)
{
    conversation->delivery = NULL;
    store_close(conversation->store, on_store_closed, conversation);
    conversation->store = NULL;
}

/* ---- Asking -------------------------------------------------------------------------------- */

static void ask(struct conversation *conversation, enum step step, const Mu__Envelope *question)
{
    struct error error;
    conversation->step = step;
    if (submitter_ask(conversation->submitter, question, &error) < 0)
        end(conversation, &error);
}

static void ask_submit(struct conversation *conversation)
{
    const struct submit_options *options = conversation->options;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Submit submit = MU__SUBMIT__INIT;
    Mu__Settings settings = MU__SETTINGS__INIT;
    size_t count = (size_t)options->choices;
    Mu__Choice *choice = calloc(count + 1, sizeof *choice);
    Mu__Choice **choices = calloc(count + 1, sizeof *choices);
    struct error error;
    if (choice == NULL || choices == NULL) {
        error_set(&error, -ENOMEM, "out of memory");
        end(conversation, &error);
    } else {
        for (size_t i = 0; i < count; i++) {
            mu__choice__init(&choice[i]);
            choice[i].variable = (char *)options->choice[i].variable;
            choice[i].value = (char *)options->choice[i].value;
            choices[i] = &choice[i];
        }
        settings.workers = (uint32_t)options->workers;
        settings.spare = (uint32_t)options->spare;
        settings.slots = (uint32_t)options->slots;
        settings.window = (uint32_t)options->window;
        settings.time_ms = options->time_ms;
        settings.cost = options->cost;
        submit.id = conversation->id;
        submit.job.data = (uint8_t *)options->text;
        submit.job.len = options->size;
        submit.choices = choices;
        submit.n_choices = count;
        submit.store = conversation->store_parent;
        submit.settings = &settings;
        envelope.body_case = MU__ENVELOPE__BODY_SUBMIT;
        envelope.submit = &submit;
        ask(conversation, STEP_SUBMIT, &envelope);
    }
    free(choice);
    free(choices);
}

static void ask_begin(struct conversation *conversation)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Begin begin = MU__BEGIN__INIT;
    begin.id = conversation->id;
    envelope.body_case = MU__ENVELOPE__BODY_BEGIN;
    envelope.begin = &begin;
    ask(conversation, STEP_BEGIN, &envelope);
}

static void ask_watch(struct conversation *conversation)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Watch watch = MU__WATCH__INIT;
    watch.id = conversation->id;
    envelope.body_case = MU__ENVELOPE__BODY_WATCH;
    envelope.watch = &watch;
    ask(conversation, STEP_WATCH, &envelope);
}

static void ask_cancel(struct conversation *conversation)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Cancel cancel = MU__CANCEL__INIT;
    cancel.id = conversation->id;
    envelope.body_case = MU__ENVELOPE__BODY_CANCEL;
    envelope.cancel = &cancel;
    ask(conversation, STEP_CANCEL, &envelope);
}

/* ---- Bringing ------------------------------------------------------------------------------ */

static void deliver(struct conversation *conversation, enum step step, delivery_done *done)
{
    char *place = NULL;
    struct error error;
    struct delivery_options options = {.loop = &conversation->loop,
                                       .job = conversation->job,
                                       .what = step == STEP_GET ? DELIVERY_OUTPUTS : DELIVERY_FILES,
                                       .done = done,
                                       .opaque = conversation};
    int code = asprintf(&place, "%s/%s", conversation->store_parent, conversation->id);
    if (code < 0) {
        place = NULL;
        code = error_set(&error, -ENOMEM, "out of memory");
    } else {
        code = store_open(&conversation->loop, place, &conversation->store, &error);
    }
    options.store = conversation->store;
    conversation->step = step;
    if (code == 0)
        code = delivery_begin(&options, &conversation->delivery, &error);
    if (code < 0 && conversation->store != NULL)
        close_store(conversation);
    if (code < 0)
        end(conversation, &error);
    free(place);
}

static void on_outputs(void *opaque, const struct error *failure)
{
    struct conversation *conversation = opaque;
    close_store(conversation);
    if (conversation->step == STEP_OVER)
        close_all(conversation);
    else
        end(conversation, failure);
}

static void on_inputs(void *opaque, const struct error *failure)
{
    struct conversation *conversation = opaque;
    close_store(conversation);
    if (conversation->step == STEP_OVER) {
        close_all(conversation);
    } else if (failure != NULL) {
        *conversation->error = *failure;
        ask_cancel(conversation);
    } else {
        ask_begin(conversation);
    }
}

/* ---- Answers ------------------------------------------------------------------------------- */

static int job_of(struct conversation *conversation, const Mu__Submit *submit, struct error *error)
{
    struct job_choice *choices = calloc(submit->n_choices + 1, sizeof *choices);
    char *parent = strdup(submit->store);
    int code = choices != NULL && parent != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < submit->n_choices && code == 0; i++)
        choices[i] = (struct job_choice){submit->choices[i]->variable, submit->choices[i]->value};
    if (code == 0)
        code = job_file_parse("the job", (const char *)submit->job.data, submit->job.len, choices,
                              (int)submit->n_choices, &conversation->own_job, error);
    free(choices);
    if (code < 0) {
        free(parent);
        return code;
    }
    free(conversation->store_parent);
    conversation->store_parent = parent;
    conversation->job = conversation->own_job;
    return 0;
}

static void on_watched(struct conversation *conversation, const Mu__Watched *watched)
{
    struct error error;
    if (conversation->job != NULL)
        return;
    if (watched->submit == NULL) {
        error_set(&error, -EBADMSG, "the coordinator cannot read the job any more");
        end(conversation, &error);
    } else if (job_of(conversation, watched->submit, &error) < 0) {
        end(conversation, &error);
    }
}

static void tell_progress(struct conversation *conversation, const Mu__Progress *said)
{
    const Mu__JobLine *line = said->line;
    struct submit_progress progress = {
        .id = conversation->id,
        .waiting = line->state == MU__JOB_LINE__STATE__WAITING,
        .actors = line->actors,
        .done = line->done,
        .amount = line->amount,
        .workers = (int)line->workers,
        .cost = line->cost,
    };
    for (size_t i = 0; i < said->n_states; i++)
        for (int state = 0; state < conversation->job->states; state++)
            if (strcmp(said->states[i]->key, conversation->job->state[state].name) == 0)
                progress.in_state[state] = said->states[i]->value;
    if (conversation->events.progress != NULL)
        conversation->events.progress(conversation->events.opaque, &progress);
}

static void on_progress(struct conversation *conversation, const Mu__Progress *progress)
{
    struct error error;
    if (conversation->step != STEP_WATCH || conversation->job == NULL || progress->line == NULL)
        return;
    switch (progress->line->state) {
    case MU__JOB_LINE__STATE__DONE:
        tell_progress(conversation, progress);
        deliver(conversation, STEP_GET, on_outputs);
        break;
    case MU__JOB_LINE__STATE__FAILED:
        error_set(&error, -EIO, "%.1000s", progress->line->error);
        end(conversation, &error);
        break;
    case MU__JOB_LINE__STATE__CANCELLED:
        error_set(&error, -EIO, "the job was cancelled");
        end(conversation, &error);
        break;
    default:
        tell_progress(conversation, progress);
    }
}

static void on_jobs(struct conversation *conversation, const Mu__Jobs *jobs)
{
    struct error error = *conversation->error;
    if (conversation->step == STEP_BEGIN) {
        ask_watch(conversation);
    } else if (conversation->step == STEP_CANCEL) {
        end(conversation, &error);
    } else if (conversation->step == STEP_ASK) {
        conversation->answered(conversation->answered_opaque, jobs);
        end(conversation, NULL);
    }
}

static void on_answered(void *opaque, const Mu__Envelope *answer)
{
    struct conversation *conversation = opaque;
    switch (answer->body_case) {
    case MU__ENVELOPE__BODY_SUBMITTED:
        if (conversation->step != STEP_SUBMIT)
            break;
        if (conversation->events.submitted != NULL)
            conversation->events.submitted(conversation->events.opaque, conversation->id);
        deliver(conversation, STEP_PUT, on_inputs);
        break;
    case MU__ENVELOPE__BODY_JOBS:
        on_jobs(conversation, answer->jobs);
        break;
    case MU__ENVELOPE__BODY_WATCHED:
        on_watched(conversation, answer->watched);
        break;
    case MU__ENVELOPE__BODY_PROGRESS:
        on_progress(conversation, answer->progress);
        break;
    default:
        break; /* of a question before this one */
    }
}

static void on_lost(void *opaque, const struct error *reason)
{
    struct conversation *conversation = opaque;
    char sentence[512];
    snprintf(sentence, sizeof sentence, "the coordinator is gone, and dialled again: %.300s",
             reason->message);
    if (conversation->events.note != NULL)
        conversation->events.note(conversation->events.opaque, sentence);
}

static void on_failed(void *opaque, const struct error *reason)
{
    end(opaque, reason);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct conversation *conversation = handle->data;
    struct error error;
    if (conversation->step == STEP_PUT && conversation->delivery != NULL) {
        delivery_cancel(conversation->delivery); /* when it is over, the job is cancelled */
        return;
    }
    if (conversation->step == STEP_WATCH)
        error_set(&error, -ECANCELED,
                  "detached; the job goes on, and `excamera watch %s` attaches to it again",
                  conversation->id);
    else if (conversation->step == STEP_GET)
        error_set(&error, -ECANCELED,
                  "interrupted; the job is done, and `excamera watch %s` brings its outputs",
                  conversation->id);
    else
        error_set(&error, -ECANCELED, "interrupted");
    end(conversation, &error);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static int load_credentials(struct conversation *conversation, struct error *error)
{
    char *path = NULL;
    const char *keys = conversation->access->keys;
    if (conversation->access->host == NULL || keys == NULL)
        return error_set(error, -EINVAL, "--coordinator HOST:PORT and --keys DIR are needed");
    if (asprintf(&path, "%s/submitter.pem", keys) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    int code = credentials_load(path, &conversation->credentials, error);
    free(path);
    return code;
}

static void open_signals(struct conversation *conversation)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction action;
        uv_signal_init(&conversation->loop, &conversation->signal[i]);
        conversation->signal[i].data = conversation;
        if (sigaction(signals[i], NULL, &action) != 0 || action.sa_handler != SIG_IGN)
            uv_signal_start(&conversation->signal[i], on_signal, signals[i]);
    }
}

static int dial(struct conversation *conversation, struct error *error)
{
    static const struct submitter_handlers handlers = {
        .answered = on_answered, .lost = on_lost, .failed = on_failed};
    const struct submitter_options options = {
        .host = conversation->access->host,
        .port = conversation->access->port,
        .credentials = &conversation->credentials,
        .build = build_identity(),
        .handlers = &handlers,
        .opaque = conversation,
    };
    int code = network_new(&conversation->loop, &conversation->network, error);
    return code < 0
               ? code
               : submitter_new(conversation->network, &options, &conversation->submitter, error);
}

static void ask_first(struct conversation *conversation)
{
    if (conversation->options != NULL)
        ask_submit(conversation);
    else if (conversation->question != NULL)
        ask(conversation, STEP_ASK, conversation->question);
    else
        ask_watch(conversation);
}

static int converse(struct conversation *conversation, struct error *error)
{
    int code = load_credentials(conversation, error);
    if (code < 0)
        return code;
    signal(SIGPIPE, SIG_IGN);
    conversation->error = error;
    code = uv_loop_init(&conversation->loop);
    if (code < 0)
        return error_set(error, code, "cannot start: %s", uv_strerror(code));
    open_signals(conversation);
    struct error failure;
    if (dial(conversation, &failure) < 0)
        end(conversation, &failure);
    else
        ask_first(conversation);
    uv_run(&conversation->loop, UV_RUN_DEFAULT);
    uv_loop_close(&conversation->loop);
    return conversation->code;
}

static void release(struct conversation *conversation)
{
    credentials_release(&conversation->credentials);
    job_free(conversation->own_job);
    free(conversation->store_parent);
}

/* The job's name and a random number. */
static int make_id(struct conversation *conversation, struct error *error)
{
    uint8_t random[5];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_set(error, -EIO, "no random numbers");
    snprintf(conversation->id, sizeof conversation->id, "%.40s-%02x%02x%02x%02x%02x",
             conversation->job->name, random[0], random[1], random[2], random[3], random[4]);
    return 0;
}

static int make_store(struct conversation *conversation, const char *store, struct error *error)
{
    if (store == NULL)
        return error_set(error, -EINVAL,
                         "--store is needed, a folder that the workers reach too or "
                         "s3://BUCKET/PREFIX");
    if (store_is_remote(store)) {
        size_t length = strlen(store);
        while (store[length - 1] == '/')
            length--;
        conversation->store_parent = strndup(store, length);
        return conversation->store_parent != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
    }
    if (mkdir(store, 0777) != 0 && errno != EEXIST)
        return error_set(error, -errno, "cannot make the folder %s: %s", store, strerror(errno));
    conversation->store_parent = realpath(store, NULL);
    return conversation->store_parent != NULL
               ? 0
               : error_set(error, -errno, "%s: %s", store, strerror(errno));
}

int submit_job(const struct submit_options *options, struct error *error)
{
    struct conversation conversation = {.access = options->access,
                                        .options = options,
                                        .events = options->events,
                                        .job = options->job};
    int code = make_id(&conversation, error);
    if (code == 0)
        code = make_store(&conversation, options->store, error);
    if (code == 0)
        code = converse(&conversation, error);
    release(&conversation);
    return code;
}

int submit_watch(const struct submit_access *access, const char *id,
                 const struct submit_events *events, struct error *error)
{
    struct conversation conversation = {.access = access, .events = *events};
    if (!job_name_valid(id))
        return error_set(error, -EINVAL, "'%.80s' is no job's id", id);
    snprintf(conversation.id, sizeof conversation.id, "%s", id);
    int code = converse(&conversation, error);
    release(&conversation);
    return code;
}

int submit_ask(const struct submit_access *access, const Mu__Envelope *question,
               void (*answered)(void *opaque, const Mu__Jobs *jobs), void *opaque,
               struct error *error)
{
    struct conversation conversation = {
        .access = access, .question = question, .answered = answered, .answered_opaque = opaque};
    int code = converse(&conversation, error);
    release(&conversation);
    return code;
}

bool submit_take_option(struct submit_access *access, int option, const char *value)
{
    if (option == SUBMIT_COORDINATOR)
        return options_address("--coordinator", value, &access->host, &access->port);
    access->keys = value;
    return true;
}
