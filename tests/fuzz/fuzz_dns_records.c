#include "backend/dns.h"
#include "backend/host_lookup.h"
#include "backend/s2s_srv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static void check_srv(const uint8_t *data, size_t size)
{
    struct s2s_srv srv, again[8];
    const enum s2s_srv_kind kind = s2s_srv_parse(data, size, &srv);
    if (kind != S2S_SRV_HOST) return;
    const size_t len = strlen(srv.target);
    CHECK(srv.port > 0 && len > 0 && len == size - 8 && len < S2S_SRV_NAME_BYTES);
    for (size_t i = 0; i < len; i++)
        CHECK(is_host_char(srv.target[i]));
    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        again[i] = srv;
        again[i].weight = (uint16_t)(srv.weight * i);
        again[i].priority = (uint16_t)(srv.priority >> i);
    }
    s2s_srv_order(again, ARRAY_LEN(again), s2s_srv_chance);
    for (size_t i = 1; i < ARRAY_LEN(again); i++)
        CHECK(again[i - 1].priority <= again[i].priority);
}

/* What stands in a record is anything: it is read within its bounds, and what is taken can be used. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dns_record record = {.data = data, .len = size};
    struct addr addr;
    struct dialer_tlsa tlsa;
    check_srv(data, size);
    if (host_lookup_read_address(AF_INET, &record, 5269, &addr)) CHECK(size == 4 && !addr_is_any(&addr));
    if (host_lookup_read_address(AF_INET6, &record, 5269, &addr)) CHECK(size == 16 && addr_port(&addr) == 5269);
    if (host_lookup_read_tlsa(&record, &tlsa)) {
        CHECK(tlsa.len == size - 3 && memcmp(tlsa.data, data + 3, tlsa.len) == 0);
        free(tlsa.data);
    }
    return 0;
}
