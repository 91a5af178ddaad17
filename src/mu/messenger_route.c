/* A messenger's connection to one rendezvous. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/messenger_private.h"
#include "mu/rendezvous.h"
#include "net/identity.h"

enum {
    SILENT_HEARTBEATS = 4,
    HEARTBEAT_LEAST = 10, /* ms, whatever the rendezvous says */
    HEARTBEAT_MOST = 60000,
    WELCOME_MS = 10000,
    STALL_MS = 20000,
    OFFERS_MOST = 8192, /* at once; half of what a rendezvous lets a connection have */
};

static void on_timer(uv_timer_t *timer);

static bool is_send(const struct item *item)
{
    return item->kind == ITEM_SEND;
}

static struct messenger_send *send_of(struct item *item)
{
    return (struct messenger_send *)item;
}

static struct messenger_receive *receive_of(struct item *item)
{
    return (struct messenger_receive *)item;
}

/* ---- saying -------------------------------------------------------------------------------- */

/* Gives the connection up; all else happens when it is closed. */
static void cut(struct route *route, int code, const char *sentence)
{
    struct error error;
    error_set(&error, code, "%s", sentence);
    route->opened = false;
    channel_fail(route->channel, &error);
}

/* Takes what sending returned: whether it was sent. */
static bool was_sent(struct route *route, int code)
{
    if (code < 0)
        cut(route, code, "the rendezvous does not read what it is sent");
    route->full |= code == 1;
    return code >= 0;
}

static bool say(struct route *route, const Mu__Envelope *envelope)
{
    return was_sent(route, wire_send(route->channel, envelope));
}

static bool offer(struct item *item)
{
    struct messenger_send *send = send_of(item);
    Mu__Label label;
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Offer message = MU__OFFER__INIT;
    Mu__Encoding encoding;
    Mu__Identity base;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    label_to(&label, &item->label);
    identity.size = send->identity.size;
    identity.sha256.data = send->identity.sha256;
    identity.sha256.len = send->identity.unsummed ? 0 : sizeof send->identity.sha256;
    message.label = &label;
    message.identity = &identity;
    message.transfer = item->id;
    message.aside = send->aside;
    message.whole = send->whole;
    if (send->encoding.kind != ENCODING_PLAIN) {
        encoding_to(&encoding, &base, &send->encoding);
        message.encoding = &encoding;
    }
    envelope.body_case = MU__ENVELOPE__BODY_OFFER;
    envelope.offer = &message;
    send->credit = MESSENGER_CREDIT;
    send->sum_due = send->identity.unsummed;
    item->messenger->counters.offered++;
    return say(item->route, &envelope);
}

static void say_sum(struct messenger_send *send)
{
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Sum message = MU__SUM__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    identity.size = send->identity.size;
    identity.sha256.data = send->identity.sha256;
    identity.sha256.len = sizeof send->identity.sha256;
    message.transfer = send->item.id;
    message.identity = &identity;
    envelope.body_case = MU__ENVELOPE__BODY_SUM;
    envelope.sum = &message;
    send->sum_due = false;
    say(send->item.route, &envelope);
}

static bool subscribe(struct item *item)
{
    Mu__Label label;
    Mu__Subscribe message = MU__SUBSCRIBE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    label_to(&label, &item->label);
    message.label = &label;
    message.transfer = item->id;
    if (receive_of(item)->identity.unsummed)
        item->position = 0; /* what comes now may be of other bytes */
    message.from = item->position;
    message.whole = receive_of(item)->whole;
    envelope.body_case = MU__ENVELOPE__BODY_SUBSCRIBE;
    envelope.subscribe = &message;
    receive_of(item)->announced = false;
    receive_of(item)->owed = 0;
    return say(item->route, &envelope);
}

static void unsubscribe(struct item *item)
{
    Mu__Unsubscribe message = MU__UNSUBSCRIBE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    message.transfer = item->id;
    envelope.body_case = MU__ENVELOPE__BODY_UNSUBSCRIBE;
    envelope.unsubscribe = &message;
    say(item->route, &envelope);
}

void messenger_route_credit(struct messenger_receive *receive)
{
    Mu__Credit message = MU__CREDIT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    message.transfer = receive->item.id;
    message.bytes = receive->owed;
    envelope.body_case = MU__ENVELOPE__BODY_CREDIT;
    envelope.credit = &message;
    receive->owed = 0;
    say(receive->item.route, &envelope);
}

