/* What the ledger orders, as messages to workers and work for the store. */
#include <string.h>

#include "mu/coordinator_private.h"

/* ---- Requests ------------------------------------------------------------------------------ */

/* The parts of a request, which point into its order. */
struct parts {
    Mu__Call call;
    Mu__Get get;
    Mu__Put put;
    Mu__Run run;
    Mu__Send send;
    Mu__Receive receive;
    Mu__Read read;
    Mu__Quit quit;
    Mu__Nothing nothing;
    Mu__Label label;
    Mu__Identity expected;
    char *points[JOB_MOST_POINTS];
};

static void fill_call(struct parts *parts, const struct ledger_order *order)
{
    mu__call__init(&parts->call);
    parts->call.actor = (char *)order->actor;
    parts->call.attempt = order->attempt;
    parts->call.request = order->request;
}

static void fill_label(struct parts *parts, const char *from, const char *to, const char *name)
{
    mu__label__init(&parts->label);
    parts->label.from = (char *)from;
    parts->label.to = (char *)to;
    parts->label.name = (char *)name;
}

static void fill_identity(Mu__Identity *to, const struct ledger_identity *from)
{
    mu__identity__init(to);
    to->size = from->size;
    to->sha256.data = (uint8_t *)from->sha256;
    to->sha256.len = from->unsummed ? 0 : WIRE_SHA256;
}

static Mu__Get *fill_get(struct parts *parts, const struct coordinator_job *job,
                         const struct ledger_order *order)
{
    mu__get__init(&parts->get);
    parts->get.key = (char *)order->what.key;
    parts->get.file = (char *)order->what.file;
    parts->get.by_url = order->what.by_url;
    parts->get.linked = coordinator_link_has(job, order->what.key);
    if (order->identified) {
        fill_identity(&parts->expected, &order->identity);
        parts->get.expected = &parts->expected;
    }
    return &parts->get;
}

static Mu__Put *fill_put(struct parts *parts, const struct coordinator_job *job,
                         const struct machine_request *what)
{
    mu__put__init(&parts->put);
    parts->put.move = what->move;
    parts->put.unsummed = job->one_machine;
    parts->put.key = (char *)what->key;
    parts->put.file = (char *)what->file;
    return &parts->put;
}

static Mu__Send *fill_send(struct parts *parts, const struct ledger_order *order)
{
    const struct machine_request *what = &order->what;
    mu__send__init(&parts->send);
    fill_label(parts, order->actor, what->peer, what->name);
    parts->send.label = &parts->label;
    if (what->file != NULL) {
        parts->send.file = (char *)what->file;
    } else {
        parts->send.text.data = (uint8_t *)what->text;
        parts->send.text.len = strlen(what->text);
    }
    return &parts->send;
}

static Mu__Receive *fill_receive(struct parts *parts, const struct ledger_order *order)
{
    mu__receive__init(&parts->receive);
    fill_label(parts, order->what.peer, order->actor, order->what.name);
    parts->receive.label = &parts->label;
    parts->receive.file = (char *)order->what.file;
    return &parts->receive;
}

static Mu__Run *fill_run(struct parts *parts, const struct machine_request *what)
{
    mu__run__init(&parts->run);
    parts->run.argv = (char **)what->argv;
    while (what->argv[parts->run.n_argv] != NULL)
        parts->run.n_argv++;
    for (int i = 0; i < what->points; i++)
        parts->points[i] = (char *)what->point[i].name;
    parts->run.points = parts->points;
    parts->run.n_points = (size_t)what->points;
    return &parts->run;
}

static void say_request(struct coordinator_job *job, const struct ledger_order *order)
{
    const struct machine_request *what = &order->what;
    struct parts parts;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    fill_call(&parts, order);
    request.call = &parts.call;
    request.timeout_ms = what->timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)what->timeout_ms;
    request.priority = (uint32_t)what->priority;
    switch (what->kind) {
    case JOB_GET:
        request.what_case = MU__REQUEST__WHAT_GET;
        request.get = fill_get(&parts, job, order);
        break;
    case JOB_PUT:
        request.what_case = MU__REQUEST__WHAT_PUT;
        request.put = fill_put(&parts, job, what);
        break;
    case JOB_RUN:
        request.what_case = MU__REQUEST__WHAT_RUN;
        request.run = fill_run(&parts, what);
        break;
    case JOB_SEND:
        request.what_case = MU__REQUEST__WHAT_SEND;
        request.send = fill_send(&parts, order);
        break;
    case JOB_RECEIVE:
        request.what_case = MU__REQUEST__WHAT_RECEIVE;
        request.receive = fill_receive(&parts, order);
        break;
    case JOB_SET:
        request.what_case = MU__REQUEST__WHAT_READ;
        request.read = &parts.read;
        mu__read__init(&parts.read);
        parts.read.file = (char *)what->file;
        parts.read.limit = JOB_MOST_FILE_VALUES;
        break;
    default:
        request.what_case = MU__REQUEST__WHAT_QUIT;
        request.quit = &parts.quit;
        mu__quit__init(&parts.quit);
    }
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = &request;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

