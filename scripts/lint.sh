#!/bin/sh
# Checks the C sources: their format, and cppcheck's findings. Prints a line for each check; fails when
# one of them does.
set -u
cd "$(dirname "$0")/.."
status=0

check() {
    name=$1
    shift
    if found=$("$@" 2>&1); then
        echo "passed $name"
    else
        echo "FAILED $name"
        printf '%s\n' "$found" | head -n 60
        status=1
    fi
}

format() {
    find include src tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
}

cppcheck_sources() {
    cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --language=c -j 2 \
        --enable=warning,performance,portability --suppressions-list=.cppcheck \
        -D__GNUC__=12 -D__x86_64__ -DXC_VERSION='"0"' -I include -I src include src tests/fuzz
}

check "format: clang-format" format
check "lint: cppcheck" cppcheck_sources
exit $status
