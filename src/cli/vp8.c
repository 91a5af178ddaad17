/* `excamera vp8 decode|info`: VP8 streams by themselves. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "media/digest.h"
#include "media/packet.h"
#include "media/y4m.h"
#include "util/output.h"

static const char usage[] =
    "usage: excamera vp8 decode FILE [-o OUT.y4m] [--md5] [--cpu LEVEL]\n"
    "       excamera vp8 info FILE\n"
    "\n"
    "Decodes the VP8 stream of an IVF or WebM file, or looks into its frames.\n"
    "`excamera vp8 decode --help` and `excamera vp8 info --help` say more.\n";

static const char decode_usage[] =
    "usage: excamera vp8 decode FILE [-o OUT.y4m] [--md5] [--cpu LEVEL]\n"
    "\n"
    "Decodes the VP8 stream of FILE: IVF, WebM, or what else libavformat reads; - is IVF on\n"
    "standard input. Frames without bytes are passed over, as vpxdec and ffmpeg do. Without -o\n"
    "and --md5 it only says how many frames it has.\n"
    "\n"
    "  -o, --output FILE  write the shown frames as Y4M; - for standard output\n"
    "      --md5          print the MD5 of each shown frame as I420, a line each, as vpxdec does\n"
    "      --cpu LEVEL    use the instructions of c, sse2, ssse3, avx2 or neon only (default: the\n"
    "                     best that this CPU has); the pictures are the same\n"
    "  -h, --help         this text\n"
    "\n"
    "  excamera vp8 decode film.webm -o - | ffplay -\n"
    "  excamera vp8 decode --md5 vector.ivf | cmp - vector.ivf.md5\n";

static const char info_usage[] =
    "usage: excamera vp8 info FILE\n"
    "\n"
    "Prints a line for each frame of the VP8 stream of FILE, IVF or WebM:\n"
    "\n"
    "  frame      its number in the stream, hidden ones counted\n"
    "  type       key or inter; with - in front, hidden\n"
    "  bytes      compressed\n"
    "  q          quantizer index, 0 (best) to 127; * where segments have their own\n"
    "  filter     loop filter: level, sharpness; s for the simple one\n"
    "  parts      token partitions\n"
    "  refresh    references that it replaces: L(ast), G(olden), A(ltref); G=L copies last to "
    "golden\n"
    "  modes      macroblocks predicted as a whole within the frame (intra16), in 4x4 blocks\n"
    "             (intra4), from each reference (last, golden, altref); of those with several\n"
    "             motion vectors (split); without coefficients (skip)\n"
    "  size       of key frames, in pixels\n";

/* A stream on its way through the codec. */
struct stream {
    const char *path;
    const char *cpu; /* NULL for the best level */
    struct packet_reader *reader;
    struct xc_context *context;
    struct xc_state *state;  /* NULL before the first key frame */
    struct xc_buffer packet; /* the frame at hand */
    int64_t frames;          /* before the frame at hand */
};

static int open_stream(struct stream *stream, const char *path, struct error *error)
{
    stream->path = path;
    stream->context = xc_context_new();
    if (!stream->context)
        return error_set(error, -ENOMEM, "out of memory");
    if (stream->cpu && xc_context_set_cpu(stream->context, stream->cpu) < 0)
        return error_set(error, -EINVAL, "this CPU has no level '%s'", stream->cpu);
    return packet_open(path, &stream->reader, error);
}

static void close_stream(struct stream *stream)
{
    packet_close(stream->reader);
    xc_state_unref(stream->state);
    xc_context_free(stream->context);
    xc_buffer_free(&stream->packet);
}

static int codec_error(const struct stream *stream, int result, struct error *error)
{
    return error_set(error, result == XC_ERROR_NO_MEMORY ? -ENOMEM : -EINVAL, "%s: frame %lld: %s",
                     stream->path, (long long)stream->frames, xc_strerror(result));
}

static void move_on(struct stream *stream, struct xc_state *after)
{
    xc_state_unref(stream->state);
    stream->state = after;
    stream->frames++;
}

/* ---- decode -------------------------------------------------------------------------------- */

struct decoding {
    struct stream stream;
    const char *output_path; /* NULL for none */
    bool md5;
    struct output *output;
    int width, height; /* of the pictures in `output` */
    int64_t shown;
};

/* The file's name without folder and ending, which is how the lines of test vectors begin. */
static void print_md5_name(const char *path, int width, int height, int64_t number)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *dot = strrchr(name, '.');
    int length = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
    printf("%.*s-%dx%d-%04lld.i420\n", length, name, width, height, (long long)number);
}

