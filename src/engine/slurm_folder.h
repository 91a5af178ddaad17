/* The folder that the nodes of a cluster share with the coordinator: a document of mode 0600 for each worker, which
 * the worker itself removes, and what the worker says on its standard error. Its name is the name that Slurm knows
 * the workers by, so that those of a coordinator that was killed are found again. */
#ifndef ENGINE_SLURM_FOLDER_H
#define ENGINE_SLURM_FOLDER_H

#include <stdint.h>

#include "util/error.h"

enum { SLURM_NAME_SIZE = 32, SLURM_WORDS = 200 };

struct slurm_folder {
    char *path; /* absolute; NULL: none */
    char name[SLURM_NAME_SIZE];
    int lock;    /* a descriptor: it is in use as long as this is open */
    char *stale; /* names of those whose coordinators are gone, between commas; "" for none */
};

/* Makes one in `parent`, and removes those that nobody uses any more. On failure `folder` is empty. */
int slurm_folder_make(const char *parent, struct slurm_folder *folder, struct error *error);
/* Removes it with all that it holds. */
void slurm_folder_remove(struct slurm_folder *folder);

/* A file of the folder: a worker's document, or what it says with `said`. To be freed; NULL when out of memory. */
char *slurm_folder_path(const struct slurm_folder *folder, uint32_t batch, uint32_t index,
                        const char *ending);
#define SLURM_DOCUMENT ""
#define SLURM_SAID ".said"
int slurm_folder_write(const struct slurm_folder *folder, uint32_t batch, uint32_t index,
                       const char *document, struct error *error);
/* The last line that a worker has said; "" where there is none. */
void slurm_folder_last_words(const struct slurm_folder *folder, uint32_t batch, uint32_t index,
                             char words[SLURM_WORDS]);
/* Removes what there is of it. */
void slurm_folder_forget(const struct slurm_folder *folder, uint32_t batch, uint32_t index);

#endif
