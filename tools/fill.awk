# fill.awk - print parts of a template, each @name@ in them replaced: by the part of that name, or by the variable of the
# environment. A part begins below a line "#[name]". What has no value is a mistake, and so is a part that is not there.
#
#     port=8181 ... awk -v parts="server pages fastcgi" -f tools/fill.awk conf/lighttpd-pollux.conf.in

function complain(what)
{
    print "fill.awk: " what > "/dev/stderr"
    failed = 1
    exit 1
}

# The value of @NAME@, where the line begins with INDENT.
function value(name, indent,    text)
{
    if (!(name in part)) {
        if (!(name in ENVIRON))
            complain("@" name "@ has no value")
        return ENVIRON[name]
    }
    text = fill(part[name])
    gsub(/\n/, "\n" indent, text)
    return text
}

function fill(text,    out, name, indent)
{
    while (match(text, /@[a-z_]+@/)) {
        name = substr(text, RSTART + 1, RLENGTH - 2)
        out = out substr(text, 1, RSTART - 1)
        text = substr(text, RSTART + RLENGTH)
        indent = out
        sub(/^.*\n/, "", indent)
        sub(/[^ ].*$/, "", indent)
        out = out value(name, indent)
    }
    return out text
}

/^#\[[a-z_]+\]$/ {
    name = substr($0, 3, length($0) - 3)
    next
}
name != "" { part[name] = part[name] $0 "\n" }

END {
    if (failed)
        exit 1
    for (name in part)
        sub(/\n+$/, "", part[name])
    n = split(parts, wanted, " ")
    for (i = 1; i <= n; i++) {
        if (!(wanted[i] in part))
            complain("there is no part [" wanted[i] "]")
        text = text (i > 1 ? "\n\n" : "") fill(part[wanted[i]])
    }
    print text
}
