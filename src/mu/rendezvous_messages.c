/* The rendezvous's messages: offered, held, passed on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/rendezvous_private.h"

/* ---- messages and transfers ---------------------------------------------------------------- */

static struct held_message *find_message(struct job_room *job, const struct label *label,
                                         bool whole, uint64_t hash)
{
    struct hash_link *link = hash_first(&job->messages, hash);
    for (; link != NULL; link = hash_next(link)) {
        struct held_message *message = HASH_ENTRY(link, struct held_message, link);
        if (message->whole == whole && label_equal(&message->label, label))
            return message;
    }
    return NULL;
}

static struct held_message *new_message(struct job_room *job, const struct label *label,
                                        uint64_t hash)
{
    struct held_message *message = calloc(1, sizeof *message);
    if (message == NULL || label_copy(&message->label, label) < 0 ||
        hash_insert(&job->messages, &message->link, hash) < 0) {
        if (message != NULL)
            label_release(&message->label);
        free(message);
        return NULL;
    }
    message->job = job;
    list_init(&message->offers);
    list_init(&message->subscribers);
    list_init(&message->droppable);
    job->rendezvous->counters.messages++;
    return message;
}

/* The job's message of this label, made where it is not there; NULL after cutting the connection off. */
static struct held_message *the_message(struct connection *connection, const Mu__Label *from,
                                        bool whole)
{
    struct label label;
    struct job_room *job = connection->job;
    if (!label_of(&label, from)) {
        rendezvous_connection_fail(connection, -EPROTO, "a message without a valid name");
        return NULL;
    }
    uint64_t hash = label_hash(&label) + whole;
    struct held_message *message = find_message(job, &label, whole, hash);
    if (message != NULL)
        return message;
    if (job->messages.count >= RENDEZVOUS_MESSAGES_MOST)
        rendezvous_connection_fail(connection, -ENOBUFS, "the job has too many messages");
    else if ((message = new_message(job, &label, hash)) == NULL)
        rendezvous_connection_fail(connection, -ENOMEM, "out of memory");
    if (message != NULL)
        message->whole = whole;
    return message;
}

static struct transfer *find_transfer(struct connection *connection, uint64_t id)
{
    struct hash_link *link = hash_first(&connection->transfers, id);
    return link ? HASH_ENTRY(link, struct transfer, link) : NULL;
}

static bool id_is_free(struct connection *connection, uint64_t id)
{
    if (find_transfer(connection, id) != NULL)
        rendezvous_connection_fail(connection, -EPROTO, "transfer %llu is begun twice",
                                   (unsigned long long)id);
    else if (connection->transfers.count >= RENDEZVOUS_TRANSFERS_MOST)
        rendezvous_connection_fail(connection, -ENOBUFS, "more than %d transfers at once",
                                   RENDEZVOUS_TRANSFERS_MOST);
    else
        return true;
    return false;
}

static struct transfer *new_transfer(struct connection *connection, uint64_t id,
                                     struct held_message *message, bool offer)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL || hash_insert(&connection->transfers, &transfer->link, id) < 0) {
        free(transfer);
        rendezvous_connection_fail(connection, -ENOMEM, "out of memory");
        return NULL;
    }
    transfer->connection = connection;
    transfer->message = message;
    transfer->id = id;
    transfer->offer = offer;
    transfer->credit = RENDEZVOUS_CREDIT;
    list_init(&transfer->of_message);
    list_init(&transfer->ready);
    list_append(offer ? &message->offers : &message->subscribers, &transfer->of_message);
    return transfer;
}

static void free_transfer(struct transfer *transfer)
{
    struct held_message *message = transfer->message;
    hash_remove(&transfer->connection->transfers, &transfer->link);
    list_remove(&transfer->of_message);
    list_remove(&transfer->ready);
    free(transfer);
    rendezvous_reconsider(message);
}

/* ---- answers ------------------------------------------------------------------------------- */

static Mu__Identity identity_of(const struct held_message *message)
{
    Mu__Identity identity = MU__IDENTITY__INIT;
    identity.size = message->identity.size;
    identity.sha256.len = message->identity.unsummed ? 0 : WIRE_SHA256;
    identity.sha256.data = (uint8_t *)message->identity.sha256;
    return identity;
}

static void say_have(struct connection *connection, uint64_t id, Mu__Identity *identity)
{
    Mu__Have have = MU__HAVE__INIT;
    have.transfer = id;
    have.identity = identity;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HAVE;
    envelope.have = &have;
    rendezvous_connection_send(connection, &envelope);
}

static void send_have(struct connection *connection, uint64_t id,
                      const struct held_message *message)
{
    Mu__Identity identity = identity_of(message);
    say_have(connection, id, &identity);
}