static void say_point(struct coordinator_job *job, const struct ledger_order *order)
{
    const struct machine_request *what = &order->what;
    struct parts parts;
    Mu__PointRequest point = MU__POINT_REQUEST__INIT;
    Mu__Refusal refusal = MU__REFUSAL__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    fill_call(&parts, order);
    point.call = &parts.call;
    point.id = order->point;
    if (order->kind == LEDGER_REFUSE) {
        refusal.reason = (char *)order->text;
        point.what_case = MU__POINT_REQUEST__WHAT_REFUSED;
        point.refused = &refusal;
    } else if (what->kind == JOB_GET) {
        point.what_case = MU__POINT_REQUEST__WHAT_GET;
        point.get = fill_get(&parts, job, order);
    } else if (what->kind == JOB_PUT) {
        point.what_case = MU__POINT_REQUEST__WHAT_PUT;
        point.put = fill_put(&parts, job, what);
    } else if (what->kind == JOB_SEND) {
        point.what_case = MU__POINT_REQUEST__WHAT_SEND;
        point.send = fill_send(&parts, order);
    } else if (what->kind == JOB_RECEIVE) {
        point.what_case = MU__POINT_REQUEST__WHAT_RECEIVE;
        point.receive = fill_receive(&parts, order);
    } else if (what->kind == JOB_NEEDED && order->number == LEDGER_NEED_NONE) {
        point.what_case = MU__POINT_REQUEST__WHAT_DONE;
        point.done = &parts.nothing;
        mu__nothing__init(&parts.nothing);
    } else if (what->kind == JOB_NEEDED && order->number == LEDGER_NEED_NOW) {
        point.what_case = MU__POINT_REQUEST__WHAT_BEGUN;
        point.begun = &parts.nothing;
        mu__nothing__init(&parts.nothing);
    } else {
        point.what_case = MU__POINT_REQUEST__WHAT_NOTHING;
        point.nothing = &parts.nothing;
        mu__nothing__init(&parts.nothing);
    }
    envelope.body_case = MU__ENVELOPE__BODY_POINT_REQUEST;
    envelope.point_request = &point;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

static void say_park(struct coordinator_job *job, const struct ledger_order *order)
{
    struct parts parts;
    Mu__Park park = MU__PARK__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    fill_call(&parts, order);
    park.call = &parts.call;
    park.key = (char *)order->key;
    park.point = order->point;
    envelope.body_case = MU__ENVELOPE__BODY_PARK;
    envelope.park = &park;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

/* The same as a request of its own. */
static void say_stow(struct coordinator_job *job, const struct ledger_order *order)
{
    struct parts parts;
    Mu__Park park = MU__PARK__INIT;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    fill_call(&parts, order);
    park.key = (char *)order->key;
    request.call = &parts.call;
    request.what_case = MU__REQUEST__WHAT_PARK;
    request.park = &park;
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = &request;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

static void say_unpark(struct coordinator_job *job, const struct ledger_order *order)
{
    struct parts parts;
    Mu__Identity identity;
    Mu__Unpark unpark = MU__UNPARK__INIT;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    fill_call(&parts, order);
    fill_identity(&identity, &order->identity);
    unpark.key = (char *)order->key;
    unpark.identity = &identity;
    request.call = &parts.call;
    request.what_case = MU__REQUEST__WHAT_UNPARK;
    request.unpark = &unpark;
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = &request;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

static void say_drop(struct coordinator_job *job, const struct ledger_order *order)
{
    Mu__Drop drop = MU__DROP__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    drop.actor = (char *)order->actor;
    drop.attempt = order->attempt;
    envelope.body_case = MU__ENVELOPE__BODY_DROP;
    envelope.drop = &drop;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

static void say_fetch(struct coordinator_job *job, const struct ledger_order *order)
{
    struct parts parts;
    Mu__Fetch fetch = MU__FETCH__INIT;
    Mu__Identity identity;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    fill_label(&parts, order->peer, order->actor, order->name);
    fill_identity(&identity, &order->identity);
    fetch.label = &parts.label;
    fetch.key = (char *)order->key;
    fetch.identity = &identity;
    envelope.body_case = MU__ENVELOPE__BODY_FETCH;
    envelope.fetch = &fetch;
    coordinator_session_tell(job->coordinator, order->worker, &envelope);
}

/* ---- The store ----------------------------------------------------------------------------- */

static void remove_object(struct coordinator_job *job, const struct ledger_order *order)
{
    char key[STORE_KEY_SIZE];
    if (order->attempt > 0 && store_is_final_key(order->key)) {
        store_attempt_key(order->key, order->attempt, key);
        coordinator_record_cleanup(job, key);
    } else {
        coordinator_record_cleanup(job, order->key);
    }
}

static void finish_actor(struct coordinator_job *job, const struct ledger_order *order)
{
    char prefix[STORE_KEY_SIZE];
    coordinator_record_order(job, order);
    snprintf(prefix, sizeof prefix, "messages/%s/", order->actor);
    coordinator_record_cleanup(job, prefix);
    coordinator_forget_messages(job, order->actor);
    job->barren = 0;
}

void coordinator_carry_out(struct coordinator_job *job, const struct ledger_order *order)
{
    switch (order->kind) {
    case LEDGER_REQUEST:
        say_request(job, order);
        break;
    case LEDGER_POINT:
    case LEDGER_REFUSE:
        say_point(job, order);
        break;
    case LEDGER_PARK:
        say_park(job, order);
        break;
    case LEDGER_STOW:
        say_stow(job, order);
        break;
    case LEDGER_RETIRE:
        crew_retire(job, order->worker, order->text);
        break;
    case LEDGER_UNPARK:
        say_unpark(job, order);
        break;
    case LEDGER_DROP:
        say_drop(job, order);
        break;
    case LEDGER_FETCH:
        say_fetch(job, order);
        break;
    case LEDGER_ADOPT:
        coordinator_adopt(job, order);
        break;
    case LEDGER_MESSAGE:
    case LEDGER_OBJECT:
    case LEDGER_CLOSE:
    case LEDGER_PARKED:
        coordinator_record_order(job, order);
        break;
    case LEDGER_DONE:
        finish_actor(job, order);
        break;
    case LEDGER_DELETE:
        remove_object(job, order);
        break;
    }
}
