// SPDX-License-Identifier: MIT
// What of Java uses malloc: the compilers, direct buffers, compression, class loading, threads and
// their stacks. Every figure printed follows from the seed.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public final class Churn {
    private static String digest(byte[] data) throws Exception {
        byte[] all = MessageDigest.getInstance("SHA-256").digest(data);
        return HexFormat.of().formatHex(all).substring(0, 24);
    }

    private static byte[] noise(int seed, int size) {
        byte[] data = new byte[size];
        new Random(seed).nextBytes(data);
        for (int i = 0; i < size; i += 3) {
            data[i] = 7;
        }
        return data;
    }

    private static String compress(int seed) throws Exception {
        byte[] data = noise(seed, 20000 + seed * 100);
        byte[] packed = new byte[data.length * 2];
        byte[] back = new byte[data.length];
        Deflater deflater = new Deflater(seed % 9 + 1);
        deflater.setInput(data);
        deflater.finish();
        int size = deflater.deflate(packed);
        deflater.end();
        Inflater inflater = new Inflater();
        inflater.setInput(packed, 0, size);
        inflater.inflate(back);
        inflater.end();
        return size + ":" + digest(back);
    }

    private static long buffers(int seed) {
        Random random = new Random(seed);
        Map<Integer, ByteBuffer> kept = new HashMap<>();
        long total = 0;
        for (int i = 0; i < 4000; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 + random.nextInt(20000));
            buffer.put(0, (byte) i);
            ByteBuffer old = kept.put(random.nextInt(60), buffer);
            total += old == null ? 1 : old.get(0) + old.capacity();
        }
        return total;
    }

    private static <T> String together(int count, java.util.function.IntFunction<Callable<T>> job)
            throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<T>> futures = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            futures.add(pool.submit(job.apply(i)));
        }
        StringBuilder all = new StringBuilder();
        for (Future<T> future : futures) {
            all.append(future.get()).append(' ');
        }
        pool.shutdown();
        return digest(all.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static String collections() {
        return IntStream.range(0, 300000).parallel().boxed()
            .collect(Collectors.groupingByConcurrent(i -> i % 1009, Collectors.summingLong(i -> i)))
            .entrySet().stream().sorted(Map.Entry.comparingByKey())
            .map(Object::toString).collect(Collectors.joining(","));
    }

    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
            if (arguments.length > 0 && line.endsWith(arguments[0])) {
                System.err.println("loaded " + arguments[0]);
                break;
            }
        }
        System.out.println("compress " + together(120, i -> () -> compress(i)));
        System.out.println("buffers " + together(8, i -> () -> buffers(i)));
        System.out.println("streams " + digest(collections().getBytes(StandardCharsets.UTF_8)));
        String text = "abc 123 def 4567 ".repeat(20000);
        System.out.println("regex " + Pattern.compile("(\\w+) (\\d+)").matcher(text)
            .replaceAll(m -> m.group(2) + m.group(1)).hashCode());
        int ended = 0;
        for (int round = 0; round < 50; round++) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                threads.add(new Thread(() -> buffers(3)));
                if (i < 4) {
                    threads.get(i).start();
                }
            }
            for (Thread thread : threads.subList(0, 4)) {
                thread.join();
                ended++;
            }
        }
        System.out.println("threads " + ended);
        for (int i = 0; i < 3; i++) {
            Process child = new ProcessBuilder("echo", "child " + i).start();
            System.out.print(new String(child.getInputStream().readAllBytes()));
            System.out.println(child.waitFor());
        }
    }
}
