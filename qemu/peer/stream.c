/*
 * Streams of the Linux peer, for measuring what a connection carries.
 *
 *   stream serve SINK SOURCE BYTES      takes what comes to the one port until its end, and sends so
 *                                       much to each connection of the other; says `ready`
 *   stream send ADDRESS SINK BYTES      sends, and waits for the other side's end
 *   stream receive ADDRESS SOURCE       takes what comes until its end
 *
 * The last two print `bytes N us N`: what went, and the microseconds from before the connection was
 * opened until it was over.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536 };

static char chunk[CHUNK];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static long long receive(int socket)
{
    long long bytes = 0;
    ssize_t got;
    while ((got = read(socket, chunk, CHUNK)) > 0)
        bytes += got;
    if (got < 0)
        fail("read");
    return bytes;
}

/* Sends so much, then its end. */
static void send_all(int socket, long long bytes)
{
    while (bytes > 0) {
        ssize_t sent = write(socket, chunk, bytes < CHUNK ? (size_t)bytes : CHUNK);
        if (sent < 0)
            fail("write");
        bytes -= sent;
    }
    if (shutdown(socket, SHUT_WR) < 0)
        fail("shutdown");
}

static struct sockaddr_in place(const char *address, const char *port)
{
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
    if (inet_pton(AF_INET, address, &place.sin_addr) != 1) {
        fprintf(stderr, "no address: %s\n", address);
        exit(2);
    }
    return place;
}

static int listening(const char *port)
{
    const int on = 1;
    struct sockaddr_in any = place("0.0.0.0", port);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 16) < 0)
        fail("listen");
    return listener;
}

/* A process for each connection. */
static void serve(const char *sink, const char *source, long long bytes)
{
    struct pollfd listeners[2] = {
        { .fd = listening(sink), .events = POLLIN },
        { .fd = listening(source), .events = POLLIN },
    };
    signal(SIGCHLD, SIG_IGN);
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(listeners, 2, -1) < 0)
            fail("poll");
        for (int i = 0; i < 2; i++) {
            if (!(listeners[i].revents & POLLIN))
                continue;
            int connection = accept(listeners[i].fd, NULL, NULL);
            if (connection < 0)
                continue;
            if (fork() == 0) {
                if (i == 1)
                    send_all(connection, bytes);
                receive(connection);
                exit(0);
            }
            close(connection);
        }
    }
}

int main(int count, char **arguments)
{
    if (count == 5 && !strcmp(arguments[1], "serve"))
        serve(arguments[2], arguments[3], atoll(arguments[4]));
    int sends = count == 5 && !strcmp(arguments[1], "send");
    int receives = count == 4 && !strcmp(arguments[1], "receive");
    if (!sends && !receives) {
        fprintf(stderr, "usage: stream serve SINK SOURCE BYTES | send ADDRESS SINK BYTES | "
                        "receive ADDRESS SOURCE\n");
        return 2;
    }
    struct sockaddr_in server = place(arguments[2], arguments[3]);
    long long begun = now();
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect");
    long long bytes = sends ? atoll(arguments[4]) : 0;
    if (sends)
        send_all(connection, bytes);
    long long received = receive(connection);
    printf("bytes %lld us %lld\n", sends ? bytes : received, now() - begun);
    return 0;
}
