/* log.h - what operators read: one line an incident, on standard error.
 *
 *     2026-03-01T12:00:00.123Z error P303 store -: cannot commit: disk full; free some space
 *
 * Time in UTC, level, a short stable code, where, an identifier or "-", then what happened, why,
 * and what to do. Web servers pass a FastCGI program's standard error on to their own error log.
 *
 * The codes stand once, in log.def, each with its level, its part of the program, what it means and
 * what to do; callers name the code alone, and one that is not there does not compile.
 */
#ifndef POLLUX_BASE_LOG_H
#define POLLUX_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_code {
#define LOG_CODE(code, level, area, meaning, advice) code,
#include "base/log.def"
    LOG_CODES
};

struct log_entry {
    const char *code;                   /* "P315" */
    enum log_level level;
    const char *area;                   /* "store", "host", "core"... */
    const char *meaning, *advice;       /* whole sentences */
};

/* What is known of CODE. Lives for ever. */
const struct log_entry *log_entry(enum log_code code);

/* "error", "warning" and so on. */
const char *log_level_name(enum log_level level);

/* Lines above LEVEL are left out. The default is LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Write one line. WHO is a public id that the line is about, or NULL. Never pass a sid or pid: they
 * are secrets. Control characters in the text come out as '?'. One write(2), so lines of several
 * processes do not mix. */
void log_line(enum log_code code, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what happens as often as a stranger likes, or for as long as something is broken: of
 * each CODE one line in LOG_QUIET_S seconds, which says how many there were since the one before.
 * Call log_catch_up() now and then, so that the last of them are told as well. */
#define LOG_QUIET_S 10
void log_often(enum log_code code, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_catch_up(void);

#endif
