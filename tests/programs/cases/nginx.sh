# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# nginx: pools in forked workers; wrk: threads with an interpreter each.

nginx_files() {
    local i
    mkdir -p pages logs
    for i in 1 2 3 4 5 6 7 8; do
        seq "$i" "$((i * i * 1500))" >"pages/$i.txt"
    done
    cat >nginx.conf <<END
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log stderr warn;
$( ((EUID != 0)) || echo 'user root;')
events { worker_connections 256; }
http {
    access_log off;
    gzip on;
    gzip_types text/plain;
    gzip_min_length 100;
    client_body_temp_path $PWD/t1;
    proxy_temp_path $PWD/t2;
    fastcgi_temp_path $PWD/t3;
    uwsgi_temp_path $PWD/t4;
    scgi_temp_path $PWD/t5;
    server {
        listen 127.0.0.1:$port;
        root $PWD/pages;
        default_type text/plain;
        location /again/ { proxy_pass http://127.0.0.1:$port/; }
    }
}
END
}

nginx_fetch() {
    local i path
    for i in 1 2 3 4 5 6 7 8; do
        for path in "$i.txt" "again/$i.txt"; do
            curl -sS --compressed "http://127.0.0.1:$port/$path" | digest
        done
    done
}

nginx_wrk() {
    local port
    port=$(free_port)
    nginx_files
    server_start nginx -p "$PWD" -e stderr -c "$PWD/nginx.conf"
    server_ready port_answers "$port"
    nginx_fetch
    under wrk -t 2 -c 20 -d "$1" -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/2.txt" >wrk.log
    cat wrk.log >&2
    ! grep -E 'Socket errors|Non-2xx' wrk.log
    awk '/requests in/ { print ($1 > 100 ? "many requests" : "few requests") }' wrk.log
    # New workers from a parent with a used heap.
    kill -HUP "$server_pid"
    sleep 1
    server_ready port_answers "$port"
    nginx_fetch
    server_stop QUIT
}

program nginx-wrk quick 120 both nginx_wrk 5s
