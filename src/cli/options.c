#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
