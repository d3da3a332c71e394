#!/bin/sh
# The floors: a source includes headers of its own folder and of those below it; one file alone sees sqlite3.h, none
# FastCGI's library. First the rule is tried on made-up sources, so that a rule which lets everything pass fails.
set -eu

src=${srcdir:-.}/src
[ -d "$src" ] || src=$(dirname "$0")/../../src

# folder: the folders whose headers it may include besides its own
below='
base:
wire: base
host: base
store: base wire
store/sqlite: base wire store
rules: base wire store
core: base wire host store rules
run: base host store core
ctl: base wire store rules
'

# header: the files and folders that may include it. Those of one file of a folder, and what is nobody's.
alone='
fcgiapp.h:
fcgi_stdio.h:
fcgios.h:
sqlite3.h: store/sqlite/db.c
cjson/cJSON.h: ctl
ini.h: base/settings.c
sql_schema.h: store/sqlite
sql_queries.h: store/sqlite
sql_views.h: store/sqlite
sql_upgrade_1.h: store/sqlite
sql_upgrade_2.h: store/sqlite
sql_upgrade_3.h: store/sqlite
sql_upgrade_4.h: store/sqlite
sql_ctl.h: ctl
store/sqlite/db.h: store/sqlite ctl
store/sqlite/format.h: store/sqlite ctl
store/mask.h: store ctl
store/work.h: store
store/engine.h: store store/sqlite
'

# Print what breaks the rule in the folder $1; status 1 when anything does.
# shellcheck disable=SC2016 # a program for awk
judge() {
    (cd "$1" && find . -name '*.[ch]' | sed 's,^\./,,' | sort) |
        "${AWK:-awk}" -v dir="$1" -v below="$below" -v alone="$alone" '
    function folder(path)
    {
        return path ~ /\// ? substr(path, 1, length(path) - length(base(path)) - 1) : "."
    }
    function base(path)
    {
        sub(/^.*\//, "", path)
        return path
    }
    # Is WORD in the list TEXT?
    function lists(text, word)
    {
        return index(" " text " ", " " word " ") != 0
    }
    function complain(where, what)
    {
        print where ": " what
        bad = 1
    }
    function judge_include(file, where, header, own,    mine, theirs)
    {
        mine = folder(file)
        theirs = folder(header)
        if (header in allowed) {
            if (!lists(allowed[header], file) && !lists(allowed[header], mine))
                complain(where, header " is for " (allowed[header] != "" ? allowed[header] : "nobody"))
        } else if (own && theirs == ".")
            complain(where, header " is in no folder")
        else if (own && theirs != mine && !lists(may[mine], theirs))
            complain(where, theirs " is not below " mine)
    }
    function judge_name(file,    name)
    {
        if (!(folder(file) in may))
            complain(file, "its folder is on no floor; give it one in tests/unit/test_floors.sh")
        name = base(file)
        sub(/\.[ch]$/, "", name)
        if (name in place && place[name] != folder(file))
            complain(file, "there is a " name " in " place[name] ", too")
        place[name] = folder(file)
    }
    function read_table(text, table,    lines, n, i, at)
    {
        n = split(text, lines, "\n")
        for (i = 1; i <= n; i++)
            if ((at = index(lines[i], ":")) != 0) {
                table[substr(lines[i], 1, at - 1)] = substr(lines[i], at + 2)
            }
    }
    BEGIN {
        read_table(below, may)
        read_table(alone, allowed)
    }
    {
        file = $0
        judge_name(file)
        for (line = 1; (getline text < (dir "/" file)) > 0; line++) {
            if (text !~ /^[ \t]*#[ \t]*include[ \t]*[<"]/)
                continue
            header = text
            sub(/^[^<"]*[<"]/, "", header)
            sub(/[>"].*$/, "", header)
            judge_include(file, file ":" line, header, text ~ /include[ \t]*"/)
        }
        close(dir "/" file)
    }
    END { exit bad }'
}

# Put the line $2 into a source $1 of its own.
write_trial() {
    rm -rf "${trial:?}"/*
    mkdir -p "$trial/${1%/*}"
    echo "$2" > "$trial/$1"
}

# See that judge says $3 of it; that it says nothing.
refuses() {
    write_trial "$1" "$2"
    if said=$(judge "$trial"); then
        echo "not noticed: $1 with $2"
        exit 1
    fi
    case $said in
    *"$3"*) ;;
    *) echo "$1 with $2: expected \"$3\", got \"$said\""; exit 1 ;;
    esac
}
takes() {
    write_trial "$1" "$2"
    judge "$trial" || { echo "refused: $1 with $2"; exit 1; }
}

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

refuses base/buf.c '#include "wire/eio.h"' 'wire is not below base'
refuses rules/say.c '  # include "core/core.h"' 'core is not below rules'
refuses rules/say.c '#include "store/sqlite/lite.h"' 'store/sqlite is not below rules'
refuses rules/say.c '#include "store/work.h"' 'work.h is for store'
refuses store/queues.c '#include "store/sqlite/lite.h"' 'store/sqlite is not below store'
refuses store/sqlite/channel.c '#include "store/work.h"' 'work.h is for store'
refuses rules/say.c '#include <sqlite3.h>' 'sqlite3.h is for store/sqlite/db.c'
refuses core/core.h '#include "sqlite3.h"' 'sqlite3.h is for'
refuses core/turn.c '#include "store/sqlite/db.h"' 'db.h is for'
refuses host/fcgi.c '#include <fcgiapp.h>' 'fcgiapp.h is for nobody'
refuses ctl/cmd_log.c '#include "core/core.h"' 'core is not below ctl'
refuses core/turn.c '#include "eio.h"' 'eio.h is in no folder'
refuses nowhere/a.c '' 'is on no floor'
takes host/fcgi.c '#include "host/half.h"'
takes store/sqlite/db.c '#include <sqlite3.h>'
takes store/sqlite/channel.c '#include "store/store.h"'
takes core/turn.c '#include "rules/signaling.h"'
takes ctl/cmd_log.c '#include "store/sqlite/db.h"'

write_trial wire/eio.c ''
mkdir "$trial/core"
: > "$trial/core/eio.h"
! judge "$trial" > /dev/null || { echo "not noticed: two of one name"; exit 1; }

judge "$src" || exit 1

# Tests ask the store by tests/unit/ask.h. What is SQLite is for ask.c, the rig, and the tests of that engine.
asks_by_itself() {
    grep -l 'rig_sql\|db_exec\|db_query\|store/sqlite\|"SELECT ' "$@" |
        grep -v -e '/ask\.[ch]$' -e '/rig\.[ch]$' -e '/test_store\.c$' -e '/test_store_faults\.c$' -e '/test_power\.c$'
}
mkdir -p "$trial/unit"
echo 'rig_sql(&r, "SELECT 1")' > "$trial/unit/test_rules.c"
asks_by_itself "$trial"/unit/*.c > /dev/null || { echo "not noticed: a test that asks in SQL"; exit 1; }
if found=$(asks_by_itself "$src"/../tests/unit/*.[ch]); then
    echo "these ask in SQL, which is for the engine's tests; see tests/unit/ask.h: $found"
    exit 1
fi
