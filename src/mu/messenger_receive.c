/* A message on its way into a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/messenger_private.h"
#include "util/beneath.h"
#include "util/write.h"

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

static int file_error(const struct messenger_receive *receive, int code, struct error *error)
{
    return error_set(error, code, "cannot write %s: %s", receive->path, error_reason(code));
}

/* ---- files --------------------------------------------------------------------------------- */

static void remove_file(struct messenger_receive *receive, const char *path)
{
    const char *name;
    int parent = beneath_parent(receive->folder, path, false, &name);
    if (parent < 0)
        return;
    unlinkat(parent, name, 0);
    close(parent);
}

/* Makes the file that bytes come to. */
static int open_part(struct messenger_receive *receive, struct error *error)
{
    const char *name;
    int parent = beneath_parent(receive->folder, receive->part, true, &name);
    if (parent < 0)
        return file_error(receive, parent, error);
    unlinkat(parent, name, 0);
    int file = openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int code = file < 0 ? -errno : 0;
    close(parent);
    if (file < 0)
        return file_error(receive, code, error);
    receive->file = file;
    return 0;
}

/* Gives the file its name. Both are in one folder. */
static int rename_part(struct messenger_receive *receive, struct error *error)
{
    const char *name, *slash = strrchr(receive->part, '/');
    int code = 0, parent = beneath_parent(receive->folder, receive->path, false, &name);
    if (parent < 0)
        return file_error(receive, parent, error);
    if (renameat(parent, slash ? slash + 1 : receive->part, parent, name) < 0)
        code = -errno;
    close(parent);
    return code < 0 ? file_error(receive, code, error) : 0;
}

/* ---- by way of a rendezvous ---------------------------------------------------------------- */

/* What it has been given so far is of no use any more. */
static void forget_decoder(struct messenger_receive *receive)
{
    decoder_free(receive->decoder);
    receive->decoder = NULL;
    if (receive->encoding.kind != ENCODING_DIFFERENCE && receive->base >= 0) {
        close(receive->base);
        receive->base = -1;
    }
}

bool messenger_receive_find_base(struct messenger_receive *receive)
{
    const struct messenger *messenger = receive->item.messenger;
    if (receive->base >= 0)
        close(receive->base);
    receive->base = messenger->handlers.base == NULL
                        ? -1
                        : messenger->handlers.base(messenger->opaque, &receive->item.label,
                                                   &receive->encoding.base);
    return receive->base >= 0;
}

/* As many as are gathered at most; the rest may be more than the message has. */
static size_t gather_most(const struct messenger_receive *receive)
{
    uint64_t left = receive->identity.size - receive->written;
    return left < MESSENGER_GATHER ? (size_t)left : MESSENGER_GATHER;
}

int messenger_receive_begin(struct messenger_receive *receive, struct error *error)
{
    forget_decoder(receive);
    if (receive->file >= 0)
        close(receive->file);
    receive->file = -1;
    sha256_free(receive->sum);
    receive->item.position = receive->written = 0;
    receive->gathered_size = 0;
    free(receive->gathered);
    receive->gathered = malloc(gather_most(receive) + 1);
    receive->sum = sha256_new();
    if (receive->gathered == NULL || receive->sum == NULL)
        return out_of_memory(error);
    if (receive->encoding.kind != ENCODING_PLAIN &&
        decoder_new(receive->identity.size, receive->base, &receive->decoder) < 0)
        return out_of_memory(error);
    return open_part(receive, error);
}

static int damaged(const struct messenger_receive *receive, struct error *error)
{
    return error_set(error, -EBADMSG, "the message %s from %s came damaged",
                     receive->item.label.name, receive->item.label.from);
}

static int finish(struct messenger_receive *receive, struct error *error)
{
    uint8_t sum[SHA256_SIZE];
    int code = sha256_finish(receive->sum, sum);
    if (code < 0)
        return error_set(error, code, "cannot compute a SHA-256");
    if (receive->written != receive->identity.size ||
        memcmp(sum, receive->identity.sha256, sizeof sum) != 0)
        return damaged(receive, error);
    return rename_part(receive, error);
}

/* What comes in records of 16 KB costs a file system twice as much to write as in larger pieces. */
static int write_gathered(struct messenger_receive *receive)
{
    size_t size = receive->gathered_size;
    int code = write_all_at(receive->file, receive->gathered, size, receive->written);
    receive->gathered_size = 0;
    receive->written += size;
    return code < 0 ? code : sha256_update(receive->sum, receive->gathered, size);
}

