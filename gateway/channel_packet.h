/* channel_packet - one message of a channel as bytes: short ones in the packet itself, long ones in a sealed memfd. */
#ifndef POSTERN_GATEWAY_CHANNEL_PACKET_H
#define POSTERN_GATEWAY_CHANNEL_PACKET_H

#include "lib/check.h"

#include <jansson.h>
#include <stddef.h>

enum {
    CHANNEL_PACKET_MAX_BYTES = 32 * 1024, /* of a packet; what is longer goes into a memfd */
    CHANNEL_MESSAGE_MAX_BYTES = 16 * 1024 * 1024,
    CHANNEL_MESSAGE_MAX_VALUES = 512 * 1024, /* in it: 20,000 connections with all that is told of them */
};

struct channel_packet {
    char *text; /* owned */
    size_t len;
    int fd; /* owned; -1: none */
};

/* channel_packet_make - message as a packet with a copy of fd (-1: none).  A long message cannot have a descriptor.
 * Returns 0, or -1 and errno. */
MUSTCHECK int channel_packet_make(struct channel_packet *packet, const json_t *message, int fd);
void channel_packet_free(struct channel_packet *packet);

/* channel_packet_read - the message in len bytes that came with *fd, which is -1 afterwards if it was the message's
 * memfd.  The caller's reference to an object with a string "type", or NULL: it is no such message. */
MUSTCHECK json_t *channel_packet_read(const char *text, size_t len, int *fd);

#endif
