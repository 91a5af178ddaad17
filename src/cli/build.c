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

/* scripts/fingerprint.py makes it. */
extern const char build_sources[];

const char *build_identity(void)
{
    return build_sources;
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
