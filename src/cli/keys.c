/* `excamera keys init DIR`: the certificates of a deployment. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "net/certificate.h"
#include "net/identity.h"

static const char usage[] =
    "usage: excamera keys init DIR [--host NAME ...] [--days N]\n"
    "\n"
    "Makes what the servers of a deployment and those who use them know each other by: an\n"
    "authority of its own and certificates from it, for TLS with certificates on both sides.\n"
    "Nothing that is there is overwritten.\n"
    "\n"
    "      --host NAME  a name or IP address that the servers are dialled by; may be given "
    "several\n"
    "                   times. localhost and this machine's name are always among them\n"
    "      --days N     how long the certificates are valid; 365 by default\n"
    "  -h, --help       this text\n"
    "\n"
    "  excamera keys init keys --host farm.example.com --host 192.0.2.7\n";

enum { HOSTS_MOST = 64, DAYS = 365, DAYS_MOST = 36500 };

/* Clocks differ a little between machines. */
enum { HOUR = 3600, DAY = 24 * HOUR };

struct keys {
    const char *folder;
    const char *hosts[HOSTS_MOST + 1];
    int host_count;
    int64_t days;
    time_t now;
    struct certificate *authority;
    bool made_folder;
    int written; /* of `files` */
};

struct key_file {
    const char *name, *identity, *holder;
    unsigned use;
};

/* The first is the authority's. */
static const struct key_file files[] = {
    {"ca.pem", NULL, "the authority, with its private key", 0},
    {"coordinator.pem", IDENTITY_COORDINATOR, "for the coordinator",
     CERTIFICATE_SERVER | CERTIFICATE_CLIENT},
    {"rendezvous.pem", IDENTITY_RENDEZVOUS, "for the rendezvous",
     CERTIFICATE_SERVER | CERTIFICATE_CLIENT},
    {"submitter.pem", IDENTITY_SUBMITTER, "for those who hand in jobs", CERTIFICATE_CLIENT},
};

enum { FILES = sizeof files / sizeof files[0] };

static int wrong_usage(const char *sentence, const char *word)
{
    fprintf(stderr, "excamera keys: %s%s; `excamera keys --help` says more\n", sentence, word);
    return EXIT_USAGE;
}

static int file_path(const struct keys *keys, int file, char **path, struct error *error)
{
    if (asprintf(path, "%s/%s", keys->folder, files[file].name) >= 0)
        return 0;
    *path = NULL;
    return error_set(error, -ENOMEM, "out of memory");
}

/* ---- making -------------------------------------------------------------------------------- */

static int make_folder(struct keys *keys, struct error *error)
{
    keys->made_folder = mkdir(keys->folder, 0700) == 0;
    if (!keys->made_folder && errno != EEXIST)
        return error_set(error, -errno, "cannot make the folder %s: %s", keys->folder,
                         strerror(errno));
    return 0;
}

/* So that not some of the files are made and others are not. */
static int check_absent(const struct keys *keys, struct error *error)
{
    struct stat status;
    char *path;
    int result = 0;
    for (int i = 0; i < FILES && result == 0; i++) {
        result = file_path(keys, i, &path, error);
        if (result == 0 && lstat(path, &status) == 0)
            result = error_set(error, -EEXIST, "%s exists already, and is not overwritten", path);
        free(path);
    }
    return result;
}

static struct certificate_subject subject_of(const struct keys *keys, int file)
{
    const struct key_file *key_file = &files[file];
    return (struct certificate_subject){
        .name = key_file->identity ? key_file->identity : "excamera deployment",
        .identity = key_file->identity,
        .hosts = key_file->use & CERTIFICATE_SERVER ? keys->hosts : NULL,
        .use = key_file->use,
        .from = keys->now - HOUR,
        .until = keys->now + (time_t)keys->days * DAY,
    };
}

static int write_authority(struct keys *keys, const char *path, struct error *error)
{
    struct certificate_subject subject = subject_of(keys, 0);
    int result = certificate_make_authority(&subject, &keys->authority, error);
    return result < 0 ? result : certificate_save(keys->authority, path, error);
}

