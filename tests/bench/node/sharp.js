// sharp's side: shrinks pictures as the web app's workers do. ../picture_peer.py is its twin; keep them alike.
'use strict';

const fs = require('fs');
const readline = require('readline');
const { performance } = require('perf_hooks');
const sharp = require('sharp');

const ops = {
  ping: async () => 'pong',

  // The app downloads into a buffer, then decodes it once for every variant, one after another.
  async render({ source, wanted }) {
    const buffer = fs.readFileSync(source);
    const began = performance.now();
    const made = [];
    for (const { box: [width, height], quality } of wanted) {
      made.push(await sharp(buffer).resize(width, height, { fit: 'inside', withoutEnlargement: true }).jpeg({ quality }).toBuffer());
    }
    const took = performance.now() - began;
    wanted.forEach(({ to }, n) => fs.writeFileSync(to, made[n]));
    return took;
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