static int print_md5(const struct decoding *decoding, const struct xc_picture *picture,
                     struct error *error)
{
    char hex[DIGEST_HEX_SIZE];
    struct xc_view view = xc_picture_view(picture);
    if (digest_picture(picture, hex) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    printf("%s  ", hex);
    print_md5_name(decoding->stream.path, view.width, view.height, decoding->shown);
    return 0;
}

static int write_picture(struct decoding *decoding, const struct xc_picture *picture,
                         struct error *error)
{
    FILE *file = output_stream(decoding->output);
    struct xc_view view = xc_picture_view(picture);
    if (decoding->shown == 1) {
        struct video_format format = *packet_format(decoding->stream.reader);
        format.width = decoding->width = view.width;
        format.height = decoding->height = view.height;
        int result = y4m_write_header(file, &format, error);
        if (result < 0)
            return result;
    }
    if (view.width != decoding->width || view.height != decoding->height)
        return error_set(error, -EINVAL,
                         "%s: frame %lld changes the size from %dx%d to %dx%d, and Y4M holds one "
                         "size only",
                         decoding->stream.path, (long long)decoding->stream.frames, decoding->width,
                         decoding->height, view.width, view.height);
    return y4m_write(file, picture, error);
}

static int show(struct decoding *decoding, const struct xc_picture *picture, struct error *error)
{
    decoding->shown++;
    int result = decoding->md5 ? print_md5(decoding, picture, error) : 0;
    if (result >= 0 && decoding->output)
        result = write_picture(decoding, picture, error);
    return result;
}

static int decode_frame(struct decoding *decoding, struct error *error)
{
    struct stream *stream = &decoding->stream;
    struct xc_state *after;
    struct xc_picture *shown = NULL;
    if (stream->packet.size == 0) {
        stream->frames++;
        return 0;
    }
    int result = xc_decode(stream->context, stream->state, stream->packet.data, stream->packet.size,
                           &after, &shown);
    if (result < 0)
        return codec_error(stream, result, error);
    result = shown ? show(decoding, shown, error) : 0;
    xc_picture_unref(shown);
    move_on(stream, after);
    return result;
}

static int decode_stream(struct decoding *decoding, struct error *error)
{
    struct stream *stream = &decoding->stream;
    int result;
    while ((result = packet_read(stream->reader, &stream->packet, error)) == 1)
        if ((result = decode_frame(decoding, error)) < 0)
            return result;
    if (result == 0 && decoding->shown == 0)
        return error_set(error, -EINVAL, "%s has no frame to show", stream->path);
    return result;
}

static int finish_standard_output(struct error *error)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return error_set(error, -EIO, "cannot write standard output: %s", strerror(errno));
}

static int run_decoding(struct decoding *decoding, const char *path, struct error *error)
{
    int result = open_stream(&decoding->stream, path, error);
    if (result < 0)
        return result;
    if (decoding->output_path &&
        (result = output_open(decoding->output_path, true, &decoding->output, error)) < 0)
        return result;
    if ((result = decode_stream(decoding, error)) < 0)
        return result;
    if (decoding->output) {
        result = output_commit(decoding->output, error);
        decoding->output = NULL;
    } else if (!decoding->md5) {
        printf("%lld frames, %lld shown, %dx%d at the end\n", (long long)decoding->stream.frames,
               (long long)decoding->shown, xc_state_width(decoding->stream.state),
               xc_state_height(decoding->stream.state));
    }
    return result < 0 ? result : finish_standard_output(error);
}

/* ---- info ---------------------------------------------------------------------------------- */

static void format_refresh(const struct xc_frame_info *info, char text[16])
{
    static const char copies[] = {0, 'L', 0};
    char golden = info->copy_to_golden == 2 ? 'A' : copies[info->copy_to_golden];
    char altref = info->copy_to_altref == 2 ? 'G' : copies[info->copy_to_altref];
    int length = 0;
    for (int i = 0; i < XC_REFERENCES; i++)
        if (info->refresh & XC_REFERENCE_BIT(i))
            text[length++] = "LGA"[i];
    if (golden)
        length += snprintf(text + length, 16 - length, "%sG=%c", length ? " " : "", golden);
    if (altref)
        length += snprintf(text + length, 16 - length, "%sA=%c", length ? " " : "", altref);
    snprintf(text + length, 16 - length, "%s", length ? "" : "none");
}

static void print_info_header(void)
{
    printf("%6s %-6s %8s %5s %6s %5s %-11s %7s %7s %6s %6s %6s %6s %6s  %s\n", "frame", "type",
           "bytes", "q", "filter", "parts", "refresh", "intra16", "intra4", "last", "golden",
           "altref", "split", "skip", "size");
}

