// The web app's own worker, before this fleet: one process of one queue, as its code and its statements are (Prisma's, sent by pg).
//
//   node app_worker.js analytics|notification     REDIS_PORT and DATABASE_URL say where; it works until it is killed.
//
// What the app's worker does and this one leaves out (its six other queues, Prisma's own engine) would only make it slower.
'use strict';

const Queue = require('bull');
const { Pool } = require('pg');

// Named statements are parsed once per connection, as Prisma keeps them.
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const send = (name, text, values) => pool.query({ name, text, values });

// Prisma's cuid: time, counter, process, chance.
let counter = 0;
const fingerprint = process.pid.toString(36).padStart(4, '0').slice(-4);
const random = () => Math.floor(Math.random() * 36 ** 8).toString(36).padStart(8, '0');
const cuid = () => `c${Date.now().toString(36)}${(counter++ % 36 ** 4).toString(36).padStart(4, '0')}${fingerprint}${random()}`;

const ACTIVITY = `INSERT INTO "public"."asset_activities" ("id", "type", "description", "userId", "assetId", "createdAt")
  VALUES ($1, CAST($2::text AS "public"."AssetActivityType"), $3, $4, $5, $6)
  RETURNING "id", "type"::text, "description", "userId", "assetId", "collectionId", "metadata", "createdAt"`;

const COUNT = (column) => `INSERT INTO "public"."asset_analytics" AS "day" ("id", "assetId", "date", "views", "downloads")
  VALUES ($1, $2, $3, ${column === 'views' ? '1, 0' : '0, 1'})
  ON CONFLICT ("assetId", "date") DO UPDATE SET "${column}" = "day"."${column}" + 1
  RETURNING "id", "assetId", "date", "views", "downloads"`;

const NOTIFICATION = `INSERT INTO "public"."notifications"
  ("id", "type", "title", "message", "read", "data", "createdAt", "userId", "projectId", "taskId", "milestoneId", "meetingId")
  VALUES ($1, CAST($2::text AS "public"."NotificationType"), $3, $4, false, $5, $6, $7, $8, $9, $10, $11)
  RETURNING "id", "type"::text, "title", "message", "read", "data", "createdAt", "userId", "projectId", "taskId", "milestoneId",
    "meetingId", "articleId", "translationRequestId"`;

const EVENTS = {
  ASSET_VIEW: ['ASSET_VIEWED', 'Asset viewed', 'views'],
  ASSET_DOWNLOAD: ['ASSET_DOWNLOADED', 'Asset downloaded', 'downloads'],
};

// The app's logger in production: one JSON object a line.
const info = (message, context) => console.log(JSON.stringify({ level: 'info', message, timestamp: new Date().toISOString(), context }));

const queues = {
  analytics: {
    label: 'Analytics',
    concurrency: 5,
    async process({ data: { type, assetId, userId, timestamp } }) {
      try {
        const [activity, description, column] = EVENTS[type];
        if (userId) {
          await send('activity', ACTIVITY, [cuid(), activity, description, userId, assetId, new Date(timestamp).toISOString()]);
        }
        const day = new Date(timestamp);
        day.setHours(0, 0, 0, 0);
        await send(column, COUNT(column), [cuid(), assetId, day.toISOString().slice(0, 10)]);
      } catch (error) {
        console.warn(JSON.stringify({ level: 'warn', message: 'Failed to record analytics event', context: { type, error } }));
      }
    },
  },

  notification: {
    label: 'Notification',
    concurrency: 10,
    async process({ data: { userId, type, title, message, data, projectId, taskId, milestoneId, meetingId } }) {
      info('Creating notification', { userId, type, title });
      await send('notification', NOTIFICATION, [
        cuid(), type, title, message, data ?? null, new Date().toISOString(), userId, projectId, taskId, milestoneId, meetingId,
      ]);
      info('Notification created', { userId, type, title });
    },
  },
};

const name = process.argv[2];
const { label, concurrency, process: processor } = queues[name];
const redis = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null, enableReadyCheck: false };
const queue = new Queue(name, { redis });

queue.process(concurrency, async (job) => {
  console.log(`[${label}] Job ${job.id} started`);
  await processor(job);
  console.log(`[${label}] Job ${job.id} completed`);
});

queue.on('error', (error) => console.error(`❌ [${label}] Queue error:`, error));
queue.on('failed', (job, error) => console.error(`❌ [${label}] Job ${job.id} failed: ${error.message}`));
queue.on('stalled', (job) => console.warn(`⚠️  [${label}] Job ${job.id} stalled`));
queue.on('completed', (job) => console.log(`✅ [${label}] Job ${job.id} completed`));
queue.on('active', (job) => console.log(`🔄 [${label}] Job ${job.id} active`));
queue.on('waiting', (id) => console.log(`⏳ [${label}] Job ${id} waiting`));

process.on('SIGTERM', () => process.exit(0));
