#!/usr/bin/env bash
# Installs what tests and benchmarks need: real servers as Debian packages, and
# those that Debian lacks built from their Go modules into .cache/bin, or as
# Python packages into .cache. Running it again costs well under a second when
# nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  gcc libc6-dev # the race detector needs a C compiler
  postgresql mariadb-server redis-server memcached libsasl2-modules sasl2-bin
  proftpd-core proftpd-mod-crypto openssh-server exim4-daemon-light wrk
  sysbench haproxy # what the database proxy is measured by
  nginx-light caddy # and, with HAProxy, the HTTP gateway
  python3-pymysql nodejs node-mysql # clients of the database proxy
  python3-requests # a client of service management
  python3 python3-venv # for the server that only Python's registry has
)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
if ((${#missing[@]})); then
  log=$(mktemp)
  # Packages must not start their services: the tests start their own.
  restore=:
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    restore='rm -f /usr/sbin/policy-rc.d'
  fi
  trap "$restore" EXIT
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
  rm -f "$log"
fi

# Password logins over SSH need an account of the system. It has no shell, and
# the password that testbed.NastyPassword holds.
if [[ $EUID == 0 ]]; then
  id backplane-sftp >/dev/null 2>&1 ||
    useradd --system --user-group --create-home --home-dir /var/lib/backplane-sftp --shell /usr/sbin/nologin backplane-sftp
  printf '%s\n' "backplane-sftp:p@:/?#%&+ \"'\\äß€-word" | chpasswd
  mkdir -p /run/sshd # sshd refuses to start without
fi

# build NAME PACKAGE: a server from its own module in testbed/servers/NAME, with
# that folder's prepare.sh run first where there is one.
build() {
  local name=$1 package=$2 dir=testbed/servers/$1 out=$PWD/.cache/bin/$1 stamp
  stamp=$(find "$dir" -maxdepth 1 -type f | sort | xargs cat | sha256sum | cut -c1-16)
  if [[ -x $out && $(cat "$out.stamp" 2>/dev/null) == "$stamp" ]]; then return; fi
  mkdir -p .cache/bin
  echo "building $name from its Go module (once, some minutes)" >&2
  (
    cd "$dir"
    if [[ -x prepare.sh ]]; then nice -n 10 ./prepare.sh; fi
    # Built aside and renamed, so that a test never starts half a program.
    CGO_ENABLED=0 nice -n 10 go build -trimpath -ldflags '-s -w' -o "$out.new" "$package"
    rm -rf vendor
  )
  mv "$out.new" "$out"
  echo "$stamp" >"$out.stamp"
}

build minio github.com/minio/minio
build ferretdb github.com/FerretDB/FerretDB/cmd/ferretdb

# python NAME: a server from Python's registry, with the packages that
# testbed/servers/NAME/requirements.txt pins and nothing that would have to be
# compiled.
python() {
  local name=$1 list=testbed/servers/$1/requirements.txt out=.cache/$1 stamp old new
  stamp=$(sha256sum <"$list" | cut -c1-16)
  if [[ $(cat "$out/stamp" 2>/dev/null) == "$stamp" && -x $out/bin/python3 ]]; then return; fi
  echo "installing $name from Python's registry (once)" >&2
  mkdir -p .cache
  # An environment knows its own path, so it is made where it stays, and the
  # name is moved to it when it is whole.
  new=$(mktemp -d "$PWD/.cache/$name-XXXXXX")
  if ! { /usr/bin/python3 -m venv "$new" && "$new/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$list"; } >&2; then
    rm -rf "$new"
    exit 1
  fi
  chmod 755 "$new"
  echo "$stamp" >"$new/stamp"
  old=$(readlink "$out" || true)
  ln -s "${new##*/}" "$new.link"
  mv -T "$new.link" "$out"
  if [[ -n $old ]]; then rm -rf ".cache/$old"; fi
}

python secantusdb
# Tests that need it say that it is missing.
(python fastapi) || echo "FastAPI cannot be installed here" >&2
# Measures do without it where it cannot be had, and say so.
(python envoy) || echo "Envoy cannot be installed here" >&2
