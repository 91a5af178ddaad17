/* What Slurm's commands print, and what they are given (Slurm 22.05's manual pages of sbatch and squeue). */
#ifndef ENGINE_SLURM_TEXT_H
#define ENGINE_SLURM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Where a task of an array stands. */
enum slurm_state {
    SLURM_WAITING,
    SLURM_STUCK, /* it waits for what will not come, such as a time limit that the partition allows */
    SLURM_RUNNING,
    SLURM_ENDING,
    SLURM_ENDED,
};

/* A line of squeue in SLURM_SQUEUE_FORMAT: a task, or those of an array that it keeps together. */
#define SLURM_SQUEUE_FORMAT "%F|%K|%T|%r"
struct slurm_line {
    uint32_t array, index;
    enum slurm_state state;
    const char *word, *reason; /* of the state, as Slurm says it; in the line */
};

/* Takes the line at `*text` apart, which is changed and goes behind it. False at the end; lines that are none are
 * left out. */
bool slurm_next_line(char **text, struct slurm_line *line);

enum slurm_failure {
    SLURM_REFUSED,  /* it would be again */
    SLURM_TOO_MANY, /* by what an account or user may have at once: fewer may do, or later */
    SLURM_LATER,    /* Slurm cannot be reached now, or is busy */
};

/* Why a command failed, from what it said. */
enum slurm_failure slurm_failure(const char *said);
/* The last sentence that a command said, without "sbatch: error:" and the like; of at most `size` bytes. */
void slurm_sentence(const char *said, char *sentence, int size);

/* A time limit as `sbatch --time` reads it ("30", "1:30", "2:00:00", "1-12", ...), in milliseconds. False where it
 * is none. */
bool slurm_time(const char *text, uint64_t *ms);
/* The value of `name` in what `scontrol show config` prints, if it is a number; or else `fallback`. */
uint32_t slurm_config(const char *text, const char *name, uint32_t fallback);
/* The script of an array: each task takes its document from `folder`/`batch`-<index>, which goes at once, and
 * becomes `program`. To be freed; NULL when out of memory. */
char *slurm_script(const char *folder, uint32_t batch, const char *program);

#endif
