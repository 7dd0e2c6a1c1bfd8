#include "lib/pp2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted lies inside the input, does not depend on what follows it, asked for more at every shorter
 * length, and comes back the same when it is encoded again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[PP2_MAX_BYTES];
    struct pp2 pp, back;
    const char *why = NULL;
    ssize_t n = pp2_decode(data, size, &pp, &why);
    if (n < 0) {
        CHECK(why != NULL);
        return 0;
    }
    if (n == 0) {
        CHECK(size < PP2_MAX_BYTES);
        return 0;
    }
    CHECK((size_t)n <= size && pp.tlv_count <= PP2_TLVS_MAX);
    for (size_t i = 0; i < pp.tlv_count; i++)
        CHECK(pp.tlvs[i].value >= data && pp.tlvs[i].value + pp.tlvs[i].len <= data + n);
    for (ssize_t cut = 0; cut < n && cut < 300; cut++)
        CHECK(pp2_decode(data, (size_t)cut, &back, &why) == 0);
    ssize_t m = pp2_encode(&pp, again, sizeof(again));
    if (m < 0) return 0; /* mixed families written as IPv6 may pass the limit */
    CHECK(pp2_decode(again, (size_t)m, &back, &why) == m);
    CHECK(back.local == pp.local && back.tlv_count == pp.tlv_count);
    CHECK(addr_equal(&back.src, &pp.src) && addr_equal(&back.dst, &pp.dst));
    for (size_t i = 0; i < pp.tlv_count; i++)
        CHECK(back.tlvs[i].type == pp.tlvs[i].type && back.tlvs[i].len == pp.tlvs[i].len);
    char line[PP1_MAX_BYTES];
    CHECK(pp1_encode(&pp, line) == strlen(line));
    return 0;
}
