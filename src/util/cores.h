/* How many cores there are for this process. */
#ifndef UTIL_CORES_H
#define UTIL_CORES_H

/* Those that it may run on, at least 1: what its affinity leaves of the machine. */
int cores_count(void);

#endif
