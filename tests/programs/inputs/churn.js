// SPDX-License-Identifier: MIT
// Buffers, workers, compression, cryptography, WebAssembly memory and child processes; every
// figure printed follows from the seed.
'use strict';
const crypto = require('crypto');
const zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');

let state = 99;
function nextRandom() {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state >>> 8;
}

function digest(data) {
    return crypto.createHash('sha256').update(data).digest('hex').slice(0, 24);
}

function churn(rounds) {
    const kept = new Map();
    const hash = crypto.createHash('sha256');
    for (let i = 0; i < rounds; i++) {
        const key = nextRandom() % 500;
        const old = kept.get(key);
        if (old) {
            hash.update(old.subarray(0, 64));
        }
        kept.set(key, Buffer.alloc(1 + (nextRandom() % 20000), key & 255));
    }
    return hash.digest('hex').slice(0, 24);
}

async function worker(seed) {
    return new Promise((resolve, reject) => {
        const thread = new Worker(__filename, { workerData: { seed } });
        thread.once('message', resolve);
        thread.once('error', reject);
    });
}

async function main() {
    console.log('buffers', churn(30000));
    const text = JSON.stringify(Array.from({ length: 20000 }, (_, i) => ({ i, v: nextRandom() })));
    console.log('json', digest(text), JSON.parse(text).length);
    for (const [squeeze, expand] of [
        [zlib.gzipSync, zlib.gunzipSync],
        [zlib.brotliCompressSync, zlib.brotliDecompressSync],
    ]) {
        console.log('compression', digest(expand(squeeze(text))));
    }
    const many = Array.from({ length: 40 }, (_, i) => new Promise((resolve, reject) => {
        zlib.deflate(text.slice(i * 100), (error, data) => (error ? reject(error) : resolve(data)));
    }));
    const inflated = (await Promise.all(many)).map((packed) => zlib.inflateSync(packed));
    console.log('pool', digest(Buffer.concat(inflated)));
    console.log('pbkdf2', crypto.pbkdf2Sync('secret', 'salt', 20000, 24, 'sha512').toString('hex'));
    for (let round = 0; round < 3; round++) {
        const answers = await Promise.all([1, 2, 3, 4].map((n) => worker(n * 7 + round)));
        console.log('workers', answers.join(' '));
    }
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 512 });
    for (let i = 0; i < 200; i++) {
        memory.grow(1);
        new Uint8Array(memory.buffer)[(i + 1) * 65536] = i;
    }
    console.log('wasm', digest(new Uint8Array(memory.buffer)));
    for (let i = 0; i < 3; i++) {
        const said = execFileSync(process.execPath, ['-p', `'x'.repeat(${i + 3})`]);
        console.log('child', said.toString().trim());
    }
}

if (isMainThread) {
    main().catch((error) => {
        console.error(error);
        process.exit(1);
    });
} else {
    state = workerData.seed;
    parentPort.postMessage(churn(8000));
}
