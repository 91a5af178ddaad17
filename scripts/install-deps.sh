#!/bin/sh
# Installs the Debian packages that are missing, and asks for nothing where none is.
#
#     scripts/install-deps.sh demo|test|lambda-x86-64|lambda-arm64
set -eu

build="build-essential meson ninja-build pkg-config libvpx-dev libavformat-dev libavcodec-dev
       libavutil-dev libswscale-dev libswresample-dev libuv1-dev libjansson-dev libxxhash-dev
       libssl-dev libzstd-dev libcurl4-openssl-dev libinih-dev libexpat1-dev libarchive-dev libprotobuf-c-dev protobuf-c-compiler libcmocka-dev"
demo="$build ffmpeg"
test="$demo libfuse3-dev fuse3 libmicrohttpd-dev nginx-light radosgw ceph-mon ceph-osd ceph-common curl python3 python3-jsonschema python3-botocore openssl vpx-tools clang libclang-rt-14-dev clang-format cppcheck chromium slurm-wlm munge openssh-server openssh-client
      gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
# What the function's package is built with; its libraries are fetched apart (scripts/lambda).
lambda="build-essential meson ninja-build pkg-config python3 protobuf-c-compiler nasm debian-archive-keyring"

# The compiler for an architecture that is not this machine's own.
cross_compiler() {
    [ "$(dpkg --print-architecture 2>/dev/null)" = "$1" ] || echo "gcc-$2-linux-gnu"
}

case ${1-} in
demo) wanted=$demo ;;
test) wanted=$test ;;
lambda-x86-64) wanted="$lambda $(cross_compiler amd64 x86-64)" ;;
lambda-arm64) wanted="$lambda $(cross_compiler arm64 aarch64)" ;;
*) echo "usage: $0 demo|test|lambda-x86-64|lambda-arm64" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system: please install what these packages hold:" $wanted >&2
    exit 0
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages; please run as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# sudo drops the environment, so the variable is named once more.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