/* Bytes of the message as it is. */
static int take(void *opaque, const uint8_t *bytes, size_t size)
{
    struct messenger_receive *receive = opaque;
    while (size > 0) {
        size_t room = gather_most(receive) - receive->gathered_size;
        size_t part = size < room ? size : room;
        if (room == 0)
            return -EBADMSG; /* it is longer than its identity says */
        memcpy(receive->gathered + receive->gathered_size, bytes, part);
        receive->gathered_size += part;
        bytes += part;
        size -= part;
        int code = part == room ? write_gathered(receive) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

/* Bytes as they were under way. */
static int decode(struct messenger_receive *receive, const uint8_t *bytes, size_t size,
                  struct error *error)
{
    int code = size == 0 ? 0
               : receive->decoder != NULL
                   ? decoder_take(receive->decoder, bytes, size, take, receive)
                   : take(receive, bytes, size);
    if (code == -EBADMSG)
        return damaged(receive, error);
    return code < 0 ? file_error(receive, code, error) : 0;
}

void messenger_receive_bytes(struct messenger_receive *receive, const uint8_t *bytes, size_t size)
{
    struct error error = {.code = 0};
    int code = decode(receive, bytes, size, &error);
    receive->item.position += size;
    receive->owed += size;
    receive->item.messenger->counters.received += size;
    bool last = receive->item.position == receive->encoding.size && !receive->identity.unsummed;
    if (code == 0 && last)
        finish(receive, &error);
    if (error.code == -EBADMSG && receive->base >= 0)
        messenger_route_ask_again(receive, true); /* the base may have been written to */
    else if (error.code < 0 || last)
        messenger_receive_end(receive, &error);
    else if (receive->owed >= MESSENGER_CREDIT_STEP)
        messenger_route_credit(receive);
}

/* ---- from here to here --------------------------------------------------------------------- */

static int copy(struct messenger_receive *receive, struct error *error)
{
    static uint8_t buffer[65536];
    uint64_t at = 0;
    int code = open_part(receive, error);
    while (code == 0 && at < receive->identity.size) {
        ssize_t got = pread(receive->local, buffer, sizeof buffer, (off_t)at);
        if (got <= 0)
            return error_set(error, got < 0 ? -errno : -EIO, "cannot read a message's file: %s",
                             error_reason(got < 0 ? -errno : -EIO));
        code = write_all_at(receive->file, buffer, (size_t)got, at);
        if (code < 0)
            return file_error(receive, code, error);
        at += (uint64_t)got;
    }
    return code < 0 ? code : rename_part(receive, error);
}

static int hand_over(struct messenger_receive *receive, struct error *error)
{
    char source[64];
    const char *name;
    int parent = beneath_parent(receive->folder, receive->path, true, &name);
    if (parent < 0)
        return file_error(receive, parent, error);
    snprintf(source, sizeof source, "/proc/self/fd/%d", receive->local);
    unlinkat(parent, name, 0);
    int linked = linkat(AT_FDCWD, source, parent, name, AT_SYMLINK_FOLLOW);
    close(parent);
    /* Another file system, no name left to link to, and the like. */
    return linked == 0 ? 0 : copy(receive, error);
}

void messenger_receive_local(struct messenger_receive *receive)
{
    struct error error = {.code = 0};
    receive->item.messenger->counters.local++;
    hand_over(receive, &error);
    messenger_receive_end(receive, &error);
}

/* ---- the end ------------------------------------------------------------------------------- */

void messenger_receive_release(struct messenger_receive *receive)
{
    if (receive->file >= 0) {
        close(receive->file);
        remove_file(receive, receive->part); /* not there any more where all went well */
    }
    if (receive->local >= 0)
        close(receive->local);
    if (receive->folder >= 0)
        close(receive->folder);
    if (receive->base >= 0)
        close(receive->base);
    decoder_free(receive->decoder);
    sha256_free(receive->sum);
    free(receive->gathered);
    free(receive->path);
    free(receive->part);
}

void messenger_receive_end(struct messenger_receive *receive, const struct error *error)
{
    messenger_received *done = receive->done;
    void *opaque = receive->opaque;
    struct store_identity identity = receive->identity;
    messenger_item_free(&receive->item);
    done(opaque, &identity, error);
}
