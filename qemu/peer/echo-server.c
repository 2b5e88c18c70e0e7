/*
 * TCP echo server of the Linux peer: one thread, one epoll set, level-triggered.
 *
 * A readable connection costs one read and one write. Only when the client does not take its
 * answer does the connection get a buffer: it then waits to become writable, and reads
 * nothing until the buffer is empty.
 *
 *   echo-server PORT      returns once it listens; a child process serves
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16384, BATCH = 512, CHUNK = 65536 };

/* What a connection still owes its client. The listener is the connection without one. */
struct connection {
    int socket;
    size_t start, end;
    char *owed;
};

static int poller;
static char chunk[CHUNK];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(struct connection *c, int operation, unsigned events)
{
    struct epoll_event event = { .events = events, .data.ptr = c };
    if (epoll_ctl(poller, operation, c->socket, &event) < 0)
        fail("epoll_ctl");
}

static void end(struct connection *c)
{
    close(c->socket);
    free(c->owed);
    free(c);
}

static void accept_all(int listener)
{
    const int on = 1;
    int socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            fail("connection");
        c->socket = socket;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void readable(struct connection *c)
{
    ssize_t got = read(c->socket, chunk, sizeof chunk);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        end(c);
        return;
    }
    ssize_t sent = write(c->socket, chunk, got);
    if (sent == got)
        return;
    if (sent < 0 && errno != EAGAIN) {
        end(c);
        return;
    }
    if (sent < 0)
        sent = 0;
    c->start = 0;
    c->end = got - sent;
    c->owed = malloc(c->end);
    if (!c->owed)
        fail("owed");
    memcpy(c->owed, chunk + sent, c->end);
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

static void writable(struct connection *c)
{
    ssize_t sent = write(c->socket, c->owed + c->start, c->end - c->start);
    if (sent < 0) {
        if (errno != EAGAIN)
            end(c);
        return;
    }
    c->start += sent;
    if (c->start < c->end)
        return;
    free(c->owed);
    c->owed = NULL;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: echo-server PORT\n");
        return 2;
    }
    struct rlimit files = { 200000, 200000 };
    setrlimit(RLIMIT_NOFILE, &files);
    const int on = 1;
    struct connection listener = { .socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])) };
    setsockopt(listener.socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener.socket, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    if (listen(listener.socket, BACKLOG) < 0)
        fail("listen");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child > 0)
        return 0;

    poller = epoll_create1(0);
    if (poller < 0)
        fail("epoll_create1");
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    static struct epoll_event events[BATCH];
    for (;;) {
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == &listener)
                accept_all(listener.socket);
            else if (c->owed)
                writable(c);
            else
                readable(c);
        }
    }
}