/* It is to be offered again when its sum is known. */
static void send_later(struct connection *connection, const Mu__Offer *offer)
{
    say_have(connection, offer->transfer, offer->identity);
}

/* Asks for what is not there of it. */
static void want(struct transfer *transfer)
{
    Mu__Want message = MU__WANT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    transfer->message->dropped = false;
    transfer->wanted = true;
    transfer->position = transfer->message->body.size;
    message.transfer = transfer->id;
    message.from = transfer->position;
    envelope.body_case = MU__ENVELOPE__BODY_WANT;
    envelope.want = &message;
    rendezvous_connection_send(transfer->connection, &envelope);
}

static void send_deliver(struct transfer *transfer)
{
    Mu__Identity identity = identity_of(transfer->message), base;
    Mu__Deliver deliver = MU__DELIVER__INIT;
    Mu__Encoding encoding;
    deliver.transfer = transfer->id;
    deliver.identity = &identity;
    deliver.from = transfer->position;
    if (transfer->message->encoding.kind != ENCODING_PLAIN) {
        encoding_to(&encoding, &base, &transfer->message->encoding);
        deliver.encoding = &encoding;
    }
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_DELIVER;
    envelope.deliver = &deliver;
    transfer->sum_due = transfer->message->identity.unsummed;
    rendezvous_connection_send(transfer->connection, &envelope);
}

static void send_sum(struct transfer *transfer)
{
    Mu__Identity identity = identity_of(transfer->message);
    Mu__Sum sum = MU__SUM__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    sum.transfer = transfer->id;
    sum.identity = &identity;
    envelope.body_case = MU__ENVELOPE__BODY_SUM;
    envelope.sum = &sum;
    rendezvous_connection_send(transfer->connection, &envelope);
}

static void give_credit(struct transfer *transfer)
{
    Mu__Credit credit = MU__CREDIT__INIT;
    credit.transfer = transfer->id;
    credit.bytes = transfer->owed;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_CREDIT;
    envelope.credit = &credit;
    transfer->credit += transfer->owed;
    transfer->owed = 0;
    rendezvous_connection_send(transfer->connection, &envelope);
}

/* ---- to those who wait --------------------------------------------------------------------- */

/* Whether there are bytes that may go to this subscription. */
static bool sendable(const struct transfer *transfer)
{
    return transfer->begun && transfer->credit > 0 &&
           transfer->position < transfer->message->body.size;
}

static bool finished(const struct transfer *transfer)
{
    const struct held_message *message = transfer->message;
    return transfer->begun && transfer->position == message->body.total &&
           !message->identity.unsummed;
}

/* All of it has been sent. */
static void end_delivery(struct transfer *transfer)
{
    if (transfer->sum_due)
        send_sum(transfer);
    transfer->message->delivered = true;
    free_transfer(transfer);
}

/* Returns whether something may follow. */
static bool send_piece(struct transfer *transfer, const uint8_t *bytes, size_t size)
{
    struct connection *connection = transfer->connection;
    int code = channel_send_bulk(connection->channel, transfer->id, bytes, size);
    if (code < 0) {
        rendezvous_connection_fail(connection, code, "its queue takes no more");
        return false;
    }
    connection->full = code == 1;
    transfer->position += size;
    transfer->credit -= size;
    connection->rendezvous->counters.sent += size;
    return true;
}

/* A piece of what is held; at most one at a time, so that none of a connection's transfers starves. */
static bool send_held(struct transfer *transfer)
{
    struct rendezvous *rendezvous = transfer->connection->rendezvous;
    struct error error;
    const uint8_t *bytes;
    size_t most = transfer->credit < FRAME_PIECE_MOST ? (size_t)transfer->credit : FRAME_PIECE_MOST;
    ssize_t size = spill_read(rendezvous->spill, &transfer->message->body, transfer->position,
                              rendezvous->buffer, most, &bytes, &error);
    if (size < 0) {
        rendezvous_connection_fail(transfer->connection, error.code, "%s", error.message);
        return false;
    }
    return send_piece(transfer, bytes, (size_t)size);
}

void rendezvous_messages_pump(struct connection *connection)
{
    while (!connection->full && !connection->over && !list_empty(&connection->ready)) {
        struct transfer *transfer = LIST_ENTRY(connection->ready.next, struct transfer, ready);
        list_remove(&transfer->ready);
        if (!send_held(transfer))
            return;
        if (finished(transfer))
            end_delivery(transfer);
        else if (sendable(transfer))
            list_append(&connection->ready, &transfer->ready);
    }
}

