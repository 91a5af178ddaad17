#!/bin/sh
# Makes a synthetic film with moving detail: a zooming fractal, panned, with a moving test pattern on
# top and a little film grain, so that motion search, intra modes and residue all have work to do.
#
#     scripts/make-clip.sh OUTPUT [WIDTHxHEIGHT [FRAMES [RATE]]]
#
# OUTPUT's ending chooses the form: .y4m is raw 8-bit 4:2:0; anything else is as ffmpeg chooses for it,
# with a tone as its sound. The same arguments give the same pictures.
set -eu
output=$1 size=${2:-640x360} frames=${3:-240} rate=${4:-24}
width=${size%x*} height=${size#*x}
seconds=$(awk "BEGIN { print $frames / ($rate) }")

# The fractal is drawn larger than the picture and the window moves over it in a slow ellipse.
wide=$((width + width / 4 + 16)) high=$((height + height / 4 + 16))
inset=$(((width / 3 + 16) / 16 * 16))x$(((height / 3 + 16) / 16 * 16))
pictures="mandelbrot=size=${wide}x${high}:rate=$rate:start_scale=1.2:end_scale=0.05:end_pts=400
  :maxiter=300:inner=mincol,
  crop=$width:$height:(iw-ow)/2*(1+sin(n/23)):(ih-oh)/2*(1+cos(n/31)):exact=1[fractal];
 testsrc2=size=$inset:rate=$rate[pattern];
 [fractal][pattern]overlay=x=(W-w)/2*(1+sin(n/17)):y=(H-h)/2*(1+cos(n/13)),
  noise=alls=4:allf=t:all_seed=7,trim=end_frame=$frames,format=yuv420p"

case $output in
*.y4m) set -- ;;
*) set -- -f lavfi -i "sine=frequency=330:beep_factor=4:sample_rate=48000" -t "$seconds" ;;
esac
exec ffmpeg -nostdin -hide_banner -loglevel error -y -f lavfi -i "$(echo "$pictures" | tr -d '\n ')" \
    "$@" -threads 1 "$output"