static void say_hello(struct route *route)
{
    struct messenger *messenger = route->messenger;
    Mu__JoinHello join = MU__JOIN_HELLO__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    join.job = messenger->job;
    join.worker = messenger->worker;
    hello.protocol = MU_PROTOCOL;
    hello.version = (char *)XC_VERSION;
    hello.build = messenger->build;
    hello.who_case = MU__HELLO__WHO_JOIN;
    hello.join = &join;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    say(route, &envelope);
}

/* ---- items --------------------------------------------------------------------------------- */

static void unnumber(struct item *item)
{
    if (item->id != 0)
        hash_remove(&item->route->transfers, &item->link);
    item->id = 0;
}

static void announce(struct item *item)
{
    struct route *route = item->route;
    list_remove(&item->queue);
    item->id = ++route->next_id;
    if (hash_insert(&route->transfers, &item->link, item->id) < 0) {
        item->id = 0;
        list_append(&route->unannounced, &item->queue);
        cut(route, -ENOMEM, "out of memory");
        return;
    }
    if (is_send(item) ? offer(item) : subscribe(item))
        return;
    unnumber(item);
    list_append(&route->unannounced, &item->queue);
}

static void lost_bytes(struct messenger_send *send, int code)
{
    struct messenger *messenger = send->item.messenger;
    struct error error;
    error_set(&error, code, "a message's file cannot be read: %s", error_reason(code));
    send->wanted = false;
    unnumber(&send->item);
    if (messenger->handlers.broken)
        messenger->handlers.broken(messenger->opaque, &send->item.label, &error);
}

/* Bytes that could go now but for the credit. */
static uint64_t left_of(const struct messenger_send *send)
{
    uint64_t end = send->there < send->encoding.size ? send->there : send->encoding.size;
    return end - send->item.position;
}

static bool sum_is_next(const struct messenger_send *send)
{
    return send->wanted && send->sum_due && !send->identity.unsummed &&
           send->item.position == send->encoding.size;
}

/* One piece of it, so that all that is sent moves on. */
static void send_piece(struct messenger_send *send)
{
    static uint8_t piece[FRAME_PIECE_MOST]; /* of one thread's loop, and done with at once */
    struct route *route = send->item.route;
    uint64_t left = left_of(send);
    int file = send->encoded >= 0 ? send->encoded : send->file;
    size_t size = left < sizeof piece ? (size_t)left : sizeof piece;
    size = size < send->credit ? size : (size_t)send->credit;
    list_remove(&send->item.queue);
    if (send->started == 0) {
        send->started = uv_hrtime();
        send->first = send->item.position;
    }
    ssize_t got = pread(file, piece, size, (off_t)send->item.position);
    if (got <= 0) {
        lost_bytes(send, got < 0 ? -errno : -EIO);
        return;
    }
    if (!was_sent(route, channel_send_bulk(route->channel, send->item.id, piece, (size_t)got)))
        return;
    send->item.position += (uint64_t)got;
    send->credit -= (uint64_t)got;
    send->item.messenger->counters.sent += (uint64_t)got;
    if (sum_is_next(send))
        say_sum(send);
    else if (send->credit > 0 && left_of(send) > 0)
        list_append(&route->ready, &send->item.queue);
}

/* Those who receive come first, and are few: what they wait for makes others go on. */
static void await_announcing(struct route *route, struct item *item)
{
    if (is_send(item))
        send_of(item)->later = false;
    list_append(is_send(item) ? &route->unannounced : route->unannounced.next, &item->queue);
}

static bool may_announce(const struct route *route)
{
    if (!route->opened || route->full || list_empty(&route->unannounced))
        return false;
    return !is_send(LIST_ENTRY(route->unannounced.next, struct item, queue)) ||
           route->transfers.count < OFFERS_MOST;
}

void messenger_route_pump(struct route *route)
{
    while (may_announce(route))
        announce(LIST_ENTRY(route->unannounced.next, struct item, queue));
    while (route->opened && !route->full && !list_empty(&route->ready))
        send_piece(send_of(LIST_ENTRY(route->ready.next, struct item, queue)));
}

static void make_ready(struct messenger_send *send)
{
    struct route *route = send->item.route;
    if (send->wanted && send->credit > 0 && left_of(send) > 0 && list_empty(&send->item.queue))
        list_append(&route->ready, &send->item.queue);
    messenger_route_pump(route);
}

void messenger_route_grown(struct messenger_send *send)
{
    struct route *route = send->item.route;
    if (send->later && !send->identity.unsummed)
        await_announcing(route, &send->item);
    if (sum_is_next(send))
        say_sum(send);
    make_ready(send);
}