static int write_leaf(struct keys *keys, int file, const char *path, struct error *error)
{
    struct certificate_subject subject = subject_of(keys, file);
    struct credentials credentials = {.authority = keys->authority};
    int result = certificate_issue(keys->authority, &subject, &credentials.own, error);
    if (result == 0)
        result = credentials_save(&credentials, path, error);
    certificate_free(credentials.own);
    return result;
}

static int write_keys(struct keys *keys, struct error *error)
{
    char *path;
    int result = 0;
    for (int i = 0; i < FILES && result == 0; i++) {
        result = file_path(keys, i, &path, error);
        if (result == 0)
            result = i == 0 ? write_authority(keys, path, error) : write_leaf(keys, i, path, error);
        keys->written += result == 0;
        free(path);
    }
    return result;
}

static void remove_written(const struct keys *keys)
{
    struct error error;
    char *path;
    for (int i = 0; i < keys->written; i++) {
        if (file_path(keys, i, &path, &error) == 0)
            unlink(path);
        free(path);
    }
    if (keys->made_folder)
        rmdir(keys->folder);
}

static void report(const struct keys *keys)
{
    char until[20];
    struct tm date;
    time_t end = keys->now + (time_t)keys->days * DAY;
    strftime(until, sizeof until, "%Y-%m-%d", gmtime_r(&end, &date));
    printf("The deployment's keys are in %s, valid until %s:\n", keys->folder, until);
    for (int i = 0; i < FILES; i++)
        printf("  %-16s %s\n", files[i].name, files[i].holder);
    printf("The servers go by the names");
    for (int i = 0; i < keys->host_count; i++)
        printf("%s %s", i ? "," : "", keys->hosts[i]);
    printf(".\nEach file is all that its holder needs, and a secret. Keep ca.pem apart: no server "
           "needs\nit, and whoever has it can make further certificates.\n");
}

static int init(struct keys *keys)
{
    struct error error;
    int result = check_absent(keys, &error);
    if (result == 0)
        result = make_folder(keys, &error);
    if (result == 0)
        result = write_keys(keys, &error);
    if (result < 0) {
        remove_written(keys);
        fprintf(stderr, "excamera keys: %s\n", error.message);
    } else {
        report(keys);
    }
    certificate_free(keys->authority);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the command line ---------------------------------------------------------------------- */

static bool add_host(struct keys *keys, const char *host)
{
    for (int i = 0; i < keys->host_count; i++)
        if (strcmp(keys->hosts[i], host) == 0)
            return true;
    if (keys->host_count == HOSTS_MOST) {
        fprintf(stderr, "excamera keys: at most %d names can be given\n", HOSTS_MOST);
        return false;
    }
    keys->hosts[keys->host_count++] = host;
    return true;
}

static bool take_option(struct keys *keys, int option)
{
    if (option == 'H')
        return add_host(keys, optarg);
    return options_integer("--days", optarg, 1, DAYS_MOST, &keys->days);
}

int command_keys(int argc, char **argv)
{
    static const struct option options[] = {
        {"host", required_argument, NULL, 'H'},
        {"days", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct keys keys = {.days = DAYS, .now = time(NULL)};
    char name[256] = "";
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            printf("%s", usage);
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return wrong_usage("there is no such option, or its value is missing: ",
                               argv[optind - 1]);
        if (!take_option(&keys, option))
            return EXIT_USAGE;
    }
    if (argc - optind != 2 || strcmp(argv[optind], "init") != 0)
        return wrong_usage("it is used as `excamera keys init DIR`", "");
    keys.folder = argv[optind + 1];
    gethostname(name, sizeof name - 1);
    return add_host(&keys, "localhost") && add_host(&keys, "127.0.0.1") && add_host(&keys, "::1") &&
                   (!*name || add_host(&keys, name))
               ? init(&keys)
               : EXIT_USAGE;
}