static void make_ready(struct transfer *transfer)
{
    struct connection *connection = transfer->connection;
    if (sendable(transfer) && list_empty(&transfer->ready))
        list_append(&connection->ready, &transfer->ready);
    rendezvous_messages_pump(connection);
}

/* Announces the message once its first byte is there for this subscription, and sends what there is. */
static void begin(struct transfer *transfer)
{
    struct held_message *message = transfer->message;
    if (!message->known)
        return;
    if (transfer->position > message->body.total)
        transfer->position = 0; /* what it has is of something else */
    if (!transfer->begun && transfer->position >= message->body.size &&
        !rendezvous_complete(message))
        return;
    if (!transfer->begun)
        send_deliver(transfer);
    transfer->begun = true;
    if (finished(transfer))
        end_delivery(transfer);
    else
        make_ready(transfer);
}

/* Passes bytes on that have just been added to the message, straight where that is possible. */
static void relay(struct transfer *transfer, const uint8_t *bytes, size_t size)
{
    struct connection *connection = transfer->connection;
    uint64_t before = transfer->message->body.size - size;
    if (connection->over)
        return;
    if (size > 0 && !transfer->begun && transfer->position == before) {
        send_deliver(transfer);
        transfer->begun = true;
    }
    if (size == 0 || transfer->position != before || transfer->credit < size || connection->full ||
        !list_empty(&connection->ready) || connection->over)
        begin(transfer);
    else if (send_piece(transfer, bytes, size) && finished(transfer))
        end_delivery(transfer);
}

/* As relay(), to all; with no bytes, tells of an empty message. */
static void relay_all(struct held_message *message, const uint8_t *bytes, size_t size)
{
    /* Sending to one may end another, where both are of one connection. */
    struct list_link waiting;
    list_take(&waiting, &message->subscribers);
    while (!list_empty(&waiting)) {
        struct transfer *transfer = LIST_ENTRY(waiting.next, struct transfer, of_message);
        list_remove(&transfer->of_message);
        list_append(&message->subscribers, &transfer->of_message);
        relay(transfer, bytes, size);
    }
    rendezvous_reconsider(message);
}

/* The last byte is there: nobody needs to offer it any more. */
static void end_offers(struct held_message *message)
{
    while (!list_empty(&message->offers)) {
        struct transfer *offer = LIST_ENTRY(message->offers.next, struct transfer, of_message);
        send_have(offer->connection, offer->id, message);
        free_transfer(offer);
    }
}

/* ---- from senders -------------------------------------------------------------------------- */

static void learn(struct held_message *message, const struct store_identity *identity,
                  const struct encoding *encoding)
{
    message->known = true;
    message->identity = *identity;
    message->encoding = *encoding;
    message->body.total = encoding->size;
}

static void read_identity(struct store_identity *to, const Mu__Identity *from)
{
    *to = (struct store_identity){.size = from->size, .unsummed = from->sha256.len == 0};
    if (!to->unsummed)
        memcpy(to->sha256, from->sha256.data, sizeof to->sha256);
}

/* What has come of it so far is of no use any more. */
static void take_back(struct held_message *message)
{
    struct list_link *link = message->subscribers.next;
    rendezvous_let_go(message);
    for (; link != &message->subscribers; link = link->next) {
        struct transfer *transfer = LIST_ENTRY(link, struct transfer, of_message);
        list_remove(&transfer->ready);
        transfer->begun = false;
        transfer->position = 0;
    }
}

/* Begins anew with the bytes of another encoding, of which none has come yet. */
static void begin_anew(struct held_message *message, const struct encoding *encoding)
{
    take_back(message);
    message->encoding = *encoding;
    message->body.total = encoding->size;
}

/* Its sum will not come: whoever offers it next may have other bytes. */
static void unlearn(struct held_message *message)
{
    take_back(message);
    message->known = message->identity.unsummed = false;
}

/* The first offer that is not put aside; with `wanted`, of which bytes were asked for. */
static struct transfer *first_offer(struct held_message *message, bool wanted)
{
    struct list_link *link = message->offers.next;
    for (; link != &message->offers; link = link->next) {
        struct transfer *offer = LIST_ENTRY(link, struct transfer, of_message);
        if (!offer->aside && (offer->wanted || !wanted))
            return offer;
    }
    return NULL;
}

/* Asks those for the message who offer it in the encoding that it has here; others wait until none of these
 * is left. */
