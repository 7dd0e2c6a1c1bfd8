#include "gateway/channel_packet.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The whole of a packet whose message is in the memfd that comes with it. */
static const char IN_MEMFD[] = "memfd";

static const int SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* Returns the memfd, or -1 and errno. */
static int to_memfd(const char *text, size_t len)
{
    int fd = memfd_create("postern-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (write_all(fd, text, len) && fcntl(fd, F_ADD_SEALS, SEALS) == 0) return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int channel_packet_make(struct channel_packet *packet, const json_t *message, int fd)
{
    char *text = json_dumps(message, JSON_COMPACT);
    CHECK(text != NULL);
    *packet = (struct channel_packet){.text = text, .len = strlen(text), .fd = -1};
    bool is_long = packet->len > CHANNEL_PACKET_MAX_BYTES;
    if (packet->len > CHANNEL_MESSAGE_MAX_BYTES || (is_long && fd >= 0)) {
        channel_packet_free(packet);
        errno = EMSGSIZE;
        return -1;
    }
    if (is_long)
        packet->fd = to_memfd(text, packet->len);
    else if (fd >= 0)
        packet->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if ((is_long || fd >= 0) && packet->fd < 0) {
        int saved = errno;
        channel_packet_free(packet);
        errno = saved;
        return -1;
    }
    if (is_long) {
        packet->len = sizeof(IN_MEMFD) - 1;
        memcpy(text, IN_MEMFD, sizeof(IN_MEMFD));
    }
    return 0;
}

void channel_packet_free(struct channel_packet *packet)
{
    free(packet->text);
    if (packet->fd >= 0) close(packet->fd);
    *packet = (struct channel_packet){.fd = -1};
}

/* A value of two bytes takes a hundred once it is read. */
static bool is_modest(const char *text, size_t len)
{
    size_t values = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            in_string = !in_string;
        else if (in_string && text[i] == '\\')
            i++;
        else if (!in_string && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
            values++;
    }
    return values <= CHANNEL_MESSAGE_MAX_VALUES;
}

/* Only memory has seals: reading it cannot block, and its length cannot change. */
static json_t *from_memfd(int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0) return NULL;
    if (st.st_size <= 0 || st.st_size > CHANNEL_MESSAGE_MAX_BYTES) return NULL;
    size_t size = (size_t)st.st_size, have = 0;
    char *text = mem_alloc(size);
    while (have < size) {
        ssize_t n = pread(fd, text + have, size - have, (off_t)have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        have += (size_t)n;
    }
    json_t *message = NULL;
    if (have == size && is_modest(text, size)) message = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    return message;
}

json_t *channel_packet_read(const char *text, size_t len, int *fd)
{
    json_t *message;
    if (*fd >= 0 && len == sizeof(IN_MEMFD) - 1 && memcmp(text, IN_MEMFD, len) == 0) {
        message = from_memfd(*fd);
        close(*fd);
        *fd = -1;
    } else {
        message = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    }
    if (json_string_value(json_object_get(message, "type")) != NULL) return message;
    json_decref(message);
    return NULL;
}
