/* What a test's own tools rely on: a claim that ends the program when it is false. Tests themselves
 * assert with cmocka. */
#ifndef SUPPORT_CLAIM_H
#define SUPPORT_CLAIM_H

#include <stdio.h>
#include <stdlib.h>

#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(EXIT_FAILURE);                                                                    \
        }                                                                                          \
    } while (0)

#endif
