// The next slot of many cron expressions, as cron-parser 4.9.0 has it and Bull asks for it.
//
// stdin    [{"cron": "0 5 * * *", "at": ms, "tz": "Europe/Berlin", "end": ms}, ...]   tz and end may be missing
// stdout   [ms | null | "what is wrong with it", ...]   null: there is no further slot
'use strict';

const { parseExpression } = require('cron-parser');

const nextSlot = ({ cron, at, tz, end }) => {
  let slots;
  try {
    slots = parseExpression(cron, { currentDate: new Date(at), tz, endDate: end });
  } catch (error) {
    return error.message;
  }
  try {
    return slots.next().getTime();
  } catch {
    return null;
  }
};

const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(cases.map(nextSlot)));
