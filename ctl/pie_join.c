#include "ctl/pie_join.h"

#include "lib/mem.h"

#include <errno.h>
#include <expat.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEPARATOR    '\xFF' /* no byte of UTF-8 */
#define NS_PIE       "urn:xmpp:pie:0\xFF"
#define NS_PIE_EARLY "http://www.xmpp.org/extensions/xep-0227.html#ns\xFF"
#define NS_INCLUDE   "http://www.w3.org/2001/XInclude\xFF"

enum {
    PIECE_BYTES = 64 * 1024,
    NESTING_MAX = 4,                   /* of files; a document, its hosts, their users */
    TOKEN_MAX_BYTES = 4 * 1024 * 1024, /* Expat reads an unfinished one again with each piece */
};

struct output {
    FILE *file;
    char *why;
    size_t cap;
};

/* One file being read.  Bytes up to copied are written, or not to be. */
struct source {
    struct output *out;
    const char *path;
    int fd;
    unsigned nesting;
    XML_Parser parser;
    XML_Index copied, fed;
    unsigned depth;
    unsigned included; /* depth in an inclusion, its own start tag counted */
    bool probing, is_document;
    bool failed;
};

static int read_source(struct output *out, const char *path, unsigned nesting);

static void fail(struct source *s, const char *text)
{
    if (!s->failed && s->out)
        snprintf(s->out->why, s->out->cap, "%s:%lu: %s", s->path, (unsigned long)XML_GetCurrentLineNumber(s->parser),
                 text);
    s->failed = true;
    (void)XML_StopParser(s->parser, XML_FALSE);
}

/* Write what stands in the file up to there. */
static void copy_to(struct source *s, XML_Index end)
{
    char piece[PIECE_BYTES];
    while (s->copied < end && !s->failed) {
        const size_t wanted = (size_t)(end - s->copied) < sizeof(piece) ? (size_t)(end - s->copied) : sizeof(piece);
        const ssize_t got = pread(s->fd, piece, wanted, (off_t)s->copied);
        if (got <= 0) {
            fail(s, "the file changes while it is read");
        } else if (fwrite(piece, 1, (size_t)got, s->out->file) != (size_t)got) {
            fail(s, "the temporary file cannot be written");
        } else {
            s->copied += got;
        }
    }
}

static const char *after(const char *text, const char *prefix)
{
    const size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static const char *pie_name(const char *name)
{
    const char *local = after(name, NS_PIE);
    return local ? local : after(name, NS_PIE_EARLY);
}

/* The path that an href means, or NULL: not below the folder of the file. */
static char *resolve(const struct source *s, const char *href)
{
    const char *slash = strrchr(s->path, '/');
    char *path = NULL;
    if (*href == '\0' || *href == '/' || strstr(href, "..") || strpbrk(href, ":?#%\\")) return NULL;
    path = mem_asprintf("%.*s%s", slash ? (int)(slash - s->path + 1) : 0, s->path, href);
    return path;
}

static void include(struct source *s, const char **attributes)
{
    const char *href = NULL;
    bool strange = false;
    for (; *attributes; attributes += 2) {
        if (strcmp(attributes[0], "href") == 0) {
            href = attributes[1];
        } else {
            strange |= strcmp(attributes[0], "parse") != 0 || strcmp(attributes[1], "xml") != 0;
        }
    }
    char *path = href && !strange ? resolve(s, href) : NULL;
    if (!path) {
        fail(s, "expected an inclusion of a file beside or below this one, and nothing but its name");
    } else if (s->nesting == NESTING_MAX) {
        fail(s, "files include files too deeply");
    } else if (read_source(s->out, path, s->nesting + 1) != 0) {
        s->failed = true;
        (void)XML_StopParser(s->parser, XML_FALSE);
    }
    free(path);
}

/* In an instruction, whose end is none of its text. */
static void write_place(struct source *s)
{
    fputs("<?postern-at ", s->out->file);
    for (const char *c = s->path; *c; c++)
        fputc((unsigned char)*c < ' ' || *c == '?' ? '_' : *c, s->out->file);
    fprintf(s->out->file, ":%lu?>", (unsigned long)XML_GetCurrentLineNumber(s->parser));
}

static void on_start(void *arg, const char *name, const char **attributes)
{
    struct source *s = arg;
    const char *pie = pie_name(name), *inclusion = after(name, NS_INCLUDE);
    const XML_Index at = XML_GetCurrentByteIndex(s->parser);
    if (s->probing) {
        s->is_document = pie && strcmp(pie, "server-data") == 0;
        fail(s, "");
        return;
    }
    if (s->included > 0) {
        s->included++;
        return;
    }
    if (s->depth == 0) s->copied = at; /* neither declaration nor comments */
    if (s->depth == 0 && s->nesting == 0 && (!pie || strcmp(pie, "server-data") != 0))
        fail(s, "the outermost element is no <server-data/> of XEP-0227");
    s->depth++;
    if (inclusion && strcmp(inclusion, "include") == 0) {
        copy_to(s, at);
        s->included = 1;
        include(s, attributes);
    } else if (pie && strcmp(pie, "user") == 0) {
        copy_to(s, at);
        write_place(s);
    }
}

static void on_end(void *arg, const char *name)
{
    struct source *s = arg;
    const XML_Index end = XML_GetCurrentByteIndex(s->parser) + XML_GetCurrentByteCount(s->parser);
    (void)name;
    if (s->included > 1) {
        s->included--;
        return;
    }
    s->depth--;
    if (s->included == 1) {
        s->included = 0;
        s->copied = end;
    } else if (s->depth == 0) {
        copy_to(s, end);
    }
}

static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    fail(arg, "a document type declaration is not allowed");
}

