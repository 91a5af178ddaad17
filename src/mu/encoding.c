#include "mu/encoding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "util/write.h"

enum {
    PIECE = 65536,
    LEVEL = 1,        /* docs/performance.md has what others cost and gain */
    WINDOW_MOST = 22, /* log2 of bytes, of what is let in */
};

/* ---- What it is ---------------------------------------------------------------------------- */

struct encoding encoding_plain(uint64_t size)
{
    return (struct encoding){.kind = ENCODING_PLAIN, .size = size};
}

bool encoding_equal(const struct encoding *a, const struct encoding *b)
{
    if (a->kind != b->kind || a->size != b->size)
        return false;
    return a->kind != ENCODING_DIFFERENCE ||
           (a->base.size == b->base.size &&
            memcmp(a->base.sha256, b->base.sha256, sizeof a->base.sha256) == 0);
}

bool encoding_of(struct encoding *encoding, const Mu__Encoding *message, uint64_t size)
{
    *encoding = encoding_plain(size);
    if (message == NULL)
        return true;
    encoding->size = message->size;
    if (message->size < 1 || message->size > INT64_MAX)
        return false;
    if (message->kind == MU__ENCODING__KIND__ZSTD) {
        encoding->kind = ENCODING_ZSTD;
        return true;
    }
    if (message->kind != MU__ENCODING__KIND__DIFFERENCE || !wire_identity_valid(message->to))
        return false;
    encoding->kind = ENCODING_DIFFERENCE;
    encoding->base.size = message->to->size;
    memcpy(encoding->base.sha256, message->to->sha256.data, WIRE_SHA256);
    return true;
}

void encoding_to(Mu__Encoding *message, Mu__Identity *base, const struct encoding *encoding)
{
    mu__encoding__init(message);
    mu__identity__init(base);
    message->kind = encoding->kind == ENCODING_DIFFERENCE ? MU__ENCODING__KIND__DIFFERENCE
                                                          : MU__ENCODING__KIND__ZSTD;
    message->size = encoding->size;
    if (encoding->kind != ENCODING_DIFFERENCE)
        return;
    base->size = encoding->base.size;
    base->sha256.data = (uint8_t *)encoding->base.sha256;
    base->sha256.len = WIRE_SHA256;
    message->to = base;
}

/* ---- Files --------------------------------------------------------------------------------- */

