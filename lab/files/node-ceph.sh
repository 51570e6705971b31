#!/bin/bash
# /etc/init.d/ceph of a lab node: service ceph start|stop|kill|status [TYPE.ID …], without names for all of the node;
# service ceph make TYPE.ID ORDER [OPTION …] makes the data of one anew.
# Its daemons are those whose folders in /var/lib/ceph are complete. Called at boot, so that power brings them back.
set -u
data=/var/lib/ceph run=/var/run/ceph log=/var/log/ceph/start.log
# After a power cut a daemon gets the process id it had, and so, by Ceph's default, the address it had: the cluster then
# takes the new one for the old and may never mark it up.
export CEPH_USE_RANDOM_NONCE=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

daemons() {
    local pair folder
    [ -e "$data/mon/ceph-$(hostname)/done" ] || return 0 # no cluster yet
    for pair in mon:done mgr:keyring mds:keyring osd:registered; do
        for folder in "$data/${pair%:*}"/ceph-*; do
            [ ! -e "$folder/${pair#*:}" ] || echo "${pair%:*}.${folder##*/ceph-}"
        done
    done
}

# The daemon's process id, if the recorded one is still that daemon.
process_of() {
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "^[^ ]*ceph-${1%%.*} .*-i ${1#*.} " || return 1
    echo "$pid"
}

# The lab may have moved to another subnet while the node had no power: the monitor's own map must say so.
fit_monitor_map() {
    local id=$1 folder=$data/mon/ceph-$1 wanted names name addresses map=$run/monmap
    wanted=$(sed -n 's/^mon_host = //p' /etc/ceph/ceph.conf)
    [ "$(cat "$folder/addresses" 2>/dev/null)" != "$wanted" ] || return 0
    names=$(sed -n 's/^mon_initial_members = //p' /etc/ceph/ceph.conf | tr ',' ' ')
    addresses=${wanted//],/] }
    ceph-mon -i "$id" --setuser ceph --setgroup ceph --extract-monmap "$map" || return 1
    # shellcheck disable=SC2086 # words of one line
    for name in $names; do
        set -- $addresses
        monmaptool "$map" --rm "$name" >/dev/null
        monmaptool "$map" --addv "$name" "$1" >/dev/null || return 1
        shift
        addresses=$*
    done
    ceph-mon -i "$id" --setuser ceph --setgroup ceph --inject-monmap "$map" || return 1
    echo "$wanted" >"$folder/addresses"
}

# A killed `up` leaves what it asked for under way, and the next asks again. One at a time has the lock, which goes with
# the process that makes the data; the last order holds, and what an earlier one made is removed.
make() {
    local name=$1 order=$2 folder=$data/${1%%.*}/ceph-${1#*.}
    shift 2
    end "$name" KILL
    exec 9>"$run/$name.lock"
    flock 9
    [ "$(cat "$data/tmp/$name.order")" = "$order" ] || exit 1
    echo $$ >"$run/$name.pid"
    find "$folder" -mindepth 1 ! -name keyring -delete
    [ "${name%%.*}" = osd ] || rm -f "$folder/keyring" # a monitor begins with an empty folder
    exec "ceph-${name%%.*}" --mkfs -i "${name#*.}" --setuser ceph --setgroup ceph "$@"
}

# One start of a daemon at a time: a killed `up` may have left one under way.
start() {
    (
        flock 9
        start_alone "$1"
    ) 9>"$run/$1.lock"
}

start_alone() {
    local kind=${1%%.*} id=${1#*.}
    ! process_of "$1" >/dev/null || return 0
    if [ -e "$data/$kind/ceph-$id/switched-off" ]; then echo "$1 is switched off"; return 0; fi
    [ "$kind" != mon ] || fit_monitor_map "$id" || return 1
    # In the foreground, as systemd does it: a daemon without monitors to talk to waits, and a boot must not.
    setsid "ceph-$kind" -f -i "$id" --setuser ceph --setgroup ceph </dev/null >>"$log" 2>&1 9>&- &
    echo $! >"$run/$1.pid"
}

# end NAME SIGNAL: waits half a minute for the process to go.
end() {
    local pid turn
    pid=$(process_of "$1") || return 0
    kill "-$2" "$pid"
    for turn in $(seq 300); do
        process_of "$1" >/dev/null || return 0
        sleep 0.1
    done
    echo "$1, process $pid, does not end after $turn tenths of a second" >&2
    return 1
}

act() {
    case $action in
        start) start "$1" ;;
        stop) end "$1" TERM ;;
        kill) end "$1" KILL ;;
        status) if process_of "$1" >/dev/null; then echo "$1 running"; else echo "$1 stopped"; fi ;;
    esac
}

action=${1:-}
case $action in
    start | stop | kill | status | make) shift ;;
    restart) shift; "$0" stop "$@"; exec "$0" start "$@" ;;
    *) echo "Usage: service ceph start|stop|kill|restart|status [TYPE.ID …] | make TYPE.ID ORDER [OPTION …]" >&2; exit 2 ;;
esac
install -d -o ceph -g ceph -m 770 "$run"
[ "$action" != make ] || make "$@"
# shellcheck disable=SC2046 # one name a line, none with blanks
[ $# -gt 0 ] || set -- $(daemons)
jobs=()
for daemon in "$@"; do
    act "$daemon" & jobs+=($!)
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
exit $failed
