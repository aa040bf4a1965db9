#!/bin/sh
# Installs the library to a folder of its own, and builds and runs every program of examples/ and tests/c against it: linked
# statically and dynamically, by hand and by pkg-config, plain and under the sanitizers of addresses and of undefined behaviour;
# the program of the README too. Then looks at the symbols of both libraries.
#
# Needs cargo, a C and a C++ compiler with sanitizers (CC, CXX), pkg-config, and nm and objcopy. Whatever is missing is a failure.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cc=${CC:-cc}
cxx=${CXX:-c++}
warnings="-Wall -Wextra -Wpedantic -Werror"

for tool in cargo "$cc" "$cxx" pkg-config nm objcopy; do
    command -v "$tool" >/dev/null || {
        echo "$0: expected the program $tool, found none" >&2
        exit 1
    }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
"$root/install.sh" "$prefix"
# The static library on its own: a linker that finds both takes the shared one.
static=$work/static
mkdir -p "$static/lib/pkgconfig"
cp "$prefix/lib/libfused_dense.a" "$static/lib"
sed "s|$prefix/lib|$static/lib|" "$prefix/lib/pkgconfig/fused_dense.pc" >"$static/lib/pkgconfig/fused_dense.pc"

# pkg-config looks nowhere else.
config() {
    folder=$1
    shift
    PKG_CONFIG_LIBDIR=$folder/lib/pkgconfig PKG_CONFIG_PATH='' pkg-config "$@" fused_dense
}

# The options by which each way of linking finds the library, those for the linker last.
private=$(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/fused_dense.pc")
[ -n "$private" ] || {
    echo "$0: expected libraries of the system in Libs.private, found none" >&2
    exit 1
}
options() {
    case $1 in
        static) echo "-I$prefix/include $prefix/lib/libfused_dense.a $private" ;;
        shared) echo "-I$prefix/include -L$prefix/lib -lfused_dense -Wl,-rpath,$prefix/lib" ;;
        pkg-config) echo "$(config "$prefix" --cflags --libs) -Wl,-rpath,$(config "$prefix" --variable=libdir)" ;;
        pkg-config-static) config "$static" --static --cflags --libs ;;
    esac
}

sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '/^```/d' >"$work/readme.c"

runs=0
expected=0
for source in "$work/readme.c" "$root"/examples/*.c "$root"/examples/*.cpp "$here"/c/*.c; do
    name=$(basename "$source")
    case $name in
        *.cpp) compile="$cxx -std=c++17" ;;
        *) compile="$cc -std=c11" ;;
    esac
    for link in static shared pkg-config pkg-config-static; do
        for sanitizer in none address,undefined; do
            expected=$((expected + 1))
            sanitize=
            [ "$sanitizer" = none ] || sanitize="-g -fsanitize=$sanitizer -fno-sanitize-recover=all"
            program=$work/program
            # Words of options, not one.
            # shellcheck disable=SC2046,SC2086
            $compile $warnings -O1 $sanitize "$source" $(options $link) -lm -pthread -o "$program"
            if ! (cd "$work" && ASAN_OPTIONS=detect_leaks=1 "$program") >"$work/output" 2>&1; then
                cat "$work/output" >&2
                echo "$0: $name ($link, sanitizers: $sanitizer) failed" >&2
                exit 1
            fi
            runs=$((runs + 1))
            [ "$link$sanitizer" != sharednone ] || { echo "== $name" && cat "$work/output"; }
            rm "$program"
        done
    done
done

# The header by itself, in each language that it is for.
headers=0
for standard in c99 c11 c17 gnu2x c++11 c++17 c++20; do
    case $standard in
        *++*) compile="$cxx -x c++" ;;
        *) compile="$cc -x c" ;;
    esac
    # shellcheck disable=SC2086
    echo '#include <fused_dense.h>' | $compile $warnings "-std=$standard" "-I$prefix/include" -fsyntax-only -
    headers=$((headers + 1))
done

# Both libraries have the functions of the header, and nothing else that a program could meet.
sed -n 's/^[^ /#*].*[ *]\(fd_[a-z_]*\)(.*/\1/p' "$prefix/include/fused_dense.h" | grep -v '^fd_rows' | sort >"$work/declared"
nm -D --defined-only "$prefix/lib/libfused_dense.so" | awk '{print $3}' | sort >"$work/shared"
nm -g --defined-only "$prefix/lib/libfused_dense.a" | awk 'NF == 3 {print $3}' | sort >"$work/archive"
for found in shared archive; do
    if ! diff "$work/declared" "$work/$found"; then
        echo "$0: expected the symbols of the header (<) in the library ($found), found others (>)" >&2
        exit 1
    fi
done
symbols=$(wc -l <"$work/declared")

if [ "$runs" -ne "$expected" ] || [ "$runs" -lt 56 ] || [ "$headers" -ne 7 ] || [ "$symbols" -lt 40 ]; then
    echo "$0: expected all programs, headers and symbols, found $runs, $headers and $symbols" >&2
    exit 1
fi
echo "$runs programs ran, $headers languages read the header, $symbols symbols and no others"
