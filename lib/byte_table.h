/* byte_table - what a scanner asks of each byte it reads, answered by one load from a table of 256. */
#ifndef POSTERN_LIB_BYTE_TABLE_H
#define POSTERN_LIB_BYTE_TABLE_H

#define BYTE_TABLE_4(of, c) of(c), of((c) + 1), of((c) + 2), of((c) + 3)
#define BYTE_TABLE_16(of, c)                                                                                           \
    BYTE_TABLE_4(of, c), BYTE_TABLE_4(of, (c) + 4), BYTE_TABLE_4(of, (c) + 8), BYTE_TABLE_4(of, (c) + 12)
#define BYTE_TABLE_64(of, c)                                                                                           \
    BYTE_TABLE_16(of, c), BYTE_TABLE_16(of, (c) + 16), BYTE_TABLE_16(of, (c) + 32), BYTE_TABLE_16(of, (c) + 48)

/* BYTE_TABLE - the initializer of such a table: of(c), a macro that makes a constant, for each c from 0 to 255. */
#define BYTE_TABLE(of) BYTE_TABLE_64(of, 0), BYTE_TABLE_64(of, 64), BYTE_TABLE_64(of, 128), BYTE_TABLE_64(of, 192)

#endif
