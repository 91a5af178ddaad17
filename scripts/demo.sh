#!/bin/sh
# Encodes a film, a synthetic one where none is given, and says what came of it.
#
#     scripts/demo.sh EXCAMERA [INPUT [OUTPUT]]
set -eu
excamera=$1 input=${2-} output=${3:-demo.webm}
folder=$(dirname "$0")

if [ -z "$input" ]; then
    input=build/demo-input.mp4
    if [ ! -e "$input" ]; then
        echo "Making a synthetic clip of 10 s: $input"
        "$folder/make-clip.sh" build/demo-input.partial.mp4 640x360 240 24
        mv build/demo-input.partial.mp4 "$input"
    fi
fi

echo "Encoding $input"
"$excamera" encode "$input" -o "$output" --force
echo
echo "Against the input, frame by frame:"
"$excamera" compare "$output" "$input"
echo
echo "The film is $output. To play it:  ffplay $output   or open it in a browser."
