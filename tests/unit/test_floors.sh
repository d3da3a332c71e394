#!/bin/sh
# The floors: a source includes its own header and headers of lower floors only; one file alone sees sqlite3.h,
# none FastCGI's library. First the rule is tried on made-up sources, so that a rule which lets everything pass fails.
set -eu

src=${srcdir:-.}/src
[ -d "$src" ] || src=$(dirname "$0")/../../src

# Bottom first. Files on one line do not see each other; "name*" stands for every file of a part, whose files do.
floors='
buf
id log
settings
json
eio sio http record mask seen presence budget
half
db host stats store_format
store park bell
signaling* store_* host_*
core*
loop
takeover
supervise
main
ctl_*
polluxctl
'

# header: the files that may include it
alone='
fcgiapp.h:
fcgi_stdio.h:
fcgios.h:
sqlite3.h: db.c
cjson/cJSON.h: ctl_* polluxctl.c
ini.h: settings.c
sql_schema.h: store_*
sql_queries.h: store_*
sql_views.h: store_*
sql_upgrade_1.h: store_*
sql_upgrade_2.h: store_*
sql_upgrade_3.h: store_*
sql_ctl.h: ctl_* polluxctl.c
'

# Print what breaks the rule in the folder $1; status 1 when anything does.
judge() {
    (cd "$1" && ls) | grep '\.[ch]$' | "${AWK:-awk}" -v dir="$1" -v floors="$floors" -v alone="$alone" '
    # The row of the table that NAME (without its ending) is in: its number, and the entry itself in ENTRY.
    function floor(name,    i, n, words, j, k)
    {
        ENTRY = ""
        for (i = 1; i <= rows; i++) {
            n = split(row[i], words, " ")
            for (j = 1; j <= n; j++)
                if (words[j] == name) {
                    ENTRY = name
                    return i
                }
        }
        for (i = 1; i <= rows; i++) {
            n = split(row[i], words, " ")
            for (k = 1; k <= n; k++)
                if (matches(name, words[k])) {
                    ENTRY = words[k]
                    return i
                }
        }
        return 0
    }
    function matches(name, pattern)
    {
        return pattern ~ /\*$/ ? index(name, substr(pattern, 1, length(pattern) - 1)) == 1 : name == pattern
    }
    # What host.h promises is kept by host.c and host_*.c together, which stand above it.
    function stem(file)
    {
        if (file == "host.c")
            return "host_common"
        sub(/\.[ch]$/, "", file)
        return file
    }
    function same(header, file)
    {
        sub(/\.h$/, ".c", header)
        sub(/\.h$/, ".c", file)
        return header == file
    }
    function complain(where, what)
    {
        print where ": " what
        bad = 1
    }
    # May FILE include "header"? The programs for operators stand beside the server, on the wire floor.
    function judge_own(file, where, header,    mine, theirs, entry, other)
    {
        if (header in allowed)
            return judge_alone(file, where, header)
        if (header == "settings.def" && stem(file) == "settings" || same(header, file))
            return 0
        mine = floor(stem(file)); entry = ENTRY
        theirs = floor(stem(header)); other = ENTRY
        if (theirs == 0)
            return complain(where, header " is on no floor")
        if (other == entry && entry ~ /\*$/)
            return 0
        if (theirs >= mine)
            return complain(where, header " is not below " file)
        if (entry ~ /ctl/ && other != "ctl_*" && theirs > floor("db"))
            return complain(where, "polluxctl stands on the store file alone, not on " header)
        return 0
    }
    function judge_alone(file, where, header,    n, words, i)
    {
        n = split(allowed[header], words, " ")
        for (i = 1; i <= n; i++)
            if (matches(file, words[i]))
                return 0
        return complain(where, header " is for " (n > 0 ? allowed[header] : "nobody"))
    }
    BEGIN {
        n = split(floors, lines, "\n")
        for (i = 1; i <= n; i++)
            if (lines[i] != "")
                row[++rows] = lines[i]
        n = split(alone, lines, "\n")
        for (i = 1; i <= n; i++)
            if (split(lines[i], part, ":") == 2)
                allowed[part[1]] = part[2]
    }
    {
        file = $0
        if (floor(stem(file)) == 0)
            complain(file, "is on no floor; give it one in tests/unit/test_floors.sh")
        for (line = 1; (getline text < (dir "/" file)) > 0; line++) {
            if (text !~ /^[ \t]*#[ \t]*include[ \t]*[<"]/)
                continue
            where = file ":" line
            header = text
            sub(/^[^<"]*[<"]/, "", header)
            sub(/[>"].*$/, "", header)
            if (text ~ /include[ \t]*"/)
                judge_own(file, where, header)
            else if (header in allowed)
                judge_alone(file, where, header)
        }
        close(dir "/" file)
    }
    END { exit bad }'
}

# Put the line $2 into a source $1 of its own and see that judge says $3.
refuses() {
    rm -f "$trial"/*
    echo "$2" > "$trial/$1"
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
    rm -f "$trial"/*
    echo "$2" > "$trial/$1"
    judge "$trial" || { echo "refused: $1 with $2"; exit 1; }
}

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

refuses buf.c '#include "log.h"' 'log.h is not below buf.c'
refuses eio.c '#include "sio.h"' 'sio.h is not below eio.c'
refuses signaling.c '  # include "core.h"' 'core.h is not below signaling.c'
refuses signaling.c '#include <sqlite3.h>' 'sqlite3.h is for'
refuses host_fcgi.c '#include <fcgiapp.h>' 'fcgiapp.h is for'
refuses core.c '#include "sqlite3.h"' 'sqlite3.h is for'
refuses signaling.c '#include "store_sqlite.h"' 'store_sqlite.h is not below'
refuses ctl_log.c '#include "store.h"' 'stands on the store file alone'
refuses nowhere.c '' 'is on no floor'
refuses core.c '#include "nowhere.h"' 'is on no floor'
takes host_fcgi.c '#include "half.h"'
takes db.c '#include <sqlite3.h>'
takes store_channel.c '#include "store_sqlite.h"'
takes core.c '#include "signaling.h"'
takes host.c '#include "host_engine.h"'
refuses host.h '#include "host_engine.h"' 'host_engine.h is not below'
takes ctl_log.c '#include "db.h"'
takes settings.c '#include "settings.def"'

judge "$src"
