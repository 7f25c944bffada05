-- retain(base, set, keep_count, keep_age_ms, now, doomed): forget finished jobs beyond what the policy keeps.
--
-- keep_count < 0 and keep_age_ms < 0 mean no limit. Deletes hash and logs of every job that goes. Applies to the whole set,
-- whatever policy the other jobs carried (wire document 3.8.5). A thousand jobs a call at most: what is left goes next time.
-- Their keys are added to `doomed`, for the caller to UNLINK with others in one go; returns how many those are now.

-- Redis keeps a set of up to 128 members as one flat list and walks it twice for every member added: with the usual hundred kept jobs
-- that is a sixth of all its work for a job. One member longer than a flat list may hold turns the set into a tree for good.
-- Looked at once in 64 ms is often enough.
local function spread_out(set, now)
  if now % 64 ~= 0 then
    return
  end
  local encoding = redis.call("OBJECT", "ENCODING", set)
  if encoding == "listpack" or encoding == "ziplist" then
    local long = string.rep("-", 4096)
    redis.call("ZADD", set, 0, long)
    redis.call("ZREM", set, long)
  end
end

local function retain(base, set, keep_count, keep_age_ms, now, doomed)
  local n = #doomed
  local function forget(id)
    local job = base .. id
    doomed[n + 1] = job
    doomed[n + 2] = job .. ":logs"
    n = n + 2
  end
  if keep_age_ms >= 0 then
    local old = redis.call("ZRANGEBYSCORE", set, "-inf", now - keep_age_ms, "LIMIT", 0, 1000)
    if #old > 0 then
      redis.call("ZREM", set, unpack(old))
      for i = 1, #old do
        forget(old[i])
      end
    end
  end
  if keep_count > 0 then
    local surplus = redis.call("ZREVRANGE", set, keep_count, keep_count + 999)
    if #surplus > 0 then
      spread_out(set, now)
      redis.call("ZREM", set, unpack(surplus))
      for i = 1, #surplus do
        forget(surplus[i])
      end
    end
  end
  return n
end

-- unlink_all(keys): free what has been doomed.
local function unlink_all(keys)
  for first = 1, #keys, 2000 do
    redis.call("UNLINK", unpack(keys, first, math.min(first + 1999, #keys)))
  end
end
