/*
 * Joins network namespaces by wires that are slow and lose packets: each has a TUN interface "wire" with an
 * address of its own, and what goes out of one comes in at the one whose address it is for, later or never.
 *
 *     wires DELAY_MS LOSS_PERCENT SEED NAMESPACE=ADDRESS ...
 *
 * NAMESPACE is a file as /proc/PID/ns/net, ADDRESS one of IPv4 in a network of 24 bits. Says "ready" on standard
 * output, and ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST_HOSTS = 16, MOST_PACKET = 2048, MOST_WAITING = 65536 };

struct host {
    int tun;
    struct in_addr address;
};

struct packet {
    struct packet *next;
    const struct host *to;
    int64_t due; /* in microseconds, as now() has them */
    size_t size;
    uint8_t data[];
};

struct wires {
    struct host host[MOST_HOSTS];
    int hosts;
    int64_t delay;                /* in microseconds */
    double loss;                  /* of packets, [0, 1] */
    struct packet *first, **last; /* all are as slow: the first is due first */
    int waiting;
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void fail(const char *what)
{
    fprintf(stderr, "wires: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* ---- Interfaces ---------------------------------------------------------------------------- */

static void set_up(int control, const char *name)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0)
        fail(name);
    request.ifr_flags |= IFF_UP;
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0)
        fail(name);
}

static void set_address(int control, unsigned long what, const char *name, struct in_addr address)
{
    struct ifreq request = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = address};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    memcpy(&request.ifr_addr, &to, sizeof to);
    if (ioctl(control, what, &request) != 0)
        fail("an address");
}

/* The end of a wire in the namespace that this thread is in. */
static int open_end(struct in_addr address)
{
    static const char name[] = "wire";
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    struct in_addr mask = {htonl(0xffffff00)};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (tun < 0 || control < 0 || ioctl(tun, TUNSETIFF, &request) != 0)
        fail("/dev/net/tun");
    set_address(control, SIOCSIFADDR, name, address);
    set_address(control, SIOCSIFNETMASK, name, mask);
    set_up(control, name);
    set_up(control, "lo");
    close(control);
    return tun;
}

static void add_host(struct wires *wires, char *word)
{
    struct host *host = &wires->host[wires->hosts++];
    char *address = strchr(word, '=');
    if (address == NULL || inet_pton(AF_INET, address + 1, &host->address) != 1) {
        errno = EINVAL;
        fail(word);
    }
    *address = '\0';
    int space = open(word, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0)
        fail(word);
    close(space);
    host->tun = open_end(host->address);
}

/* ---- Packets ------------------------------------------------------------------------------- */

static const struct host *find_host(const struct wires *wires, const uint8_t *data, size_t size)
{
    struct iphdr header;
    if (size < sizeof header)
        return NULL;
    memcpy(&header, data, sizeof header);
    for (int i = 0; i < wires->hosts; i++)
        if (header.version == 4 && header.daddr == wires->host[i].address.s_addr)
            return &wires->host[i];
    return NULL;
}

static void take(struct wires *wires, const struct host *from)
{
    uint8_t data[MOST_PACKET];
    ssize_t size;
    while ((size = read(from->tun, data, sizeof data)) > 0) {
        const struct host *to = find_host(wires, data, (size_t)size);
        bool lost = drand48() < wires->loss || wires->waiting == MOST_WAITING;
        struct packet *packet = to != NULL && !lost ? malloc(sizeof *packet + (size_t)size) : NULL;
        if (packet == NULL)
            continue;
        *packet = (struct packet){.to = to, .due = now() + wires->delay, .size = (size_t)size};
        memcpy(packet->data, data, (size_t)size);
        *wires->last = packet;
        wires->last = &packet->next;
        wires->waiting++;
    }
}

static void deliver(struct wires *wires)
{
    while (wires->first != NULL && wires->first->due <= now()) {
        struct packet *packet = wires->first;
        wires->first = packet->next;
        if (wires->first == NULL)
            wires->last = &wires->first;
        wires->waiting--;
        /* Where there is no room it is lost, as on any wire. */
        if (write(packet->to->tun, packet->data, packet->size) < 0 && errno == EBADF)
            fail("a wire");
        free(packet);
    }
}

static struct timespec until_due(const struct wires *wires)
{
    int64_t wait = wires->first != NULL ? wires->first->due - now() : 1000000;
    if (wait < 0)
        wait = 0;
    return (struct timespec){wait / 1000000, wait % 1000000 * 1000};
}

static void serve(struct wires *wires)
{
    struct pollfd polled[MOST_HOSTS + 1];
    for (int i = 0; i < wires->hosts; i++)
        polled[i] = (struct pollfd){.fd = wires->host[i].tun, .events = POLLIN};
    polled[wires->hosts] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    while (polled[wires->hosts].revents == 0) {
        struct timespec wait = until_due(wires);
        if (ppoll(polled, (nfds_t)wires->hosts + 1, &wait, NULL) < 0 && errno != EINTR)
            fail("ppoll");
        for (int i = 0; i < wires->hosts; i++)
            if (polled[i].revents != 0)
                take(wires, &wires->host[i]);
        deliver(wires);
    }
}

int main(int argc, char **argv)
{
    struct wires wires = {.last = &wires.first};
    if (argc < 5 || argc - 4 > MOST_HOSTS) {
        fputs("usage: wires DELAY_MS LOSS_PERCENT SEED NAMESPACE=ADDRESS ...\n", stderr);
        return 2;
    }
    wires.delay = (int64_t)(atof(argv[1]) * 1000);
    wires.loss = atof(argv[2]) / 100;
    srand48(atol(argv[3]));
    for (int i = 4; i < argc; i++)
        add_host(&wires, argv[i]);
    puts("ready");
    fflush(stdout);
    serve(&wires);
    return EXIT_SUCCESS;
}
