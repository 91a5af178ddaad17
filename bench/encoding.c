/*
 * What it costs and gains to send a message smaller than it is:
 *
 *     bench_encoding MESSAGE [EARLIER]
 *
 * Compresses MESSAGE by zstd at several levels, and the difference to EARLIER. For each: how large it is beside
 * the message; how fast it is made and read, in MB of the message a second of one core, the best of several
 * runs; and below which speed of a connection it arrives earlier than the message as it is, when all is made
 * before the first byte goes, and read after the last has come. Behind that, in the second part, the same for
 * the difference against the compressed message.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "must.h"

enum { RUNS = 9 };

struct bytes {
    uint8_t *bytes;
    size_t size;
};

struct figures {
    size_t size;
    double made, read; /* seconds */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct bytes load(const char *path)
{
    struct bytes file;
    FILE *stream = fopen(path, "rb");
    MUST(stream != NULL && fseek(stream, 0, SEEK_END) == 0);
    file.size = (size_t)ftell(stream);
    rewind(stream);
    file.bytes = malloc(file.size + 1);
    MUST(file.bytes != NULL && fread(file.bytes, 1, file.size, stream) == file.size);
    fclose(stream);
    return file;
}

/* to = from - base, or from + base, byte by byte. */
static void combine(uint8_t *to, struct bytes from, struct bytes base, bool add)
{
    size_t both = from.size < base.size ? from.size : base.size;
    for (size_t i = 0; i < both; i++)
        to[i] = (uint8_t)(add ? from.bytes[i] + base.bytes[i] : from.bytes[i] - base.bytes[i]);
    memcpy(to + both, from.bytes + both, from.size - both);
}

static struct figures measure(struct bytes message, const struct bytes *base, int level)
{
    struct figures figures = {.made = 1e9, .read = 1e9};
    size_t room = ZSTD_compressBound(message.size);
    uint8_t *out = malloc(room), *less = malloc(message.size), *again = malloc(message.size);
    MUST(out != NULL && less != NULL && again != NULL);
    for (int run = 0; run < RUNS; run++) {
        double start = now();
        if (base != NULL)
            combine(less, message, *base, false);
        figures.size =
            ZSTD_compress(out, room, base != NULL ? less : message.bytes, message.size, level);
        double made = now() - start;
        MUST(!ZSTD_isError(figures.size));
        start = now();
        MUST(ZSTD_decompress(again, message.size, out, figures.size) == message.size);
        if (base != NULL)
            combine(again, (struct bytes){again, message.size}, *base, true);
        double read = now() - start;
        figures.made = made < figures.made ? made : figures.made;
        figures.read = read < figures.read ? read : figures.read;
    }
    MUST(memcmp(again, message.bytes, message.size) == 0);
    free(out);
    free(less);
    free(again);
    return figures;
}

static void print(const char *name, int level, struct bytes message, struct figures figures,
                  double size, double time)
{
    double megabytes = (double)message.size * 1e-6;
    double saved = (size - (double)figures.size) * 1e-6, cost = figures.made + figures.read - time;
    printf("%-12s level %2d  %5.1f %%  made %4.0f MB/s  read %4.0f MB/s", name, level,
           100.0 * (double)figures.size / (double)message.size, megabytes / figures.made,
           megabytes / figures.read);
    if (saved <= 0)
        printf("  never pays\n");
    else if (cost <= 0)
        printf("  always pays\n");
    else
        printf("  pays below %4.0f MB/s\n", saved / cost);
}

int main(int argc, char **argv)
{
    static const int levels[] = {-5, -1, 1, 2, 3, 6, 9};
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_encoding MESSAGE [EARLIER]\n");
        return 2;
    }
    struct bytes message = load(argv[1]);
    struct figures whole = {0};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct figures figures = measure(message, NULL, levels[i]);
        print("whole", levels[i], message, figures, (double)message.size, 0);
        if (levels[i] == 1)
            whole = figures;
    }
    if (argc == 3) {
        struct bytes base = load(argv[2]);
        printf("against the whole at level 1:\n");
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
            print("difference", levels[i], message, measure(message, &base, levels[i]),
                  (double)whole.size, whole.made + whole.read);
        free(base.bytes);
    }
    free(message.bytes);
    return 0;
}
