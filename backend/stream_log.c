#include "backend/stream_log.h"

#include "backend/host.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "backend/stream_tls.h"
#include "lib/log.h"

void stream_log_state(const struct stream *stream, const char *next)
{
    struct log_line line;
    if (!log_enabled(LOG_LEVEL_DEBUG)) return;
    log_begin(&line, LOG_LEVEL_DEBUG, "stream_state");
    log_str(&line, "conn", stream->id);
    log_str(&line, "from", stream_state_name(stream));
    log_str(&line, "to", next);
    log_uint(&line, "shard", stream->shard->index);
    log_end(&line);
}

static void who(struct log_line *line, const struct stream *stream)
{
    size_t alpn_len = 0;
    const char *alpn = stream_tls_alpn(stream, &alpn_len);
    log_str(line, "conn", stream->id);
    log_addr(line, "peer", &stream->peer);
    log_str(line, "host", stream->host->domain);
    log_str(line, "jid", stream->session ? stream->session->jid->full : stream->bare ? stream->bare->bare : NULL);
    log_str(line, "mech", stream->mechanism[0] ? stream->mechanism : NULL);
    log_str(line, "binding", stream->binding);
    log_str(line, "tls", stream_tls_version(stream));
    log_str(line, "cipher", stream_tls_cipher(stream));
    log_str(line, "by", stream->terminated ? "gateway" : NULL);
    log_str(line, "sni", stream->sni);
    if (alpn_len > 0) log_strn(line, "alpn", alpn, alpn_len);
}

void stream_log_locked(const struct stream *stream, const char *account)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARN, "auth_locked");
    log_str(&line, "what", account ? "account" : "source");
    log_addr(&line, "peer", &stream->peer);
    log_str(&line, "host", stream->host->domain);
    log_str(&line, "account", account);
    log_str(&line, "conn", stream->id);
    log_end(&line);
}

void stream_log_refused(const struct stream *stream, const char *condition, const char *cause, const char *account,
                        int64_t delayed_ms)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "auth_refused");
    log_str(&line, "condition", condition);
    log_str(&line, "cause", cause);
    log_str(&line, "account", account);
    if (delayed_ms > 0) log_int(&line, "delayed_ms", delayed_ms);
    who(&line, stream);
    log_end(&line);
}

void stream_log_certificate(const struct stream *stream, const char *why)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "certificate_refused");
    log_str(&line, "why", why);
    who(&line, stream);
    log_end(&line);
}

void stream_log_bound(const struct stream *stream)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "stream_bound");
    who(&line, stream);
    log_uint(&line, "shard", stream->shard->index);
    log_end(&line);
}

void stream_log_resumed(const struct stream *stream)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "stream_resumed");
    who(&line, stream);
    log_uint(&line, "shard", stream->shard->index);
    log_end(&line);
}

void stream_log_end(const struct stream *stream)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "stream_end");
    log_str(&line, "reason", end_reason_name(stream->end));
    log_str(&line, "why", stream->why);
    who(&line, stream);
    log_str(&line, "state", stream_end_state_name(stream));
    log_uint(&line, "bytes_in", io_bytes_in(stream->io));
    log_uint(&line, "bytes_out", io_bytes_out(stream->io));
    log_int(&line, "ms", loop_now_ms(stream->shard->loop) - stream->begun_ms);
    log_end(&line);
}
