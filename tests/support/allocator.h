/*
 * Allocations that fail when a test wants it. In a program that depends on allocator_dep its own calls and those of
 * static libraries come here; shared libraries keep theirs.
 */
#ifndef SUPPORT_ALLOCATOR_H
#define SUPPORT_ALLOCATOR_H

struct allocator {
    int until_failure; /* allocations that still succeed; negative: all do */
    int held;          /* blocks allocated and not freed */
};

extern struct allocator allocator;

#endif
