/* software - what this program says about itself: XEP-0092 and XEP-0232. */
#ifndef POSTERN_BACKEND_SOFTWARE_H
#define POSTERN_BACKEND_SOFTWARE_H

#define SOFTWARE_NAME "Postern"

enum { SOFTWARE_OS_BYTES = 160 };

/* software_os - the operating system's name and release, into out, which it returns. */
const char *software_os(char out[SOFTWARE_OS_BYTES]);

#endif
