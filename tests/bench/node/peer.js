// Bull's side: a process that works and fills queues as told by JSON lines on stdin. ../peer.py is its twin; keep them alike.
'use strict';

const readline = require('readline');
const { performance } = require('perf_hooks');
const Queue = require('bull');

const [redisUrl, workAtOnce] = process.argv.slice(2);

// What the web app gives every job.
const APP_OPTIONS = { attempts: 3, backoff: { type: 'exponential', delay: 2000 }, removeOnComplete: 100, removeOnFail: 500 };

let completed = 0;
let wanted = 0;
let reached = null;
let latencies = [];
const queues = [];

// CLOCK_MONOTONIC, which Python's time.monotonic() reads too
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;

const handlers = {
  nothing: async () => {},
  clock: async (job) => { latencies.push(monotonicMs() - job.data.at); },
  sleep: (job) => new Promise((done) => setTimeout(done, job.data.ms)),
};

const open = (name) => {
  const queue = new Queue(name, redisUrl, { defaultJobOptions: APP_OPTIONS });
  queue.on('error', (error) => console.error(error.message));
  queues.push(queue);
  return queue;
};

const ops = {
  ping: async () => 'pong',

  // Each worker has a Queue object, and so connections, of its own, as a process of its own would.
  async work({ queue, workers = 1, concurrency = 1, handler = 'nothing' }) {
    for (let n = 0; n < workers; n += 1) {
      const worker = open(queue);
      worker.on('completed', () => {
        completed += 1;
        if (completed === wanted && reached) reached();
      });
      worker.process(concurrency, handlers[handler]);
      await worker.isReady();
    }
  },

  async reset() { completed = 0; latencies = []; },
  count: async () => completed,
  completed: ({ count }) => (completed >= count ? Promise.resolve() : new Promise((done) => { wanted = count; reached = done; })),
  latencies: async () => latencies,

  async cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },

  async add({ queue: name, jobs, data, how, size }) {
    const queue = open(name);
    await queue.add(data);
    const began = performance.now();
    if (how === 'bulk') {
      for (let first = 0; first < jobs; first += size) {
        await queue.addBulk(Array.from({ length: Math.min(size, jobs - first) }, () => ({ data })));
      }
    } else {
      const oneAfterAnother = async (n) => { for (let i = n; i < jobs; i += size) await queue.add(data); };
      await Promise.all(Array.from({ length: size }, (_, n) => oneAfterAnother(n)));
    }
    const seconds = (performance.now() - began) / 1000;
    queues.splice(queues.indexOf(queue), 1);
    await queue.close();
    return seconds;
  },
};

const answer = async (line) => {
  const { id, op, ...args } = JSON.parse(line);
  const write = (reply) => process.stdout.write(JSON.stringify({ id, ...reply }) + '\n');
  try {
    write({ value: await ops[op](args) });
  } catch (error) {
    write({ error: String(error && error.message) });
  }
};

if (workAtOnce) ops.work({ queue: workAtOnce });
// Bull's own close() waits for its blocking pops; nothing is running when a measurement ends.
readline.createInterface({ input: process.stdin }).on('line', answer).on('close', () => process.exit(0));
