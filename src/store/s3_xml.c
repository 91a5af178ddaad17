#include "store/s3_xml.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH = 8, NAME = 64 };

struct reading {
    XML_Parser parser;
    s3_xml_element *element;
    void *opaque;
    char name[DEPTH][NAME];
    int depth;
    char text[S3_XML_TEXT];
    size_t length;
    int code;
};

static void stop(struct reading *reading, int code)
{
    reading->code = code;
    XML_StopParser(reading->parser, XML_FALSE);
}

static void on_start(void *opaque, const char *name, const char **attributes)
{
    struct reading *reading = opaque;
    if (reading->depth == DEPTH) {
        stop(reading, -EBADMSG);
        return;
    }
    snprintf(reading->name[reading->depth++], NAME, "%s", name);
    reading->length = 0;
}

static void on_end(void *opaque, const char *name)
{
    struct reading *reading = opaque;
    const char *parent = reading->depth > 1 ? reading->name[reading->depth - 2] : "";
    reading->text[reading->length] = '\0';
    reading->depth--;
    reading->length = 0;
    if (!reading->element(reading->opaque, parent, name, reading->text))
        stop(reading, -ECANCELED);
}

static void on_text(void *opaque, const char *text, int length)
{
    struct reading *reading = opaque;
    size_t room = sizeof reading->text - 1 - reading->length;
    size_t size = (size_t)length < room ? (size_t)length : room;
    memcpy(reading->text + reading->length, text, size);
    reading->length += size;
}

int s3_xml_read(const void *bytes, size_t size, s3_xml_element *element, void *opaque)
{
    struct reading reading = {.element = element, .opaque = opaque};
    reading.parser = XML_ParserCreate(NULL);
    if (reading.parser == NULL)
        return -ENOMEM;
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    if (XML_Parse(reading.parser, bytes, (int)size, 1) != XML_STATUS_OK && reading.code == 0)
        reading.code = -EBADMSG;
    XML_ParserFree(reading.parser);
    return reading.code;
}

struct search {
    const char *parent, *name;
    char *text;
    size_t room;
    bool found;
};

static bool on_element(void *opaque, const char *parent, const char *name, const char *text)
{
    struct search *search = opaque;
    if (strcmp(name, search->name) != 0 ||
        (search->parent != NULL && strcmp(parent, search->parent) != 0))
        return true;
    snprintf(search->text, search->room, "%s", text);
    search->found = true;
    return false;
}

bool s3_xml_find(const void *bytes, size_t size, const char *parent, const char *name, char *text,
                 size_t room)
{
    struct search search = {parent, name, text, room, false};
    text[0] = '\0';
    s3_xml_read(bytes, size, on_element, &search);
    return search.found;
}
