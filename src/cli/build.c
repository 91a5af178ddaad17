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

#include "util/build.h"

static const char self[] = "/proc/self/exe";

const char *build_identity(void)
{
    return build_sources;
}

/* FFmpeg's libraries are those that the program was made for, or are not used: media/module.c. */
void build_facts(char facts[BUILD_FACTS_SIZE])
{
    struct utsname machine;
    if (uname(&machine) != 0)
        strcpy(machine.machine, "unknown");
    snprintf(facts, BUILD_FACTS_SIZE,
             "%.32s, libvpx %.64s, libavcodec %d, libavformat %d, libavutil %d, libswscale %d",
             machine.machine, vpx_codec_version_str(), LIBAVCODEC_VERSION_INT,
             LIBAVFORMAT_VERSION_INT, LIBAVUTIL_VERSION_INT, LIBSWSCALE_VERSION_INT);
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
