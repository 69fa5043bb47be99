#!/usr/bin/env bash
# kernel.sh OUTDIR: a small riscv64 kernel for tests, from Debian's kernel source.
#
#   OUTDIR/Image.small     boots in a fraction of the time of Debian's kernel and has what
#                          that lacks: pciehp, and drivers of pvpanic and i6300esb
#   OUTDIR/MANIFEST.small  how and of what it was made; written last
#
# Boots with the initrd of make.sh. Does nothing when OUTDIR was made by these
# very files. Takes some minutes and 150 MB of downloads. Needs apt-get, make,
# riscv64-linux-gnu-gcc, gcc, flex, bison and bc.
set -euo pipefail
out=${1:?usage: kernel.sh OUTDIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")"
. ./apt.sh

source=linux-source-6.12
recipe=$(recipe apt.sh kernel.sh kernel.config)
! made "$out/MANIFEST.small" "$recipe" || exit 0
work=$(mktemp -d "$out/.kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() {
    apt_root "$work/apt"
    download "$work/debs" "$source"
    mkdir "$work/source"
    dpkg-deb --fsys-tarfile "$work"/debs/*.deb | tar -x -O "./usr/src/$source.tar.xz" |
        tar -xJ -C "$work/source" --strip-components=1 --exclude='*/drivers/gpu/drm/amd/include'
}

kernel() {
    make -C "$work/source" ARCH=riscv CROSS_COMPILE=riscv64-linux-gnu- \
        KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=tests KBUILD_BUILD_HOST=tests "$@"
}

manifest() {
    echo "recipe $recipe"
    echo "$source $(dpkg-deb -f "$work"/debs/*.deb Version)"
    (cd "$out" && sha256sum Image.small)
}

fetch
kernel -s KCONFIG_ALLCONFIG="$PWD/kernel.config" allnoconfig
kernel -s -j"$(nproc)" Image
mv "$work/source/arch/riscv/boot/Image" "$out/Image.small"
manifest >"$work/MANIFEST"
mv "$work/MANIFEST" "$out/MANIFEST.small"
