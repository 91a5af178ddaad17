#include "util/open_files.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

int open_files_allow(uint64_t wanted, struct error *error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_set(error, -errno, "the limit of open files is not known: %s",
                         strerror(errno));
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        limit.rlim_cur = before;
    if (limit.rlim_cur >= wanted)
        return 0;
    return error_set(error, -EMFILE,
                     "only %llu files and connections can be open at once, and %llu may be needed: "
                     "`ulimit -Hn` shows the limit",
                     (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
}