void messenger_route_add(struct route *route, struct item *item)
{
    item->route = route;
    list_append(&route->items, &item->of_route);
    await_announcing(route, item);
    messenger_route_pump(route);
}

void messenger_route_remove(struct item *item)
{
    struct route *route = item->route;
    if (route == NULL)
        return;
    if (item->id != 0 && route->opened && (!is_send(item) || send_of(item)->identity.unsummed))
        unsubscribe(item);
    unnumber(item);
    list_remove(&item->queue);
    list_remove(&item->of_route);
    item->route = NULL;
}

void messenger_route_ask_again(struct messenger_receive *receive, bool whole)
{
    struct route *route = receive->item.route;
    messenger_route_remove(&receive->item);
    receive->item.position = 0;
    receive->whole = whole;
    receive->item.messenger->counters.whole += whole;
    messenger_route_add(route, &receive->item);
}

/* ---- hearing ------------------------------------------------------------------------------- */

static void on_nonsense(struct route *route, const char *sentence)
{
    cut(route, -EPROTO, sentence);
}

/* The item of this number and kind; NULL where it is over, which the other side could not know. */
static struct item *find_item(struct route *route, uint64_t id, enum item_kind kind)
{
    struct hash_link *link = hash_first(&route->transfers, id);
    struct item *item = link ? HASH_ENTRY(link, struct item, link) : NULL;
    return item != NULL && item->kind == kind ? item : NULL;
}

static void on_welcome(struct route *route, const Mu__Welcome *welcome)
{
    unsigned beat = welcome->heartbeat_ms;
    beat = beat < HEARTBEAT_LEAST ? HEARTBEAT_LEAST : beat;
    route->heartbeat_ms = beat > HEARTBEAT_MOST ? HEARTBEAT_MOST : beat;
    route->opened = route->met = true;
    route->pause = route->messenger->least_pause;
    route->messenger->counters.connections++;
    uv_timer_start(&route->timer, on_timer, route->heartbeat_ms, route->heartbeat_ms);
    messenger_route_pump(route);
}

static void on_want(struct route *route, const Mu__Want *want)
{
    struct item *item = find_item(route, want->transfer, ITEM_SEND);
    if (item == NULL)
        return;
    struct messenger_send *send = send_of(item);
    if (want->from > send->encoding.size || send->wanted) {
        on_nonsense(route, "the rendezvous wants what it has not been offered");
        return;
    }
    send->wanted = true;
    send->started = 0;
    item->position = want->from;
    make_ready(send);
}

static void identity_from(struct store_identity *to, const Mu__Identity *from)
{
    *to = (struct store_identity){.size = from->size, .unsummed = from->sha256.len == 0};
    if (!to->unsummed)
        memcpy(to->sha256, from->sha256.data, sizeof to->sha256);
}

/* The message is to be offered when its sum is known, which may be by now. */
static void offer_later(struct messenger_send *send)
{
    struct route *route = send->item.route;
    if (send->identity.unsummed)
        send->later = true;
    else
        await_announcing(route, &send->item);
    messenger_route_pump(route);
}

static void on_have(struct route *route, const Mu__Have *have)
{
    struct messenger *messenger = route->messenger;
    struct item *item = find_item(route, have->transfer, ITEM_SEND);
    struct store_identity known;
    if (!wire_object_valid(have->identity)) {
        on_nonsense(route, "the rendezvous names no identity");
        return;
    }
    if (item == NULL)
        return;
    identity_from(&known, have->identity);
    if (send_of(item)->wanted && item->position == send_of(item)->encoding.size)
        messenger_note_speed(send_of(item));
    send_of(item)->wanted = false;
    list_remove(&item->queue);
    unnumber(item);
    if (known.unsummed) {
        offer_later(send_of(item));
        return;
    }
    messenger_route_pump(route);
    if (!store_identity_agrees(&known, &send_of(item)->identity) && messenger->handlers.clash)
        messenger->handlers.clash(messenger->opaque, &item->label, &send_of(item)->identity,
                                  &known);
}

static void begin_receive(struct messenger_receive *receive, bool anew)
{
    struct error error;
    if (anew && receive->encoding.kind == ENCODING_DIFFERENCE &&
        !messenger_receive_find_base(receive))
        messenger_route_ask_again(receive, true);
    else if (anew && messenger_receive_begin(receive, &error) < 0)
        messenger_receive_end(receive, &error);
    else
        messenger_receive_bytes(receive, NULL, 0);
}

