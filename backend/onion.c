#include "backend/onion.h"

#include <string.h>

#define SUFFIX ".onion"

bool onion_is(const char *domain)
{
    const size_t len = strlen(domain), suffix = strlen(SUFFIX);
    return len > suffix && strcmp(domain + len - suffix, SUFFIX) == 0;
}
