-- merge_into_paused(base): bring `wait` and `paused` together when both exist, losing nothing (wire document W16).
--
-- What waits in `paused` is older: it was there when the queue was paused, and only clients that overlook the flag fill `wait`
-- meanwhile. So the jobs of `wait` are added to `paused` in their order, prioritised ones where their priority puts them.
local function merge_into_paused(base)
  local ids = redis.call("LRANGE", base .. "wait", 0, -1)
  local entries = {}
  for i = #ids, 1, -1 do  -- the oldest is at the tail
    local priority = tonumber(redis.call("ZSCORE", base .. "priority", ids[i]) or 0)
    if priority > 0 then
      redis.call("ZREM", base .. "priority", ids[i])
    end
    entries[#entries + 1] = { ids[i], priority }
  end
  redis.call("DEL", base .. "wait")
  push_many(base, base .. "paused", entries)
end
