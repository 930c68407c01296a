# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# OpenSSL: many short-lived big numbers, and what they hold is wiped before it is freed.

openssl_key() {
    under openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem
    under openssl pkey -in key.pem -check -noout
}

openssl_operations() {
    local cipher
    seq 1 300000 >data
    for cipher in sha256 sha3-512 blake2b512; do
        under openssl dgst "-$cipher" data
    done
    for cipher in aes-256-ctr camellia-256-cbc chacha20; do
        under openssl enc "-$cipher" -pbkdf2 -iter 20000 -S 0102030405060708 -pass pass:x -in data \
            -out data.enc
        digest <data.enc
        under openssl enc -d "-$cipher" -pbkdf2 -iter 20000 -S 0102030405060708 -pass pass:x \
            -in data.enc | digest
    done
    under openssl prime -generate -bits 512 -safe | wc -l
    under openssl prime 170141183460469231731687303715884105727
    openssl_key
    under openssl dgst -sha256 -sign key.pem -out sign data
    under openssl pkey -in key.pem -pubout -out public.pem
    under openssl dgst -sha256 -verify public.pem -signature sign data
    under openssl list -cipher-algorithms | digest
}

# A handshake and a transfer between two processes under the library.
openssl_tls() {
    local port
    port=$(free_port)
    openssl_key
    under openssl req -x509 -key key.pem -subj /CN=localhost -days 2 -out cert.pem
    under openssl x509 -in cert.pem -noout -subject
    seq 1 20000 >data
    server_start openssl s_server -accept "127.0.0.1:$port" -cert cert.pem -key key.pem -WWW -quiet
    server_ready port_answers "$port"
    for _ in 1 2 3 4 5; do
        printf 'GET /data HTTP/1.0\r\n\r\n' | under openssl s_client -connect "127.0.0.1:$port" \
            -CAfile cert.pem -verify_return_error -quiet 2>/dev/null | digest
    done
    server_stop
}

openssl_speed() {
    under openssl speed -seconds 1 -multi 2 -evp aes-128-gcm | sed -n 's/^\([A-Z0-9-]*\) .*k.*/\1/p'
    under openssl speed -seconds 1 rsa2048 ecdsap256 2>/dev/null |
        sed -n 's/^\(rsa\|  *256 bits ecdsa\).*/\1/p'
}

program openssl-operations quick 120 both openssl_operations
program openssl-tls quick 60 both openssl_tls
program openssl-speed full 120 both openssl_speed
