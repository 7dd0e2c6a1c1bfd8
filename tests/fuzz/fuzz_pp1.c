#include "lib/pp2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted is a short line that asked for more at every shorter length and does not depend on what follows
 * it; its addresses come back the same when they are written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pp2 pp, back;
    const char *why = NULL;
    ssize_t n = pp1_decode(data, size, &pp, &why);
    if (n < 0) {
        CHECK(why != NULL && pp.src.sa.sa_family == AF_UNSPEC);
        return 0;
    }
    if (n == 0) {
        CHECK(size < PP1_MAX_BYTES - 1);
        return 0;
    }
    CHECK((size_t)n <= size && n < PP1_MAX_BYTES && memcmp(data + n - 2, "\r\n", 2) == 0);
    CHECK(pp.tlv_count == 0 && !pp.local);
    for (ssize_t cut = 0; cut < n; cut++)
        CHECK(pp1_decode(data, (size_t)cut, &back, &why) == 0);
    CHECK(pp1_decode(data, (size_t)n, &back, &why) == n);
    if (pp.src.sa.sa_family == AF_UNSPEC) return 0;
    char line[PP1_MAX_BYTES];
    size_t len = pp1_encode(&pp, line);
    CHECK(pp1_decode((const uint8_t *)line, len, &back, &why) == (ssize_t)len);
    CHECK(addr_equal(&back.src, &pp.src) && addr_equal(&back.dst, &pp.dst));
    return 0;
}
