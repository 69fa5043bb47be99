#!/usr/bin/env bash
# test.sh: sets up the peers that the tests run against, then runs every test.
#
# As root on Debian the peers are installed; elsewhere the script says what to
# install and the tests that need it are skipped aloud. With CI=true a missing
# peer is a failure.
set -euo pipefail
cd "$(dirname "$0")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/tinamou
packages=(qemu-system-misc qemu-utils qemu-guest-agent socat expect device-tree-compiler cpio python3 python3-venv
    gcc-riscv64-linux-gnu libc6-dev-riscv64-cross make gcc libc6-dev flex bison bc xz-utils)
commands=(qemu-system-riscv64 qemu-img qemu-ga socat expect dtc cpio python3
    riscv64-linux-gnu-gcc make gcc flex bison bc xz)

say() { printf 'test.sh: %s\n' "$*" >&2; }

missing_commands() {
    local command
    for command in "${commands[@]}"; do
        command -v "$command" >/dev/null || echo "$command"
    done
}

# QEMU 10 is the reference; Debian 12 has it in backports only.
qemu_is_old() {
    local version
    version=$(qemu-system-riscv64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
    [ "${version:-0}" -lt 10 ]
}

install_packages() {
    local release mirror list options=()
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >&2 || true
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    if [ "$release" = bookworm ]; then
        mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
            awk '/^URIs:/ { print $2; exit }
                 /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' || true)
        list=$(mktemp --suffix=.list)
        cat /etc/apt/sources.list >"$list" 2>/dev/null || true
        printf 'deb %s %s main\n' "$mirror" "$release" "$mirror" "$release-backports" >>"$list"
        chmod 644 "$list"
        options=(-o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=/nonexistent -o APT::Get::List-Cleanup=0)
        apt-get -q "${options[@]}" update >&2 || true
        options+=(-t "$release-backports")
    fi
    # Newer Debian has the RISC-V emulators in a package of their own.
    ! apt-cache "${options[@]}" show qemu-system-riscv >/dev/null 2>&1 || packages+=(qemu-system-riscv)
    apt-get -q -y --no-install-recommends "${options[@]}" install "${packages[@]}" >&2 ||
        apt-get -q -y --no-install-recommends install "${packages[@]}" >&2
}

if [ -n "$(missing_commands)" ] || qemu_is_old; then
    if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
        install_packages
    else
        say "for all tests, install: ${packages[*]}"
    fi
fi

export TINAMOU_GUEST=${TINAMOU_GUEST:-$cache/guest}
say "the Linux guest is in $TINAMOU_GUEST"
guest/linux/make.sh "$TINAMOU_GUEST" >/dev/null || say "no Linux guest: its tests cannot run"
guest/linux/kernel.sh "$TINAMOU_GUEST" >/dev/null || say "no small kernel: its tests cannot run"

export TINAMOU_PYTHON=${TINAMOU_PYTHON:-$cache/venv/bin/python}
if [ ! -x "$TINAMOU_PYTHON" ] || ! "$TINAMOU_PYTHON" -c 'import qemu.qmp' 2>/dev/null; then
    say "installing qemu.qmp in $cache/venv"
    { python3 -m venv "$cache/venv" && "$cache/venv/bin/pip" -q install qemu.qmp; } >&2 ||
        say "no qemu.qmp: its tests cannot run"
fi

exec cargo test --workspace "$@"
