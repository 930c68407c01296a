# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# HAProxy: pools over malloc, calls malloc_trim, threads; in front of Python's file server.

haproxy_serve() {
    local port behind i
    port=$(free_port)
    behind=$(free_port)
    mkdir pages
    for ((i = 1; i <= 6; i++)); do seq "$i" $((i * i * 900)) >"pages/$i.txt"; done
    cat >haproxy.cfg <<END
global
    nbthread 4
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend in
    bind 127.0.0.1:$port
    filter compression
    compression algo gzip
    compression type text/plain
    http-request set-header X-Long %[req.hdr(host),sha2(256),hex]
    default_backend out
backend out
    server one 127.0.0.1:$behind
END
    server_start /usr/bin/python3 -m http.server --bind 127.0.0.1 -d pages "$behind"
    server_ready port_answers "$behind"
    server_start haproxy -f haproxy.cfg -db
    server_ready port_answers "$port"
    for ((i = 0; i < 120; i++)); do
        curl -sS --compressed "http://127.0.0.1:$port/$((i % 6 + 1)).txt"
    done | digest
    server_stop
    server_stop
}

program haproxy-serve full 90 both haproxy_serve