static void supply(struct held_message *message)
{
    struct transfer *first = first_offer(message, false);
    if (first == NULL)
        return;
    if (!message->known)
        learn(message, &first->identity, &first->encoding);
    if (first_offer(message, true) == NULL && !encoding_equal(&first->encoding, &message->encoding))
        begin_anew(message, &first->encoding);
    struct list_link *link = message->offers.next;
    for (; link != &message->offers; link = link->next) {
        struct transfer *offer = LIST_ENTRY(link, struct transfer, of_message);
        if (!offer->aside && !offer->wanted &&
            offer->identity.unsummed == message->identity.unsummed &&
            encoding_equal(&offer->encoding, &message->encoding))
            want(offer);
    }
}

/* Without a sum it is its one sender's; so it goes as it is. */
static bool valid_offer(const Mu__Offer *offer, struct encoding *encoding)
{
    return wire_object_valid(offer->identity) && offer->identity->size <= INT64_MAX &&
           encoding_of(encoding, offer->encoding, offer->identity->size) &&
           (offer->identity->sha256.len > 0 ||
            (encoding->kind == ENCODING_PLAIN && encoding->size > 0 && !offer->whole));
}

/* Whether the message is to come from this offer, now or later; if not, it has been answered. */
static bool take_offer(struct connection *connection, struct held_message *message,
                       const Mu__Offer *offer, const struct store_identity *identity,
                       const struct encoding *encoding)
{
    struct rendezvous_counters *counters = &connection->rendezvous->counters;
    bool fresh = !message->known;
    if (!fresh && identity->unsummed) {
        send_later(connection, offer);
        return false;
    }
    counters->offers++;
    if (fresh)
        learn(message, identity, encoding);
    bool same = message->identity.unsummed || store_identity_agrees(&message->identity, identity);
    counters->repeated += !fresh;
    counters->clashes += !same;
    if (same && !rendezvous_complete(message))
        return true;
    send_have(connection, offer->transfer, message);
    if (fresh)
        relay_all(message, NULL, 0); /* an empty one */
    return false;
}

void rendezvous_messages_offer(struct connection *connection, const Mu__Offer *offer)
{
    struct held_message *message;
    struct store_identity identity;
    struct encoding encoding;
    if (!valid_offer(offer, &encoding)) {
        rendezvous_connection_fail(connection, -EPROTO, "an offer without a valid identity");
        return;
    }
    if (!id_is_free(connection, offer->transfer) ||
        (message = the_message(connection, offer->label, offer->whole)) == NULL)
        return;
    read_identity(&identity, offer->identity);
    if (!take_offer(connection, message, offer, &identity, &encoding))
        return;
    struct transfer *transfer = new_transfer(connection, offer->transfer, message, true);
    if (transfer == NULL)
        return;
    transfer->identity = identity;
    transfer->encoding = encoding;
    transfer->aside = (offer->aside || message->dropped) && list_empty(&message->subscribers);
    supply(message);
}

void rendezvous_messages_sum(struct connection *connection, const Mu__Sum *sum)
{
    struct transfer *transfer = find_transfer(connection, sum->transfer);
    if (transfer == NULL)
        return; /* it was sent before our Have was read */
    struct held_message *message = transfer->message;
    if (!transfer->offer || !transfer->identity.unsummed || !wire_identity_valid(sum->identity) ||
        sum->identity->size != transfer->identity.size ||
        transfer->position != transfer->encoding.size) {
        rendezvous_connection_fail(connection, -EPROTO, "a sum that is not due");
        return;
    }
    read_identity(&message->identity, sum->identity);
    transfer->identity = message->identity;
    relay_all(message, NULL, 0);
    end_offers(message);
}

/* Somebody waits for the message: those who put it aside shall send it. */
static void want_all(struct held_message *message)
{
    struct list_link *link = message->offers.next;
    for (; link != &message->offers; link = link->next)
        LIST_ENTRY(link, struct transfer, of_message)->aside = false;
    supply(message);
}

/* Adds what is new of it; several may be sending the same message. False where the transfer has ended. */
static bool hold(struct transfer *transfer, const uint8_t *bytes, size_t size)
{
    struct held_message *message = transfer->message;
    uint64_t known = message->body.size - transfer->position;
    transfer->position += size;
    if (known >= size)
        return true;
    bytes += known;
    size -= (size_t)known;
    if (!rendezvous_hold(message, bytes, size)) {
        end_offers(message); /* the store has it, or will */
        if (message->identity.unsummed)
            unlearn(message);
        return false;
    }
    relay_all(message, bytes, size);
    return true;
}

