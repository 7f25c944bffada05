-- include: push_waiting
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

local function promote_due(base, events, now)
  local delayed = base .. "delayed"
  local first = redis.call("ZRANGE", delayed, "0", "0", "WITHSCORES")
  if #first == 0 or tonumber(first[2]) > now * 4096 then
    return first[2]
  end
  local due = redis.call("ZRANGEBYSCORE", delayed, 0, string.format("%.0f", now * 4096), "LIMIT", 0, 1000)
  local steps, last = 0, 0
  local promoted = {}
  while last < #due and steps < MOST_STEPS do
    last = last + 1
    local id = due[last]
    if redis.call("TYPE", base .. id).ok == "hash" then
      local priority = priority_of(base, id)
      push_waiting(base, id, priority, false)
      if priority > 0 then
        steps = steps + redis.call("LLEN", waiting_list(base))
      end
      redis.call("HSET", base .. id, "delay", 0)
      redis.call("PUBLISH", base .. "waiting@" .. events, id)
      promoted[#promoted + 1] = id
    end
  end
  redis.call("ZREM", delayed, unpack(due, 1, last))
  take_off_active(base .. "active", promoted)
  first = redis.call("ZRANGE", delayed, "0", "0", "WITHSCORES")
  if #first > 0 then
    redis.call("PUBLISH", delayed, string.format("%.4f", tonumber(first[2]) / 4096))
  end
  return first[2]
end
