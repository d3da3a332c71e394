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
    char *file;                 /* which was read; NULL: none */
    bool payload_given;         /* somebody has said max_payload_bytes */
};

/* Fill S with the defaults, then what FILE says (NULL: no file), then the environment ENVP (as
 * main()'s or environ). 0; or -1 with a complete sentence for the operator in WHY: which file
 * and line or which variable, the key, what is wrong, what would be right ("did you mean ...").
 * S is to be released in either case. */
int settings_read(struct settings *s, const char *file, char *const envp[], struct buf *why);
void settings_release(struct settings *s);

/* If S names no store, choose one (see places.h). 0, or -1 with a sentence in WHY. */
int settings_place(struct settings *s, struct buf *why);

/* Bodies that Apache's mod_fcgid refuses by itself, as it comes, are not offered to clients, unless
 * somebody has said so. */
#define SETTINGS_FCGID_PAYLOAD 120000
void settings_fit_fcgid(struct settings *s);

/* Append S as an INI file that settings_read() reads back: each key with its explanation as a
 * comment. */
void settings_print(const struct settings *s, struct buf *out);

#endif
