/* `excamera lambda deploy|update|delete`: the function that workers run in, in one region or several. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/lambda.h"
#include "cli/options.h"
#include "engine/lambda_admin.h"

static const char usage[] =
    "usage: excamera lambda deploy PACKAGE.zip --role ARN [OPTIONS]\n"
    "       excamera lambda update [PACKAGE.zip] [OPTIONS]\n"
    "       excamera lambda delete [OPTIONS]\n"
    "\n"
    "Makes the AWS Lambda function that workers run in, of what `excamera lambda package` has "
    "made;\n"
    "changes it, its package or what else is said here; or removes it. Credentials and region are\n"
    "those of AWS's own tools.\n"
    "\n"
    "      --function NAME  the function; excamera by default\n"
    "      --regions A,B,...\n"
    "                       where; the region of the credentials' profile by default\n"
    "      --role ARN       the role that the function has: it needs no rights but to write its "
    "log\n"
    "      --arch ARCH      what the package is for: x86-64, by default, or arm64\n"
    "      --memory MB      128 to 10240; 1769 by default, which is one whole processor\n"
    "      --timeout SECONDS\n"
    "                       that a worker may run, 3 to 900; 900 by default\n"
    "      --storage MB     of its /tmp, 512 to 10240; 512 by default\n"
    "  -h, --help           this text\n";

struct deployment {
    int (*apply)(struct lambda_admin *admin, const struct lambda_name *name,
                 const struct lambda_settings *settings, struct error *error);
    const char *verb, *done; /* for people: "deploy", "made" */
    struct lambda_name name;
    struct lambda_settings settings;
    const char *file, *regions; /* NULL: not said */
    void *package;
};

static int fail(const struct deployment *deployment, const struct error *error)
{
    fprintf(stderr, "excamera lambda %s: %s\n", deployment->verb, error->message);
    return EXIT_FAILURE;
}

/* ---- The package --------------------------------------------------------------------------- */

static int read_file(int fd, const char *path, void *bytes, size_t size, struct error *error)
{
    for (size_t at = 0; at < size;) {
        ssize_t count = read(fd, (char *)bytes + at, size - at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return error_set(error, count < 0 ? -errno : -EIO, "cannot read %s: %s", path,
                             count < 0 ? strerror(errno) : "it has become shorter");
        at += (size_t)count;
    }
    return 0;
}

static int check_package(const char *path, const void *bytes, size_t size, struct error *error)
{
    if (size < 4 || memcmp(bytes, "PK\3\4", 4) != 0)
        return error_set(error, -EINVAL, "%s is no zip file; `excamera lambda package` makes one",
                         path);
    return 0;
}

static int load(struct deployment *deployment, struct error *error)
{
    const char *path = deployment->file;
    struct stat status;
    int code = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        code = error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode) || status.st_size > LAMBDA_MOST_PACKAGE)
        code = error_set(error, -EINVAL, "%s is not a file of at most %d MB", path,
                         LAMBDA_MOST_PACKAGE / (1024 * 1024));
    else if ((deployment->package = malloc((size_t)status.st_size + 1)) == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    if (code == 0)
        code = read_file(fd, path, deployment->package, (size_t)status.st_size, error);
    if (code == 0)
        code = check_package(path, deployment->package, (size_t)status.st_size, error);
    if (code == 0) {
        deployment->settings.package = deployment->package;
        deployment->settings.package_size = (size_t)status.st_size;
    }
    if (fd >= 0)
        close(fd);
    return code;
}

/* ---- Regions ------------------------------------------------------------------------------- */

static int apply_in(const struct deployment *deployment, const char *region, struct error *error)
{
    struct lambda_admin *admin;
    int code = lambda_admin_open(region, &admin, error);
    if (code < 0)
        return code;
    code = deployment->apply(admin, &deployment->name, &deployment->settings, error);
    if (code == 0)
        printf("%s the function %s in %s\n", deployment->done, deployment->name.function,
               lambda_admin_region(admin));
    fflush(stdout);
    lambda_admin_close(admin);
    return code;
}