/* Reads `size` bytes at `at`; fewer at the file's end. */
static ssize_t read_at(int file, uint8_t *bytes, size_t size, uint64_t at)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(file, bytes + have, size - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* The base's bytes from `at` on, zeros beyond its end. */
static int read_base(int base, uint8_t *bytes, size_t size, uint64_t at)
{
    ssize_t got = base >= 0 ? read_at(base, bytes, size, at) : 0;
    if (got < 0)
        return (int)got;
    memset(bytes + got, 0, size - (size_t)got);
    return 0;
}

/* ---- Making -------------------------------------------------------------------------------- */

struct encoder {
    ZSTD_CCtx *zstd;
    int base, to;
    encoding_wait *wait;
    void *opaque;
    uint64_t at, made, most; /* at: bytes read; made: bytes written */
    uint8_t in[PIECE], base_in[PIECE], out[PIECE];
};

/* Reads the next piece, less its base. */
static ssize_t next_piece(struct encoder *encoder, int from, uint64_t size)
{
    uint64_t left = size - encoder->at;
    size_t most = left < PIECE ? (size_t)left : PIECE;
    ssize_t got = encoder->wait ? encoder->wait(encoder->opaque, encoder->at + most) : 0;
    if (got == 0)
        got = read_at(from, encoder->in, most, encoder->at);
    if (got < 0)
        return got;
    if ((size_t)got < most)
        return -EIO; /* it is shorter than it was */
    if (encoder->base >= 0) {
        int code = read_base(encoder->base, encoder->base_in, most, encoder->at);
        if (code < 0)
            return code;
        for (size_t i = 0; i < most; i++)
            encoder->in[i] = (uint8_t)(encoder->in[i] - encoder->base_in[i]);
    }
    encoder->at += most;
    return got;
}

/* Compresses a piece, or ends with the last one. */
static int compress(struct encoder *encoder, size_t size, bool last)
{
    ZSTD_inBuffer in = {encoder->in, size, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {encoder->out, PIECE, 0};
        left = ZSTD_compressStream2(encoder->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return -ENOMEM;
        encoder->made += out.pos;
        if (encoder->made > encoder->most)
            return -EFBIG;
        int code = write_all(encoder->to, encoder->out, out.pos);
        if (code < 0)
            return code;
    } while (last ? left > 0 : in.pos < in.size);
    return 0;
}

int64_t encoding_make(int from, uint64_t size, int base, int to, uint64_t most, encoding_wait *wait,
                      void *opaque)
{
    struct encoder *encoder = malloc(sizeof *encoder);
    int code = -ENOMEM;
    if (encoder == NULL)
        return code;
    encoder->zstd = ZSTD_createCCtx();
    encoder->base = base;
    encoder->to = to;
    encoder->wait = wait;
    encoder->opaque = opaque;
    encoder->at = encoder->made = 0;
    encoder->most = most;
    if (encoder->zstd != NULL &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, LEVEL)))
        code = 0;
    while (code == 0 && encoder->at < size) {
        ssize_t got = next_piece(encoder, from, size);
        code = got < 0 ? (int)got : compress(encoder, (size_t)got, encoder->at == size);
    }
    int64_t made = code < 0 ? code : (int64_t)encoder->made;
    ZSTD_freeCCtx(encoder->zstd);
    free(encoder);
    return made;
}

/* ---- Reading ------------------------------------------------------------------------------- */

struct decoder {
    ZSTD_DCtx *zstd;
    int base;
    uint64_t at, size; /* bytes given to the sink, and to be given in all */
    uint8_t out[PIECE], base_in[PIECE];
};

int decoder_new(uint64_t size, int base, struct decoder **made)
{
    struct decoder *decoder = *made = malloc(sizeof *decoder);
    if (decoder == NULL)
        return -ENOMEM;
    decoder->zstd = ZSTD_createDCtx();
    decoder->base = base;
    decoder->at = 0;
    decoder->size = size;
    if (decoder->zstd != NULL &&
        !ZSTD_isError(ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, WINDOW_MOST)))
        return 0;
    decoder_free(decoder);
    *made = NULL;
    return -ENOMEM;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    ZSTD_freeDCtx(decoder->zstd);
    free(decoder);
}

/* Adds the base to what was decoded, and hands it on. */
static int give(struct decoder *decoder, size_t size, decoder_sink *sink, void *opaque)
{
    if (size > decoder->size - decoder->at)
        return -EBADMSG;
    if (size == 0)
        return 0;
    if (decoder->base >= 0) {
        int code = read_base(decoder->base, decoder->base_in, size, decoder->at);
        if (code < 0)
            return code;
        for (size_t i = 0; i < size; i++)
            decoder->out[i] = (uint8_t)(decoder->out[i] + decoder->base_in[i]);
    }
    decoder->at += size;
    return sink(opaque, decoder->out, size);
}

int decoder_take(struct decoder *decoder, const uint8_t *bytes, size_t size, decoder_sink *sink,
                 void *opaque)
{
    ZSTD_inBuffer in = {bytes, size, 0};
    bool more = true; /* what comes out may fill the buffer more than once */
    while (in.pos < in.size || more) {
        ZSTD_outBuffer out = {decoder->out, PIECE, 0};
        size_t left = ZSTD_decompressStream(decoder->zstd, &out, &in);
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
        int code = give(decoder, out.pos, sink, opaque);
        if (code < 0)
            return code;
        more = out.pos == PIECE;
    }
    return 0;
}
