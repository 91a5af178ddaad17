#include "mu/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/write.h"

struct spill {
    size_t limit;
    uint64_t file_limit;
    char *folder;
    int file;                      /* -1 until something was put there */
    uint32_t *unused;              /* slots of the file that can be used again */
    size_t unused_count, capacity; /* `capacity` is for as many as there are slots */
    uint32_t slots;
    struct spill_counters counters;
};

int spill_new(size_t memory, uint64_t file, const char *folder, struct spill **made,
              struct error *error)
{
    struct spill *spill = *made = calloc(1, sizeof *spill);
    if (spill == NULL || (spill->folder = strdup(folder)) == NULL) {
        free(spill);
        *made = NULL;
        return error_set(error, -ENOMEM, "out of memory");
    }
    spill->limit = memory;
    spill->file_limit = file;
    spill->file = -1;
    return 0;
}

void spill_free(struct spill *spill)
{
    if (spill == NULL)
        return;
    if (spill->file >= 0)
        close(spill->file);
    free(spill->unused);
    free(spill->folder);
    free(spill);
}

const struct spill_counters *spill_counters(const struct spill *spill)
{
    return &spill->counters;
}

/* ---- the file ------------------------------------------------------------------------------ */

static int open_named(struct spill *spill)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/excamera-XXXXXX", spill->folder) >= (int)sizeof path)
        return -ENAMETOOLONG;
    int file = mkostemp(path, O_CLOEXEC);
    if (file < 0)
        return -errno;
    unlink(path);
    return file;
}

static int open_file(struct spill *spill, struct error *error)
{
    if (spill->file >= 0)
        return 0;
    int file = open(spill->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0)
        file = open_named(spill); /* not every file system has files without a name */
    if (file < 0)
        return error_set(error, file, "cannot make a file in %s: %s", spill->folder,
                         error_reason(file));
    spill->file = file;
    return 0;
}

/* Room to remember one more slot as unused, so that giving it back cannot fail. */
static int reserve(struct spill *spill)
{
    if (spill->slots < spill->capacity)
        return 0;
    size_t capacity = spill->capacity ? spill->capacity * 2 : 64;
    uint32_t *grown = realloc(spill->unused, capacity * sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    spill->unused = grown;
    spill->capacity = capacity;
    return 0;
}

static int take_slot(struct spill *spill, struct spill_block *block, struct error *error)
{
    if (spill->counters.file + SPILL_BLOCK > spill->file_limit)
        return error_set(error, -ENOSPC, "more than may be held");
    if (open_file(spill, error) < 0)
        return error->code;
    if (spill->unused_count > 0)
        block->slot = spill->unused[--spill->unused_count];
    else if (spill->slots == UINT32_MAX || reserve(spill) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    else
        block->slot = spill->slots++;
    block->memory = NULL;
    struct spill_counters *counters = &spill->counters;
    counters->file += SPILL_BLOCK;
    if (counters->file > counters->file_peak)
        counters->file_peak = counters->file;
    return 0;
}

static void free_slot(struct spill *spill, uint32_t slot)
{
    off_t offset = (off_t)slot * SPILL_BLOCK;
    /* Where this does not work, the disk's space is only used again later. */
    fallocate(spill->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, SPILL_BLOCK);
    spill->unused[spill->unused_count++] = slot;
    spill->counters.file -= SPILL_BLOCK;
}

static int write_slot(struct spill *spill, uint32_t slot, size_t at, const uint8_t *bytes,
                      size_t size, struct error *error)
{
    int code = write_all_at(spill->file, bytes, size, (uint64_t)slot * SPILL_BLOCK + at);
    if (code < 0)
        return error_set(error, code, "cannot write to a file in %s: %s", spill->folder,
                         error_reason(code));
    return 0;
}

/* ---- blocks -------------------------------------------------------------------------------- */

static size_t block_length(const struct spill_body *body, uint64_t index)
{
    uint64_t left = body->total - index * SPILL_BLOCK;
    return left < SPILL_BLOCK ? (size_t)left : SPILL_BLOCK;
}

static struct spill_block *block_at(const struct spill_body *body, uint64_t index)
{
    return index == 0 ? (struct spill_block *)&body->first : &body->more[index - 1];
}

/* Room for the block's description; grows with what came, not with what was announced. */
static int make_room(struct spill_body *body, uint64_t index)
{
    if (index == 0 || index - 1 < body->capacity)
        return 0;
    size_t capacity = body->capacity ? body->capacity * 2 : 4;
    struct spill_block *grown = realloc(body->more, capacity * sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    body->more = grown;
    body->capacity = capacity;
    return 0;
}

static int begin_block(struct spill *spill, struct spill_body *body, uint64_t index,
                       struct error *error)
{
    size_t length = block_length(body, index);
    struct spill_counters *counters = &spill->counters;
    if (make_room(body, index) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    struct spill_block *block = block_at(body, index);
    if (counters->memory > spill->limit || length > spill->limit - counters->memory)
        return take_slot(spill, block, error);
    block->memory = malloc(length);
    if (block->memory == NULL)
        return take_slot(spill, block, error);
    counters->memory += length;
    if (counters->memory > counters->memory_peak)
        counters->memory_peak = counters->memory;
    return 0;
}

bool spill_memory_full(const struct spill *spill)
{
    return spill->counters.memory + SPILL_BLOCK > spill->limit;
}

int spill_append(struct spill *spill, struct spill_body *body, const uint8_t *bytes, size_t size,
                 struct error *error)
{
    while (size > 0) {
        uint64_t index = body->size / SPILL_BLOCK;
        size_t at = (size_t)(body->size % SPILL_BLOCK);
        size_t part = block_length(body, index) - at;
        if (at == 0 && begin_block(spill, body, index, error) < 0)
            return error->code;
        part = part < size ? part : size;
        struct spill_block *block = block_at(body, index);
        if (block->memory != NULL) {
            memcpy(block->memory + at, bytes, part);
        } else if (write_slot(spill, block->slot, at, bytes, part, error) < 0) {
            if (at == 0)
                free_slot(spill, block->slot);
            return error->code;
        }
        body->size += part;
        bytes += part;
        size -= part;
    }
    return 0;
}

ssize_t spill_read(struct spill *spill, const struct spill_body *body, uint64_t offset,
                   uint8_t *buffer, size_t most, const uint8_t **bytes, struct error *error)
{
    uint64_t index = offset / SPILL_BLOCK, left = body->size - offset;
    size_t at = (size_t)(offset % SPILL_BLOCK), part = block_length(body, index) - at;
    const struct spill_block *block = block_at(body, index);
    part = part < left ? part : (size_t)left;
    part = part < most ? part : most;
    if (block->memory != NULL) {
        *bytes = block->memory + at;
        return (ssize_t)part;
    }
    ssize_t got;
    do
        got = pread(spill->file, buffer, part, (off_t)block->slot * SPILL_BLOCK + (off_t)at);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return error_set(error, got < 0 ? -errno : -EIO, "cannot read from a file in %s: %s",
                         spill->folder, error_reason(got < 0 ? -errno : -EIO));
    *bytes = buffer;
    return got;
}

void spill_release(struct spill *spill, struct spill_body *body)
{
    for (uint64_t index = 0; index * SPILL_BLOCK < body->size; index++) {
        struct spill_block *block = block_at(body, index);
        if (block->memory != NULL)
            spill->counters.memory -= block_length(body, index);
        else
            free_slot(spill, block->slot);
        free(block->memory);
    }
    free(body->more);
    *body = (struct spill_body){0};
}
