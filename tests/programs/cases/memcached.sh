# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# memcached: its slabs are large blocks, its connections small ones passed between threads.

memcached_client() {
    local port account=()
    port=$(free_port)
    ((EUID != 0)) || account=(-u root)
    server_start memcached -l 127.0.0.1 -p "$port" -U 0 -t 4 -m 128 "${account[@]}" "$@"
    server_ready port_answers "$port"
    /usr/bin/python3 "$inputs/memcached_client.py" "$port"
    for _ in 1 2 3; do
        /usr/bin/python3 "$inputs/memcached_client.py" "$port" | tail -n 1
    done
    server_stop
}

program memcached-client full 120 both memcached_client
program memcached-small full 120 both memcached_client -I 512k -n 16 \
    -o slab_reassign,slab_automove=2
