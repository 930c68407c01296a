# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# tmux: a server that forks itself into the background and keeps a long history.

tmux_call() {
    under tmux -S "$PWD/socket" -f /dev/null "$@"
}

tmux_last_line() {
    tmux_call capture-pane -p -t one | grep -q '^end of output'
}

tmux_session() {
    local pid i
    export TERM=screen SHELL=/bin/sh
    tmux_call new-session -d -s one -x 100 -y 30 'env PS1=: sh'
    pid=$(tmux_call display-message -p '#{pid}')
    servers+=("$pid")
    [[ $side == plain ]] || maps_show_library "$pid" || fail 'tmux runs without the library'
    for ((i = 0; i < 40; i++)); do
        tmux_call split-window -d -t one 'cat /etc/passwd; sleep 100' \; select-layout -t one tiled
        tmux_call new-window -d -t one: 'yes many words | head -n 20000; sleep 100'
        ((i % 4 == 3)) || continue
        tmux_call kill-pane -t one.1
        tmux_call kill-window -t one:1
    done
    tmux_call set-option -g history-limit 50000
    tmux_call kill-pane -a -t one:0.0
    tmux_call send-keys -t one:0.0 'seq 1 30000; echo end of output' Enter
    wait_for 30 tmux_last_line || fail 'the shell in tmux does not answer'
    tmux_call capture-pane -p -t one:0.0 | grep -E '^[0-9]+$|^end' | tail -n 20
    tmux_call list-windows -t one -F '#{window_panes}' | sort | uniq -c
    tmux_call kill-server
    for ((i = 0; i < 50; i++)); do
        running "$pid" || break
        sleep 0.1
    done
    ! running "$pid" || fail 'the tmux server does not stop'
    servers=()
}

program tmux-session full 90 both tmux_session
