#include "gateway/tls_tickets.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TICKETS_MAGIC = 0x544b5431, /* the form of the block, too */
    SLOTS = 4,                  /* current, previous, and two that readers have left long ago */
};

/* What is shared.  Only the master writes: a slot that nobody looks at, then current. */
struct block {
    uint32_t magic;
    _Atomic uint32_t current; /* counts rotations; the slot is that modulo SLOTS */
    _Atomic int64_t made_ms;  /* when current was */
    struct tls_ticket_key keys[SLOTS];
};

struct tls_tickets {
    int fd; /* -1: in a worker */
    int64_t rotation_ms;
    struct block *block;
};

/* The same clock for all processes since boot, and it goes on in suspend. */
static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct tls_tickets *map_block(int fd, int64_t rotation_ms)
{
    void *block = mmap(NULL, sizeof(struct block), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (block == MAP_FAILED) return NULL;
    madvise(block, sizeof(struct block), MADV_DONTDUMP);
    struct tls_tickets *tickets = MEM_NEW(struct tls_tickets);
    tickets->fd = fd;
    tickets->rotation_ms = rotation_ms;
    tickets->block = block;
    return tickets;
}

static void make_key(struct tls_ticket_key *key)
{
    CHECK(RAND_priv_bytes((uint8_t *)key, sizeof(*key)) == 1);
}

struct tls_tickets *tls_tickets_new(int64_t rotation_ms)
{
    int fd = memfd_create("postern-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return NULL;
    struct tls_tickets *tickets = NULL;
    if (ftruncate(fd, sizeof(struct block)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        tickets = map_block(fd, rotation_ms);
    if (tickets == NULL) {
        int saved = errno;
        close(fd);
        errno = saved;
        return NULL;
    }
    struct block *block = tickets->block;
    for (size_t i = 0; i < SLOTS; i++)
        make_key(&block->keys[i]);
    block->magic = TICKETS_MAGIC;
    atomic_store(&block->current, 1);
    atomic_store(&block->made_ms, now_ms());
    return tickets;
}

struct tls_tickets *tls_tickets_adopt(int fd, int64_t rotation_ms)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    bool fits =
        seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct block);
    struct tls_tickets *tickets = fits ? map_block(fd, rotation_ms) : NULL;
    if (tickets == NULL) {
        close(fd);
        return NULL;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (tickets->block->magic != TICKETS_MAGIC) tls_tickets_free(&tickets);
    return tickets;
}

void tls_tickets_free(struct tls_tickets **tickets)
{
    struct tls_tickets *old = *tickets;
    if (old == NULL) return;
    *tickets = NULL;
    munmap(old->block, sizeof(struct block));
    if (old->fd >= 0) close(old->fd);
    free(old);
}

int tls_tickets_fd(const struct tls_tickets *tickets)
{
    return tickets->fd;
}

void tls_tickets_set_rotation(struct tls_tickets *tickets, int64_t rotation_ms)
{
    tickets->rotation_ms = rotation_ms;
}

void tls_tickets_protect(struct tls_tickets *tickets)
{
    mprotect(tickets->block, sizeof(struct block), PROT_READ);
    if (tickets->fd >= 0) close(tickets->fd);
    tickets->fd = -1;
}

long tls_tickets_lifetime_s(const struct tls_tickets *tickets)
{
    return (long)(tickets->rotation_ms / 1000);
}

int64_t tls_tickets_rotate(struct tls_tickets *tickets)
{
    struct block *block = tickets->block;
    const int64_t rotation_ms = tickets->rotation_ms;
    int64_t age_ms = now_ms() - atomic_load(&block->made_ms);
    if (age_ms >= 0 && age_ms < rotation_ms) return rotation_ms - age_ms;
    uint32_t next = atomic_load(&block->current) + 1;
    make_key(&block->keys[next % SLOTS]);
    atomic_store(&block->current, next);
    atomic_store(&block->made_ms, now_ms());
    make_key(&block->keys[(next - 2) % SLOTS]); /* forward secrecy: what it sealed cannot be opened any more */
    return rotation_ms;
}

void tls_tickets_current(const struct tls_tickets *tickets, struct tls_ticket_key *out)
{
    const struct block *block = tickets->block;
    *out = block->keys[atomic_load(&block->current) % SLOTS];
}

bool tls_tickets_find(const struct tls_tickets *tickets, const uint8_t name[TLS_TICKET_NAME_BYTES],
                      struct tls_ticket_key *out, bool *current)
{
    const struct block *block = tickets->block;
    uint32_t newest = atomic_load(&block->current);
    for (uint32_t back = 0; back < 2; back++) {
        const struct tls_ticket_key *key = &block->keys[(newest - back) % SLOTS];
        if (memcmp(key->name, name, TLS_TICKET_NAME_BYTES) != 0) continue;
        *out = *key;
        *current = back == 0;
        return true;
    }
    return false;
}
