#!/bin/sh
# A new setting is one row in settings.def, whatever its name and its form: a row of its own kind is put into a copy, and
# what comes of it reads its defaults, its environment and what it prints.
set -eu

src=$(cd "${srcdir:-.}" && pwd)
[ -e "$src/src/base/settings.def" ] || src=$(cd "$(dirname "$0")/../.." && pwd)
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
mkdir "$trial/base"
cp "$src"/src/base/*.h "$src"/src/base/*.c "$src"/src/base/*.def "$trial/base"

awk '/^#undef/ && !done {
        print "SETTING_TEXT(auth_issuer, \"\", FORM_TEXT, \"Who signs.\")"
        print "SETTING_TEXT(key_folder, \"/etc\", FORM_DIRECTORY, \"Where keys are.\")"
        print ""
        done = 1
    }
    { print }' "$src/src/base/settings.def" > "$trial/base/settings.def"

cat > "$trial/main.c" << 'END'
#include "base/settings.h"

#include <stdio.h>

int main(void)
{
    char *environment[] = { "POLLUX_KEY_FOLDER=/var/keys/", NULL }, *named[] = { "POLLUX_AUTH_ISSUER=a b, c=d", NULL };
    struct settings s;
    struct buf text = BUF_EMPTY, why = BUF_EMPTY;

    if (settings_read(&s, NULL, environment, &why) == -1)
        return puts(buf_text(&why)), 1;
    printf("[%s] [%s]\n", s.auth_issuer, s.key_folder);
    settings_print(&s, &text);
    FILE *f = fopen("printed", "w");
    fwrite(text.data, 1, text.len, f);
    fclose(f);
    settings_release(&s);
    if (settings_read(&s, "printed", named, &why) == -1)        /* what is printed can be read */
        return puts(buf_text(&why)), 1;
    printf("[%s] [%s]\n", s.auth_issuer, s.key_folder);
    settings_release(&s);
    buf_release(&text);
    buf_release(&why);
    return 0;
}
END

cd "$trial"
# shellcheck disable=SC2046 # words of a command line
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -DPACKAGE_VERSION='"0"' -I. -o trial main.c base/settings.c base/places.c base/buf.c \
    $(pkg-config --cflags --libs inih 2> /dev/null || echo -linih)
said=$(./trial)
[ "$said" = "[] [/var/keys]
[a b, c=d] [/var/keys]" ] || { echo "a row of its own is not enough: $said"; exit 1; }
