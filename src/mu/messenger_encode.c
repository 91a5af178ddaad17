/* Messages made smaller before they are sent over a slow connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mu/messenger_private.h"

/* Bytes a second. What compressing takes is won back in sending below the one, and what a difference takes
 * besides below the other; docs/performance.md has the figures. */
#define ZSTD_BELOW 200e6
#define DIFFERENCE_BELOW 20e6

enum {
    LEAST_SIZE = 65536, /* of a message that is worth it */
};

/* One message's work, in a thread. Its files are its own. */
struct encode {
    uv_work_t work;
    struct messenger *messenger;
    struct messenger_send *send;         /* NULL: it has been withdrawn */
    int file, base, smaller, difference; /* the latter two are made; -1 for none */
    uint64_t size;
    uv_mutex_t lock; /* of the next two */
    uv_cond_t grown;
    uint64_t there;                        /* bytes that the file has */
    bool stopped;                          /* it will not have more */
    int64_t smaller_size, difference_size; /* or a negative errno */
};

/* ---- How fast it is ------------------------------------------------------------------------ */

void messenger_note_speed(struct messenger_send *send)
{
    struct route *route = send->item.route;
    uint64_t took = uv_hrtime() - send->started;
    uint64_t bytes = send->encoding.size - send->first;
    if (send->started == 0 || bytes < MESSENGER_SPEED_LEAST)
        return;
    route->speeds[route->next_speed++ % MESSENGER_SPEEDS] = (double)bytes * 1e9 / (double)took;
}

/* The best of the latest: others may have been slow for reasons that lie here. 0 where nothing is known. */
static double speed_of(const struct route *route)
{
    double best = 0;
    for (int i = 0; i < MESSENGER_SPEEDS; i++)
        best = route->speeds[i] > best ? route->speeds[i] : best;
    return best;
}

/* ---- In the thread ------------------------------------------------------------------------- */

/* What does not become a tenth smaller is not worth the receiver's work. */
static uint64_t worthwhile(uint64_t size)
{
    return size - size / 10;
}

/* Those who write the file do so in another thread, which waits for none like this one. */
static int wait_grown(void *opaque, uint64_t bytes)
{
    struct encode *encode = opaque;
    uv_mutex_lock(&encode->lock);
    while (encode->there < bytes && !encode->stopped)
        uv_cond_wait(&encode->grown, &encode->lock);
    int code = encode->stopped ? -ECANCELED : 0;
    uv_mutex_unlock(&encode->lock);
    return code;
}

static void run_encode(uv_work_t *work)
{
    struct encode *encode = (struct encode *)work;
    encode->smaller_size = encoding_make(encode->file, encode->size, -1, encode->smaller,
                                         worthwhile(encode->size), wait_grown, encode);
    uint64_t whole = encode->smaller_size > 0 ? (uint64_t)encode->smaller_size : encode->size;
    if (encode->base >= 0)
        encode->difference_size =
            encoding_make(encode->file, encode->size, encode->base, encode->difference,
                          worthwhile(whole), wait_grown, encode);
}

/* ---- On the loop --------------------------------------------------------------------------- */

