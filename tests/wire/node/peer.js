// The other party: Bull 4.16.5, driven by JSON lines.
//
// stdin    {"id": 7, "op": "call", ...}                       one request a line
// stdout   {"id": 7, "value": ...} or {"id": 7, "error": "..."}   its answer; no "value" for undefined
//          {"event": "...", "queue": "...", "args": [...], "at": ms}   whatever happens in between
//
// Every function in `ops` is one op. Handlers are named in `handlers`; each start and end of one is an event, so that
// the test sees which process ran what, and when.
'use strict';

const readline = require('readline');
const Queue = require('bull');

const redisUrl = process.argv[2];
const queues = new Map();
const gates = new Map();
let board = null;

const write = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const tell = (event, queue, ...args) => write({ event, queue, args, at: Date.now() });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// A job as plain data; only what is a job, everything else passes.
const plain = (value) => {
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value.toJSON === 'function' && value.queue) return value.toJSON();
  return value;
};

const gate = (name) => {
  if (!gates.has(name)) {
    let open;
    const opened = new Promise((done) => { open = done; });
    gates.set(name, { opened, open });
  }
  return gates.get(name);
};

// Resolves when the queue object has subscribed to the event's channel; it may have done so before.
const registered = (queue, event) => (queue.registeredEvents || {})[event.replace('global:', '')]
  || new Promise((done) => { queue.once(`registered:${event}`, () => done()); });

// What a handler does. `how` are the options that the test gave to `process`.
const handlers = {
  value: async (job, how) => how.value,
  nothing: async () => undefined,
  echo: async (job) => job.data,
  fail: async (job, how) => { throw new Error(how.message || 'no'); },
  failWithoutMessage: async () => { throw Object.assign(new Error(), { message: undefined }); },
  failTimes: async (job, how) => {
    if (job.attemptsMade < how.times) throw new Error(`attempt ${job.attemptsMade + 1}`);
    return how.value;
  },
  sleep: async (job, how) => { await sleep(how.ms); return how.value; },
  hold: async (job, how) => { await gate(how.gate || 'default').opened; return how.value; },
  block: async (job, how) => {
    // Nothing else of this process runs meanwhile: no renewal, no events.
    const until = Date.now() + how.ms;
    while (Date.now() < until);
    return how.value;
  },
  progress: async (job, how) => {
    for (const value of how.values) await job.progress(value);
    return how.value;
  },
  log: async (job, how) => {
    for (const row of how.rows) await job.log(row);
    return how.value;
  },
};

const ops = {
  open({ queue, options = {} }) {
    const made = new Queue(queue, redisUrl, options);
    made.on('error', (error) => tell('error', queue, error.message));
    queues.set(queue, made);
    return made.isReady().then(() => made.token);
  },

  // Any method of the queue object.
  async call({ queue, method, args = [] }) {
    return plain(await queues.get(queue)[method](...args));
  },

  // Any method of one job object.
  async job({ queue, jobId, method, args = [] }) {
    const job = await queues.get(queue).getJob(jobId);
    if (!job) throw new Error(`no job ${jobId}`);
    return plain(await job[method](...args));
  },

  // job.finished(), kept under a name, so that the test can do something while it waits.
  async finished({ queue, jobId }) {
    const job = await queues.get(queue).getJob(jobId);
    if (!job) throw new Error(`no job ${jobId}`);
    await queues.get(queue).isReady();
    job.finished().then(
      (value) => tell('resolved', queue, jobId, value === undefined ? 'undefined' : JSON.stringify(value)),
      (error) => tell('rejected', queue, jobId, error.message));
  },

  process({ queue, name = '__default__', concurrency = 1, handler, ...how }) {
    const run = handlers[handler];
    const listening = registered(queues.get(queue), 'delayed');
    // Bull's promise settles when the worker stops; it must not hold up the answer.
    queues.get(queue).process(name, concurrency, async (job) => {
      tell('start', queue, job.id, job.attemptsMade, job.data);
      try {
        const value = await run(job, how);
        tell('end', queue, job.id, 'completed');
        return value;
      } catch (error) {
        tell('end', queue, job.id, 'failed');
        throw error;
      }
    });
    return listening;
  },

  open_gate({ gate: name = 'default' }) { gate(name).open(); },

  async listen({ queue, events }) {
    const heard = queues.get(queue);
    const subscribed = events.filter((event) => event.startsWith('global:')).map((event) => registered(heard, event));
    for (const event of events) {
      heard.on(event, (...args) => tell(event, queue, ...args.map((each) => (each instanceof Error ? each.message : plain(each) ?? null))));
    }
    await Promise.all(subscribed);
  },

  block({ ms }) {
    // answered first, or the test would wait for it too
    setTimeout(() => { const until = Date.now() + ms; while (Date.now() < until); }, 5);
  },

  // bull-board on a port of its own: the HTTP API that its page uses.
  async board({ names }) {
    const { createBullBoard } = require('@bull-board/api');
    const { BullAdapter } = require('@bull-board/api/bullAdapter');
    const { ExpressAdapter } = require('@bull-board/express');
    const adapter = new ExpressAdapter();
    createBullBoard({ queues: names.map((name) => new BullAdapter(queues.get(name))), serverAdapter: adapter });
    const app = require('express')();
    app.use('/', adapter.getRouter());
    board = await new Promise((ready) => { const server = app.listen(0, '127.0.0.1', () => ready(server)); });
    return board.address().port;
  },

  async close({ queue }) {
    const closing = queues.get(queue);
    queues.delete(queue);
    await closing.close();
  },
};

const answer = async (line) => {
  const { id, op, ...args } = JSON.parse(line);
  try {
    const value = await ops[op](args);
    write({ id, value: typeof value === 'function' ? undefined : value });
  } catch (error) {
    write({ id, error: String(error && error.message) });
  }
};

process.on('uncaughtException', (error) => tell('uncaught', null, String(error.stack)));
process.on('unhandledRejection', (error) => tell('unhandled', null, String(error && error.stack)));
readline.createInterface({ input: process.stdin }).on('line', answer).on('close', () => process.exit(0));
tell('ready', null);
