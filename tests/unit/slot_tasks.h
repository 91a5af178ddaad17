/* What `excamera task ...` is in the tests of slots: tasks that behave in all kinds of ways. */
#ifndef SLOT_TASKS_H
#define SLOT_TASKS_H

#include "mu/slot_child.h"

extern const struct slot_tasks slot_tasks;

#endif
