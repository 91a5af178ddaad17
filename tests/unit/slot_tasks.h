/* What `excamera task ...` is in the tests of slots: tasks that behave in all kinds of ways. */
#ifndef SLOT_TASKS_H
#define SLOT_TASKS_H

int slot_tasks(int argc, char **argv);

#endif
