/* Messages made smaller before they are sent over a slow connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mu/messenger_private.h"

/* Bytes a second. What compressing takes is won back in sending below the one, and what a difference takes
 * besides below the other; docs/performance.md has the figures. */
#define ZSTD_BELOW 60e6
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

static void run_encode(uv_work_t *work)
{
    struct encode *encode = (struct encode *)work;
    encode->smaller_size =
        encoding_make(encode->file, encode->size, -1, encode->smaller, worthwhile(encode->size));
    uint64_t whole = encode->smaller_size > 0 ? (uint64_t)encode->smaller_size : encode->size;
    if (encode->base >= 0)
        encode->difference_size = encoding_make(encode->file, encode->size, encode->base,
                                                encode->difference, worthwhile(whole));
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

bool messenger_encodes(struct messenger *messenger, const char *to, uint64_t size)
{
    double speed = speed_of(messenger_route_to(messenger, to));
    return messenger->folder != NULL && size >= LEAST_SIZE && speed > 0 && speed < ZSTD_BELOW;
}

bool messenger_encode(struct messenger_send *send, const struct messenger_base *base)
{
    struct messenger *messenger = send->item.messenger;
    double speed = speed_of(messenger_route_to(messenger, send->item.label.to));
    if (send->aside || !messenger_encodes(messenger, send->item.label.to, send->identity.size))
        return false;
    struct encode *encode = calloc(1, sizeof *encode);
    if (encode == NULL)
        return false;
    if (speed >= DIFFERENCE_BELOW)
        base = NULL;
    encode->messenger = messenger;
    encode->send = send;
    encode->size = send->identity.size;
    encode->file = encode->base = encode->smaller = encode->difference = -1;
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

void messenger_stop_encoding(struct messenger_send *send)
{
    if (send->encode != NULL)
        send->encode->send = NULL;
    send->encode = NULL;
}
