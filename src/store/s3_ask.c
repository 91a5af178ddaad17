/* A store whose keys others have: what they are asked. */
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"

static void say(const struct s3_question *question)
{
    const struct store_operation *operation = question->operation;
    struct s3 *s3 = s3_of(operation);
    struct store_url what = {
        .key = operation->key,
        .attempt = operation->number,
        .identity = operation->expected,
    };
    memcpy(what.md5, operation->md5, sizeof what.md5);
    s3->lender.ask(s3->lender.opaque, question->number, &what);
}

void s3_ask(struct s3_question *question, const struct store_operation *operation,
            s3_answered *done, void *opaque)
{
    struct s3 *s3 = s3_of(operation);
    *question = (struct s3_question){
        .number = ++s3->asked, .operation = operation, .done = done, .opaque = opaque};
    list_init(&question->link);
    list_append(&s3->questions, &question->link);
    say(question);
}

bool s3_unask(struct s3_question *question)
{
    if (question->done == NULL || list_empty(&question->link))
        return false;
    list_remove(&question->link);
    return true;
}

void s3_ask_again(struct store *store)
{
    struct s3 *s3 = (struct s3 *)store;
    for (struct list_link *link = s3->questions.next; link != &s3->questions; link = link->next)
        say(LIST_ENTRY(link, struct s3_question, link));
}

void s3_lent(struct store *store, uint64_t number, const char *url, const char *reason)
{
    struct s3 *s3 = (struct s3 *)store;
    for (struct list_link *link = s3->questions.next; link != &s3->questions; link = link->next) {
        struct s3_question *question = LIST_ENTRY(link, struct s3_question, link);
        if (question->number != number)
            continue;
        list_remove(&question->link);
        question->done(question->opaque, url, reason);
        return;
    }
}