static void on_deliver(struct route *route, const Mu__Deliver *deliver)
{
    struct item *item = find_item(route, deliver->transfer, ITEM_RECEIVE);
    struct error error;
    if (!wire_object_valid(deliver->identity)) {
        on_nonsense(route, "the rendezvous names no identity");
        return;
    }
    if (item == NULL)
        return;
    struct messenger_receive *receive = receive_of(item);
    struct store_identity identity;
    struct encoding encoding;
    identity_from(&identity, deliver->identity);
    if (!encoding_of(&encoding, deliver->encoding, identity.size) ||
        (receive->whole && encoding.kind == ENCODING_DIFFERENCE)) {
        on_nonsense(route, "the rendezvous delivers in a way that was not asked for");
        return;
    }
    if (receive->known && !receive->identity.unsummed && item->position > 0 &&
        !store_identity_agrees(&identity, &receive->identity)) {
        error_set(&error, -EBADMSG, "a message came with two identities");
        messenger_receive_end(receive, &error);
        return;
    }
    /* Should its sender be lost on the way, it may begin anew with another's. */
    bool anew = deliver->from == 0;
    if (deliver->from > encoding.size ||
        (!anew && (receive->announced || deliver->from != item->position))) {
        on_nonsense(route, "the rendezvous delivers what was not asked for");
        return;
    }
    if (!anew && !encoding_equal(&encoding, &receive->encoding)) {
        messenger_route_ask_again(receive, receive->whole);
        return;
    }
    receive->announced = receive->known = true;
    receive->identity = identity;
    receive->encoding = encoding;
    begin_receive(receive, anew);
}

static void on_sum(struct route *route, const Mu__Sum *sum)
{
    struct item *item = find_item(route, sum->transfer, ITEM_RECEIVE);
    if (item == NULL)
        return;
    struct messenger_receive *receive = receive_of(item);
    if (!receive->announced || !receive->identity.unsummed || !wire_identity_valid(sum->identity) ||
        sum->identity->size != receive->identity.size || item->position != receive->encoding.size) {
        on_nonsense(route, "the rendezvous names a sum that is not due");
        return;
    }
    identity_from(&receive->identity, sum->identity);
    messenger_receive_bytes(receive, NULL, 0);
}

static void on_credit(struct route *route, const Mu__Credit *credit)
{
    struct item *item = find_item(route, credit->transfer, ITEM_SEND);
    if (item == NULL)
        return;
    if (credit->bytes > MESSENGER_CREDIT - send_of(item)->credit) {
        on_nonsense(route, "the rendezvous gives credit for what was not sent");
        return;
    }
    send_of(item)->credit += credit->bytes;
    make_ready(send_of(item));
}

static void on_refusal(struct route *route, const Mu__Refusal *refusal)
{
    char sentence[512];
    snprintf(sentence, sizeof sentence, "refused: %.400s", refusal->reason);
    cut(route, -EACCES, sentence);
}

static void on_envelope(struct route *route, const Mu__Envelope *envelope)
{
    if (envelope->body_case == MU__ENVELOPE__BODY_REFUSAL)
        on_refusal(route, envelope->refusal);
    else if (envelope->body_case == MU__ENVELOPE__BODY_WELCOME && !route->opened)
        on_welcome(route, envelope->welcome);
    else if (!route->opened)
        on_nonsense(route, "the rendezvous speaks before its welcome");
    else if (envelope->body_case == MU__ENVELOPE__BODY_WANT)
        on_want(route, envelope->want);
    else if (envelope->body_case == MU__ENVELOPE__BODY_HAVE)
        on_have(route, envelope->have);
    else if (envelope->body_case == MU__ENVELOPE__BODY_DELIVER)
        on_deliver(route, envelope->deliver);
    else if (envelope->body_case == MU__ENVELOPE__BODY_SUM)
        on_sum(route, envelope->sum);
    else if (envelope->body_case == MU__ENVELOPE__BODY_CREDIT)
        on_credit(route, envelope->credit);
    else if (envelope->body_case != MU__ENVELOPE__BODY_HEARTBEAT)
        on_nonsense(route, "the rendezvous says something that is not due");
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct route *route = opaque;
    struct error error;
    Mu__Envelope *envelope;
    if (route->messenger->freed)
        return;
    if (wire_read(bytes, size, &envelope, &error) < 0) {
        on_nonsense(route, error.message);
        return;
    }
    on_envelope(route, envelope);
    wire_free(envelope);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    struct route *route = opaque;
    struct item *item = find_item(route, transfer, ITEM_RECEIVE);
    if (route->messenger->freed || item == NULL)
        return;
    struct messenger_receive *receive = receive_of(item);
    if (!receive->announced || size > receive->encoding.size - item->position)
        on_nonsense(route, "the rendezvous sends bytes of no message");
    else
        messenger_receive_bytes(receive, bytes, size);
}

