#!/usr/bin/env bash
# make.sh OUTDIR: a riscv64 Linux guest for tests, from Debian packages only.
#
#   OUTDIR/Image           Debian's riscv64 kernel (EFI-stub Image, boots with -kernel)
#   OUTDIR/initrd.cpio     busybox and the init below (uncompressed newc)
#   OUTDIR/fw_dynamic.bin  OpenSBI, for -bios; also fw_jump.bin and fw_jump.elf
#   OUTDIR/u-boot.bin      U-Boot in M-mode, for -bios; u-boot-smode.bin for -kernel
#   OUTDIR/MANIFEST        package versions and checksums; written last, so it marks a whole guest
#
# Needs apt-get, dpkg-deb and cpio, but no root: packages are fetched through a
# private apt root, and the system's own apt set-up is read for its mirror only.
# SUITE chooses the Debian release (default trixie).
set -euo pipefail
out=${1:?usage: make.sh OUTDIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
suite=${SUITE:-trixie}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

apt_root() {
    local root=$work/apt mirror
    mkdir -p "$root"/etc/apt/{apt.conf.d,preferences.d} "$root"/var/lib/{apt/lists/partial,dpkg} \
        "$root"/var/cache/apt/archives/partial
    : >"$root/var/lib/dpkg/status"
    mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
        awk '/^URIs:/ { print $2; exit }
             /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' || true)
    [ -n "$mirror" ] || { echo "make.sh: no Debian mirror in the system's apt sources" >&2; exit 1; }
    echo "deb [arch=riscv64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
        >"$root/etc/apt/sources.list"
    cat >"$root/apt.conf" <<EOF
Dir "$root"; Dir::State::status "$root/var/lib/dpkg/status";
APT::Architecture "riscv64"; APT::Architectures { "riscv64"; };
APT::Sandbox::User "$(id -un)"; Acquire::Languages "none"; Acquire::Retries "3";
EOF
    export APT_CONFIG=$root/apt.conf
}

fetch() {
    mkdir -p "$work/debs" "$work/root"
    apt-get -q update >&2
    kernel=$(apt-cache depends linux-image-riscv64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
    (cd "$work/debs" && apt-get -q download "$kernel" busybox-static opensbi u-boot-qemu >&2)
    for deb in "$work"/debs/*.deb; do
        # The kernel's modules are a hundred megabytes that no test loads.
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/root" --exclude='./usr/lib/modules' --exclude='./lib/modules'
    done
}

firmware() {
    local sbi=$work/root/usr/lib/riscv64-linux-gnu/opensbi/generic uboot=$work/root/usr/lib/u-boot
    cp "$work/root/boot/vmlinux-${kernel#linux-image-}" "$out/Image"
    cp "$sbi"/fw_dynamic.bin "$sbi"/fw_jump.bin "$sbi"/fw_jump.elf "$out/"
    cp "$uboot/qemu-riscv64/u-boot.bin" "$out/u-boot.bin"
    cp "$uboot/qemu-riscv64_smode/u-boot.bin" "$out/u-boot-smode.bin"
}

# The console protocol of the guest: "@READY RELEASE UPTIME" once, then for each
# line read from the console its output followed by "@RC=STATUS".
initrd() {
    local root=$work/initrd applet
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,run}
    cp "$work/root/usr/bin/busybox" "$root/bin/busybox"
    for applet in sh mount cat echo sleep ls uname grep stty setsid cttyhack poweroff reboot halt nproc \
        seq dd md5sum cut free devmem date taskset true false kill ps top; do
        ln -s busybox "$root/bin/$applet"
    done
    cat >"$root/init" <<'EOF'
#!/bin/sh
export PATH=/bin HOME=/ TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
stty -echo
echo "@READY $(uname -r) $(cut -d' ' -f1 /proc/uptime)"
exec setsid cttyhack /bin/serve
EOF
    cat >"$root/bin/serve" <<'EOF'
#!/bin/sh
while IFS= read -r line; do
    eval "$line"
    echo "@RC=$?"
done
exec /bin/serve
EOF
    chmod 755 "$root/init" "$root/bin/serve"
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0) >"$out/initrd.cpio"
}

manifest() {
    for deb in "$work"/debs/*.deb; do
        echo "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version)"
    done
    (cd "$out" && sha256sum Image initrd.cpio fw_* u-boot*)
}

apt_root
fetch
firmware
initrd
manifest >"$work/MANIFEST"
mv "$work/MANIFEST" "$out/MANIFEST"
