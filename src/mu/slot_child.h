/* The child process of a slot. It supervises: each command runs in a process that it has forked. */
#ifndef MU_SLOT_CHILD_H
#define MU_SLOT_CHILD_H

/* `excamera task ...`, with argv[0] "task". */
struct slot_tasks {
    /* Loads what the task needs and others do too, in the child itself: all of its later tasks have it. Says
     * nothing where it cannot. May be NULL. */
    void (*prepare)(int argc, char **argv);
    int (*run)(int argc, char **argv); /* returns an exit status */
};

/* Serves the slot that has started this process, and returns an exit status when that is gone. To be
 * called before the program has opened files, started threads or written to its outputs. `tasks` lives as long. */
int slot_child(const struct slot_tasks *tasks);

#endif
