/* Finding processes in /proc, to end those that their starters have lost sight of. */
#ifndef MU_PROCESSES_H
#define MU_PROCESSES_H

/* Kills the children of this process. What they leave behind becomes this process's only if it is a
 * subreaper, so that the call wants repeating until there is none. */
void processes_kill_children(void);

/* Kills all whose environment, as it was when they were started, has the entry `entry` ("NAME=VALUE").
 * Returns how many there were. */
int processes_kill_marked(const char *entry);

#endif
