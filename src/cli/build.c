#include "cli/build.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <vpx/vpx_codec.h>

static const char self[] = "/proc/self/exe";

static int sum_file(FILE *file, struct sha256 *sha256, uint8_t sum[SHA256_SIZE])
{
    uint8_t bytes[65536];
    size_t size;
    int code = 0;
    while (code == 0 && (size = fread(bytes, 1, sizeof bytes, file)) > 0)
        code = sha256_update(sha256, bytes, size);
    if (code == 0 && ferror(file))
        code = -EIO;
    return code == 0 ? sha256_finish(sha256, sum) : code;
}

int build_identity(char build[SHA256_HEX_SIZE], struct error *error)
{
    uint8_t sum[SHA256_SIZE];
    FILE *file = fopen(self, "rbe");
    if (file == NULL)
        return error_set(error, -errno, "cannot read this program: %s", strerror(errno));
    struct sha256 *sha256 = sha256_new();
    int code = sha256 != NULL ? sum_file(file, sha256, sum) : -ENOMEM;
    sha256_free(sha256);
    fclose(file);
    if (code < 0)
        return error_set(error, code, "cannot read this program: %s", strerror(-code));
    sha256_hex(sum, build);
    return 0;
}

void build_facts(char facts[BUILD_FACTS_SIZE])
{
    struct utsname machine;
    if (uname(&machine) != 0)
        strcpy(machine.machine, "unknown");
    snprintf(facts, BUILD_FACTS_SIZE,
             "%.32s, libvpx %.64s, libavcodec %u, libavformat %u, libavutil %u, libswscale %u",
             machine.machine, vpx_codec_version_str(), avcodec_version(), avformat_version(),
             avutil_version(), swscale_version());
}

int build_program(char **path, struct error *error)
{
    char program[PATH_MAX];
    *path = NULL;
    ssize_t size = readlink(self, program, sizeof program - 1);
    if (size < 0)
        return error_set(error, -errno, "cannot find this program: %s", strerror(errno));
    program[size] = '\0';
    if (access(program, X_OK) != 0)
        return error_set(error, -ENOENT, "this program is not at %s any more", program);
    *path = strdup(program);
    return *path != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}
