#include "backend/gateway_socket.h"

#include "backend/admission.h"
#include "backend/backend_config.h"
#include "lib/mem.h"
#include "lib/pp2.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static bool is_live(const struct sockaddr_un *un, int type)
{
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    const bool connected = fd >= 0 && connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0;
    const bool nobody = !connected && (errno == ENOENT || errno == ECONNREFUSED);
    if (fd >= 0) close(fd);
    return !nobody;
}

static int listen_at(const char *path, int type, char *why, size_t cap)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path) + 1);
    if (is_live(&un, type)) {
        snprintf(why, cap, "%s: something else is there, such as another backend that listens", path);
        return -1;
    }
    (void)unlink(path);
    const int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const mode_t before = umask(0177);
    const bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 && listen(fd, BACKLOG) == 0;
    umask(before);
    if (bound) return fd;
    snprintf(why, cap, "cannot listen on %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

/* Give the file to those who may use it. */
static int hand_over(const char *path, const struct backend_config *config, char *why, size_t cap)
{
    /* getpwnam has one place for its answers: what is needed of the first is kept before it is asked again */
    const struct passwd *user = config->user && geteuid() == 0 ? getpwnam(config->user) : NULL;
    const uid_t owner = user ? user->pw_uid : geteuid();
    const struct passwd *gateway = config->gateway_user ? getpwnam(config->gateway_user) : NULL;
    const bool shared = gateway && gateway->pw_uid != owner;
    if (chown(path, owner, shared ? gateway->pw_gid : (gid_t)-1) == 0 && chmod(path, shared ? 0660 : 0600) == 0)
        return 0;
    snprintf(why, cap, "cannot give %s to %s's group: %s; start as root, or make us a member of it", path,
             config->gateway_user ? config->gateway_user : "our user", strerror(errno));
    return -1;
}

int gateway_socket_open(struct gateway_socket *out, const struct backend_config *config, const char *name, int type,
                        char *why, size_t cap)
{
    char *path = backend_config_path(config->run_dir, name, why, cap);
    if (!path) return -1;
    const int fd = listen_at(path, type, why, cap);
    if (fd < 0) {
        free(path);
        return -1;
    }
    const struct passwd *gateway = config->gateway_user ? getpwnam(config->gateway_user) : NULL;
    *out = (struct gateway_socket){.fd = fd, .path = path, .gateway_uid = gateway ? gateway->pw_uid : 0};
    if (hand_over(path, config, why, cap) == 0) return 0;
    gateway_socket_close(out);
    return -1;
}

void gateway_socket_close(struct gateway_socket *s)
{
    close(s->fd);
    (void)unlink(s->path);
    free(s->path);
    s->path = NULL;
}

bool gateway_socket_is_allowed(const struct gateway_socket *s, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return false;
    return peer.uid == 0 || peer.uid == geteuid() || peer.uid == s->gateway_uid;
}

static void name_origin(struct stream_origin *origin, const struct pp2 *pp)
{
    const struct pp2_tlv *id = pp2_find(pp, PP2_TLV_UNIQUE_ID);
    size_t len = 0;
    for (size_t i = 0; id && i < id->len && len < sizeof(origin->id) - 1; i++)
        if (id->value[i] > ' ' && id->value[i] < 0x7f) origin->id[len++] = (char)id->value[i];
    origin->id[len] = '\0';
    if (len == 0) admission_name(origin);
}

static const char *sni_of(const struct pp2 *pp, char out[GATEWAY_SNI_BYTES])
{
    const struct pp2_tlv *authority = pp2_find(pp, PP2_TLV_AUTHORITY);
    if (!authority || authority->len >= GATEWAY_SNI_BYTES) return NULL;
    memcpy(out, authority->value, authority->len);
    out[authority->len] = '\0';
    return out;
}

void gateway_socket_describe(const struct pp2 *pp, struct stream_origin *origin, char sni[GATEWAY_SNI_BYTES])
{
    origin->peer = pp->src;
    origin->sni = sni_of(pp, sni);
    name_origin(origin, pp);
}
