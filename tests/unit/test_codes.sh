#!/bin/sh
# The log's codes: each that stands in log.def is said somewhere in the sources, no line names one as text beside the
# table, and the manual has all of them, in the table's own words. That each that is said stands in the table the
# compiler sees.
# shellcheck disable=SC2016 # programs for awk
set -eu
cd "${srcdir:-.}"
[ -e Makefile.am ] || cd "$(dirname "$0")/../.."

table=src/base/log.def
manual=man/pollux.fcgi.8
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

# Print "CODE meaning advice" for each row of the table $1.
print_table() {
    sed -n '/^LOG_CODE(/,/)$/p' "$1" | "${AWK:-awk}" '
        /^LOG_CODE\(/ { code = substr($0, 10, 4); next }
        {
            sub(/^ *"/, "")
            end = /"\)$/
            sub(/",?\)?$/, "")
            text = text " " $0
            if (end) {
                print code text
                text = ""
            }
        }'
}

# The same for the manual $1: an item a code, whose text is plain but for macros in front of its lines.
print_manual() {
    sed -n '/^\.Sh DIAGNOSTICS/,/^\.Sh EXAMPLES/p' "$1" | "${AWK:-awk}" '
        /^\.It P/ {
            if (code != "")
                print code text
            code = $2
            text = ""
            next
        }
        /^\.El/ || /^\.Sh/ {
            if (code != "")
                print code text
            code = ""
            next
        }
        code != "" {
            if (sub(/^\.(Cm|Nm|Ql|Fl) /, ""))
                sub(/ [.,;:]$/, substr($0, length($0)))
            text = text " " $0
        }'
}

# What the sources in the folder $1 say: a code a line.
print_said() {
    grep -rhoE 'P[0-9]{3}\b' --include='*.c' "$1" | sort -u
}

# Each reader is tried on something made up first: one that finds nothing would let everything pass.
printf 'LOG_CODE(P998, LOG_INFO, "core",\n    "It (so) is.",\n    "Do.")\n' > "$trial/log.def"
[ "$(print_table "$trial/log.def")" = 'P998 It (so) is. Do.' ] || { echo "the table is not read"; exit 1; }
printf '.Sh DIAGNOSTICS\n.It P998\nIt\nis, see\n.Cm a_setting ,\nor\n.Cm not .\n.El\n.Sh EXAMPLES\n' > "$trial/manual"
[ "$(print_manual "$trial/manual")" = 'P998 It is, see a_setting, or not.' ] || { echo "the manual is not read"; exit 1; }
echo 'log_line(P998, NULL, "x");' > "$trial/a.c"
[ "$(print_said "$trial")" = P998 ] || { echo "the sources are not read"; exit 1; }

print_table "$table" > "$trial/table"
print_manual "$manual" > "$trial/told"
sed 's/ .*//' "$trial/table" > "$trial/codes"
print_said src > "$trial/said"

bad=0
diff -u "$trial/codes" "$trial/said" || { echo "of these codes one side alone knows: $table (-), src/ (+)"; bad=1; }
diff -u "$trial/table" "$trial/told" || { echo "$manual (+) does not say what $table (-) says"; bad=1; }
! grep -rnE '"P[0-9]{3}"' --include='*.c' src || { echo "a code is named as text"; bad=1; }
exit $bad