void rendezvous_messages_bulk(struct connection *connection, uint64_t id, const uint8_t *bytes,
                              size_t size)
{
    struct rendezvous *rendezvous = connection->rendezvous;
    struct transfer *transfer = find_transfer(connection, id);
    rendezvous->counters.received += size;
    if (transfer == NULL) {
        rendezvous->counters.stray++; /* it was sent before our Have was read */
        return;
    }
    struct held_message *message = transfer->message;
    if (!transfer->offer || !transfer->wanted || size > message->body.total - transfer->position) {
        rendezvous_connection_fail(connection, -EPROTO, "bytes that are not part of a message");
        return;
    }
    if (size > transfer->credit) {
        rendezvous_connection_fail(connection, -EPROTO, "more bytes than it was allowed to send");
        return;
    }
    transfer->credit -= size;
    transfer->owed += size;
    if (!hold(transfer, bytes, size))
        return;
    if (rendezvous_complete(message))
        end_offers(message);
    else if (transfer->owed >= RENDEZVOUS_CREDIT_STEP)
        give_credit(transfer);
}

/* ---- from receivers ------------------------------------------------------------------------ */

void rendezvous_messages_subscribe(struct connection *connection, const Mu__Subscribe *subscribe)
{
    struct held_message *message;
    if (!id_is_free(connection, subscribe->transfer) ||
        (message = the_message(connection, subscribe->label, subscribe->whole)) == NULL)
        return;
    struct transfer *transfer = new_transfer(connection, subscribe->transfer, message, false);
    if (transfer == NULL)
        return;
    transfer->position = subscribe->from;
    rendezvous_reconsider(message);
    want_all(message);
    begin(transfer);
}

static void free_message(struct held_message *message)
{
    struct job_room *job = message->job;
    hash_remove(&job->messages, &message->link);
    job->rendezvous->counters.messages--;
    rendezvous_let_go(message);
    label_release(&message->label);
    free(message);
}

/* Ends a transfer; a message of which nothing is known but that somebody waited for goes with it. */
static void leave(struct transfer *transfer)
{
    struct held_message *message = transfer->message;
    bool unsummed = transfer->offer && transfer->identity.unsummed;
    free_transfer(transfer);
    if (unsummed)
        unlearn(message);
    if (!message->known && list_empty(&message->subscribers) && list_empty(&message->offers))
        free_message(message);
    else
        supply(message); /* where it was the last of those who were asked */
}

void rendezvous_messages_unsubscribe(struct connection *connection, uint64_t id)
{
    struct transfer *transfer = find_transfer(connection, id);
    if (transfer != NULL && (!transfer->offer || transfer->identity.unsummed))
        leave(transfer);
}

void rendezvous_messages_credit(struct connection *connection, const Mu__Credit *credit)
{
    struct transfer *transfer = find_transfer(connection, credit->transfer);
    if (transfer == NULL)
        return; /* all of it has been sent */
    if (transfer->offer || credit->bytes > RENDEZVOUS_CREDIT - transfer->credit) {
        rendezvous_connection_fail(connection, -EPROTO, "credit for what was not sent");
        return;
    }
    transfer->credit += credit->bytes;
    make_ready(transfer);
}

/* ---- the end of things --------------------------------------------------------------------- */

static void leave_one(void *opaque, struct hash_link *link)
{
    leave(HASH_ENTRY(link, struct transfer, link));
}

void rendezvous_messages_leave(struct connection *connection)
{
    hash_each(&connection->transfers, leave_one, NULL);
    hash_release(&connection->transfers);
}

struct forgetting {
    struct job_room *job;
    const char *actor;
};

static void forget_one(void *opaque, struct hash_link *link)
{
    const struct forgetting *forgetting = opaque;
    struct held_message *message = HASH_ENTRY(link, struct held_message, link);
    if (forgetting->actor != NULL && strcmp(message->label.to, forgetting->actor) != 0)
        return;
    end_offers(message); /* who is sending it can stop */
    while (!list_empty(&message->subscribers))
        free_transfer(LIST_ENTRY(message->subscribers.next, struct transfer, of_message));
    free_message(message);
}

void rendezvous_messages_forget(struct job_room *job, const char *actor)
{
    struct forgetting forgetting = {.job = job, .actor = actor};
    hash_each(&job->messages, forget_one, &forgetting);
}

static void look_for_movement(void *opaque, struct hash_link *link)
{
    bool *moving = opaque;
    const struct held_message *message = HASH_ENTRY(link, struct held_message, link);
    const struct list_link *at = message->offers.next;
    *moving |= rendezvous_complete(message) && !list_empty(&message->subscribers);
    for (; at != &message->offers; at = at->next)
        *moving |= !LIST_ENTRY(at, const struct transfer, of_message)->aside;
}

bool rendezvous_messages_moving(struct job_room *job)
{
    bool moving = false;
    hash_each(&job->messages, look_for_movement, &moving);
    return moving;
}
