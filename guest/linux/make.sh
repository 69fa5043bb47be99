#!/usr/bin/env bash
# make.sh OUTDIR: a riscv64 Linux guest for tests, from Debian packages only.
#
#   OUTDIR/Image           Debian's riscv64 kernel (EFI-stub Image, boots with -kernel)
#   OUTDIR/initrd.cpio     busybox, gtool, root/ beside this script and Debian's virtio modules
#   OUTDIR/initrd-ga.cpio  the same with qemu-ga
#   OUTDIR/fw_dynamic.bin  OpenSBI, for -bios; also fw_jump.bin and fw_jump.elf
#   OUTDIR/u-boot.bin      U-Boot in M-mode, for -bios; u-boot-smode.bin for -kernel
#   OUTDIR/MANIFEST        how and of what it was made; written last, so it marks a whole guest
#
# Does nothing when OUTDIR was made by these very files. Takes about a minute
# and 120 MB of downloads. Needs apt-get, dpkg-deb, cpio, xz and
# riscv64-linux-gnu-gcc with its libc.
set -euo pipefail
out=${1:?usage: make.sh OUTDIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")"
. ./apt.sh

modules=(virtio_mmio virtio_blk virtio_net virtio_balloon virtio_rng virtio_scsi sd_mod sr_mod virtio_gpu virtio_input
    evdev 8021q vmw_vsock_virtio_transport qemu_fw_cfg)
agent_libraries=(libc6 libglib2.0-0t64 libnuma1 libudev1 liburing2 libpcre2-8-0 libatomic1 libgcc-s1 libcap2)

recipe=$(recipe apt.sh make.sh gtool root)
! made "$out/MANIFEST" "$recipe" || exit 0
# On OUTDIR's file system, so that the files can be moved there in one step each.
work=$(mktemp -d "$out/.make.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() {
    apt_root "$work/apt"
    kernel=$(kernel_package)
    download "$work/debs" "$kernel" busybox-static opensbi u-boot-qemu qemu-guest-agent "${agent_libraries[@]}"
    for deb in "$work"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/debian" --keep-directory-symlink
    done
}

firmware() {
    local sbi=$work/debian/usr/lib/riscv64-linux-gnu/opensbi/generic uboot=$work/debian/usr/lib/u-boot
    cp "$work/debian/boot/vmlinux-${kernel#linux-image-}" "$work/new/Image"
    cp "$sbi"/fw_dynamic.bin "$sbi"/fw_jump.bin "$sbi"/fw_jump.elf "$work/new/"
    cp "$uboot/qemu-riscv64/u-boot.bin" "$work/new/u-boot.bin"
    cp "$uboot/qemu-riscv64_smode/u-boot.bin" "$work/new/u-boot-smode.bin"
}

# A module's own list of what it needs.
depends() {
    xz -dc "$1" | tr '\0' '\n' | sed -n 's/^depends=//p' | tr ',' '\n'
}

# A module's file and those of all that it needs, needed ones later.
closure() {
    local file name
    file=$(find "$work/debian/usr/lib/modules" -name "${1//[-_]/[-_]}.ko.xz")
    [ -n "$file" ] || { echo "make.sh: no module $1" >&2; return 1; }
    echo "$file"
    for name in $(depends "$file"); do closure "$name"; done
}

# Modules for modprobe: unpacked and stripped, since the guest's time is dear.
# That takes their signatures away; the kernel notes it and loads them.
modules() {
    local target=$1/lib/modules/${kernel#linux-image-} file name
    mkdir -p "$target"
    for file in $(for name in "${modules[@]}"; do closure "$name"; done | sort -u); do
        name=$(basename "$file" .ko.xz)
        xz -dc "$file" >"$target/$name.ko"
        riscv64-linux-gnu-strip --strip-unneeded "$target/$name.ko"
        closure "$name" | tac | awk '!seen[$0]++' | tac | xargs -n 1 basename -s .xz |
            awk 'NR == 1 { printf "%s:", $0; next } { printf " %s", $0 } END { print "" }' >>"$target/modules.dep"
        tr '\0' '\n' <"$target/$name.ko" | sed -n "s/^alias=\(.*\)/alias \1 ${name//-/_}/p" >>"$target/modules.alias"
    done
}

archive() {
    (cd "$1" && find . -exec touch -hd @0 {} + && find . | LC_ALL=C sort |
        cpio -o -H newc --quiet --reproducible -R 0:0)
}

initrd() {
    local root=$work/initrd
    mkdir -p "$root"/{dev,proc,sys,tmp,run}
    cp -R root/. "$root"
    cp "$work/debian/usr/bin/busybox" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    riscv64-linux-gnu-gcc -Os -static -Wall -Wextra -s -o "$root/bin/gtool" gtool/*.c
    modules "$root"
    archive "$root" >"$work/new/initrd.cpio"
}

# The libraries a program or library names, and those they name.
libraries() {
    local name file
    for name in $(riscv64-linux-gnu-readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
        file=$(find "$work/debian" -name "$name" | head -n 1)
        [ ! -e "$work/agent/lib/$name" ] || continue
        cp -L "$file" "$work/agent/lib/$name"
        libraries "$file"
    done
}

# Archives may simply follow each other: cpio pads them to whole blocks.
initrd_with_agent() {
    mkdir -p "$work"/agent/{lib,sbin,etc,var/run,var/log}
    cp "$work/debian/usr/sbin/qemu-ga" "$work/agent/sbin/"
    libraries "$work/agent/sbin/qemu-ga"
    { cat "$work/new/initrd.cpio" && archive "$work/agent"; } >"$work/new/initrd-ga.cpio"
}

manifest() {
    echo "recipe $recipe"
    for deb in "$work"/debs/*.deb; do
        echo "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version)"
    done
    (cd "$work/new" && sha256sum -- *)
}

mkdir "$work/debian" "$work/new"
fetch
firmware
initrd
initrd_with_agent
manifest >"$work/MANIFEST"
mv "$work"/new/* "$out/"
mv "$work/MANIFEST" "$out/MANIFEST"
