#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool options_integer(const char *option, const char *text, int64_t least, int64_t most,
                     int64_t *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && number >= least && number <= most) {
        *value = number;
        return true;
    }
    if (most == INT64_MAX)
        fprintf(stderr, "excamera: %s takes a whole number from %lld on, not '%s'\n", option,
                (long long)least, text);
    else
        fprintf(stderr, "excamera: %s takes a whole number from %lld to %lld, not '%s'\n", option,
                (long long)least, (long long)most, text);
    return false;
}

bool options_int(const char *option, const char *text, int least, int most, int *value)
{
    int64_t number;
    if (!options_integer(option, text, least, most, &number))
        return false;
    *value = (int)number;
    return true;
}

bool options_bitrate(const char *option, const char *text, int *bits_per_second)
{
    char *end;
    double value = strtod(text, &end);
    if (*end == 'k' || *end == 'K') {
        value *= 1000;
        end++;
    }
    if (end != text && *end == '\0' && value >= 6000 && value <= 510000) {
        *bits_per_second = (int)value;
        return true;
    }
    fprintf(stderr, "excamera: %s takes bits per second from 6k to 510k, not '%s'\n", option, text);
    return false;
}

bool options_address(const char *option, const char *text, char **host, uint16_t *port)
{
    int64_t number;
    char *name = NULL;
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    if (!options_integer(option, colon != NULL ? colon + 1 : text, 0, UINT16_MAX, &number))
        return false;
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length > 0 && (name = strndup(text, length)) == NULL) {
        fprintf(stderr, "excamera: out of memory\n");
        return false;
    }
    free(*host);
    *host = name;
    *port = (uint16_t)number;
    return true;
}

bool options_host(const char *option, const char *text, char **host, uint16_t *port)
{
    char with_port[512];
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    bool bare = colon == NULL || (bracket != NULL && bracket > colon);
    snprintf(with_port, sizeof with_port, "%s%s", text, bare ? ":0" : "");
    if (!options_address(option, with_port, host, port))
        return false;
    if (*host != NULL)
        return true;
    fprintf(stderr, "excamera: %s takes HOST[:PORT], not '%s'\n", option, text);
    return false;
}

bool options_seconds(const char *option, const char *text, uint64_t *ms)
{
    char *end;
    double value = strtod(text, &end);
    if (end != text && *end == '\0' && value > 0 && value <= 1e9) {
        *ms = (uint64_t)(value * 1000 + 0.5);
        return true;
    }
    fprintf(stderr, "excamera: %s takes a number of seconds, not '%s'\n", option, text);
    return false;
}

bool options_amount(const char *option, const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    if (end != text && *end == '\0' && *value > 0 && *value <= 1e15)
        return true;
    fprintf(stderr, "excamera: %s takes an amount above 0, not '%s'\n", option, text);
    return false;
}
