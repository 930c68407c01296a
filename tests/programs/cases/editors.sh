# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# vim and emacs: both long-lived, both with an undo history; emacs starts from a dumped heap.

vim_batch() {
    seq 1 20000 | sed 's/$/ some words here/' >text
    cat >edit.vim <<'END'
verbose set encoding=utf-8
edit text
%s/\v(\d+) (\w+)/\2-\1/
g/7-/move 0
for i in range(1, 300)
    execute 'normal! ' . (i * 13) . 'GyypA!'
endfor
%!sort
let table = {}
for line in getline(1, '$')
    let key = matchstr(line, '\d\d$\|\d')
    let table[key] = get(table, key, '') . line[0:3]
endfor
call append('$', map(sort(keys(table)), 'v:val . len(table[v:val])'))
for i in range(1, 100)
    silent undo
endfor
for i in range(1, 100)
    silent redo
endfor
syntax on
set filetype=c
redraw
new
call setline(1, map(range(1, 5000), 'sha256(v:val)'))
sort! n
write! other
bdelete!
write! result
qall!
END
    # vim -es ends with 1 where a message was shown.
    TERM=dumb under vim -N -u NONE -i NONE -n -es -S edit.vim >vim.log 2>&1 || echo "status $?"
    cat vim.log >&2
    digest <result
    digest <other
}

emacs_batch() {
    under emacs -Q --batch --eval '
        (let ((table (make-hash-table :test (quote equal))) (total 0))
          (dotimes (i 60000)
            (puthash (format "k%d" (% (* i 7919) 4001)) (make-string (% i 300) ?x) table))
          (maphash (lambda (_ text) (setq total (+ total (length text)))) table)
          (princ (format "%d %d\n" (hash-table-count table) total))
          (with-temp-buffer
            (dotimes (i 20000) (insert (format "line %d of many\n" i)))
            (goto-char (point-min))
            (while (re-search-forward "\\([0-9]+\\) of" nil t) (replace-match "of \\1"))
            (sort-lines t (point-min) (point-max))
            (princ (concat (secure-hash (quote sha256) (current-buffer)) "\n")))
          (garbage-collect)
          (princ (secure-hash (quote md5) (mapconcat (function number-to-string)
            (sort (mapcar (lambda (n) (% (* n 31) 997)) (number-sequence 1 20000)) (function <))
            ","))))' \
        2>/dev/null
    echo
}

program vim-batch full 120 both vim_batch
program emacs-batch full 120 both emacs_batch
