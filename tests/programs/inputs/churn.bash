# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Arrays, strings, expansions, subshells, pipelines and coprocesses.
declare -A table
for ((i = 0; i < 15000; i++)); do
    key=$((i * 7919 % 1999))
    table[$key]+=$i,
    ((${#table[$key]} < 120)) || unset "table[$key]"
done
for key in $(printf '%s\n' "${!table[@]}" | sort -n); do
    printf '%s=%s\n' "$key" "${table[$key]}"
done

text=
for ((i = 0; i < 2000; i++)); do
    text+=${text:i%50:7}$i
    ((${#text} < 8000)) || text=${text//[13579]/}
done
printf '%s\n' "${#text}" "${text:100:200}"

mapfile -t lines < <(seq 1 20000)
printf '%s\n' "${#lines[@]}" "${lines[*]:500:20}" "${lines[@]/%7/seven}" | cksum

total=0
for ((i = 0; i < 150; i++)); do
    total=$((total + $(echo "$i" | (read -r n; echo $((n * 2))))))
done
printf 'total %d\n' "$total"

grow() {
    local deep=$1 data
    printf -v data '%*s' "$deep" ''
    ((deep == 0)) || grow $((deep - 1))
    [[ $data ]] || printf 'deep\n'
}
grow 800

coproc doubler { while read -r n; do echo $((n * 2)); done; }
pid=$doubler_PID
for i in 1 2 3; do
    echo "$i" >&"${doubler[1]}"
    read -r answer <&"${doubler[0]}"
    printf 'coproc %s\n' "$answer"
done
eval "exec ${doubler[1]}>&-"
wait "$pid"

for i in 1 2 3 4; do
    (trap 'exit 7' TERM; kill -TERM "$BASHPID") || printf 'subshell %d\n' "$?"
done
