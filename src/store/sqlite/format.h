/* format.h - how to tell the store's file from another, and its version. For the store and
 * for tools that read it. */
#ifndef POLLUX_STORE_SQLITE_FORMAT_H
#define POLLUX_STORE_SQLITE_FORMAT_H

#define STORE_APPLICATION_ID 0x506f6c78 /* "Polx", for file(1) as well */
#define STORE_VERSION 5                 /* of sql/sqlite/schema.sql: PRAGMA user_version */

#endif
