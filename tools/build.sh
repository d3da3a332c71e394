# build.sh - what ./serve and ./check share: install what is missing, build in a folder that git ignores.
# Read by bash with "top" set to the folder of the sources. Speaks on standard error alone.
# shellcheck shell=bash
: "${top:?is for those who read this to set}"

# Lists for need(), which whoever reads this picks from.
# shellcheck disable=SC2034
{
    build_packages=(gcc libc6-dev make autoconf automake pkg-config libsqlite3-dev libinih-dev libcjson-dev)
    fuzz_packages=(clang libclang-rt-dev libinih-dev)
    analysis_packages=(cppcheck clang-tidy)
    lint_packages=(shellcheck nodejs npm)
}

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# quietly WHAT COMMAND...: show what the command says only when it fails.
quietly() {
    local what=$1 log status=0
    shift
    log=$(mktemp)
    "$@" > "$log" 2>&1 < /dev/null || status=$?
    if [ $status != 0 ]; then
        cat "$log" >&2
        say "${0##*/}: $what failed (status $status)"
    fi
    rm -f "$log"
    return $status
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# A tool that stands in the path counts, whoever put it there; a library counts when Debian has it.
has_package() {
    case $1 in
    haproxy | caddy | openssl | prometheus)
        PATH=$PATH:/usr/sbin command -v "$1" > /dev/null && return ;;
    gcc) command -v gcc cc > /dev/null && return ;;
    make | autoconf | automake | pkg-config | lighttpd | nginx | apache2 | spawn-fcgi | sqlite3 | chromium | npm | \
        clang | clang-tidy | cppcheck | shellcheck | valgrind)
        PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" > /dev/null && return ;;
    nodejs) command -v node > /dev/null && return ;;
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

# need PACKAGE...: install those that are missing, without starting or enabling any service.
need() {
    local missing=() package policy=
    for package; do
        has_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    command -v apt-get > /dev/null ||
        die "these are missing, and there is no apt-get to install them: ${missing[*]} (Debian's names)"
    if [ "$(id -u)" != 0 ] && ! { command -v sudo > /dev/null && sudo -v 2> /dev/null < /dev/null ||
            command -v sudo > /dev/null && [ -t 0 ] && sudo -v; }; then
        die "these packages are missing: ${missing[*]}
Install them as root, then start ${0##*/} again:
    apt-get install --no-install-recommends ${missing[*]}"
    fi

    say "installing ${missing[*]}"
    if [ ! -e /usr/sbin/policy-rc.d ]; then         # 101: start no service
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | as_root sh -c "cat > $policy && chmod 755 $policy"
    fi
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300) status=0
    if ! as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" > /dev/null 2>&1 < /dev/null; then
        quietly "apt-get update" as_root "${apt[@]}" update &&
            quietly "apt-get install" as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" || status=1
    fi
    [ -z "$policy" ] || as_root rm -f "$policy"
    [ $status = 0 ] || die "cannot install ${missing[*]}; see above"
    local server
    for server in lighttpd nginx apache2 haproxy caddy prometheus; do       # the program is wanted, no service
        [[ " ${missing[*]} " != *" $server "* ]] || [ ! -d /run/systemd/system ] ||
            as_root systemctl --quiet disable $server.service || true
    done
}

# The modules of npm in tests/. What npm ci put there stays until the lock file changes.
install_modules() {
    local stamp=$top/tests/node_modules/.package-lock.json
    [ -e "$stamp" ] && [ ! "$top/tests/package-lock.json" -nt "$stamp" ] && return
    say "npm ci in tests"
    (cd "$top/tests" && quietly "npm ci" npm ci --no-audit --no-fund)
}

# build FOLDER [CONFIGURE OPTION...]: configure and make there; sets "built" to where the programs are.
build() {
    local folder=$1 source=$top args
    shift
    # What was found missing may have been installed since.
    args="$* cmocka:$(pkg-config --modversion cmocka 2> /dev/null)"
    mkdir -p "$top/build"
    exec 9> "$top/build/.lock"
    flock 9                                         # one at a time: the sources hold configure
    [ -x "$top/configure" ] || quietly autoreconf autoreconf -i "$top" || exit 1
    if [ -e "$top/config.status" ]; then
        # Configured in place, which automake wants to be the only place. Build a copy of what a release holds.
        source=$top/build/source
        mkdir -p "$source"
        quietly "copying the sources" make -s -C "$top" distdir distdir="$top/build/new" am__remove_distdir=: || exit 1
        cp -pRu "$top/build/new/." "$source/" && rm -rf "$top/build/new"
    fi
    mkdir -p "$folder"
    if [ ! -e "$folder/config.status" ] || [ "$(cat "$folder/.options" 2> /dev/null)" != "$source $args" ]; then
        say "configuring ${folder#"$top"/}"
        (cd "$folder" && quietly configure "$source/configure" --quiet "$@") || exit 1
        printf '%s\n' "$source $args" > "$folder/.options"
    fi
    say "building ${folder#"$top"/}"
    quietly make make -s -C "$folder" -j "$(nproc)" all || exit 1
    exec 9>&-
    # shellcheck disable=SC2034 # for the caller
    built=$folder
}
