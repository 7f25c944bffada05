-- include: push_waiting
-- include: push_many
-- promote_due(base, events, now): move delayed jobs whose time has come to where workers look, in order of their scores.
--
-- A thousand a call at most, and fewer where priorities have to be found their places in a long list: each is a walk along it, and
-- Redis serves nobody else meanwhile. A job whose hash is gone is dropped. Announces what is due next, so that every timer re-arms.
-- Returns the lowest score left, or nil (wire document 3.7).
local MOST_STEPS = 5000000

-- Ids that stand in `active` as well come off it. A long list is read once, not once for each of them.
local function take_off_active(active, ids)
  if #ids > 10 and redis.call("LLEN", active) > 100 then
    local due = {}
    for _, id in ipairs(ids) do
      due[id] = true
    end
    ids = {}
    for _, id in ipairs(redis.call("LRANGE", active, 0, -1)) do
      if due[id] then
        due[id] = nil
        ids[#ids + 1] = id
      end
    end
  end
  for _, id in ipairs(ids) do
    redis.call("LREM", active, 0, id)
  end
end

-- The priority of a due job; nil for an id that is no job.
local function priority_of_due(job)
  local priority = redis.pcall("HGET", job, "priority")
  if type(priority) == "string" then
    return tonumber(priority) or 0
  end
  return redis.call("TYPE", job).ok == "hash" and 0 or nil
end

-- Puts the entries {id, priority} where they belong. Those that are in the index already (the limiter leaves them there) go one by one:
-- push_many counts on new ones.
local function push_due(base, list, entries)
  local prioritised = {}
  for i = 1, #entries do
    if entries[i][2] > 0 then
      prioritised[#prioritised + 1] = entries[i][1]
    end
  end
  local known = #prioritised > 0 and redis.call("ZMSCORE", base .. "priority", unpack(prioritised)) or {}
  for i = 1, #known do
    if known[i] then
      for n = 1, #entries do
        push_waiting(base, entries[n][1], entries[n][2], false)
      end
      return
    end
  end
  push_many(base, list, entries)
end

local function promote_due(base, events, now)
  local delayed = base .. "delayed"
  local first = redis.call("ZRANGE", delayed, "0", "0", "WITHSCORES")
  if #first == 0 or tonumber(first[2]) > now * 4096 then
    return first[2]
  end
  local due = redis.call("ZRANGEBYSCORE", delayed, 0, string.format("%.0f", now * 4096), "LIMIT", 0, 1000)
  local list = waiting_list(base)
  local length = redis.call("LLEN", list)
  local from_head = setmetatable({}, { __index = function(depths, priority)
    local depth = length - redis.call("ZCOUNT", base .. "priority", 0, priority)
    depths[priority] = depth < 0 and length or depth
    return depths[priority]
  end })
  local steps, last = 0, 0
  local promoted, entries = {}, {}
  while last < #due and steps < MOST_STEPS do
    last = last + 1
    local id = due[last]
    local priority = priority_of_due(base .. id)
    if priority then
      if priority > 0 then
        steps = steps + from_head[priority]
      end
      redis.call("HSET", base .. id, "delay", "0")
      promoted[#promoted + 1] = id
      entries[#entries + 1] = { id, priority }
    end
  end
  push_due(base, list, entries)
  for i = 1, #promoted do
    redis.call("PUBLISH", base .. "waiting@" .. events, promoted[i])
  end
  redis.call("ZREM", delayed, unpack(due, 1, last))
  take_off_active(base .. "active", promoted)
  first = redis.call("ZRANGE", delayed, "0", "0", "WITHSCORES")
  if #first > 0 then
    redis.call("PUBLISH", delayed, string.format("%.4f", tonumber(first[2]) / 4096))
  end
  return first[2]
end
