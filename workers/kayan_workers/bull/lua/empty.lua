-- empty: delete some of the jobs that wait, paused or not, or are delayed; the oldest first.
--
-- What runs and what has finished stays, and so do the pause, and the delayed iterations of schedules.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>
-- ARGV     1 base   2 most     how many in this call
--          3 offset   entries at the front of `delayed` that stay
-- Returns  {removed, removed iterations of schedules, offset for the next call}; {0, 0, …} at the end
-- Wire     Bull 4.16.5, empty; wire document 3.15, W19
local base, most, offset = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local removed, iterations = 0, 0

-- include: forget_job

local function forget(id)
  forget_job(base, KEYS[2], id)
  removed = removed + 1
  if string.find(id, ITERATION) then
    iterations = iterations + 1
  end
end

for _, list in ipairs({ base .. "wait", base .. "paused" }) do
  local ids = removed < most and redis.call("LRANGE", list, removed - most, -1) or {}
  for _, id in ipairs(ids) do
    forget(id)
  end
  if #ids > 0 then
    redis.call("LTRIM", list, 0, -#ids - 1)
  end
end
if removed < most then
  for _, id in ipairs(redis.call("ZRANGE", base .. "delayed", offset, offset + most - removed - 1)) do
    if string.find(id, ITERATION) then
      offset = offset + 1
    else
      redis.call("ZREM", base .. "delayed", id)
      forget(id)
    end
  end
end
return { removed, iterations, offset }
