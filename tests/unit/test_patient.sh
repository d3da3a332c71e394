#!/bin/sh
# The limit of tools/patient: what does not end is ended, with all it started; on a busy machine later, and that is said.
set -eu

patient=${srcdir:-.}/tools/patient
[ -e "$patient" ] || patient=$(dirname "$0")/../../tools/patient
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
export PATIENT_LOAD="$trial/loadavg"

# expect STATUS WORDS LOAD COMMAND...: within ten seconds. Where they are to be over, each of them takes 10 ms.
expect() {
    status=$1 words=$2
    echo "$3 0.10 0.10 1/100 1000" > "$PATIENT_LOAD"
    shift 3
    PATIENT_TICK=1
    [ "$status" != 124 ] || PATIENT_TICK=0.01
    export PATIENT_TICK
    was=0
    "$patient" 10 "$@" > "$trial/said" 2>&1 || was=$?
    # shellcheck disable=SC2254 # words may have a star
    case $was,$(cat "$trial/said") in
    $status,$words) ;;
    *) echo "$*: status $was, $(cat "$trial/said"); expected $status, $words"; exit 1 ;;
    esac
}

busy=$(($(nproc) * 3))
expect 0 '' 0.10 true
expect 7 'well' 0.10 sh -c 'echo well; exit 7'
expect 7 '' 0.08 sh -c 'exit 7'
expect 124 'not finished in * s (the limit is 10 s)' 0.09 sleep 1000
expect 124 'not finished in * s (the limit is 10 s)' 0.10 sh -c "sleep 1000 & echo \$! > '$trial/pid'; wait"
left=300
while sed 's/.*) //' "/proc/$(cat "$trial/pid")/stat" 2> /dev/null | grep -qv '^Z'; do     # it takes a moment to end
    left=$((left - 1))
    [ $left != 0 ] || { echo "what the command started goes on"; exit 1; }
    sleep 0.1
done
expect 124 '* (the limit of 10 s was stretched 3.[0-9] times, since the machine is busy)' $busy.00 sleep 1000
expect 124 '* (the limit of 10 s was stretched 10.[0-9] times, since the machine is busy)' 99999.99 sleep 1000
