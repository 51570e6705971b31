#!/bin/sh
# Written by Mooring: keeps its target servers (tgtd) running on this node, one for each target, with or without systemd.
#
#   start N ADDRESS...   keep server N from now on, at these addresses; may be repeated with others
#   stop N               end it and keep it no more
#   status               one line for each server: number, kept, running, instance, starts, why it waits, addresses
#   idle                 whether no server is kept
#
# Server N is tgtd with the control port N. It is started again when it ends, empty: Mooring tells it its target.
# State lies in /run/mooring-iscsi/N until the node is switched off, what tgtd says in /var/log/mooring-iscsi/N.log.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 077
state=/run/mooring-iscsi
log=/var/log/mooring-iscsi

# When process $1 was started, in ticks since the machine was; nothing when it is gone or a zombie.
born() {
    [ -r "/proc/$1/stat" ] || return 0
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
    # shellcheck disable=SC2086 # the fields behind the name, which may have blanks
    set -- ${line##*) }
    [ "$1" = Z ] || echo "${20}"
}

# The process that `run` names: "PID TICKS"; false when it is gone.
running() {
    [ -s "$1/run" ] && read -r pid ticks <"$1/run" && [ "$(born "$pid")" = "$ticks" ]
}

# Which of the wanted addresses the node has now, and can be listened at.
present() {
    for address in $(cat "$1/portals" 2>/dev/null); do
        ip -o addr show to "$address" 2>/dev/null | grep -v -e tentative -e dadfailed | grep -q . && echo "$address"
    done
}

launch() {
    words=
    for address in $(present "$1"); do
        case $address in *:*) address="[$address]" ;; esac
        words="$words${words:+,}portal=$address:3260"
    done
    # Without an address of its own it would listen at all of them.
    if [ -z "$words" ]; then
        echo "None of its addresses is on this node" >"$1/waiting"
        return 1
    fi
    rm -f "$1/waiting"
    count=0
    [ -s "$1/starts" ] && read -r count <"$1/starts"
    echo $((count + 1)) >"$1/starts"
    ulimit -c 0
    tgtd -f -C "${1##*/}" --iscsi "$words" </dev/null 8>&- &
    echo "$! $(born $!)" >"$1/run"
}

keep() {
    exec 8>"$1/keeper"
    flock -w 3 8 || return 0
    while [ -s "$1/portals" ]; do
        if running "$1"; then
            # One that an earlier keeper started cannot be waited for.
            wait "$pid" 2>/dev/null
            [ $? != 127 ] || sleep 0.5 8>&-
            continue
        fi
        began=$(date +%s)
        launch "$1" || { sleep 1 8>&-; continue; }
        running "$1" && wait "$pid"
        [ -s "$1/portals" ] || break
        echo "$(date -Is) tgtd ended"
        # One that cannot start is not started more than once a second.
        [ $(($(date +%s) - began)) -gt 1 ] || sleep 1 8>&-
    done
    rm -f "$1/run" "$1/waiting"
}

start() {
    mkdir -p "$1" "$log" || exit 1
    folder=$1
    shift
    printf '%s\n' "$*" >"$folder/portals.new" && mv "$folder/portals.new" "$folder/portals" || exit 1
    if flock -n "$folder/keeper" true; then
        setsid sh "$0" keep "${folder##*/}" </dev/null >>"$log/${folder##*/}.log" 2>&1 &
    fi
}

stop() {
    [ -d "$1" ] || return 0
    rm -f "$1/portals"
    # tgtd ignores SIGTERM while its target is in use.
    tries=0
    while running "$1" && [ $tries -lt 50 ]; do
        kill -9 "$pid" 2>/dev/null
        tries=$((tries + 1))
        sleep 0.1
    done
    if running "$1"; then
        echo "tgtd (process $pid) does not end" >&2
        exit 1
    fi
    flock -w 5 "$1/keeper" rm -rf "$1"
}

status() {
    for each in "$state"/[0-9]*; do
        [ -s "$each/portals" ] || continue
        kept=yes up=no instance='' starts=0 waiting=''
        flock -n "$each/keeper" true 2>/dev/null && kept=no
        running "$each" && up=yes instance="$pid-$ticks"
        [ -s "$each/starts" ] && read -r starts <"$each/starts"
        [ -s "$each/waiting" ] && read -r waiting <"$each/waiting"
        printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
            "${each##*/}" "$kept" "$up" "$instance" "$starts" "$waiting" "$(cat "$each/portals" 2>/dev/null)"
    done
}

case ${1-} in
    start | stop | keep)
        case ${2-} in '' | *[!0-9]*) echo "a number is needed" >&2; exit 2 ;; esac
        does=$1 number=$2
        shift 2
        "$does" "$state/$number" "$@"
        ;;
    status) status ;;
    idle) [ -z "$(status)" ] ;;
    *) sed -n '4,7s/^#   //p' "$0" >&2; exit 2 ;;
esac