/* ---- connections --------------------------------------------------------------------------- */

static void on_opened(struct channel *channel, void *opaque)
{
    struct route *route = opaque;
    say_hello(route);
    uv_timer_start(&route->timer, on_timer, WELCOME_MS, 0);
}

static void on_drained(struct channel *channel, void *opaque)
{
    struct route *route = opaque;
    route->full = false;
    messenger_route_pump(route);
}

/* Everything has to be said again on the next connection. */
static void forget_transfers(struct route *route)
{
    struct list_link *link = route->items.next;
    for (; link != &route->items; link = link->next) {
        struct item *item = LIST_ENTRY(link, struct item, of_route);
        unnumber(item);
        list_remove(&item->queue);
        await_announcing(route, item);
        if (is_send(item))
            send_of(item)->wanted = false;
    }
}

static void dial_later(struct route *route)
{
    struct messenger *messenger = route->messenger;
    uv_timer_start(&route->timer, on_timer, route->pause, 0);
    route->pause =
        route->pause < messenger->most_pause / 2 ? route->pause * 2 : messenger->most_pause;
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct route *route = opaque;
    struct messenger *messenger = route->messenger;
    snprintf(messenger->trouble, sizeof messenger->trouble, "%s:%u: %.400s", route->host,
             (unsigned)route->port, reason ? reason->message : "the connection was closed");
    route->channel = NULL;
    route->opened = route->full = route->suspect = false;
    if (!messenger->freed) {
        forget_transfers(route);
        if (!route->lost)
            dial_later(route);
    }
    messenger_release(messenger);
}

static const struct channel_handlers channel_handlers = {.opened = on_opened,
                                                         .control = on_control,
                                                         .bulk = on_bulk,
                                                         .drained = on_drained,
                                                         .closed = on_closed};

void messenger_route_dial(struct route *route)
{
    struct messenger *messenger = route->messenger;
    char name[RENDEZVOUS_NAME_SIZE];
    struct error error;
    rendezvous_job_name(name, messenger->job);
    const struct stream_target target = {.host = route->host,
                                         .port = route->port,
                                         .server_name = name,
                                         .identity = IDENTITY_RENDEZVOUS};
    const struct stream_limits limits = {.stall = STALL_MS};
    if (channel_connect(messenger->network, messenger->client, &target, &limits, NULL,
                        &channel_handlers, route, &route->channel, &error) < 0) {
        snprintf(messenger->trouble, sizeof messenger->trouble, "%.500s", error.message);
        dial_later(route);
        return;
    }
    messenger->users++;
}

static void keep_alive(struct route *route)
{
    uint64_t now = uv_now(network_loop(route->messenger->network));
    uint64_t silent = now - stream_heard_at(channel_stream(route->channel));
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    /* Should this loop have been busy, it reads the socket before it comes here again. */
    bool suspect = silent > (uint64_t)SILENT_HEARTBEATS * route->heartbeat_ms;
    if (suspect && route->suspect)
        cut(route, -ETIMEDOUT, "nothing was heard from the rendezvous for too long");
    else
        say(route, &envelope);
    route->suspect = suspect;
}

static void on_timer(uv_timer_t *timer)
{
    struct route *route = timer->data;
    if (route->channel == NULL)
        messenger_route_dial(route);
    else if (route->opened)
        keep_alive(route);
    else
        cut(route, -ETIMEDOUT, "the rendezvous does not answer");
}

void messenger_route_init(struct route *route)
{
    struct messenger *messenger = route->messenger;
    list_init(&route->items);
    list_init(&route->unannounced);
    list_init(&route->ready);
    route->pause = messenger->least_pause;
    uv_timer_init(network_loop(messenger->network), &route->timer);
    route->timer.data = route;
    messenger->users++;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct route *route = handle->data;
    messenger_release(route->messenger);
}

void messenger_route_close(struct route *route)
{
    if (route->channel != NULL)
        channel_close(route->channel);
    route->opened = false;
    uv_close((uv_handle_t *)&route->timer, on_timer_closed);
}

void messenger_route_lose(struct route *route)
{
    route->lost = true;
    uv_timer_stop(&route->timer);
    if (route->channel != NULL)
        cut(route, -ECANCELED, "the rendezvous is mapped out");
}
