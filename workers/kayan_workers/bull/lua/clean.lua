-- clean: delete jobs of one state that are older than a moment; one window of the list or set.
--
-- A job's age counts from when it finished, else from when it last started, else from when it was created. Locked jobs stay.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>
-- ARGV     1 base   2 name     completed | failed | delayed | wait | active | paused
--          3 before_ms   4 most   how many may go
--          5 offset      entries to pass over: of a set from its start, of a list from its tail, the oldest there
--          6 window      entries to look at
-- Returns  {offset for the next call, or -1 at the end, {removed ids}}
-- Wire     Bull 4.16.5, cleanJobsInSet; wire document 3.14, W27
local base, name = ARGV[1], ARGV[2]
local before_ms, most, offset, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local source = base .. name
local is_list = name == "wait" or name == "active" or name == "paused"
local is_finished = name == "completed" or name == "failed"

-- include: forget_job

local function is_old(id)
  local times = redis.call("HMGET", base .. id, "finishedOn", "processedOn", "timestamp")
  local time = tonumber(times[1] or times[2] or times[3] or 0) or 0
  return time < before_ms
end

local ids
if is_list then
  ids = redis.call("LRANGE", source, -offset - window, -offset - 1)
elseif is_finished then
  ids = redis.call("ZRANGEBYSCORE", source, "-inf", "(" .. ARGV[3], "LIMIT", offset, window)
else
  ids = redis.call("ZRANGE", source, offset, offset + window - 1)
end

local removed, kept = {}, 0
local first, last, step = 1, #ids, 1
if is_list then
  first, last, step = #ids, 1, -1
end
for i = first, last, step do
  local id = ids[i]
  if #removed < most and redis.call("EXISTS", base .. id .. ":lock") == 0 and is_old(id) then
    if is_list then
      redis.call("LSET", source, -offset - (#ids - i) - 1, "")
    else
      redis.call("ZREM", source, id)
    end
    forget_job(base, KEYS[2], id, is_finished)
    removed[#removed + 1] = id
  else
    kept = kept + 1
  end
end
if is_list and #removed > 0 then
  redis.call("LREM", source, -#removed, "")
end
local at_end = #ids < window or #removed >= most
return { at_end and -1 or offset + kept, removed }
