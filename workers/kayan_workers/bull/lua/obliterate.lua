-- obliterate: delete some of a paused queue's jobs, and when none are left, everything else of it that has a fixed name.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>
-- ARGV     1 base   2 most   how many in this call   3 force   "1": also jobs that are running
-- Returns  1 call again, 0 done, -1 not paused, -2 jobs are running
-- Wire     Bull 4.16.5, obliterate; wire document 3.16
local base, most, force = ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"

-- include: forget_job

if redis.call("EXISTS", base .. "meta-paused") == 0 then
  return -1
end
if not force and redis.call("EXISTS", base .. "active") == 1 then
  return -2
end

local function forget(id)
  forget_job(base, KEYS[2], id)
  redis.call("UNLINK", base .. id .. ":lock")
  most = most - 1
end

for _, list in ipairs({ base .. "active", base .. "paused", base .. "wait" }) do
  local ids = most > 0 and redis.call("LRANGE", list, -most, -1) or {}
  for _, id in ipairs(ids) do
    forget(id)
  end
  if #ids > 0 then
    redis.call("LTRIM", list, 0, -#ids - 1)
  end
end
for _, set in ipairs({ base .. "delayed", base .. "completed", base .. "failed" }) do
  local ids = most > 0 and redis.call("ZRANGE", set, 0, most - 1) or {}
  for _, id in ipairs(ids) do
    forget(id)
  end
  if #ids > 0 then
    redis.call("ZREM", set, unpack(ids))
  end
end
if most <= 0 then
  return 1
end

for _, name in ipairs({ "priority", "stalled", "stalled-check", "id", "repeat", "limiter", "limiter:index", "limiter:limited",
  "metrics:completed", "metrics:completed:data", "metrics:failed", "metrics:failed:data", "meta-paused", "meta" }) do
  redis.call("UNLINK", base .. name)
end
redis.call("UNLINK", KEYS[2])
return 0
