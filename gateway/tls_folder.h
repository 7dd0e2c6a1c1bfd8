/* tls_folder - which files of a folder are certificates with their keys, by their names.
 *
 * It knows the folders of certbot (NAME/fullchain.pem, NAME/privkey.pem), lego (NAME.crt, NAME.key) and uacme
 * (NAME/cert.pem, private/NAME/key.pem), and files that have their key inside or beside them. */
#ifndef POSTERN_GATEWAY_TLS_FOLDER_H
#define POSTERN_GATEWAY_TLS_FOLDER_H

#include "lib/check.h"

#include <stddef.h>

struct tls_folder_item {
    char *cert;
    char *key; /* NULL: the key may be inside; without it, the file is none of ours */
};

struct tls_folder {
    size_t count;
    struct tls_folder_item *items; /* sorted by cert */
};

/* tls_folder_scan - list a folder and the folders right in it; names that begin with a dot do not count.  Files are not
 * opened.  Returns 0, or -1 and errno: the folder cannot be read.  Free with tls_folder_free. */
MUSTCHECK int tls_folder_scan(const char *path, struct tls_folder *out);
void tls_folder_free(struct tls_folder *folder);

#endif
