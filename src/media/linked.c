/* In a program that has FFmpeg's libraries in it. */
#include "media/films.h"

int films_load(struct error *error)
{
    return 0;
}
