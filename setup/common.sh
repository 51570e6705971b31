# Shared by the scripts in bin/: installs what is missing and names the places. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PY=$ROOT/.venv/bin/python
SERVICE_USER=mooring
cd "$ROOT"
# The panel runs on Debian's Python, whatever else is first in PATH.
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
die() { printf 'mooring: %s\n' "$*" >&2; exit 1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "this needs root, for packages and for the lab's namespaces. Run it as root."
}

# use_instance NAME PORT: several panels can live on one machine, each with its own folder, port and lab.
use_instance() {
  case $1 in *[!a-z0-9]* | '') die "an instance's name is small letters and digits: '$1' is not." ;; esac
  export MOORING_ROOT=$ROOT MOORING_INSTANCE=$1 MOORING_VAR=$ROOT/var/$1 MOORING_PORT=$2
}

# choose_database KIND: what bin/up was told; "" keeps what the instance has. Sets DATABASE to sqlite or an address.
choose_database() {
  local kept=sqlite file=$MOORING_VAR/keys/database_url
  [ ! -e "$file" ] || kept=$(cat "$file")
  case $1 in
    '') DATABASE=$kept ;;
    sqlite) DATABASE=sqlite ;;
    postgres) DATABASE=postgres://$SERVICE_USER@/$MOORING_VAR/run/mooring ;;
    postgres://* | postgresql://*) DATABASE=$1 ;;
    *) die "'$1' is no database: say sqlite, postgres, or an address such as postgres://user:password@db.example.net/mooring." ;;
  esac
  if [ -e "$MOORING_VAR/keys/secret_key" ] && [ "$DATABASE" != "$kept" ]; then
    die "the panel $MOORING_INSTANCE keeps its data in another database already, and would begin without it here. Leave --database out, or begin another panel with --instance."
  fi
}

own_postgres() { [ "$DATABASE" = "postgres://$SERVICE_USER@/$MOORING_VAR/run/mooring" ]; }

# The address may hold a password: it lies with the keys.
keep_database_choice() {
  [ "$DATABASE" != sqlite ] || return 0
  install -d -o "$SERVICE_USER" -g "$SERVICE_USER" -m 700 "$MOORING_VAR/keys"
  write_as_panel "$MOORING_VAR/keys/database_url" <<<"$DATABASE"
}

missing_packages() {
  local list=$1 name
  while read -r name; do
    case $name in '' | '#'*) continue ;; esac
    # A Node.js that did not come from Debian serves as well.
    case $name in nodejs) command -v node >/dev/null && continue ;; npm) command -v npm >/dev/null && continue ;; esac
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || echo "$name"
  done <"$list"
}

# Services of freshly installed packages must not start on this machine: the lab and the panel run their own.
hold_services() {
  if [ -e /usr/sbin/policy-rc.d ]; then return; fi
  trap drop_policy EXIT
  printf '#!/bin/sh\n# Written by Mooring while it installs packages; removed right after.\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

drop_policy() {
  if grep -qs 'Written by Mooring' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
}

release_services() {
  drop_policy
  [ -d /run/systemd/system ] || return 0
  local package unit
  for package in "$@"; do
    for unit in $(dpkg-query -L "$package" 2>/dev/null | sed -n 's#^\(/usr\)\?/lib/systemd/system/\([^/@]*\.\(service\|socket\)\)$#\2#p'); do
      systemctl disable "$unit" >/dev/null 2>&1 || true
    done
    # Start scripts of the older kind would be started at the next boot as well.
    for unit in $(dpkg-query -L "$package" 2>/dev/null | sed -n 's#^/etc/init.d/##p'); do
      update-rc.d "$unit" disable >/dev/null 2>&1 || true
    done
  done
}

# install_packages LIST...: what is missing of the lists, with apt's progress shown.
install_packages() {
  local missing=() list name
  for list in "$@"; do
    while read -r name; do missing+=("$name"); done < <(missing_packages "$list")
  done
  drop_policy # an earlier run that was killed may have left it
  [ ${#missing[@]} = 0 ] && return
  if dpkg-query -W -f '${Status}' libvirt-daemon-system-systemd 2>/dev/null | grep -q '^install ok installed$'; then
    case " ${missing[*]} " in
      *' libvirt-daemon-system-sysv '*)
        die "this machine runs libvirt of its own (libvirt-daemon-system-systemd), which the lab would replace. Use another machine for the lab, or bin/up --no-lab here." ;;
    esac
  fi
  say "Installing Debian packages: ${missing[*]}"
  hold_services
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || die "the package lists could not be fetched. Check the machine's network and /etc/apt/sources.list, then run this again."
  apt-get install -y --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" ||
    die "some packages could not be installed; apt says why above. Mend that, then run this again."
  release_services "${missing[@]}"
}

# stamped NAME FILE...: true when the files are as they were when `stamp NAME FILE...` was last said.
stamp_value() { cat "$@" | sha256sum | cut -c1-16; }
stamped() { local name=$1; shift; [ "$(cat "var/stamps/$name" 2>/dev/null)" = "$(stamp_value "$@")" ]; }
stamp() { local name=$1; shift; mkdir -p var/stamps; stamp_value "$@" >"var/stamps/$name"; }

# install_python FILE...: the virtual environment, with the pinned packages of the requirement files.
install_python() {
  umask 022
  if ! "$PY" -c 'import sys' 2>/dev/null; then
    say "Making the Python environment in .venv"
    /usr/bin/python3 -m venv --clear --system-site-packages .venv
    rm -f var/stamps/python*
  fi
  local file
  for file in "$@"; do
    stamped "python-$file" "$file" && continue
    say "Installing Python packages of $file"
    "$PY" -m pip install --quiet --disable-pip-version-check -r "$file" ||
      die "the Python packages could not be installed; pip says why above. Mend that, then run this again."
    stamp "python-$file" "$file"
  done
}

install_assets() {
  if [ -d node_modules ] && stamped npm package-lock.json; then return; fi
  say "Installing front-end assets with npm ci"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error ||
    die "the front-end assets could not be installed; npm says why above. Mend that, then run this again."
  stamp npm package-lock.json
}

ensure_user() {
  id "$SERVICE_USER" >/dev/null 2>&1 && return
  say "Making the system user $SERVICE_USER, which runs the panel"
  useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
}

# as_panel CMD...: run as the panel's user, with nothing of root's rights.
as_panel() {
  setpriv --reuid "$SERVICE_USER" --regid "$SERVICE_USER" --clear-groups --inh-caps=-all --no-new-privs -- env HOME=/nonexistent "$@"
}

# write_as_panel FILE: standard input, into a file that only the panel may read.
write_as_panel() { as_panel sh -c 'umask 077 && mkdir -p "$(dirname "$1")" && cat >"$1"' sh "$1"; }

# remove_instance: everything the instance in use has written; also what a killed run of bin/chaos left on a small disk.
remove_instance() {
  if mountpoint -q "$MOORING_VAR"; then umount "$MOORING_VAR"; fi
  rm -rf "$MOORING_VAR" "$MOORING_VAR.aside"
}
