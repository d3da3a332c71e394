/* settings.h - what an operator can set: one INI file, each key also as an environment variable
 * POLLUX_KEY, which wins over the file.
 *
 * The keys stand once, in settings.def, with their types, ranges, defaults and explanations; this
 * header, the parser, --print-config and the tests all read that list.
 */
#ifndef POLLUX_BASE_SETTINGS_H
#define POLLUX_BASE_SETTINGS_H

#include "base/buf.h"

enum durability { DURABILITY_NORMAL, DURABILITY_FULL };

/* One field a key, named as the key. Texts are owned. */
struct settings {
#define SETTING_INT(name, fallback, least, most, help) int64_t name;
#define SETTING_BOOL(name, fallback, help) bool name;
#define SETTING_TEXT(name, fallback, form, help) char *name;
#define SETTING_CHOICE(name, fallback, choices, help) int name;
#include "base/settings.def"
};

/* Fill S with the defaults, then what FILE says (NULL: no file), then the environment ENVP (as
 * main()'s or environ). 0; or -1 with a complete sentence for the operator in WHY: which file
 * and line or which variable, the key, what is wrong, what would be right ("did you mean ...").
 * S is to be released in either case. */
int settings_read(struct settings *s, const char *file, char *const envp[], struct buf *why);
void settings_release(struct settings *s);

/* Append S as an INI file that settings_read() reads back: each key with its explanation as a
 * comment. */
void settings_print(const struct settings *s, struct buf *out);

#endif
