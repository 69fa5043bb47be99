# apt.sh: riscv64 packages of Debian for the scripts beside it, to be sourced.
#
# Needs apt-get and dpkg-deb but no root: packages come through a private apt
# root, and the system's own apt set-up is read for its mirror only. SUITE
# chooses the Debian release (default trixie).

# apt_root DIR: makes the private root there and points apt at it.
apt_root() {
    local root=$1 mirror
    mkdir -p "$root"/etc/apt/{apt.conf.d,preferences.d} "$root"/var/lib/{apt/lists/partial,dpkg} \
        "$root"/var/cache/apt/archives/partial
    : >"$root/var/lib/dpkg/status"
    mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
        awk '/^URIs:/ { print $2; exit }
             /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' || true)
    [ -n "$mirror" ] || { echo "no Debian mirror in the system's apt sources" >&2; return 1; }
    echo "deb [arch=riscv64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror ${SUITE:-trixie} main" \
        >"$root/etc/apt/sources.list"
    cat >"$root/apt.conf" <<EOF
Dir "$root"; Dir::State::status "$root/var/lib/dpkg/status";
APT::Architecture "riscv64"; APT::Architectures { "riscv64"; };
APT::Sandbox::User "$(id -un)"; Acquire::Languages "none"; Acquire::Retries "3";
EOF
    export APT_CONFIG=$root/apt.conf
    apt-get -q update >&2
}

# download DIR PACKAGE...: puts the packages' files there.
download() {
    local directory=$1
    shift
    mkdir -p "$directory"
    (cd "$directory" && apt-get -q download "$@" >&2)
}

# kernel_package: the package that holds Debian's current kernel.
kernel_package() {
    apt-cache depends linux-image-riscv64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }'
}

# recipe FILE...: one checksum over how something is made.
recipe() {
    find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# made MANIFEST RECIPE: whether what the manifest describes was made by that recipe.
made() {
    [ "$(head -n 1 "$1" 2>/dev/null)" = "recipe $2" ]
}
