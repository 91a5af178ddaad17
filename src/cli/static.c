/* For the program that has its C library in it (-Dstatic=true). glibc resolves names by files and DNS with what
 * is built in; for anything else that the system's nsswitch.conf names it would load libraries of the
 * system's glibc, which may be another one. */
#include <nss.h>

__attribute__((constructor)) static void use_own_name_services(void)
{
    static const char *const databases[] = {"hosts", "services", "passwd", "group"};
    for (unsigned i = 0; i < sizeof databases / sizeof databases[0]; i++)
        __nss_configure_lookup(databases[i], i == 0 ? "files dns" : "files");
}
