/* bench-client - clients of the gateway under test.
 *
 *     bench-client closed --to ADDRESS --request FILE:INDEX ... --count N --concurrency N [--warm-up N]
 *     bench-client open   --to ADDRESS --request FILE:INDEX ... --rate N --seconds N [--warm-up N]
 *     bench-client idle   --to ADDRESS --request FILE:INDEX ... --count N --concurrency N
 *     bench-client bulk   --to ADDRESS --request FILE:INDEX     --count STREAMS --bytes N
 *
 * closed: so many connections, so many of them at once; each sends a request, checks the reply, and closes.
 * open:   the same, but begun at random times at a rate, whatever becomes of those before; times count from when a
 *         connection was due, so that a server that falls behind is not spared.
 * idle:   opens all, then holds them until a line is read, and checks that each one still lives.
 * bulk:   receives so many bytes on each stream and checks them: their number, and samples of their content.
 *
 * After the warm-up it prints "ready" and waits for a line.  The result is a line of JSON. */
#include "bench/gateway/request.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REQUESTS_MAX = 64,
    EVENTS = 256,
    OPEN_MAX = 8000,         /* connections at once in the open loop */
    READ_BYTES = 256 * 1024, /* of bulk */
    SAMPLE_EACH = 32,        /* every so many reads are compared, the others only counted */
    LAST_WAIT_MS = 5000,     /* for what is still under way at the end of the open loop */
};

struct slot {
    int fd;
    const struct request *request;
    int64_t due_ns;
    uint8_t reply[sizeof(struct reply)];
    size_t got;
    uint64_t bytes; /* of bulk */
    struct slot *next_free;
};

static struct sockaddr_in target;
static struct request *requests[REQUESTS_MAX];
static size_t request_count;
static unsigned long count, concurrency = 1, rate, seconds, warm_up, bulk_bytes;

static int epoll_fd;
static struct slot *slots, *free_slots;
static size_t under_way, next_request;
static bool keep; /* a connection is not closed behind its reply */

static unsigned long begun, done, wrong, broken;
static uint32_t *times_us, *late_us;
static size_t times_cap;

