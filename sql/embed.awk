# embed.awk - turns one SQL file into a C header, so that programs carry their SQL with them.
#
#     awk -f embed.awk queries.sql > sql_queries.h
#
# A file with lines "-- name: noun_verb" becomes a list, one entry a name, for an X macro:
#
#     #define SQL_QUERIES(X) \
#         X(session_insert, "INSERT INTO session ...") \
#         ...
#
# Any other file becomes one string: #define SQL_SCHEMA "CREATE TABLE ...; CREATE ...;". Comments go, and space
# outside of quotes is squeezed. Plain POSIX awk; a mistake ends it with status 1 and says the line.

function fail(what)
{
    printf "%s:%d: %s\n", FILENAME, FNR, what > "/dev/stderr"
    failed = 1
    exit 1
}

# Add one character of the statement; a run of space becomes one, none at the beginning.
function put(c)
{
    if (c == " ") {
        space = out != ""
        return
    }
    out = out (space ? " " : "") c
    space = 0
}

# Walk one line. QUOTE is the quote that is open, if any: ' or " or ` or * (a comment of several lines).
function walk(line,    i, n, c, two)
{
    n = length(line)
    for (i = 1; i <= n; i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (quote == "*") {
            if (two == "*/") {
                quote = ""
                i++
            }
        } else if (quote != "") {
            out = out literal(c)
            if (c == quote)
                quote = ""      # a doubled quote closes and opens again: the same text
        } else if (two == "--") {
            break
        } else if (two == "/*") {
            quote = "*"
            put(" ")
            i++
        } else if (c ~ /[ \t\r]/) {
            put(" ")
        } else {
            if (c ~ /['"`]/)
                quote = c
            put(literal(c))
            if (c == ";" && name == "" && quote == "")
                out = out BREAK
        }
    }
    if (quote == "" || quote == "*")
        put(" ")
    else
        out = out "\\n"
}

# C as it stands in a C string.
function literal(c)
{
    return c == "\\" || c == "\"" ? "\\" c : c
}

# The statement NAME is complete.
function finish()
{
    if (quote != "")
        fail(name ": a quote or comment is left open")
    sub(/;$/, "", out)
    if (out == "")
        fail(name ": no statement follows the name")
    names[++count] = name
    statements[count] = out
    out = ""
    space = 0
}

BEGIN {
    BREAK = "\001"              # marks where a new line of C may begin
}

/^-- name:/ {
    if (name != "")
        finish()
    else if (out != "")
        fail("a statement stands before the first name")
    name = $3
    if (name !~ /^[a-z][a-z0-9_]*$/ || NF != 3)
        fail("a name is one word of small letters, digits and _")
    if (name in seen)
        fail(name " stands twice")
    seen[name] = 1
    next
}

{
    walk($0)
}

END {
    if (failed)
        exit 1
    if (name != "")
        finish()
    else if (quote != "")
        fail("a quote or comment is left open")

    file = FILENAME
    sub(/.*\//, "", file)
    upper = file
    sub(/\.sql$/, "", upper)
    upper = toupper(upper)
    printf "/* Generated from %s by embed.awk; change it there. */\n", file
    printf "#ifndef POLLUX_SQL_%s_H\n#define POLLUX_SQL_%s_H\n\n", upper, upper
    if (count > 0) {
        printf "#define SQL_%s(X)", upper
        for (i = 1; i <= count; i++)
            printf " \\\n    X(%s, \\\n      \"%s\")", names[i], statements[i]
    } else {
        # C99 promises strings of 4,095 characters; every compiler that we use takes more.
        print "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
        printf "#define SQL_%s", upper
        n = split(out, pieces, BREAK)
        for (i = 1; i <= n; i++)
            if (pieces[i] != "")
                printf " \\\n    \"%s\"", pieces[i]
        if (out == "")
            printf " \"\""
    }
    print "\n\n#endif"
}