static void on_declaration(void *arg, const char *version, const char *encoding, int standalone)
{
    (void)version;
    (void)standalone;
    if (encoding && strcasecmp(encoding, "UTF-8") != 0 && strcasecmp(encoding, "US-ASCII") != 0)
        fail(arg, "expected the encoding UTF-8");
}

static void parse(struct source *s, const char *piece, size_t len)
{
    if (s->fed == 0 && len >= 2 && ((unsigned char)piece[0] >= 0xFE || piece[0] == '\0' || piece[1] == '\0')) {
        fail(s, "expected the encoding UTF-8");
        return;
    }
    s->fed += (XML_Index)len;
    if (XML_Parse(s->parser, piece, (int)len, len == 0) != XML_STATUS_OK) {
        fail(s, XML_ErrorString(XML_GetErrorCode(s->parser)));
    } else if (s->fed - XML_GetCurrentByteIndex(s->parser) > TOKEN_MAX_BYTES) {
        fail(s, "a tag is longer than 4 MiB");
    }
}

static void read_all(struct source *s)
{
    char piece[PIECE_BYTES];
    ssize_t len = 1;
    while (len > 0 && !s->failed) {
        len = read(s->fd, piece, sizeof(piece));
        if (len < 0) {
            fail(s, strerror(errno));
        } else {
            parse(s, piece, (size_t)len);
        }
    }
}

static void parser_new(struct source *s)
{
    s->parser = XML_ParserCreateNS(NULL, SEPARATOR);
    CHECK(s->parser);
    XML_SetUserData(s->parser, s);
    XML_SetElementHandler(s->parser, on_start, on_end);
    XML_SetStartDoctypeDeclHandler(s->parser, on_doctype);
    XML_SetXmlDeclHandler(s->parser, on_declaration);
}

/* A pipe would be waited for, and cannot be read twice. */
static int open_file(const char *path, char *why, size_t cap)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    snprintf(why, cap, "%s: %s", path, fd < 0 ? strerror(errno) : "that is no file");
    if (fd >= 0) close(fd);
    return -1;
}

static int read_source(struct output *out, const char *path, unsigned nesting)
{
    struct source s = {.out = out, .path = path, .nesting = nesting};
    s.fd = open_file(path, out->why, out->cap);
    if (s.fd < 0) return -1;
    parser_new(&s);
    read_all(&s);
    XML_ParserFree(s.parser);
    close(s.fd);
    return s.failed ? -1 : 0;
}

bool pie_join_is_document(const char *path)
{
    char why[8];
    struct source s = {.path = path, .probing = true};
    s.fd = open_file(path, why, sizeof(why));
    if (s.fd < 0) return false;
    parser_new(&s);
    read_all(&s);
    XML_ParserFree(s.parser);
    close(s.fd);
    return s.is_document;
}

int pie_join_write(const char *path, FILE *out, char *why, size_t cap)
{
    struct output output = {.file = out, .why = why, .cap = cap};
    return read_source(&output, path, 0);
}

bool pie_join_is_element(const char *text, size_t len)
{
    XML_Parser parser = XML_ParserCreateNS(NULL, SEPARATOR);
    CHECK(parser);
    const bool result = XML_Parse(parser, text, (int)len, 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return result;
}
