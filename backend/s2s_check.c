#include "backend/s2s_check.h"

#include "backend/control_s2s.h"
#include "backend/host.h"
#include "backend/jid.h"
#include "backend/remote.h"
#include "backend/s2s_rules.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { S2S_CHECK_MAGIC = 0x63686563 };

/* Belongs to the domain's shard, from begin to on_over. */
struct s2s_check {
    unsigned magic;
    struct control_request *request;
    struct backend *backend;
    struct shard *shard;
    char domain[JID_PART_MAX_BYTES + 1], local[JID_PART_MAX_BYTES + 1];
    int fd; /* of the pipe; -1: none */
    json_t *steps;
    int64_t begun_ms;
    bool ok;
    const char *advice; /* static; NULL: nothing failed */
    struct s2s_stream *stream;
    struct loop_deferred hang_up;
};

static struct s2s_check *check_of(void *arg)
{
    struct s2s_check *check = arg;
    CHECK_MAGIC(check, S2S_CHECK_MAGIC);
    return check;
}

/* On shard 0. */
static void on_over(void *arg)
{
    struct s2s_check *check = check_of(arg);
    control_reply(check->request,
                  json_pack("{s:s, s:s, s:b, s:s?, s:o}", "domain", check->domain, "from", check->local, "ok",
                            check->ok, "advice", check->ok ? NULL : check->advice, "steps", check->steps));
    if (check->fd >= 0) close(check->fd);
    check->magic = 0;
    free(check);
}

/* Whoever reads from the pipe has all the time: what does not fit is in the answer. */
static void tell(const struct s2s_check *check, const json_t *step)
{
    char *text = check->fd >= 0 ? json_dumps(step, JSON_COMPACT) : NULL;
    if (!text) return;
    const size_t len = strlen(text);
    text[len] = '\n';
    const ssize_t written = write(check->fd, text, len + 1);
    (void)written;
    free(text);
}

static void on_hang_up(void *arg)
{
    struct s2s_check *check = check_of(arg);
    s2s_stream_close(check->stream, END_DONE);
}

/* The last step that fails is named after the failure. */
static const char *advice_of(const char *step)
{
    for (size_t i = 0; i < S2S_FAILURES; i++)
        if (strcmp(S2S_FAILURE_ROWS[i].name, step) == 0) return S2S_FAILURE_ROWS[i].advice;
    return NULL;
}

/* Whether the same was told just now: of the only way that there is, and then of all ways. */
static bool is_repeated(const struct s2s_check *check, const char *step, const char *text)
{
    const json_t *last = json_array_get(check->steps, json_array_size(check->steps) - 1);
    return last && strcmp(json_string_value(json_object_get(last, "step")), step) == 0 &&
           strcmp(json_string_value(json_object_get(last, "text")), text) == 0;
}

static void on_step(void *arg, int ok, const char *step, const char *text)
{
    struct s2s_check *check = check_of(arg);
    if (is_repeated(check, step, text)) return;
    json_t *told =
        json_pack("{s:s, s:s, s:s, s:I}", "result",
                  ok > 0    ? "ok"
                  : ok == 0 ? "failed"
                            : "note",
                  "step", step, "text", text, "ms", (json_int_t)(loop_now_ms(check->shard->loop) - check->begun_ms));
    if (!told) return; /* what another server says may be no UTF-8 */
    tell(check, told);
    json_array_append_new(check->steps, told);
    if (ok == 0) check->advice = advice_of(step);
    if (ok <= 0 || strcmp(step, "ready") != 0) return;
    check->ok = true;
    check->hang_up.fn = on_hang_up;
    check->hang_up.arg = check;
    loop_defer(check->shard->loop, &check->hang_up);
}

/* The stream is gone. */
static void on_unused(struct remote *remote, void *arg)
{
    struct s2s_check *check = check_of(arg);
    loop_defer_cancel(&check->hang_up);
    remote_free_alone(remote);
    mailbox_post(check->backend->shards[0]->mailbox, on_over, check);
}

static void begin(void *arg)
{
    struct s2s_check *check = check_of(arg);
    const struct s2s_trace trace = {.fn = on_step, .arg = check};
    check->begun_ms = loop_now_ms(check->shard->loop);
    struct remote *remote = remote_new_alone(check->shard, check->domain, on_unused, check);
    check->stream = s2s_out_begin(remote, check->local, &trace);
}

struct choice {
    const char *domain;
    const char *host, *first;
};

/* The first host that may talk to it; if none may, the first, and the check says why. */
static void choose(const struct host *host, void *arg)
{
    struct choice *choice = arg;
    struct s2s_policy policy;
    enum s2s_failure failure;
    if (!choice->first) choice->first = host->domain;
    if (!choice->host && s2s_policy_of(host->hosts, host->domain, choice->domain, &policy, &failure))
        choice->host = host->domain;
}

/* false: it is none of ours, and the request has been answered. */
static bool find_local(struct s2s_check *check)
{
    const struct hosts *hosts = shard_hosts(check->backend->shards[0]);
    const char *text = control_arg_str(check->request, "from"), *why = NULL;
    struct choice choice = {.domain = check->domain};
    hosts_each(hosts, choose, &choice);
    if (!text) text = choice.host ? choice.host : choice.first;
    if (jid_prepare_domain(text, check->local, &why) == 0 && hosts_s2s_rules(hosts, check->local)) return true;
    control_fail(check->request, "not-found", "%s is not served here", text);
    return false;
}

static bool find_domains(struct s2s_check *check)
{
    const struct hosts *hosts = shard_hosts(check->backend->shards[0]);
    if (!control_s2s_domain(check->request, check->domain, NULL)) return false;
    if (hosts_s2s_rules(hosts, check->domain)) {
        control_fail(check->request, "usage", "%s is served here: expected the domain of another server",
                     check->domain);
        return false;
    }
    return find_local(check);
}

static int take_pipe(struct control_request *request)
{
    struct stat st;
    const int fd = control_take_fd(request);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY) == 0)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

void s2s_check_command(struct control_request *request, void *arg)
{
    struct s2s_check *check = MEM_NEW(struct s2s_check);
    check->magic = S2S_CHECK_MAGIC;
    check->request = request;
    check->backend = arg;
    check->fd = -1;
    if (!find_domains(check)) {
        free(check);
        return;
    }
    check->fd = take_pipe(request);
    check->steps = json_array();
    check->shard = shard_of(check->backend, check->domain);
    mailbox_post(check->shard->mailbox, begin, check);
}
