#!/bin/sh
# Builds the C library with cargo, and installs it with its headers and its pkg-config file:
#
#   install.sh PREFIX
#
# into PREFIX/include, PREFIX/lib and PREFIX/lib/pkgconfig; in the environment INCLUDEDIR and LIBDIR name other folders, DESTDIR a
# root to put in front of all, CARGO_TARGET_DIR where to build, CARGOFLAGS more options for cargo. Linux, macOS and other Unix.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
case $1 in
    /*) prefix=$1 ;;
    *) prefix=$(pwd)/$1 ;;
esac
includedir=${INCLUDEDIR:-$prefix/include}
libdir=${LIBDIR:-$prefix/lib}
destdir=${DESTDIR:-}
here=$(cd "$(dirname "$0")" && pwd)
manifest=$here/Cargo.toml
target=${CARGO_TARGET_DIR:-$here/../target}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
abi=$(sed -n 's/^pub const FD_ABI_VERSION: u32 = \([0-9]*\);$/\1/p' "$here/src/version.rs")
if [ -z "$version" ] || [ -z "$abi" ]; then
    echo "$0: expected versions in Cargo.toml and src/version.rs, found none" >&2
    exit 1
fi

# The compiler says which libraries of the system a static library needs.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if ! cargo rustc --release --lib --manifest-path "$manifest" --target-dir "$target" ${CARGOFLAGS:-} \
    -- --print native-static-libs >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
private=$(sed -n 's/^note: native-static-libs: //p' "$log" | tail -n 1)

install -d "$destdir$includedir" "$destdir$libdir/pkgconfig"
install -m 644 "$here/include/fused_dense.h" "$here/include/fused_dense.hpp" "$destdir$includedir"
install -m 644 "$target/release/libfused_dense_c.a" "$destdir$libdir/libfused_dense.a"
if [ -f "$target/release/libfused_dense_c.dylib" ]; then
    install -m 755 "$target/release/libfused_dense_c.dylib" "$destdir$libdir/libfused_dense.$abi.dylib"
    ln -sf "libfused_dense.$abi.dylib" "$destdir$libdir/libfused_dense.dylib"
else
    install -m 755 "$target/release/libfused_dense_c.so" "$destdir$libdir/libfused_dense.so.$version"
    ln -sf "libfused_dense.so.$version" "$destdir$libdir/libfused_dense.so.$abi"
    ln -sf "libfused_dense.so.$abi" "$destdir$libdir/libfused_dense.so"
fi
sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@INCLUDEDIR@|$includedir|" -e "s|@VERSION@|$version|" \
    -e "s|@PRIVATE_LIBS@|$private|" "$here/fused_dense.pc.in" >"$destdir$libdir/pkgconfig/fused_dense.pc"
chmod 644 "$destdir$libdir/pkgconfig/fused_dense.pc"
echo "fused-dense $version, binary interface $abi, is in $destdir$prefix"
