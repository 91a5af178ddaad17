#include "store/transfer.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
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

bool transfer_share(int in, int out)
{
    return ioctl(out, FICLONE, in) == 0;
}
