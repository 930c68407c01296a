# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Lua, and LuaJIT, which wants its memory in the low two gigabytes.

lua_churn() {
    sees_library "$1" -e 'for line in io.lines("/proc/self/maps") do print(line) end'
    under "$1" "$inputs/churn.lua"
}

program lua-churn quick 120 both lua_churn lua5.4
program lua-luajit full 120 both lua_churn luajit
