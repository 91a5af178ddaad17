/* The journal's replay: records of the input's making, some of their bytes damaged, or just any bytes. What
 * is handed out is a beginning of what was written, and damage to what was durable is told of. */
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "mu/journal_format.h"

enum { MOST_RECORDS = 64, MOST_BYTES = 1 << 16 };

struct journal {
    uint8_t bytes[MOST_BYTES];
    size_t size;
    size_t start[MOST_RECORDS + 1]; /* of each record; the last is the end */
    size_t durable[MOST_RECORDS];   /* what each says of the bytes before it */
    uint32_t records;
    uint32_t replayed;
    bool ours; /* the records are those that add_records() made */
};

/* What is left of the fuzzer's input. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint32_t take(struct input *input, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < bytes && input->size > 0; i++, input->size--)
        value = value << 8 | *input->data++;
    return value;
}

static ssize_t read_bytes(void *opaque, uint64_t offset, void *to, size_t size)
{
    const struct journal *journal = opaque;
    CLAIM(offset <= journal->size);
    if (size > journal->size - offset)
        size = journal->size - offset;
    memcpy(to, journal->bytes + offset, size);
    return (ssize_t)size;
}

static int check_record(void *opaque, uint32_t type, const void *data, size_t size,
                        struct error *error)
{
    struct journal *journal = opaque;
    const uint8_t *bytes = data;
    CLAIM(size <= journal->size);
    for (size_t i = 0; journal->ours && i < size; i++)
        CLAIM(bytes[i] == (uint8_t)(type + i));
    CLAIM(!journal->ours || type == journal->replayed);
    journal->replayed++;
    return 0;
}

static void add_records(struct journal *journal, struct input *input)
{
    size_t durable = JOURNAL_HEADER;
    uint32_t count = take(input, 1) % MOST_RECORDS;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = take(input, 2) % 900;
        uint8_t *record = journal->bytes + journal->size;
        if (length % 2)
            durable = journal->size;
        journal_prepare(record, i, length);
        for (uint32_t k = 0; k < length; k++)
            record[JOURNAL_RECORD_HEADER + k] = (uint8_t)(i + k);
        journal->start[i] = journal->size;
        journal->durable[i] = durable;
        journal->size += journal_seal(record, journal->size, durable);
    }
    journal->records = count;
    journal->start[count] = journal->size;
}

/* Changes a few bytes somewhere; returns the number of the record that holds the first of them, or of
 * records where nothing was changed. */
static uint32_t damage(struct journal *journal, struct input *input)
{
    size_t length = take(input, 1) % 4, at = JOURNAL_HEADER + take(input, 2);
    bool changed = false;
    for (size_t i = at; i < at + length && i < journal->size; i++) {
        uint8_t change = (uint8_t)take(input, 1);
        journal->bytes[i] ^= change;
        if (!changed && change == 0)
            at++;
        changed |= change != 0;
    }
    for (uint32_t i = 0; changed && i < journal->records; i++)
        if (at < journal->start[i + 1])
            return i;
    return journal->records;
}

static bool was_durable(const struct journal *journal, uint32_t record)
{
    for (uint32_t i = record + 1; i < journal->records; i++)
        if (journal->durable[i] > journal->start[record])
            return true;
    return false;
}

/* As was_durable(), when the bytes changed may reach into the record behind. */
static bool was_surely_durable(const struct journal *journal, uint32_t record)
{
    for (uint32_t i = record + 2; i < journal->records; i++)
        if (journal->durable[i] > journal->start[record])
            return true;
    return false;
}

static int scan(struct journal *journal, uint64_t *end)
{
    struct journal_source source = {.read = read_bytes, .opaque = journal, .size = journal->size};
    struct error error = {0};
    int code = journal_scan(&source, check_record, journal, end, &error);
    CLAIM(code == 0 || (code == -EBADMSG && error.message[0] != '\0'));
    CLAIM(*end >= JOURNAL_HEADER && *end <= journal->size);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct journal journal;
    struct input input = {data, size};
    uint64_t end;
    journal.size = JOURNAL_HEADER;
    journal.replayed = 0;
    journal_write_header(journal.bytes);
    journal.ours = take(&input, 1) % 4 != 0;
    if (!journal.ours) {
        if (input.size > MOST_BYTES - journal.size)
            return 0;
        memcpy(journal.bytes + journal.size, input.data, input.size);
        journal.size += input.size;
        scan(&journal, &end);
        return 0;
    }
    add_records(&journal, &input);
    uint32_t broken = damage(&journal, &input);
    int code = scan(&journal, &end);
    CLAIM(journal.replayed == broken);
    CLAIM(end == journal.start[broken]);
    CLAIM(code == 0 || was_durable(&journal, broken));
    CLAIM(code < 0 || broken == journal.records || !was_surely_durable(&journal, broken));
    return 0;
}
