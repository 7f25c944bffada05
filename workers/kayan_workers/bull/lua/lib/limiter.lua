-- held_back(base, id, now, max, duration_ms, grouped): whether Bull's rate limiter keeps this job from starting now.
--
-- Counts starts per window in `limiter` (or `limiter:<group>`, the group being what follows the last `:` of the id). A job over
-- the limit is taken off `active` and parked in `delayed`; true means exactly that. Same keys and arithmetic as Bull's, so
-- both sides share one budget (wire document 3.20).
local function held_back(base, id, now, max, duration_ms, grouped)
  local limiter = base .. "limiter"
  local window = limiter
  if grouped then
    local group = string.match(id, "[^:]+$")
    if group then
      window = limiter .. ":" .. group
    end
  end
  local parked, index = window .. ":limited", limiter .. ":index"
  local wait_ms = 0
  if redis.call("SREM", parked, id) == 1 then
    redis.call("HDEL", index, id)
  else
    local ahead = redis.call("SCARD", parked)
    if ahead > 0 then
      wait_ms = ahead * duration_ms * 1.1 / max + math.max(redis.call("PTTL", window), 0)
    end
  end
  local started = tonumber(redis.call("GET", window) or 0)
  if wait_ms == 0 and started >= max then
    wait_ms = math.max(redis.call("PTTL", window), 0) + (started - max) * duration_ms / max
    wait_ms = math.max(wait_ms, 1)
  end
  if wait_ms > 0 then
    local due = now + wait_ms
    redis.call("ZADD", base .. "delayed", string.format("%.0f", math.floor(due) * 4096 + started % 4096), id)
    redis.call("PUBLISH", base .. "delayed", string.format("%.0f", due))
    redis.call("SADD", parked, id)
    redis.call("HSET", index, id, parked)
    redis.call("LREM", base .. "active", 1, id)
    return true
  end
  if started == 0 then
    redis.call("PSETEX", window, duration_ms, 1)
  else
    redis.call("INCR", window)
  end
  return false
end
