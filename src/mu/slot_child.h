/* The child process of a slot. It supervises: each command runs in a process that it has forked. */
#ifndef MU_SLOT_CHILD_H
#define MU_SLOT_CHILD_H

/* Serves the slot that has started this process, and returns an exit status when that is gone. To be
 * called before the program has opened files, started threads or written to its outputs. `task` runs
 * `excamera task ...`, with argv[0] "task"; it returns an exit status. */
int slot_child(int (*task)(int argc, char **argv));

#endif
