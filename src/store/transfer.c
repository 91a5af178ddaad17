#include "store/transfer.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/write.h"

enum { PIECE = 256 * 1024 };

static int write_piece(struct transfer *transfer, const char *data, size_t size)
{
    transfer->writing = true;
    int code = write_all(transfer->out, data, size);
    transfer->writing = code < 0;
    return code;
}

/* Moves one piece; returns its size, 0 at the end. */
static ssize_t move(struct transfer *transfer, char *piece, struct sha256 *sha256)
{
    uint64_t done = transfer->identity.size, left = transfer->length - done;
    ssize_t size = pread(transfer->in, piece, left < PIECE ? (size_t)left : PIECE,
                         (off_t)(transfer->offset + done));
    if (size <= 0)
        return size < 0 ? -errno : 0;
    int code = sha256 != NULL ? sha256_update(sha256, piece, (size_t)size) : 0;
    if (code == 0 && transfer->out >= 0)
        code = write_piece(transfer, piece, (size_t)size);
    return code < 0 ? code : size;
}

static int move_all(struct transfer *transfer, char *piece, struct sha256 *sha256)
{
    while (transfer->identity.size < transfer->length) {
        if (atomic_load(transfer->cancelled))
            return -ECANCELED;
        ssize_t size = move(transfer, piece, sha256);
        if (size == -EINTR)
            continue;
        if (size < 0)
            return (int)size;
        if (size == 0)
            break;
        transfer->identity.size += (uint64_t)size;
        if (transfer->moved != NULL)
            transfer->moved(transfer->opaque, transfer->identity.size);
    }
    return sha256 != NULL ? sha256_finish(sha256, transfer->identity.sha256) : 0;
}

int transfer_run(struct transfer *transfer)
{
    struct sha256 *sha256 = transfer->sum ? sha256_new() : NULL;
    char *piece = malloc(PIECE);
    int code = -ENOMEM;
    transfer->identity.size = 0;
    transfer->writing = false;
    if (piece != NULL && (sha256 != NULL || !transfer->sum))
        code = move_all(transfer, piece, sha256);
    free(piece);
    sha256_free(sha256);
    return code;
}

/* Reads until the piece is full or the file ends. */
static ssize_t read_piece(int fd, char *piece, uint64_t offset)
{
    size_t size = 0;
    while (size < PIECE) {
        ssize_t count = pread(fd, piece + size, PIECE - size, (off_t)(offset + size));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        size += (size_t)count;
    }
    return (ssize_t)size;
}

static int compare_pieces(int a, int b, char *pieces, const atomic_bool *cancelled)
{
    for (uint64_t offset = 0;; offset += PIECE) {
        if (atomic_load(cancelled))
            return -ECANCELED;
        ssize_t size = read_piece(a, pieces, offset);
        ssize_t other = read_piece(b, pieces + PIECE, offset);
        if (size < 0 || other < 0)
            return size < 0 ? (int)size : (int)other;
        if (size != other || memcmp(pieces, pieces + PIECE, (size_t)size) != 0)
            return -EBADMSG;
        if (size < PIECE)
            return 0;
    }
}

int transfer_compare(int a, int b, const atomic_bool *cancelled)
{
    char *pieces = malloc(2 * PIECE);
    int code = pieces != NULL ? compare_pieces(a, b, pieces, cancelled) : -ENOMEM;
    free(pieces);
    return code;
}

bool transfer_share(int in, int out)
{
    return ioctl(out, FICLONE, in) == 0;
}
