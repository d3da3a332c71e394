#!/bin/sh
# What the documents name is there: files, functions, settings and other words of the sources, log codes, variables,
# commands and options, and the documents that they point to. First each kind of mistake is tried, so that a rule which
# lets everything pass fails.
# shellcheck disable=SC2016,SC2086 # what is in backquotes is text, and folders are several words
set -eu
cd "${srcdir:-.}"
[ -e Makefile.am ] || cd "$(dirname "$0")/../.."

folders='src sql docs tools tests man conf htdocs bench'
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

# Every word of the sources and of what belongs to them, but for this file's.
find src sql tests/unit tests/e2e tests/fuzz htdocs tools bench conf check serve Makefile.am -type f ! -path '*/node_modules/*' \
    ! -name '*.md' ! -name test_docs.sh ! -path '*/corpus/*' -exec cat {} + |
    tr -cs 'A-Za-z0-9_' '\n' | sort -u > "$trial/words"
echo fastcgi_read_timeout >> "$trial/words"        # a web server's
sed -n 's/^LOG_CODE(\(P[0-9]*\),.*/\1/p' src/base/log.def > "$trial/codes"
sed -n 's/^    { "\([a-z]*\)", ctl_.*/\1/p' src/ctl/polluxctl.c > "$trial/commands"
echo help >> "$trial/commands"
find $folders -type f ! -path '*/node_modules/*' | sed 's,.*/,,' | sort -u > "$trial/names"
echo CHANGELOG.md >> "$trial/names"
echo README.md >> "$trial/names"

# find_all PATTERN FILE: each match once, also of a line that has several.
find_all() {
    grep -oE -e "$1" "$2" | sort -u || :
}

# spans FILE: what stands between backquotes on one line.
spans() {
    find_all '`[^`]+`' "$1" | tr -d '`'
}

# unknown WHAT LIST: complain of each line of the input that is not in the file LIST.
unknown() {
    grep -vxF -f "$2" | sed "s,^,$1 ," || :
}

# Print what FILE names and is not there.
judge() {
    file=$1
    find_all "(^|[^A-Za-z0-9_./-])($(echo $folders | tr ' ' '|'))/[A-Za-z0-9_./*-]*[A-Za-z0-9*]" "$file" |
        sed 's,^[^a-z],,' | while read -r path; do
            ls -d $path > "$trial/found" 2>&1 || echo "no file $path"
        done
    spans "$file" | grep -xE '[A-Za-z0-9_.-]+\.(c|h|sql|def|sh|awk|mjs|ts|js|md|html)' | unknown 'no file' "$trial/names"
    spans "$file" | sed -n 's/^\([a-z0-9]*_[a-z0-9_]*\)\( = .*\)\{0,1\}$/\1/p' | unknown 'no word' "$trial/words"
    find_all '[a-z0-9]+_[a-z0-9_]+\(\)' "$file" | tr -d '()' | unknown 'no function' "$trial/words"
    find_all 'P[0-9]{3}' "$file" | grep -vx P999 | unknown 'no code' "$trial/codes"
    find_all 'POLLUX_[A-Z_]+' "$file" | grep -vxE 'POLLUX_(KEY|NAME)' | while read -r name; do
        key=$(echo "${name#POLLUX_}" | tr '[:upper:]' '[:lower:]')
        grep -qE "^SETTING_[A-Z]+\($key," src/base/settings.def || grep -qxF "$name" "$trial/words" || echo "no variable $name"
    done
    find_all 'polluxctl (--store [a-z]+ )?[a-z]+' "$file" | sed 's/.* //' | unknown 'no command' "$trial/commands"
    find_all '(\./check|\./serve|bench/run|tests/fuzz/run|pollux\.fcgi) --[a-z-]+' "$file" | while read -r program option; do
        [ "$program" != pollux.fcgi ] || program=src/run/main.c
        grep -qF -e "$option" -e "\"${option#--}\"" "$program" || echo "no option $program $option"
    done
    find_all '\]\([^):#]+\)' "$file" | sed 's/^](//; s/)$//' | while read -r link; do
        [ -e "$(dirname "$file")/$link" ] || echo "no document $link"
    done
}

# See that judge says of the text $1 that there is $2; that it says nothing.
refuses() {
    printf '%s\n' "$1" > "$trial/text.md"
    [ "$(judge "$trial/text.md")" = "$2" ] || { echo "of '$1' it says '$(judge "$trial/text.md")', not '$2'"; exit 1; }
}
takes() {
    refuses "$1" ''
}

refuses 'see src/nowhere.c for it' 'no file src/nowhere.c'
refuses 'beside `nowhere.c` there' 'no file nowhere.c'
refuses 'set `max_dreams = 3` there' 'no word max_dreams'
refuses 'calls core_dream() then' 'no function core_dream'
refuses 'the line (P998) says' 'no code P998'
refuses 'POLLUX_DREAMS=1 ./check' 'no variable POLLUX_DREAMS'
refuses 'run `polluxctl dream` then' 'no command dream'
refuses 'run `./check --dream` then' 'no option ./check --dream'
refuses 'run `pollux.fcgi --dream` then' 'no option src/run/main.c --dream'
refuses 'see [this](DREAM.md)' 'no document DREAM.md'
takes 'src/run/loop.c, `loop.h`, `max_sessions = 3`, core_take(), P315, POLLUX_STORE, `polluxctl --store data log`'
takes '`./check --quick`, `./serve --procs`, `pollux.fcgi --check-config`, tests/unit/*.c'

bad=0
for file in README.md docs/*.md bench/README.md; do
    said=$(judge "$file")
    [ -n "$said" ] || continue
    printf '%s\n' "$said" | sed "s,^,$file: ,"
    bad=1
done
exit $bad
