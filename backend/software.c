#include "backend/software.h"

#include "lib/check.h"

#include <stdio.h>
#include <sys/utsname.h>

const char *software_os(char out[SOFTWARE_OS_BYTES])
{
    struct utsname names;
    CHECK(uname(&names) == 0);
    snprintf(out, SOFTWARE_OS_BYTES, "%s %s", names.sysname, names.release);
    return out;
}