static int apply(const struct deployment *deployment, struct error *error)
{
    if (deployment->regions == NULL)
        return apply_in(deployment, NULL, error);
    char *list = strdup(deployment->regions), *rest = list;
    if (list == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = 0;
    for (char *region; code == 0 && (region = strsep(&rest, ", ")) != NULL;)
        if (*region != '\0')
            code = apply_in(deployment, region, error);
    free(list);
    return code;
}

static int work(struct deployment *deployment)
{
    struct error error;
    int code = deployment->file != NULL ? load(deployment, &error) : 0;
    if (code == 0)
        code = apply(deployment, &error);
    free(deployment->package);
    return code < 0 ? fail(deployment, &error) : EXIT_SUCCESS;
}

/* ---- The command line ---------------------------------------------------------------------- */

static bool take_name(struct deployment *deployment)
{
    struct error error;
    if (lambda_name_read(optarg, &deployment->name, &error) == 0 &&
        deployment->name.alias[0] == '\0')
        return true;
    fprintf(stderr, "excamera lambda: '%s' is not a function's name\n", optarg);
    return false;
}

static bool take_architecture(struct deployment *deployment)
{
    bool arm = strcmp(optarg, "arm64") == 0;
    deployment->settings.architecture = arm ? "arm64" : "x86_64";
    if (arm || strcmp(optarg, "x86-64") == 0)
        return true;
    fprintf(stderr, "excamera lambda: --arch takes x86-64 or arm64, not '%s'\n", optarg);
    return false;
}

static bool take_option(struct deployment *deployment, int option, const char *word)
{
    struct lambda_settings *settings = &deployment->settings;
    switch (option) {
    case 'f':
        return take_name(deployment);
    case 'r':
        deployment->regions = optarg;
        return true;
    case 'R':
        settings->role = optarg;
        return true;
    case 'a':
        return take_architecture(deployment);
    case 'm':
        return options_int("--memory", optarg, 128, 10240, &settings->memory);
    case 't':
        return options_int("--timeout", optarg, 3, LAMBDA_SECONDS, &settings->seconds);
    case 's':
        return options_int("--storage", optarg, LAMBDA_STORAGE, 10240, &settings->storage);
    default:
        fprintf(stderr, "excamera lambda: there is no such option, or its value is missing: %s\n",
                word);
        return false;
    }
}

/* EXIT_SUCCESS to go on, -1 where all has been said. */
static int take_options(struct deployment *deployment, int argc, char **argv)
{
    static const struct option options[] = {
        {"function", required_argument, NULL, 'f'},
        {"regions", required_argument, NULL, 'r'},
        {"role", required_argument, NULL, 'R'},
        {"arch", required_argument, NULL, 'a'},
        {"memory", required_argument, NULL, 'm'},
        {"timeout", required_argument, NULL, 't'},
        {"storage", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return -1;
        }
        if (!take_option(deployment, option, argv[optind - 1]))
            return EXIT_USAGE;
    }
    if (optind < argc)
        deployment->file = argv[optind++];
    if (optind == argc)
        return EXIT_SUCCESS;
    fprintf(stderr, "excamera lambda %s: it does not take '%s'\n", deployment->verb, argv[optind]);
    return EXIT_USAGE;
}

static int command(struct deployment *deployment, int argc, char **argv)
{
    struct error error;
    lambda_name_read(LAMBDA_FUNCTION, &deployment->name, &error);
    int status = take_options(deployment, argc, argv);
    return status == EXIT_SUCCESS ? work(deployment) : status == -1 ? EXIT_SUCCESS : status;
}

static int create(struct lambda_admin *admin, const struct lambda_name *name,
                  const struct lambda_settings *settings, struct error *error)
{
    if (settings->package == NULL || settings->role == NULL)
        return error_set(error, -EINVAL,
                         "a new function needs a package and --role; `excamera lambda deploy "
                         "--help` says more");
    return lambda_admin_create(admin, name, settings, error);
}

static int update(struct lambda_admin *admin, const struct lambda_name *name,
                  const struct lambda_settings *settings, struct error *error)
{
    if (settings->architecture != NULL && settings->package == NULL)
        return error_set(error, -EINVAL, "--arch is that of a package, and there is none");
    return lambda_admin_update(admin, name, settings, error);
}

static int delete (struct lambda_admin *admin, const struct lambda_name *name,
                   const struct lambda_settings *settings, struct error *error)
{
    return lambda_admin_delete(admin, name, error);
}

int lambda_deploy(int argc, char **argv)
{
    struct deployment deployment = {.apply = create, .verb = "deploy", .done = "made"};
    return command(&deployment, argc, argv);
}

int lambda_update(int argc, char **argv)
{
    struct deployment deployment = {.apply = update, .verb = "update", .done = "changed"};
    return command(&deployment, argc, argv);
}

int lambda_delete(int argc, char **argv)
{
    struct deployment deployment = {.apply = delete, .verb = "delete", .done = "removed"};
    return command(&deployment, argc, argv);
}
