#include "backend/stream_header.h"

#include "backend/host.h"
#include "backend/ns.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "backend/stream_tls.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LANG_MAX_BYTES = 35 }; /* RFC 5646 section 4.4.1 */

static bool is_language_tag(const char *text)
{
    size_t len = 0;
    for (; text[len]; len++)
        if (!isalnum((unsigned char)text[len]) && text[len] != '-') return false;
    return len > 0 && len <= LANG_MAX_BYTES;
}

const char *stream_header_lang(const struct elem *header)
{
    const char *lang = elem_get_ns(header, NS_XML, "lang");
    return lang && is_language_tag(lang) ? lang : NULL;
}

/* Two numbers, compared as such; without the attribute the other side speaks 0.9.  0 is what came before XMPP and what
 * is no version at all. */
unsigned stream_header_version(const char *text)
{
    enum { ENOUGH = 1000 };
    unsigned major = 0;
    size_t at = 0;
    if (!text) return 0;
    for (; isdigit((unsigned char)text[at]); at++)
        if (major < ENOUGH) major = 10 * major + (unsigned)(text[at] - '0');
    if (text[at] != '.' || !isdigit((unsigned char)text[at + 1])) return 0;
    return major;
}

static const char *check_host(struct stream *stream, const char *to, const char **text)
{
    char domain[JID_PART_MAX_BYTES + 1];
    if (!to) {
        *text = "the stream header has no \"to\"";
        return "improper-addressing";
    }
    if (jid_prepare_domain(to, domain, text) != 0) return "improper-addressing";
    const struct host *host = hosts_find(shard_hosts(stream->shard), domain);
    /* one stream is for one host: the account is bound to it */
    if (!host || (stream->bare && strcmp(host->domain, stream->host->domain) != 0)) return "host-unknown";
    if (!stream->plain && hosts_hides(host->hosts, domain)) return "host-unknown";
    host_point(&stream->host, host);
    return NULL;
}

/* Our own handshakes negotiate nothing else; a gateway's might, and a client that was led here from another protocol
 * must not be served (the ALPACA attack). */
static bool speaks(const struct stream *stream, const char *protocol)
{
    size_t len = 0;
    const char *alpn = stream_tls_alpn(stream, &len);
    return !alpn || (len == strlen(protocol) && memcmp(alpn, protocol, len) == 0);
}

bool stream_header_is_of_server(const struct stream *stream)
{
    const char *content = xml_content_ns(stream->xml);
    return stream->servers_too && !stream->bare && content && strcmp(content, NS_SERVER) == 0 &&
           speaks(stream, "xmpp-server");
}

const char *stream_header_check(struct stream *stream, const struct elem *header, const char **text)
{
    *text = NULL;
    if (strcmp(header->name, "stream") != 0) return "bad-format";
    if (strcmp(header->ns, NS_STREAM) != 0) return "invalid-namespace";
    const char *content = xml_content_ns(stream->xml);
    if (content && strcmp(content, NS_CLIENT) != 0 && strcmp(content, NS_STREAM) != 0) {
        *text = "the stanzas' namespace is not jabber:client";
        return "invalid-namespace";
    }
    if (!speaks(stream, "xmpp-client")) {
        *text = "the connection was made for another protocol than xmpp-client";
        return "policy-violation";
    }
    free(stream->lang);
    stream->lang = mem_strdup(stream_header_lang(header));
    const char *condition = check_host(stream, elem_get(header, "to"), text);
    if (condition) return condition;
    return stream_header_version(elem_get(header, "version")) > 0 ? NULL : "unsupported-version";
}

static void print_attribute(const char *name, const char *value, struct buf *out)
{
    buf_printf(out, " %s='", name);
    elem_escape(value, strlen(value), out);
    buf_append_str(out, "'");
}

void stream_header_print(struct stream *stream, const struct elem *client, struct buf *out)
{
    char id[2 * STREAM_ID_BYTES + 1];
    stream_random_id(id);
    buf_append_str(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'");
    /* RFC 6120 section 4.7.5: none to a client that gave none; else the lower of both, and we speak 1.0 only */
    if (!client || elem_get(client, "version")) buf_append_str(out, " version='1.0'");
    print_attribute("id", id, out);
    print_attribute("from", stream->host->domain, out);
    /* RFC 6120 section 4.7.2: the bare JID of the client's "from", if and only if it gave one */
    const char *from = client ? elem_get(client, "from") : NULL;
    struct jid *jid = from ? jid_parse(from, strlen(from), NULL) : NULL;
    if (jid) print_attribute("to", jid->bare, out);
    jid_free(&jid);
    buf_append_str(out, " xml:lang='" STREAM_HEADER_LANG "'>");
    stream->header_sent = true;
}
