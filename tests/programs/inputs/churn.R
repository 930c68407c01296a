# SPDX-License-Identifier: MIT
# Vectors, data frames, models, strings, closures and child processes; every figure printed follows
# from the seed.
set.seed(3)
frame <- data.frame(group = sample(letters, 2e5, TRUE), x = rnorm(2e5), y = runif(2e5))
frame$z <- with(frame, 2 * x - y + rnorm(2e5) / 10)
print(aggregate(cbind(x, z) ~ group, frame, function(v) round(mean(v), 6)))
print(round(coef(lm(z ~ x * y + group, frame)), 6))

m <- matrix(rnorm(250000), 500)
inverse <- solve(m)
print(sum(abs(inverse %*% m - diag(500))) < 1e-6)
print(round(c(determinant(m)$modulus, svd(m)$d[1:5]), 6))

words <- vapply(1:40000, function(i) paste(sample(letters, 6), collapse = ""), "")
print(table(nchar(gsub("[aeiou]+", "", words))))
print(head(sort(tapply(seq_along(words), substr(words, 1, 2), sum), decreasing = TRUE), 10))

grown <- list()
for (i in 1:20000) {
    grown[[length(grown) + 1]] <- numeric(i %% 500)
    if (length(grown) > 800) grown <- grown[seq(2, length(grown), 2)]
}
print(sum(lengths(grown)))
print(identical(unserialize(serialize(frame, NULL)), frame))
text <- paste(words, collapse = " ")
print(identical(memDecompress(memCompress(charToRaw(text), "xz"), "xz", TRUE), text))
invisible(gc())
print(unlist(parallel::mclapply(1:4, function(i) sum(sort(cos(i * 1:2e5))) > -1e9, mc.cores = 2)))
print(fivenum(replicate(2000, median(sample(frame$x, 200)))) > -10)
