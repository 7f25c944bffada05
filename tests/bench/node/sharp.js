// sharp's side: shrinks pictures as the web app's workers do. ../picture_peer.py is its twin; keep them alike.
'use strict';

const fs = require('fs');
const readline = require('readline');
const { performance } = require('perf_hooks');
const sharp = require('sharp');

const ops = {
  ping: async () => 'pong',

  // The app downloads into a buffer, decodes it once for every variant, one after another, and uploads buffers.
  async render({ source, wanted }) {
    const began = performance.now();
    const buffer = fs.readFileSync(source);
    for (const { to, box: [width, height], quality } of wanted) {
      fs.writeFileSync(to, await sharp(buffer).resize(width, height, { fit: 'inside', withoutEnlargement: true }).jpeg({ quality }).toBuffer());
    }
    return performance.now() - began;
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, op, ...args } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ id, value: await ops[op](args) }));
  } catch (error) {
    console.log(JSON.stringify({ id, error: error.message }));
  }
}).on('close', () => process.exit(0));
