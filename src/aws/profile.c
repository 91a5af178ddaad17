#include "aws/profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state of reading one file. */
struct reading {
    struct aws_profile *profile;
    bool config;     /* sections but the default one are called "profile NAME" */
    bool within;     /* the section is the profile's */
    bool found;      /* there was one */
    char parent[32]; /* the setting that indented lines belong to */
};

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

/* Where a setting is kept; NULL for those that mean nothing here. */
static char **place_of(struct aws_profile *profile, const char *parent, const char *name)
{
    const struct {
        const char *parent, *name;
        char **place;
    } known[] = {
        {"", "aws_access_key_id", &profile->access_key},
        {"", "aws_secret_access_key", &profile->secret_key},
        {"", "aws_session_token", &profile->session_token},
        {"", "region", &profile->region},
        {"", "endpoint_url", &profile->endpoint},
        {"s3", "addressing_style", &profile->addressing},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(parent, known[i].parent) == 0 && strcmp(name, known[i].name) == 0)
            return known[i].place;
    return NULL;
}

static bool is_foreign(const char *name)
{
    return strcmp(name, "role_arn") == 0 || strcmp(name, "sso_session") == 0 ||
           strcmp(name, "sso_start_url") == 0 || strcmp(name, "credential_process") == 0;
}

static bool keep(char **place, const char *value)
{
    free(*place);
    return (*place = strdup(value)) != NULL;
}

static void begin_section(struct reading *reading, char *line)
{
    line[strcspn(line, "]")] = '\0';
    char *name = trim(line + 1);
    bool is_default = strcmp(name, "default") == 0;
    if (reading->config && strncmp(name, "profile", 7) == 0 && isspace((unsigned char)name[7]))
        name = trim(name + 7);
    else if (reading->config && !is_default)
        name = "";
    reading->within = strcmp(name, reading->profile->name) == 0;
    reading->found |= reading->within;
    reading->parent[0] = '\0';
}

/* False where out of memory. */
static bool take_setting(struct reading *reading, char *line)
{
    bool indented = isspace((unsigned char)*line);
    char *value = strchr(line, '=');
    if (!reading->within || value == NULL)
        return true;
    *value = '\0';
    char *name = trim(line);
    value = trim(value + 1);
    if (!indented)
        snprintf(reading->parent, sizeof reading->parent, "%s", *value == '\0' ? name : "");
    if (*value == '\0')
        return true;
    if (is_foreign(name))
        return keep(&reading->profile->foreign, name);
    char **place = place_of(reading->profile, indented ? reading->parent : "", name);
    return place == NULL || keep(place, value);
}

static bool take_line(struct reading *reading, char *line)
{
    const char *begin = line + strspn(line, " \t");
    if (*begin == '#' || *begin == ';' || *begin == '\n' || *begin == '\0')
        return true;
    if (*begin != '[')
        return take_setting(reading, line);
    begin_section(reading, trim(line));
    return true;
}

static int read_file(struct reading *reading, const char *path, struct error *error)
{
    char *line = NULL;
    size_t room = 0;
    int code = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (file == NULL)
        return error_set(error, -errno, "cannot read %s: %s", path, error_reason(-errno));
    reading->within = false;
    while (code == 0 && getline(&line, &room, file) >= 0)
        if (!take_line(reading, line))
            code = error_set(error, -ENOMEM, "out of memory");
    int reason = errno;
    if (code == 0 && ferror(file))
        code = error_set(error, -reason, "cannot read %s: %s", path, error_reason(-reason));
    if (line != NULL)
        explicit_bzero(line, room);
    free(line);
    fclose(file);
    return code;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static int read_either(struct reading *reading, const char *name, const char *otherwise,
                       struct error *error)
{
    const char *path = variable(name), *home = getenv("HOME");
    char *own = NULL;
    if (path == NULL && home != NULL && asprintf(&own, "%s/.aws/%s", home, otherwise) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    if (path == NULL)
        path = own;
    int code = path != NULL ? read_file(reading, path, error) : 0;
    free(own);
    return code;
}

int aws_profile_read(const char *name, struct aws_profile *profile, struct error *error)
{
    struct reading reading = {.profile = profile, .config = true};
    *profile = (struct aws_profile){0};
    if (name == NULL)
        name = variable("AWS_PROFILE");
    if (name == NULL)
        name = variable("AWS_DEFAULT_PROFILE");
    if (!keep(&profile->name, name != NULL ? name : "default"))
        return error_set(error, -ENOMEM, "out of memory");
    int code = read_either(&reading, "AWS_CONFIG_FILE", "config", error);
    reading.config = false;
    if (code == 0)
        code = read_either(&reading, "AWS_SHARED_CREDENTIALS_FILE", "credentials", error);
    if (code == 0 && name != NULL && !reading.found)
        code = error_set(error, -EINVAL,
                         "there is no profile %s in AWS's files of settings; ~/.aws/config has "
                         "profiles as [profile %s]",
                         name, name);
    if (code < 0)
        aws_profile_free(profile);
    return code;
}

static void free_secret(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void aws_profile_free(struct aws_profile *profile)
{
    free(profile->name);
    free(profile->access_key);
    free_secret(profile->secret_key);
    free_secret(profile->session_token);
    free(profile->region);
    free(profile->endpoint);
    free(profile->addressing);
    free(profile->foreign);
    *profile = (struct aws_profile){0};
}
