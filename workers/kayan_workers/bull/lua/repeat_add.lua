-- repeat_add: schedule one iteration of a repeatable job, in one step with the schedule itself.
--
-- The iteration's id names its slot, so scheduling it twice adds it once. A hash under that id which stands in no list is an
-- orphan (Bull's `empty` leaves such) and is replaced: it would silence the schedule for ever.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>   hash, repeat key -> name, data and opts of the latest iteration
-- ARGV     1 base   2 token   3 repeat_key   4 next_ms
--          5 only_at    the score the schedule must have now; "any": it must exist; "": it need not
--          6 job        MessagePack: [name, data, opts, timestamp, {id, delay, due, priority, lifo}]
--          7 copy       JSON for `schedules`
-- Returns  1 added, 0 there already, -1 the schedule is gone or has moved on
-- Wire     Bull 4.16.5, nextRepeatableJob, addJob; wire document 3.19, W20
local schedules = KEYS[2]
local base, token, repeat_key, next_ms, only_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- include: push_waiting
-- include: new_job
-- include: whereabouts

local score = redis.call("ZSCORE", base .. "repeat", repeat_key)
if only_at ~= "" and (not score or (only_at ~= "any" and tonumber(score) ~= tonumber(only_at))) then
  return -1
end
redis.call("ZADD", base .. "repeat", next_ms, repeat_key)
redis.call("HSETNX", schedules, repeat_key, ARGV[7])

local job = cmsgpack.unpack(ARGV[6])
local more = job[5]
local id = more.id
local number = redis.call("INCR", base .. "id")
if redis.call("EXISTS", base .. id) == 1 then
  if where_is(base, id) then
    redis.call("PUBLISH", base .. "duplicated@" .. token, id)
    return 0
  end
  redis.call("UNLINK", base .. id, base .. id .. ":logs")
end
redis.call("HSET", schedules, repeat_key, ARGV[7])
write_job(base, id, job)
if more.due then
  delay_job(base, id, more.due, number)
else
  push_waiting(base, id, more.priority or 0, more.lifo)
  redis.call("PUBLISH", base .. "waiting@" .. token, id)
end
return 1
