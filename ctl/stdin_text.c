#include "ctl/stdin_text.h"

#include "lib/buf.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { TEXT_MAX_BYTES = 32 * 1024 };

char *stdin_text(void)
{
    struct buf in = {0};
    ssize_t got = 0;
    do {
        got = read(STDIN_FILENO, buf_reserve(&in, 4096), 4096);
        if (got > 0) buf_commit(&in, (size_t)got);
    } while ((got > 0 && buf_len(&in) <= TEXT_MAX_BYTES) || (got < 0 && errno == EINTR));
    size_t len = buf_len(&in);
    const char *data = (const char *)buf_data(&in);
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    char *text = len > 0 && len <= TEXT_MAX_BYTES ? mem_strndup(data, len) : NULL;
    if (!text) fprintf(stderr, "posternctl: expected a text of 1 to %d bytes on standard input\n", TEXT_MAX_BYTES);
    buf_free(&in);
    return text;
}
