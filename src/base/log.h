/* log.h - what operators read: one line an incident, on standard error.
 *
 *     2026-03-01T12:00:00.123Z error P101 store /var/lib/pollux: cannot write: disk full; free some space
 *
 * Time in UTC, level, a short stable code, where, an identifier or "-", then what happened, why,
 * and what to do. Web servers pass a FastCGI program's standard error on to their own error log.
 */
#ifndef POLLUX_BASE_LOG_H
#define POLLUX_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Lines above LEVEL are left out. The default is LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Write one line. CODE is like "P101"; WHERE names the part ("store", "host", "core"...); WHO is
 * a public id that the line is about, or NULL. Never pass a sid or pid: they are secrets.
 * Control characters in the text come out as '?'. One write(2), so lines of several processes do
 * not mix. */
void log_line(enum log_level level, const char *code, const char *where, const char *who,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for what a stranger can make happen as often as it likes: of each CODE one line in
 * LOG_QUIET_S seconds, which says how many there were since the one before. CODE is a literal. Call
 * log_catch_up() now and then, so that the last of them are told as well. */
#define LOG_QUIET_S 10
void log_often(enum log_level level, const char *code, const char *where, const char *who,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
void log_catch_up(void);

#endif
