/* A file being made, under a name that is no key, until it is complete. */
#ifndef STORE_DRAFT_H
#define STORE_DRAFT_H

enum { DRAFT_NAME_SIZE = 32 };

struct draft {
    int folder; /* open, the caller's to set; -1: none */
    char temporary[DRAFT_NAME_SIZE];
    const char *name; /* where it will be, the caller's to set */
    int fd;           /* -1 where it is a link to another file */
};

/* Begins a file in draft->folder under a name of its own: a second name of `name` in `parent`, or with a
 * negative `parent` an empty one. A negative errno. */
int draft_begin(struct draft *draft, int parent, const char *name);
/* Removes it. */
void draft_abort(struct draft *draft);
/* Gives the file its name, in place of what had it. A negative errno. */
int draft_commit(struct draft *draft);
/* Closes the file and its folder. */
void draft_close(struct draft *draft);

#endif
