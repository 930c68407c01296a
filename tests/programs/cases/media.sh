# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Media: large frames handed from thread to thread, aligned blocks for vector instructions.

ffmpeg_encode() {
    local codec
    for codec in libx264 mpeg4 ffv1 libvpx-vp9; do
        under ffmpeg -nostdin -v error -bitexact \
            -f lavfi -i "testsrc2=size=640x360:rate=25:duration=$1" \
            -f lavfi -i "sine=frequency=440:duration=$1" \
            -threads 4 -c:v "$codec" -b:v 800k -cpu-used 8 -c:a flac -flags +bitexact \
            -fflags +bitexact -y "$codec.mkv"
        under ffmpeg -nostdin -v error -threads 3 -i "$codec.mkv" -f md5 -
    done
    under ffmpeg -nostdin -v error -filter_complex_threads 3 -f lavfi -i \
        'mandelbrot=s=320x240:r=10,hflip,split[a][b];[a]scale=160:120[c];[b][c]overlay,unsharp' \
        -frames:v 20 -f framemd5 -
}

graphviz_layout() {
    awk 'BEGIN {
        print "digraph g {"
        for (i = 0; i < 120; i++) printf "n%d [label=\"node %d\"]; n%d -> n%d; n%d -> n%d;\n",
            i, i, i, i * 7 % 120, i, int(i / 3)
        print "}"
    }' >graph
    under dot -Tplain graph | digest
    under dot -Tsvg graph | digest
}

program ffmpeg-encode full 400 both ffmpeg_encode 3
program graphviz-layout full 120 both graphviz_layout