static void close_file(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

static void encode_free(struct encode *encode)
{
    close_file(&encode->file);
    close_file(&encode->base);
    close_file(&encode->smaller);
    close_file(&encode->difference);
    uv_cond_destroy(&encode->grown);
    uv_mutex_destroy(&encode->lock);
    free(encode);
}

/* Gives the send what has been made for it. */
static void use(struct messenger_send *send, int *file, enum encoding_kind kind, int64_t size)
{
    send->encoding.kind = kind;
    send->encoding.size = (uint64_t)size;
    send->encoded = *file;
    *file = -1;
}

/* Those without the difference's base get the message in another way, should there be any. */
static void use_difference(struct encode *encode, const struct store_identity *base)
{
    struct messenger_send *send = encode->send, *whole;
    whole =
        messenger_make_send(encode->messenger, &send->item.label, encode->file, &send->identity);
    if (whole == NULL)
        return;
    encode->file = -1; /* it is the new one's now */
    whole->whole = whole->aside = true;
    if (encode->smaller_size > 0)
        use(whole, &encode->smaller, ENCODING_ZSTD, encode->smaller_size);
    use(send, &encode->difference, ENCODING_DIFFERENCE, encode->difference_size);
    send->encoding.base = *base;
    send->beside = whole;
    encode->messenger->counters.differences++;
    messenger_offer(whole);
}

static void on_encoded(uv_work_t *work, int status)
{
    struct encode *encode = (struct encode *)work;
    struct messenger_send *send = encode->send;
    if (send != NULL) {
        send->encode = NULL;
        if (encode->difference_size > 0)
            use_difference(encode, &send->base);
        if (send->encoded < 0 && encode->smaller_size > 0)
            use(send, &encode->smaller, ENCODING_ZSTD, encode->smaller_size);
        encode->messenger->counters.smaller += send->encoded >= 0;
        if (!send->identity.unsummed)
            messenger_offer(send);
    }
    encode_free(encode);
}

/* A file without a name. */
static int make_file(const char *folder)
{
    char path[4096];
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || snprintf(path, sizeof path, "%s/encoded-XXXXXX", folder) >= (int)sizeof path)
        return file;
    file = mkostemp(path, O_CLOEXEC); /* not every file system has such files */
    if (file >= 0)
        unlink(path);
    return file;
}

static bool open_files(struct encode *encode, const char *folder, int base)
{
    encode->file = fcntl(encode->send->file, F_DUPFD_CLOEXEC, 0);
    encode->smaller = make_file(folder);
    if (base >= 0) {
        encode->base = fcntl(base, F_DUPFD_CLOEXEC, 0);
        encode->difference = make_file(folder);
    }
    return encode->file >= 0 && encode->smaller >= 0 &&
           (base < 0 || (encode->base >= 0 && encode->difference >= 0));
}

static struct encode *encode_new(struct messenger_send *send)
{
    struct encode *encode = calloc(1, sizeof *encode);
    if (encode == NULL || uv_mutex_init(&encode->lock) < 0) {
        free(encode);
        return NULL;
    }
    if (uv_cond_init(&encode->grown) < 0) {
        uv_mutex_destroy(&encode->lock);
        free(encode);
        return NULL;
    }
    encode->messenger = send->item.messenger;
    encode->send = send;
    encode->size = send->identity.size;
    encode->there = send->there;
    encode->file = encode->base = encode->smaller = encode->difference = -1;
    return encode;
}

enum messenger_pays messenger_pays(struct messenger *messenger, const char *to, uint64_t size)
{
    double speed = speed_of(messenger_route_to(messenger, to));
    if (messenger->folder == NULL || size < LEAST_SIZE || speed == 0 || speed >= ZSTD_BELOW)
        return MESSENGER_AS_IT_IS;
    return speed < DIFFERENCE_BELOW ? MESSENGER_DIFFERENCE : MESSENGER_SMALLER;
}

bool messenger_encode(struct messenger_send *send, const struct messenger_base *base)
{
    struct messenger *messenger = send->item.messenger;
    enum messenger_pays pays = messenger_pays(messenger, send->item.label.to, send->identity.size);
    struct encode *encode = send->aside || pays == MESSENGER_AS_IT_IS ? NULL : encode_new(send);
    if (encode == NULL)
        return false;
    if (pays != MESSENGER_DIFFERENCE)
        base = NULL;
    if (base != NULL)
        send->base = base->identity;
    if (!open_files(encode, messenger->folder, base != NULL ? base->file : -1) ||
        uv_queue_work(network_loop(messenger->network), &encode->work, run_encode, on_encoded) <
            0) {
        encode_free(encode);
        return false;
    }
    send->encode = encode;
    return true;
}

void messenger_encode_grown(struct messenger_send *send)
{
    struct encode *encode = send->encode;
    uv_mutex_lock(&encode->lock);
    encode->there = send->there;
    uv_cond_signal(&encode->grown);
    uv_mutex_unlock(&encode->lock);
}

void messenger_stop_encoding(struct messenger_send *send)
{
    struct encode *encode = send->encode;
    if (encode == NULL)
        return;
    send->encode = NULL;
    encode->send = NULL;
    uv_mutex_lock(&encode->lock);
    encode->stopped = true;
    uv_cond_signal(&encode->grown);
    uv_mutex_unlock(&encode->lock);
}