static void watch(struct slot *slot, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = slot};
    if (epoll_ctl(epoll_fd, operation, slot->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static void finish(struct slot *slot)
{
    if (slot->fd >= 0) close(slot->fd);
    slot->fd = -1;
    slot->next_free = free_slots;
    free_slots = slot;
    under_way--;
}

static void on_broken(const char *where)
{
    if (broken++ == 0) fprintf(stderr, "generator: the first connection that broke: %s: %s\n", where, strerror(errno));
}

/* Whether the request has left. */
static bool send_request(struct slot *slot)
{
    const struct request *request = slot->request;
    return send(slot->fd, request->data, request->len, MSG_NOSIGNAL) == (ssize_t)request->len;
}

static void begin(int64_t due_ns)
{
    struct slot *slot = free_slots;
    free_slots = slot->next_free;
    *slot = (struct slot){.due_ns = due_ns, .request = requests[next_request]};
    next_request = (next_request + 1) % request_count;
    begun++, under_way++;
    slot->fd = client_socket();
    if (connect(slot->fd, (struct sockaddr *)&target, sizeof(target)) < 0 && errno != EINPROGRESS) {
        on_broken("connect");
        finish(slot);
        return;
    }
    /* Over loopback the handshake is mostly over by now. */
    bool sent = send_request(slot);
    if (!sent && errno != EAGAIN) {
        on_broken("send");
        finish(slot);
        return;
    }
    watch(slot, sent ? EPOLLIN : EPOLLOUT, EPOLL_CTL_ADD);
}

static void on_reply(struct slot *slot)
{
    if (!reply_is((const struct reply *)slot->reply, slot->request->port, slot->request->data, slot->request->len))
        wrong++;
    if (times_us != NULL && done < times_cap) times_us[done] = (uint32_t)((now_ns() - slot->due_ns) / 1000);
    done++;
    if (!keep) finish(slot);
}

static void on_bulk(struct slot *slot)
{
    static uint8_t buffer[READ_BYTES];
    static unsigned reads;
    bool sample = reads++ % SAMPLE_EACH == 0;
    ssize_t n = recv(slot->fd, sample ? buffer : NULL, sizeof(buffer), MSG_DONTWAIT | (sample ? 0 : MSG_TRUNC));
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) {
        if (sample && memcmp(buffer, bulk_pattern() + slot->bytes % BULK_PERIOD_BYTES, (size_t)n) != 0) wrong++;
        slot->bytes += (uint64_t)n;
        return;
    }
    if (n < 0) broken++;
    if (slot->bytes != bulk_bytes) wrong++;
    finish(slot);
}

static void on_event(struct slot *slot, uint32_t events)
{
    if (slot->got == sizeof(slot->reply) && bulk_bytes > 0) {
        on_bulk(slot);
        return;
    }
    if (events & EPOLLOUT) {
        if (send_request(slot)) {
            watch(slot, EPOLLIN, EPOLL_CTL_MOD);
            return;
        }
        on_broken("connect");
        finish(slot);
        return;
    }
    ssize_t n = recv(slot->fd, slot->reply + slot->got, sizeof(slot->reply) - slot->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        if (n == 0) errno = 0;
        on_broken("reply");
        finish(slot);
        return;
    }
    slot->got += (size_t)n;
    if (slot->got == sizeof(slot->reply)) on_reply(slot);
}

/* One turn; waits at most so long (-1: until something happens). */
static void turn(int64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    const struct timespec timeout = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    int n = epoll_pwait2(epoll_fd, events, EVENTS, wait_ns < 0 ? NULL : &timeout, NULL);
    if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
}

static void make_slots(size_t n)
{
    free(slots);
    slots = calloc(n, sizeof(*slots));
    if (slots == NULL) fail("out of memory");
    free_slots = NULL;
    for (size_t i = 0; i < n; i++) {
        slots[i].next_free = free_slots;
        slots[i].fd = -1;
        free_slots = &slots[i];
    }
}

static void run_closed(unsigned long n)
{
    for (unsigned long i = 0; i < n || under_way > 0;) {
        for (; i < n && under_way < concurrency; i++)
            begin(now_ns());
        if (under_way > 0) turn(-1);
    }
}

static void run_open(void)
{
    times_cap = rate * (seconds + 1);
    times_us = calloc(times_cap, sizeof(*times_us));
    late_us = calloc(times_cap, sizeof(*late_us));
    if (times_us == NULL || late_us == NULL) fail("out of memory");
    int64_t due_ns = now_ns(), end_ns = due_ns + (int64_t)seconds * 1000000000;
    for (;;) {
        int64_t at_ns = now_ns();
        for (; due_ns <= at_ns && due_ns < end_ns; due_ns += random_gap_ns((double)rate)) {
            if (begun < times_cap) late_us[begun] = (uint32_t)((at_ns - due_ns) / 1000);
            if (free_slots != NULL)
                begin(due_ns);
            else
                begun++, broken++;
            at_ns = now_ns();
        }
        if (due_ns >= end_ns) break;
        turn(due_ns - at_ns > 0 ? due_ns - at_ns : 0);
    }
    for (int64_t last_ns = now_ns() + LAST_WAIT_MS * 1000000LL; under_way > 0 && now_ns() < last_ns;)
        turn(1000000);
    broken += under_way;
}

static void run_bulk(void)
{
    for (unsigned long i = 0; i < count; i++)
        begin(now_ns());
    while (under_way > 0)
        turn(-1);
}

static void run_idle(void)
{
    while (done + broken < count) {
        while (begun < count && begun - done - broken < concurrency)
            begin(now_ns());
        turn(-1);
    }
    wait_for_line("open");
    for (unsigned long i = 0; i < count; i++) {
        uint8_t byte;
        if (slots[i].fd < 0) continue;
        if (recv(slots[i].fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EAGAIN) broken++;
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *name, uint32_t *us, size_t n)
{
    if (us == NULL || n == 0) return;
    qsort(us, n, sizeof(*us), compare);
    printf(", \"%s_p50_us\": %u, \"%s_p99_us\": %u, \"%s_max_us\": %u", name, us[n / 2], name, us[n * 99 / 100], name,
           us[n - 1]);
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {{"to", required_argument, NULL, 't'},
                                            {"request", required_argument, NULL, 'r'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"concurrency", required_argument, NULL, 'c'},
                                            {"rate", required_argument, NULL, 'R'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"warm-up", required_argument, NULL, 'w'},
                                            {"bytes", required_argument, NULL, 'b'},
                                            {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 't') address_parse(&target, optarg);
        if (c == 'n') count = number_parse(optarg);
        if (c == 'c') concurrency = number_parse(optarg);
        if (c == 'R') rate = number_parse(optarg);
        if (c == 's') seconds = number_parse(optarg);
        if (c == 'w') warm_up = number_parse(optarg);
        if (c == 'b') bulk_bytes = number_parse(optarg);
        if (c == '?') exit(2);
        if (c != 'r') continue;
        if (request_count == REQUESTS_MAX) fail("more than %d requests", REQUESTS_MAX);
        requests[request_count] = malloc(sizeof(struct request));
        if (requests[request_count] == NULL) fail("out of memory");
        request_load(requests[request_count++], optarg);
    }
    if (optind + 1 != argc || target.sin_port == 0 || request_count == 0) fail("MODE --to --request are needed");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    const char *mode = argv[optind];
    bool open = strcmp(mode, "open") == 0, bulk = strcmp(mode, "bulk") == 0;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    (void)bulk_pattern();
    make_slots(open ? OPEN_MAX : bulk || count > concurrency ? count : concurrency);
    if (warm_up > 0) run_closed(warm_up);
    if (wrong > 0) fail("the warm-up had %lu wrong replies", wrong);
    begun = done = broken = 0;
    wait_for_line("ready");
    keep = bulk || strcmp(mode, "idle") == 0;
    int64_t start_ns = now_ns(), start_cpu_ns = cpu_ns();
    if (open)
        run_open();
    else if (bulk)
        run_bulk();
    else if (keep)
        run_idle();
    else
        run_closed(count);
    printf("{\"done\": %lu, \"wrong\": %lu, \"broken\": %lu, \"bytes\": %lu, \"wall_ns\": %lld, \"cpu_ns\": %lld", done,
           wrong, broken, bulk_bytes * (bulk ? count : 0), (long long)(now_ns() - start_ns),
           (long long)(cpu_ns() - start_cpu_ns));
    print_times("first_byte", times_us, done < times_cap ? done : times_cap);
    print_times("late", late_us, begun < times_cap ? begun : times_cap);
    puts("}");
    return 0;
}
