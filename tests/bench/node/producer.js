// The web app's side as Bull 4.16.5 has it: adds jobs as told by JSON lines on stdin, and says when it did.
'use strict';

const readline = require('readline');
const Redis = require('ioredis');
const Queue = require('bull');

const [redisUrl] = process.argv.slice(2);
const OPTIONS = { attempts: 3, backoff: { type: 'exponential', delay: 2000 }, removeOnComplete: 100, removeOnFail: 500 };
const DATA = { type: 'ASSET_VIEW', assetId: 'cm3v8k2pq0001l80x4h2a9d7e', timestamp: '2026-11-23T09:41:07.192Z' };
const FLOOD_EVERY_MS = 20;

// All queues share one connection, as Bull's own documentation advises who has many.
const shared = new Redis(redisUrl, { maxRetriesPerRequest: null, enableReadyCheck: false });
shared.setMaxListeners(0);
const queues = new Map();

const open = (name) => {
  if (!queues.has(name)) {
    const queue = new Queue(name, { createClient: () => shared, defaultJobOptions: OPTIONS });
    queue.on('error', (error) => console.error(error.message));
    queues.set(name, queue);
  }
  return queues.get(name);
};

// CLOCK_MONOTONIC, which Python's time.monotonic() reads too, and the time of day; both in seconds
const moment = () => ({ monotonic: Number(process.hrtime.bigint()) / 1e9, wall: (performance.timeOrigin + performance.now()) / 1e3 });

const ops = {
  ping: async () => 'pong',

  async open({ queues: names }) {
    for (const name of names) await open(name).isReady();
  },

  async add({ queue }) {
    const at = moment();
    await open(queue).add(DATA);
    return at;
  },

  async bulk({ queue, jobs }) {
    const at = moment();
    await open(queue).addBulk(Array.from({ length: jobs }, () => ({ data: DATA })));
    return { ...at, seconds: moment().monotonic - at.monotonic };
  },

  // Evenly, a bulk every 20 ms; what Redis or this process does not keep up with is not made up for. Returns how many were added.
  async flood({ queue, perSecond, seconds }) {
    const end = moment().monotonic + seconds;
    const each = Math.max(1, Math.round((perSecond * FLOOD_EVERY_MS) / 1000));
    let added = 0;
    while (moment().monotonic < end) {
      const next = moment().monotonic + FLOOD_EVERY_MS / 1000;
      await open(queue).addBulk(Array.from({ length: each }, () => ({ data: DATA })));
      added += each;
      const rest = (next - moment().monotonic) * 1000;
      if (rest > 0) await new Promise((done) => setTimeout(done, rest));
    }
    return added;
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

readline.createInterface({ input: process.stdin }).on('line', answer).on('close', () => process.exit(0));