static void print_info(const struct stream *stream, const struct xc_frame_info *info)
{
    char type[8], quantizer[8], filter[16], refresh[16];
    const struct xc_frame_tag *tag = &info->tag;
    snprintf(type, sizeof type, "%s%s", tag->shown ? "" : "-", tag->key_frame ? "key" : "inter");
    snprintf(quantizer, sizeof quantizer, "%d%s", info->quantizer, info->segmented ? "*" : "");
    snprintf(filter, sizeof filter, "%d,%d%s", info->filter_level, info->filter_sharpness,
             info->simple_filter ? "s" : "");
    format_refresh(info, refresh);
    printf("%6lld %-6s %8zu %5s %6s %5d %-11s %7d %7d %6d %6d %6d %6d %6d",
           (long long)stream->frames, type, stream->packet.size, quantizer, filter,
           info->partitions, refresh, info->intra16, info->intra4, info->inter[XC_LAST],
           info->inter[XC_GOLDEN], info->inter[XC_ALTREF], info->split, info->skipped);
    if (tag->key_frame)
        printf("  %dx%d", tag->width, tag->height);
    printf("\n");
}

static int inspect_frame(struct stream *stream, struct error *error)
{
    struct xc_frame_info info;
    struct xc_state *after;
    if (stream->packet.size == 0) {
        printf("%6lld empty\n", (long long)stream->frames++);
        return 0;
    }
    int result =
        xc_inspect(stream->context, stream->state, stream->packet.data, stream->packet.size, &info);
    if (result >= 0)
        result = xc_parse(stream->context, stream->state, stream->packet.data, stream->packet.size,
                          &after);
    if (result < 0)
        return codec_error(stream, result, error);
    print_info(stream, &info);
    move_on(stream, after);
    return 0;
}

static int inspect_stream(struct stream *stream, const char *path, struct error *error)
{
    int result = open_stream(stream, path, error);
    if (result < 0)
        return result;
    print_info_header();
    while ((result = packet_read(stream->reader, &stream->packet, error)) == 1)
        if ((result = inspect_frame(stream, error)) < 0)
            return result;
    return result < 0 ? result : finish_standard_output(error);
}

/* ---- The commands -------------------------------------------------------------------------- */

static int report(const char *name, int result, const struct error *error)
{
    if (result >= 0)
        return EXIT_SUCCESS;
    fflush(stdout);
    fprintf(stderr, "excamera vp8 %s: %s\n", name, error->message);
    return EXIT_FAILURE;
}

static int wrong_usage(const char *name, const char *sentence, const char *word)
{
    fprintf(stderr, "excamera vp8 %s: %s%s; `excamera vp8 %s --help` says more\n", name, sentence,
            word, name);
    return EXIT_USAGE;
}

static int wrong_option(const char *name, int option, char **argv)
{
    return option == ':' ? wrong_usage(name, "there is no file after ", argv[optind - 1])
                         : wrong_usage(name, "there is no option ", argv[optind - 1]);
}

static int command_decode(int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"md5", no_argument, NULL, 'm'},
        {"cpu", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct decoding decoding = {0};
    int option;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        if (option == 'h') {
            printf("%s", decode_usage);
            return EXIT_SUCCESS;
        }
        if (option == '?' || option == ':')
            return wrong_option(argv[0], option, argv);
        if (option == 'o')
            decoding.output_path = optarg;
        if (option == 'c')
            decoding.stream.cpu = optarg;
        decoding.md5 |= option == 'm';
    }
    if (argc - optind != 1)
        return wrong_usage(argv[0], "it takes one file", "");
    if (decoding.md5 && decoding.output_path && strcmp(decoding.output_path, "-") == 0)
        return wrong_usage(argv[0], "--md5 and -o - both write to standard output", "");
    struct error error;
    int result = run_decoding(&decoding, argv[optind], &error);
    output_abort(decoding.output);
    close_stream(&decoding.stream);
    return report(argv[0], result, &error);
}

static int command_info(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int option;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option != 'h')
            return wrong_option(argv[0], option, argv);
        printf("%s", info_usage);
        return EXIT_SUCCESS;
    }
    if (argc - optind != 1)
        return wrong_usage(argv[0], "it takes one file", "");
    struct stream stream = {0};
    struct error error;
    int result = inspect_stream(&stream, argv[optind], &error);
    close_stream(&stream);
    return report(argv[0], result, &error);
}

int command_vp8(int argc, char **argv)
{
    opterr = 0;
    if (argc < 2) {
        fprintf(stderr, "%s", usage);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        printf("%s", usage);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "decode") == 0)
        return command_decode(argc - 1, argv + 1);
    if (strcmp(argv[1], "info") == 0)
        return command_info(argc - 1, argv + 1);
    fprintf(stderr, "excamera vp8: there is no command '%s'; it knows decode and info\n", argv[1]);
    return EXIT_USAGE;
}
