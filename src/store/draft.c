#include "store/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum { TRIES = 100 }; /* at finding a name that nobody has */

static void draft_name(struct draft *draft)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)draft;
    snprintf(draft->temporary, sizeof draft->temporary, "+%016llx", (unsigned long long)number);
}

int draft_begin(struct draft *draft, int parent, const char *name)
{
    draft->fd = -1;
    for (int i = 0; i < TRIES; i++) {
        draft_name(draft);
        if (parent >= 0) {
            if (linkat(parent, name, draft->folder, draft->temporary, 0) == 0)
                return 0;
        } else {
            draft->fd = openat(draft->folder, draft->temporary,
                               O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (draft->fd >= 0)
                return 0;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

void draft_abort(struct draft *draft)
{
    unlinkat(draft->folder, draft->temporary, 0);
}

int draft_commit(struct draft *draft)
{
    if (renameat(draft->folder, draft->temporary, draft->folder, draft->name) != 0)
        return -errno;
    /* Between two names of one file, renaming does nothing. */
    unlinkat(draft->folder, draft->temporary, 0);
    return 0;
}

void draft_close(struct draft *draft)
{
    if (draft->fd >= 0)
        close(draft->fd);
    if (draft->folder >= 0)
        close(draft->folder);
}
