-- include: push_waiting
-- promote_due(base, events, now): move delayed jobs whose time has come to where workers look, in order of their scores.
--
-- A thousand a call at most. A job whose hash is gone is dropped. Announces what is due next, so that every timer re-arms.
-- Returns the lowest score left, or nil (wire document 3.7).
local function promote_due(base, events, now)
  local delayed = base .. "delayed"
  local first = redis.call("ZRANGE", delayed, "0", "0", "WITHSCORES")
  if #first == 0 or tonumber(first[2]) > now * 4096 then
    return first[2]
  end
  local due = redis.call("ZRANGEBYSCORE", delayed, 0, string.format("%.0f", now * 4096), "LIMIT", 0, 1000)
  redis.call("ZREM", delayed, unpack(due))
  for _, id in ipairs(due) do
    if redis.call("TYPE", base .. id).ok == "hash" then
      redis.call("LREM", base .. "active", 0, id)
      push_waiting(base, id, priority_of(base, id), false)
      redis.call("HSET", base .. id, "delay", 0)
      redis.call("PUBLISH", base .. "waiting@" .. events, id)
    end
  end
  first = redis.call("ZRANGE", delayed, "0", "0", "WITHSCORES")
  if #first > 0 then
    redis.call("PUBLISH", delayed, string.format("%.4f", tonumber(first[2]) / 4096))
  end
  return first[2]
end
