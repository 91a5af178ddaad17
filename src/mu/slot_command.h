/* A command in the child of a slot: the process that runs it, what it writes, and what it has cost. */
#ifndef MU_SLOT_COMMAND_H
#define MU_SLOT_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "mu/slot.h"
#include "mu/slot_child.h"
#include "mu/tail.h"

struct slot_process {
    pid_t pid;             /* 0 where there is none */
    int out, err, control; /* this side's ends; -1 when closed */
    int failure;           /* where the process says why it could not start */
    struct tail out_tail, err_tail;
    char line[AWAIT_LINE]; /* of a question, as far as it has come */
    size_t line_size;
    uint64_t started_us, waited_us;
    uint64_t asked_us;    /* since when it waits for an answer; 0 where it does not */
    struct rusage before; /* of all children so far */
    uint64_t peak_bytes;
    int status; /* of the process, when it has ended */
    bool ended;
};

/* Microseconds of a clock that only goes on. */
uint64_t slot_now(void);

/* Forks the process that runs the command; `argv` ends with NULL. Returns 0, or a negative errno: then there is
 * no process. The tails' memory is the caller's. */
int slot_process_start(struct slot_process *process, const char *folder, char **argv,
                       const struct slot_tasks *tasks);

/* Reads what the outputs have at the moment, a bounded amount unless `all`, which is for when nobody
 * writes any more. Closes those that are at their end. */
void slot_process_read(struct slot_process *process, bool all);

/* Reads from the control socket up to the end of a question. Returns true where there is one. */
bool slot_process_asks(struct slot_process *process, const char **name, int64_t *number);
void slot_process_answer(struct slot_process *process, enum control_answer answer);

/* Takes note of children that have ended; process->ended says when the command itself has. */
void slot_process_reap(struct slot_process *process);

/* Kills all there is. Returns false where that cannot be done within a while. */
bool slot_process_kill(struct slot_process *process);

/* When all are gone: fills what was measured, and for one that could not start SLOT_NOT_STARTED and
 * `reason`; closes what is open. */
void slot_process_finish(struct slot_process *process, struct slot_outcome *outcome, char *reason,
                         size_t reason_size);

#endif
