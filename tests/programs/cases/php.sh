# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2028,SC2034,SC2154 # names shared with the other files
# PHP loads its extensions with RTLD_DEEPBIND: their malloc and free then bind to libc's, and a
# block crosses from one allocator to the other. Every other preloadable allocator crashes here.

php_maps() {
    sees_library php -r 'readfile("/proc/self/maps");'
}

# With its own allocator in front (zend=1) and with malloc for each block (zend=0).
php_churn() {
    php_maps
    USE_ZEND_ALLOC=$1 under php -d memory_limit=1G "$inputs/churn.php"
}

php_extensions() {
    php_maps
    under php -m
    under php -i >info
    grep -E '^(PHP Version|libxml|ICU|PCRE)' info
}

# The web server built in: a process that lives on and serves.
php_server() {
    local port i
    port=$(free_port)
    mkdir pages
    cat >pages/index.php <<'END'
<?php
foreach (range(1, 500) as $i) {
    $a[] = md5("$i" . $_GET["n"]);
}
sort($a);
echo implode("\n", $a), (new DateTime("2001-02-03"))->format("c");
END
    server_start php -S "127.0.0.1:$port" -t pages
    server_ready port_answers "$port"
    for ((i = 0; i < 50; i++)); do
        http_get "$port" "/?n=$i"
    done | digest
    server_stop INT
}

program php-churn quick 180 both php_churn 1
program php-malloc quick 180 both php_churn 0
program php-extensions quick 60 both php_extensions
program php-server full 120 both php_server
