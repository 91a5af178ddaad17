#include "mu/json_place.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- Paths --------------------------------------------------------------------------------- */

void json_place_path(const struct json_place *place, char *path, size_t size)
{
    path[0] = '\0';
    if (place->up == NULL)
        return;
    json_place_path(place->up, path, size);
    size_t used = strlen(path);
    if (place->key == NULL)
        snprintf(path + used, size - used, "[%zu]", place->index);
    else
        snprintf(path + used, size - used, "%s%s", used > 0 ? "." : "", place->key);
}

/* ---- Lines --------------------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
    int line;
};

static void skip_space(struct cursor *cursor)
{
    for (; cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL; cursor->at++)
        cursor->line += *cursor->at == '\n';
}

/* A string has no newline in it. */
static void skip_string(struct cursor *cursor)
{
    cursor->at++;
    while (cursor->at < cursor->end && *cursor->at != '"')
        cursor->at += *cursor->at == '\\' ? 2 : 1;
    if (cursor->at < cursor->end)
        cursor->at++;
}

static void skip_value(struct cursor *cursor)
{
    int depth = 0;
    while (cursor->at < cursor->end) {
        char c = *cursor->at;
        if (depth == 0 && (c == ',' || c == ']' || c == '}'))
            return;
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        if (c == '"') {
            skip_string(cursor);
        } else {
            cursor->line += c == '\n';
            cursor->at++;
        }
    }
}

/* The string from `start` on, as it is meant. */
static bool string_is(const char *start, const char *end, const char *key)
{
    json_t *string = json_loadb(start, (size_t)(end - start), JSON_DECODE_ANY, NULL);
    bool same = string != NULL && strcmp(json_string_value(string), key) == 0;
    json_decref(string);
    return same;
}

/* Steps into an object or array and to the value of the member or element. False where it has none. */
static bool descend(struct cursor *cursor, const struct json_place *place)
{
    char close = place->key != NULL ? '}' : ']';
    size_t index = 0;
    do {
        cursor->at++; /* the bracket, or the comma */
        skip_space(cursor);
        if (cursor->at >= cursor->end || *cursor->at == close)
            return false;
        bool found = place->key == NULL && index++ == place->index;
        if (place->key != NULL) {
            const char *start = cursor->at;
            skip_string(cursor);
            found = string_is(start, cursor->at, place->key);
            skip_space(cursor);
            cursor->at++; /* the colon */
            skip_space(cursor);
        }
        if (found)
            return true;
        skip_value(cursor);
    } while (cursor->at < cursor->end && *cursor->at == ',');
    return false;
}

static bool find(struct cursor *cursor, const struct json_place *place)
{
    if (place->up == NULL) {
        skip_space(cursor);
        return cursor->at < cursor->end;
    }
    if (!find(cursor, place->up) || *cursor->at != (place->key != NULL ? '{' : '['))
        return false;
    struct cursor inside = *cursor;
    bool found = descend(&inside, place);
    if (found)
        *cursor = inside;
    return found;
}

int json_place_line(const char *text, size_t length, const struct json_place *place)
{
    struct cursor cursor = {text, text + length, 1};
    find(&cursor, place);
    return cursor.line;
}
