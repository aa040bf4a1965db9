#!/bin/sh
# Builds the C library with cargo, and installs it with its headers and its pkg-config file:
#
#   install.sh PREFIX
#
# into PREFIX/include, PREFIX/lib and PREFIX/lib/pkgconfig; in the environment INCLUDEDIR and LIBDIR name other folders, DESTDIR a
# root to put in front of all, CARGO_TARGET_DIR where to build, CARGOFLAGS more options for cargo, CC the compiler whose linker and
# CROSS a prefix of the binary utilities that prepare the static library. Linux, macOS and other Unix.
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

# Ends with name@version, or with #version where the folder has the package's name.
version=$(cargo pkgid --manifest-path "$manifest" | sed 's/.*[@#]//')
abi=$(sed -n 's/^pub const FD_ABI_VERSION: u32 = \([0-9]*\);$/\1/p' "$here/src/version.rs")
if [ -z "$version" ] || [ -z "$abi" ]; then
    echo "$0: expected the versions of the package and of its interface, found none" >&2
    exit 1
fi

# The compiler says which libraries of the system a static library needs.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
# shellcheck disable=SC2086
if ! cargo rustc --release --lib --manifest-path "$manifest" --target-dir "$target" ${CARGOFLAGS:-} \
    -- --print native-static-libs >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
private=$(sed -n 's/^note: native-static-libs: //p' "$log" | tail -n 1)
if [ -z "$private" ]; then
    echo "$0: expected the compiler to name the libraries of the system, found nothing in" >&2
    cat "$log" >&2
    exit 1
fi

# A static library of Rust has all symbols of its standard library, on which a second one in the same program would clash. One
# object of all, whose other symbols are local, has none but the interface's. Elsewhere the library stays as it is.
archive=$target/release/libfused_dense_c.a
if [ "$(uname -s)" = Linux ]; then
    "${CC:-cc}" -r -nostdlib -Wl,--force-group-allocation -Wl,--whole-archive "$archive" -Wl,--no-whole-archive \
        -o "$scratch/whole.o"
    # The sections of bitcode are of no more use, and tools that look for it stumble over what is left of them.
    "${CROSS:-}objcopy" --wildcard --keep-global-symbol='fd_*' --remove-section=.llvmbc --remove-section=.llvmcmd \
        "$scratch/whole.o" "$scratch/fused_dense.o"
    "${CROSS:-}ar" rcs "$scratch/libfused_dense.a" "$scratch/fused_dense.o"
    archive=$scratch/libfused_dense.a
fi

install -d "$destdir$includedir" "$destdir$libdir/pkgconfig"
install -m 644 "$here/include/fused_dense.h" "$here/include/fused_dense.hpp" "$destdir$includedir"
install -m 644 "$archive" "$destdir$libdir/libfused_dense.a"
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
